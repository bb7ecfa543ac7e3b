"""Residual streams that are no plain chain of blocks: found, described, steered, and judged as strictly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pytest_steering.fixtures import unusual
from pytest_steering.fixtures.anatomies import WIDTH
from pytest_steering.fixtures.known_bad import ELSEWHERE

from conformance.selftest.verdicts_of import verdicts
from pytest_steering.architecture.detection import detect_architecture
from pytest_steering.errors import ArchitectureError

FOUND: dict[str, tuple[str, int, tuple[str, ...]]] = {
    "Updates": ("blocks", 4, ("layers return updates",)),
    "ParallelLists": ("feeds", 4, ("spread over 2 lists", "layers return updates")),
    "Rescaled": ("blocks", 4, ("computed on between layers",)),
    "Looped": ("shared", 1, ("4 calls in a pass",)),
    "LoopedStack": ("blocks", 4, ("2 calls in a pass",)),
    "OneLayer": ("blocks", 1, ()),
    "SequenceFirst": ("blocks", 4, ("sequence first",)),
    "Streams": ("blocks", 4, ("2 streams",)),
    "StreamsEndToEnd": ("blocks", 4, ("2 streams",)),
    "Prefixed": ("blocks", 4, ("3 positions before the tokens",)),
    "SkipsAhead": ("blocks", 4, ("computed on between layers",)),
    "HandsAhead": ("blocks", 4, ("2 classes of layers",)),
    "InDictionary": ("blocks", 4, ()),
    "StateBeside": ("blocks", 4, ()),
    "ProjectedIn": ("wrapper.core.block*", 4, ()),
    "EarlyExits": ("blocks", 4, ()),
    "EncoderBeside": ("decoder.blocks", 4, ("encoder beside",)),
}


@pytest.mark.parametrize("name", FOUND)
def test_found(name: str) -> None:
    path, layers, anatomy = FOUND[name]
    architecture = detect_architecture(getattr(unusual, name)())
    assert (architecture.layers_path, architecture.num_layers, architecture.anatomy) == (path, layers, anatomy)
    assert architecture.hidden_size == WIDTH


def test_what_a_vector_means_there_is_said() -> None:
    notes = {name: " ".join(detect_architecture(getattr(unusual, name)()).notes) for name in FOUND}
    assert "computes on the output of blocks.1 before the next layer" in notes["Rescaled"]
    assert "each layer runs 4 times in a pass; a steering vector is added each time" in notes["Looped"]
    assert "2 residual streams run side by side; a steering vector is added to each" in notes["Streams"]
    assert "3 positions of its own before the tokens; they are not steered" in notes["Prefixed"]
    assert "spread over mixers, feeds" in notes["ParallelLists"]
    assert notes["OneLayer"] == notes["InDictionary"] == notes["EarlyExits"] == ""


def test_packed_rows_are_refused_with_the_shape() -> None:
    with pytest.raises(
        ArchitectureError, match=r"stream of blocks in Packed has shape \(10, 16\) for 2 rows of 5 tokens"
    ):
        detect_architecture(unusual.Packed())


def test_the_receiver_is_the_next_layer_where_an_exit_reads_first() -> None:
    architecture = detect_architecture(unusual.EarlyExits())
    assert [emission.receiver_name for emission in architecture.decoder_layers[:-1]] == [
        "blocks.1",
        "blocks.2",
        "blocks.3",
    ]
    assert not architecture.decoder_layers[-1].alone


def test_who_else_reads_what_a_layer_emits_is_known() -> None:
    architecture = detect_architecture(unusual.HandsAhead())
    assert [emission.alone for emission in architecture.decoder_layers] == [False, True, True, True]


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Each on a plain model and on its own."""
    report = tmp_path_factory.mktemp("elsewhere") / "report.json"
    found: dict[str, dict[str, Any]] = {}
    for model in sorted({"tiny:llama", *(adapter.target for adapter in ELSEWHERE)}):
        adapters = [adapter for adapter in ELSEWHERE if model in ("tiny:llama", adapter.target)]
        named = [f"--steering-adapter={adapter.__module__}:{adapter.__qualname__}" for adapter in adapters]
        asked = {f"steering_requirement(id={adapter.chiefly!r})" for adapter in adapters}
        found |= verdicts(report, f"--steering-model={model}", *named, "-m", " or ".join(sorted(asked)))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("adapter", ELSEWHERE, ids=lambda adapter: adapter.__name__)
def test_right_elsewhere_and_wrong_here(adapter: Any, elsewhere: dict[str, dict[str, Any]]) -> None:
    assert elsewhere[f"tiny:llama {adapter.__name__}"]["verdict"] == "conforms"
    row = elsewhere[f"{adapter.target} {adapter.__name__}"]
    failed = [entry for entry in row["requirements"] if entry["outcome"] == "failed"]
    assert adapter.chiefly in {entry["id"] for entry in failed}
    assert row["cause"] == adapter.cause


@pytest.mark.slow
@pytest.mark.parametrize(
    ("adapter", "chosen"),
    [
        ("hooks", "exact or pass or mask or cache or nested or padding or arguments or alone or options or layers"),
        ("nnsight", "exact_delta or every_pass or only_these or masks or caller_cache or nested"),
    ],
)
def test_conforming(adapter: str, chosen: str, tmp_path: Path) -> None:
    """What takes longest is asked of one model of each kind elsewhere."""
    specs = [f"--steering-model=pytest_steering.fixtures.unusual:{name}" for name in FOUND]
    found = verdicts(tmp_path / "report.json", *specs, f"--steering-adapter={adapter}", "-k", chosen)
    assert len(found) == len(FOUND)
    assert {name: row["failed"] for name, row in found.items() if row["failed"]} == {}


def test_chunks_that_no_hook_sees_are_not_blamed_on_an_adapter(tmp_path: Path) -> None:
    model = "pytest_steering.fixtures.direct_calls:unseen_chunks"
    asked = ("-k", "chunked_prefill or every_pass")
    found = verdicts(tmp_path / "report.json", f"--steering-model={model}", "--steering-adapter=hooks", *asked)[
        f"{model} hooks"
    ]
    outcomes = {entry["id"]: (entry["outcome"], entry["reason"]) for entry in found["requirements"]}
    assert outcomes["chunked-prefill"][0] == "not_applicable"
    assert "calls its own forward for chunks" in outcomes["chunked-prefill"][1]
    assert outcomes["every-pass"][0] == "passed"
