"""Baselines and reports for tests, made of nothing."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import strategies as st

from pytest_steering.report.baseline import Baseline, Judged, Standing, Subject
from pytest_steering.report.model import Outcome

LLAMA = Subject("tiny:llama", "hooks", "cpu", "float32")
IDS = ("every-row", "exact-delta", "same-twice", "beams")
TESTS = ("place=first", "place=last", "")

names = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=8)
measured = st.dictionaries(
    st.sampled_from(("operations", "synchronisations", "peak bytes (rows=8)")), st.integers(0, 9)
)


@st.composite
def standings(draw: st.DrawFn) -> Standing:
    """A requirement, all of whose tests came out alike, or some of which are named."""
    counts = draw(measured)
    if draw(st.booleans()):
        return Standing(draw(st.integers(1, 9)), draw(st.sampled_from(Outcome)), measured=counts)
    named = draw(st.dictionaries(names, st.sampled_from(list(Outcome)[1:]), min_size=1, max_size=3))
    extra = draw(st.integers(0 if len(set(named.values())) > 1 else 1, 3))
    return Standing(extra + len(named), Outcome.PASSED, named, counts)


ratios = st.tuples(*[st.integers(0, 4000)] * 3).map(
    lambda three: dict(zip(("low", "ratio", "high"), (each / 1000 for each in sorted(three)), strict=True))
)
judged = st.builds(
    Judged,
    st.dictionaries(names, standings(), max_size=4),
    st.dictionaries(st.sampled_from(("forward", "generate")), ratios),
)
subjects = st.builds(Subject, names, names, st.sampled_from(("cpu", "cuda")), st.sampled_from(("float32", "bfloat16")))
baselines = st.builds(
    Baseline,
    st.sampled_from(("1.0", "1.1")),
    st.sampled_from(("core", "full")),
    st.dictionaries(subjects, judged, max_size=3),
)


def of(requirements: dict[str, Standing], subject: Subject = LLAMA, **more: Any) -> Baseline:
    """The baseline of one subject."""
    return Baseline("1.1", "full", {subject: Judged(requirements, **more)})


def entry(name: str, outcome: str = "passed", cause: str = "", **params: str) -> dict[str, Any]:
    """One test as a report has it."""
    bracket = "-".join(("tiny:llama", *params.values()))
    return {
        "id": name,
        "group": "positions",
        "outcome": outcome,
        "reason": "" if outcome == "passed" else "it is so",
        "cause": cause,
        "program": "",
        "params": params,
        "nodeid": f"conformance/test_positions.py::test_{name}[{bracket}]",
        "seconds": 0.125,
        "forward_passes": 2,
    }


def model(*entries: dict[str, Any], spec: str = "tiny:llama", verdict: str = "conforms", **more: Any) -> dict[str, Any]:
    """A model under an adapter as a report has it."""
    return {
        "spec": spec,
        "adapter": "hooks 0.1",
        "adapter_name": "hooks",
        "device": "cpu float32",
        "verdict": verdict,
        "cause": "",
        "declared": ["batch"],
        "architecture": {
            "layers_path": "model.layers",
            "num_layers": 4,
            "hidden_size": 32,
            "steering_layers": [1, 2, 3],
            "output_kind": "tensor",
        },
        "requirements": list(entries),
        "cost": {"forward_passes": 2, "forward_tokens": 9, "seconds": 0.125, "load_seconds": 0.5, "peak_bytes": 7},
        "overhead": {},
        "space": {},
        "effects": {},
        **more,
    }


def report(*models: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A JSON report."""
    environment = {
        "versions": {"python": "3.11", "pytest": "9.2.0", "torch": "2.13.0"},
        "platform": "A",
        "device": "cpu float32",
    }
    document = {
        "schema": 1,
        "suite": "1.1",
        "profile": "full",
        "environment": environment,
        "models": list(models),
        **more,
    }
    return copy.deepcopy(document)
