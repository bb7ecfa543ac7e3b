"""What is worse, missing or better, of two runs; and several reports as one."""

from __future__ import annotations

import copy
import itertools
import json
import random
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import pytest_steering
from conformance.selftest.forking.interpreter import interpreter
from conformance.selftest.report.baselines import LLAMA, baselines, entry, model, of, report
from pytest_steering.errors import SpecError
from pytest_steering.report.baseline import Baseline, Standing, Subject
from pytest_steering.report.compare import Kind, compare, failing, lines, markdown
from pytest_steering.report.merge import merge
from pytest_steering.report.model import Outcome

FIXED = settings(
    max_examples=150, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
WHO = "tiny:llama with hooks on cpu float32"
PASSED, NA, KNOWN, FAILED = Outcome.PASSED, Outcome.NOT_APPLICABLE, Outcome.KNOWN, Outcome.FAILED
SCHEMA = json.loads((Path(pytest_steering.__file__).parent / "report" / "schema.json").read_text())


@pytest.mark.parametrize(
    ("base", "head", "said"),
    [
        (Standing(2), Standing(2), []),
        (Standing(2), Standing(3), []),
        (Standing(2), Standing(1), ["missing: 1 of 2 tests ran"]),
        (Standing(2), Standing(2, FAILED), ["worse: passed, fails now"]),
        (Standing(2), Standing(2, Outcome.ERROR), ["worse: passed, cannot be judged now"]),
        (Standing(2), Standing(2, NA), ["worse: passed, is not applicable now"]),
        (Standing(2), Standing(2, KNOWN), ["worse: passed, is a known failure now"]),
        (Standing(1, NA), Standing(1, KNOWN), ["worse: was not applicable, is a known failure now"]),
        (Standing(1, FAILED), Standing(1, Outcome.ERROR), []),
        (Standing(1, NA), Standing(1), ["better: was not applicable, passes now"]),
        (Standing(2), Standing(2, named={"a": KNOWN}), ["worse: passed, is a known failure now ([a])"]),
        (
            Standing(3, named={"a": KNOWN}),
            Standing(3, named={"b": KNOWN}),
            ["worse: passed, is a known failure now ([b])", "better: was a known failure, passes now ([a])"],
        ),
        (Standing(2, named={"a": KNOWN, "b": NA}), Standing(2, named={"a": NA, "b": NA}), ["better: *([a])"]),
        (Standing(1, measured={"n": 3}), Standing(1, measured={"n": 4}), ["worse: n: 3 before, 4 now"]),
        (Standing(1, measured={"n": 3}), Standing(1, measured={"n": 2}), ["better: n: 3 before, 2 now"]),
        (
            Standing(1, measured={"n": 12345678}),
            Standing(1, measured={"n": 12345679}),
            ["worse: n: 12345678 before, 12345679 now"],
        ),
        (Standing(1, measured={"n": 3}), Standing(1), ["missing: n was not measured"]),
        (Standing(1), Standing(1, measured={"n": 0}), ["missing: n is measured, and the baseline does not know it"]),
        (Standing(1, measured={"n": 3}), Standing(1, FAILED), ["worse: passed, fails now"]),
    ],
)
def test_a_requirement(base: Standing, head: Standing, said: list[str]) -> None:
    changes = compare(of({"every-row": base}), of({"every-row": head}))
    found = list(lines(changes))
    assert len(found) == len(said)
    for line, expected in zip(found, said, strict=True):
        kind, _, text = expected.partition(": ")
        start = f"{kind}: {WHO}: every-row: {text.partition('*')[0]}"
        assert line.startswith(start), line
        assert line.endswith(text.partition("*")[2])
    assert failing(changes) == any(not line.startswith("better") for line in said)


def test_what_either_does_not_know_is_missing() -> None:
    gpt2, cuda = Subject("tiny:gpt2", "hooks", "cpu", "float32"), Subject("tiny:llama", "hooks", "cuda", "bfloat16")
    base = of({"every-row": Standing(1), "beams": Standing(1)})
    head = of({"beams": Standing(1), "same-twice": Standing(1)})
    assert list(lines(compare(base, head))) == [
        f"missing: {WHO}: every-row: did not run",
        f"missing: {WHO}: same-twice: the baseline does not know it",
    ]
    assert list(lines(compare(of({}, gpt2), of({})))) == [
        "missing: tiny:gpt2 with hooks on cpu float32: did not run",
        f"missing: {WHO}: the baseline does not know it",
    ]
    assert list(lines(compare(of({}, cuda), of({})))) == [
        f"missing: {WHO}: the baseline does not know it there, but on cuda bfloat16"
    ]
    both = Baseline("1.1", "full", {**of({}).subjects, **of({}, cuda).subjects})
    assert compare(both, of({})) == [], "another device has its own place, and need not be there"
    gone = of({}, Subject("tiny:llama", "hooks", "", ""), error="tiny:llama: it is broken")
    assert list(lines(compare(of({}), gone))) == [
        "worse: tiny:llama with hooks: cannot be judged now: tiny:llama: it is broken"
    ]


@pytest.mark.parametrize(
    ("low", "high", "kind"), [(1.05, 1.2, None), (1.11, 1.2, Kind.WORSE), (0.8, 0.89, Kind.BETTER), (0.8, 0.9, None)]
)
def test_a_ratio_counts_only_beyond_its_interval(low: float, high: float, kind: Kind | None) -> None:
    base = of({}, ratios={"forward": {"ratio": 1.0, "low": 0.9, "high": 1.1}})
    head = of({}, ratios={"forward": {"ratio": (low + high) / 2, "low": low, "high": high}})
    assert [change.kind for change in compare(base, head)] == ([kind] if kind else [])
    assert [change.kind for change in compare(base, of({}))] == [Kind.MISSING]


@FIXED
@given(baselines)
def test_nothing_changes_from_a_run_to_itself(baseline: Baseline) -> None:
    assert compare(baseline, baseline) == []


@FIXED
@given(baselines, baselines)
def test_what_is_no_failure_in_either_direction_is_no_change(one: Baseline, other: Baseline) -> None:
    there, back = compare(one, other), compare(other, one)
    assert failing(there) or not any(change.kind is Kind.WORSE for change in there)
    if not there and not back:
        assert one.subjects.keys() == other.subjects.keys()
    for changes in (there, back):
        json.dumps([change.as_json() for change in changes])
        assert len(markdown(changes, "a").splitlines()) >= 1


def test_many_of_a_kind_are_one_line() -> None:
    many = {f"r{number}": Standing(1) for number in range(20)}
    gone = {name: Standing(1, NA) for name in many}
    (line,) = lines(compare(of(many), of(gone)))
    assert line.endswith("r7, … (20 requirements): passed, is not applicable now")


def test_a_table_holds_whatever_a_name_is() -> None:
    hostile = Subject("a|b`<script>\n|", "hooks", "cpu", "float32")
    text = markdown(compare(of({"every-row": Standing(1)}, hostile), of({}, hostile)), "a_b|c")
    rows = text.splitlines()
    assert rows[0] == "**a&#95;b&#124;c**: 0 worse, 1 missing, 0 better"
    assert all(row.count("|") == 5 for row in rows[2:])
    assert "<script" not in text


def command(*args: str | Path) -> tuple[int, str, str]:
    done = subprocess.run(
        [interpreter(), "-m", "pytest_steering", *map(str, args)], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout, done.stderr


def test_the_commands(tmp_path: Path) -> None:
    base, head, torn, other, whole = (tmp_path / f"{name}.json" for name in ("base", "head", "torn", "other", "whole"))
    base.write_text(json.dumps(report(model(entry("every-row"), entry("beams")))))
    head.write_text(json.dumps(report(model(entry("every-row", "not_applicable"), entry("beams")))))
    torn.write_text(base.read_text()[:200])
    other.write_text(json.dumps(report(model(entry("every-row"), spec="tiny:gpt2"), suite="1.0")))
    status, said, _ = command("compare", base, head)
    assert status == 1
    assert said == (
        f"worse: {WHO}: every-row: passed, is not applicable now\n{base} to {head}: 1 worse, 0 missing, 0 better\n"
    )
    status, said, _ = command("compare", base, head, "--markdown")
    assert (status, said.splitlines()[-1]) == (
        1,
        f"| **worse** | {WHO} | `every-row` | passed, is not applicable now |",
    )
    assert command("compare", head, base)[0] == 0
    for args in (("compare", base, torn), ("compare", base, other), ("compare", base, tmp_path / "no.json")):
        status, said, errors = command(*args)
        assert (status, said, len(errors.splitlines())) == (4, "", 1), errors
    assert command("merge", base, other, "-o", whole)[::2] == (
        4,
        f"{other} is of suite 1.0 full and {base} of 1.1 full\n",
    )
    assert command("merge", base, base, "-o", whole)[::2] == (4, "a report is named twice\n")
    assert not whole.exists()
    other.write_text(json.dumps(report(model(entry("every-row"), spec="tiny:gpt2"))))
    status, said, _ = command("merge", base, other, "-o", whole)
    assert (status, said) == (
        0,
        "tiny:llama with hooks 0.1: conforms (2 tests)\ntiny:gpt2 with hooks 0.1: conforms (1 tests)\n",
    )
    assert command("compare", base, whole)[:2] == (
        1,
        f"missing: tiny:gpt2 with hooks on cpu float32: the baseline does not know it\n{base} to {whole}: "
        "0 worse, 1 missing, 0 better\n",
    )


OUTCOMES = ("passed", "failed", "error", "known", "not_applicable")
CAUSES = ("", "row-zero-only", "left-behind", "uneven-scale")


@st.composite
def shards(draw: st.DrawFn) -> list[dict[str, Any]]:
    """The tests of two models, dealt out to some reports."""
    count = draw(st.integers(2, 4))
    dealt: list[dict[str, list[dict[str, Any]]]] = [{} for _ in range(count)]
    for spec, name, side in itertools.product(("tiny:llama", "tiny:gpt2"), ("every-row", "beams"), ("left", "right")):
        outcome = draw(st.sampled_from(OUTCOMES))
        made = entry(name, outcome, draw(st.sampled_from(CAUSES)) if outcome == "failed" else "", side=side)
        dealt[draw(st.integers(0, count - 1))].setdefault(spec, []).append(made)
    found = []
    for number, part in enumerate(dealt):
        models: list[Any] = [model(*entries, spec=spec, verdict=_verdict(entries)) for spec, entries in part.items()]
        if draw(st.booleans()) and models:
            models[0]["overhead"] = {f"forward{number}": {"ratio": 1.0}}
        found.append(report(*models))
        found[-1]["environment"]["platform"] = draw(st.sampled_from("AB"))
    return found


def _verdict(entries: list[dict[str, Any]]) -> str:
    outcomes = {each["outcome"] for each in entries}
    if "error" in outcomes or outcomes == {"not_applicable"}:
        return "error"
    return "fails" if "failed" in outcomes else "conforms"


@FIXED
@given(shards(), st.randoms(use_true_random=False))
def test_it_makes_no_difference_in_which_groups_shards_are_joined(
    parts: list[dict[str, Any]], luck: random.Random
) -> None:
    whole = merge({str(number): part for number, part in enumerate(parts)})
    pieces = copy.deepcopy(parts)
    while len(pieces) > 1:
        place = luck.randrange(len(pieces) - 1)
        pieces[place : place + 2] = [merge({"a": pieces[place], "b": pieces[place + 1]})]
    assert json.dumps(pieces[0]) == json.dumps(whole)
    jsonschema.validate(whole, SCHEMA)
    assert sum(len(each["requirements"]) for each in whole["models"]) == 8
    for each in whole["models"]:
        assert each["verdict"] == _verdict(each["requirements"])


def test_a_cause_explains_the_whole() -> None:
    one = report(model(entry("every-row", "failed", "padding-steered"), verdict="fails", cause="padding-steered"))
    other = report(model(entry("beams", "failed", "left-behind"), verdict="fails", cause="left-behind"))
    (whole,) = merge({"a": one, "b": other})["models"]
    assert (whole["cause"], whole["verdict"], whole["cost"]["forward_passes"]) == ("left-behind", "fails", 4)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda r: r.update(suite="1.0"), "^b is of suite 1.0 full and a of 1.1 full$"),
        (lambda r: r.update(profile="core"), "^b is of suite 1.1 core and a of 1.1 full$"),
        (
            lambda r: r["environment"]["versions"].update(torch="2.6.0"),
            r"^b was made with torch 2\.6\.0 and a with 2\.13\.0$",
        ),
        (lambda r: r["environment"]["versions"].pop("torch"), r"^b was made with torch none and a with 2\.13\.0$"),
        (
            lambda r: r["models"][0]["requirements"].append(entry("every-row")),
            "^every-row of tiny:llama with hooks stands in a and in b: conformance/",
        ),
        (
            lambda r: r["models"][0]["architecture"].update(num_layers=5),
            "architecture: num_layers is 4 in one report and 5 in",
        ),
        (lambda r: r["models"][0].update(adapter="hooks 0.2"), "adapter is .* in one report and .* in another$"),
    ],
)
def test_what_does_not_go_together(change: Any, sentence: str) -> None:
    one, other = report(model(entry("every-row"))), report(model(entry("beams")))
    assert merge({"a": one, "b": other})["models"][0]["verdict"] == "conforms"
    change(other)
    with pytest.raises(SpecError, match=sentence):
        merge({"a": one, "b": other})


def test_baselines_are_about_the_whole() -> None:
    one = report(model(entry("every-row")), baseline={"files": ["b.json"], "updated": False, "changes": []})
    assert "baseline" not in merge({"a": one})
    assert LLAMA in of({}).subjects
