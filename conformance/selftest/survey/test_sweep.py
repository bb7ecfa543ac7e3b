"""What a sweep found: from reports to the kept file, to a table, and to what differs from another sweep."""

from __future__ import annotations

import copy
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from pytest_steering.__main__ import main
from pytest_steering.survey.architectures import command, stored
from pytest_steering.survey.architectures.compare import WORSE, differences
from pytest_steering.survey.architectures.stored import Survey, read_survey, write_survey
from pytest_steering.survey.architectures.sweep import read_sweep
from pytest_steering.survey.architectures.table import table
from pytest_steering.survey.files import SurveyError

VERSIONS = {"python": "3.11.7", "pytest": "9.2.0", "torch": "2.13.0+cpu", "transformers": "5.23.0"}
FOUND = {
    "layers_path": "model.layers",
    "num_layers": 4,
    "hidden_size": 32,
    "output_kind": "tensor",
    "anatomy": [],
    "notes": [],
    "model_class": "LlamaForCausalLM",
}
HERE = "0x7f00deadbeef"


def result(name: str, outcome: str = "passed", reason: str = "", group: str = "divergence") -> dict[str, Any]:
    return {"id": name, "group": group, "outcome": outcome, "reason": reason}


def model(spec: str, *results: Any, facts: Any = None, adapter: str = "hooks", seconds: float = 0.1) -> Any:
    """What a report says of one model; without facts, its layers were not found."""
    outcomes = {entry["outcome"] for entry in results}
    verdict = "error" if outcomes == {"error"} else "fails" if outcomes & {"failed", "error"} else "conforms"
    return {
        "spec": spec,
        "adapter": adapter,
        "verdict": verdict,
        "architecture": facts,
        "requirements": list(results),
        "cost": {"load_seconds": seconds},
    }


def report(path: Path, *models: Any, **versions: str) -> Path:
    environment = {"versions": VERSIONS | versions}
    path.write_text(json.dumps({"schema": 1, "suite": "1.0", "environment": environment, "models": models}))
    return path


NEEDLESS = result("beams", "not_applicable", "no")
GOOD = model("tiny:llama", result("exact-delta"), result("exact-delta"), NEEDLESS, facts=FOUND)
BAD = model(
    "tiny:gemma3@image-text-to-text",
    result("exact-delta", "failed", f"max 1 at {HERE}"),
    result("exact-delta", "failed", "max 2"),
    result("beams", "error", "TypeError: no (conformance/test_generation.py:12)"),
    adapter="nnsight 0.8.1",
    facts=FOUND | {"anatomy": ["2 classes of layers"], "layers_path": "model.language_model.layers"},
)
UNBUILT = model(
    "tiny:gpt2",
    result("layers-found", "error", "tiny:gpt2: no small instance can be built: OSError: /home/someone/lib/x.py"),
    seconds=0.0,
)
LOST = model("tiny:opt", result("layers-found", "error", "OPTForCausalLM returns no logits"))


@pytest.fixture
def sweep(tmp_path: Path) -> Survey:
    first = report(tmp_path / "one.json", GOOD, UNBUILT, LOST, model("./checkpoint", result("beams"), facts=FOUND))
    return read_sweep([first, report(tmp_path / "two.json", BAD)])


def test_reports_are_merged_without_what_differs_from_run_to_run(sweep: Survey) -> None:
    assert sweep["versions"] == {"transformers": "5.23.0", "torch": "2.13.0"}
    assert [entry["spec"] for entry in sweep["types"]] == [
        "tiny:gemma3@image-text-to-text",
        "tiny:gpt2",
        "tiny:llama",
        "tiny:opt",
    ]
    bad, unbuilt, good, lost = sweep["types"]
    assert (bad["type"], bad["task"]) == ("gemma3", "image-text-to-text")
    assert bad["verdicts"] == {
        "nnsight": {
            "verdict": "fails",
            "groups": {"divergence": {"failed": 3}},
            "failed": {"exact-delta": "max 1 at 0x…", "beams": "TypeError: no"},
            "not_applicable": {},
        }
    }
    assert good["verdicts"]["hooks"] == {
        "verdict": "conforms",
        "groups": {"divergence": {"passed": 2, "not_applicable": 1}},
        "failed": {},
        "not_applicable": {"beams": "no"},
    }
    assert (good["class"], good["layers_path"], good["num_layers"]) == ("LlamaForCausalLM", "model.layers", 4)
    assert (unbuilt["built"], unbuilt["error"]) == (False, "no small instance can be built: OSError: x.py")
    assert (lost["built"], lost["error"]) == (True, "OPTForCausalLM returns no logits")
    assert lost["verdicts"] == {"hooks": {"verdict": "error"}}


def test_one_model_under_two_adapters_is_one_entry(tmp_path: Path) -> None:
    reports = [
        report(tmp_path / f"{adapter}.json", {**GOOD, "adapter": adapter}) for adapter in ("nnsight 0.8.1", "hooks")
    ]
    (entry,) = read_sweep(reports)["types"]
    assert list(entry["verdicts"]) == ["hooks", "nnsight"]


def test_what_is_kept_is_read_again_and_differs_by_line(sweep: Survey, tmp_path: Path) -> None:
    path = tmp_path / "stored.json"
    write_survey(sweep, path)
    assert read_survey(path) == sweep
    before = path.read_text().splitlines()
    sweep["types"][2]["output_kind"] = "tuple"
    write_survey(sweep, path)
    assert sum(one != two for one, two in zip(before, path.read_text().splitlines(), strict=True)) == 1


def test_the_table(sweep: Survey) -> None:
    assert table(sweep).splitlines() == [
        "With transformers 5.23.0, torch 2.13.0: 4 models of 4 types, of which 3 can be built small. "
        "The decoder layers of 2 are found, and 1 with hooks and 0 with nnsight conform to suite 1.0.",
        "",
        "| type | class | layers path | output kind | anatomy | hooks | nnsight |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        "| `gemma3@image-text-to-text` | `LlamaForCausalLM` | `model.language_model.layers` × 4 | tensor "
        "| 2 classes of layers | - | fails: exact-delta, beams |",
        "| `gpt2` | - | - | - | - | refused: not built | - |",
        "| `llama` | `LlamaForCausalLM` | `model.layers` × 4 | tensor | plain | conforms | - |",
        "| `opt` | - | - | - | - | refused: no decoder layers | - |",
        "",
        "- `tiny:gemma3@image-text-to-text` with nnsight: exact-delta: max 1 at 0x…",
        "- `tiny:gemma3@image-text-to-text` with nnsight: beams: TypeError: no",
        "- `tiny:gpt2`: no small instance can be built: OSError: x.py",
        "- `tiny:opt`: OPTForCausalLM returns no logits",
    ]


def compared(before: Any, after: Any, tmp_path: Path) -> tuple[list[str], bool]:
    """The lines of a comparison of two models, and whether it fails."""
    surveys = [read_sweep([report(tmp_path / "report.json", *models)]) for models in (before, after)]
    found = differences(*surveys)
    return [str(line) for line in found], any(line.change in WORSE for line in found)


FAILING = model("tiny:llama", result("exact-delta", "failed", "max 1"), result("beams"), facts=FOUND)
REFUSED = model("tiny:llama", result("exact-delta", "error", "adapter hooks cannot be built: KeyError"), facts=FOUND)
GPT2 = model("tiny:gpt2", result("exact-delta"), facts=FOUND)


@pytest.mark.parametrize(
    ("before", "after", "lines", "worse"),
    [
        ([GOOD], [GOOD], [], False),
        ([GOOD], [GOOD, GPT2], ["new: tiny:gpt2 (hooks conforms)"], False),
        ([GOOD, GPT2], [GOOD], ["gone: tiny:gpt2"], False),
        ([GPT2], [UNBUILT], ["built no more: tiny:gpt2: no small instance can be built: OSError: x.py"], True),
        ([UNBUILT], [GPT2], ["built now: tiny:gpt2 (hooks conforms)"], False),
        ([LOST], [{**GPT2, "spec": "tiny:opt"}], ["found now: tiny:opt (hooks conforms)"], False),
        ([{**GPT2, "spec": "tiny:opt"}], [LOST], ["found no more: tiny:opt: OPTForCausalLM returns no logits"], True),
        (
            [GOOD],
            [{**GOOD, "architecture": FOUND | {"output_kind": "tuple", "anatomy": ["2 streams"], "num_layers": 3}}],
            ["found otherwise: tiny:llama: layers 4 -> 3; output kind tensor -> tuple; anatomy plain -> 2 streams"],
            True,
        ),
        ([GOOD], [FAILING], ["broke: tiny:llama with hooks: exact-delta: max 1"], True),
        ([FAILING], [GOOD], ["mended: tiny:llama with hooks: exact-delta"], False),
        ([GOOD], [REFUSED], ["broke: tiny:llama with hooks: adapter hooks cannot be built: KeyError"], True),
        ([REFUSED], [GOOD], ["mended: tiny:llama with hooks: conforms"], False),
        ([GOOD], [{**GOOD, "adapter": "nnsight 0.9"}], [], False),
    ],
)
def test_comparing(before: Any, after: Any, lines: list[str], worse: bool, tmp_path: Path) -> None:
    assert compared(before, after, tmp_path) == (lines, worse)


def typed(monkeypatch: pytest.MonkeyPatch, *args: str | Path) -> int:
    monkeypatch.setattr(sys, "argv", ["pytest_steering", "architectures", *map(str, args)])
    return main()


def test_keeping_showing_and_comparing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "architectures.json"
    monkeypatch.setattr(command, "STORED", path)
    monkeypatch.setattr(stored.read_survey, "__defaults__", (path,))
    monkeypatch.setattr(stored.write_survey, "__defaults__", (path,))
    one = report(tmp_path / "one.json", GOOD)
    assert typed(monkeypatch, "--from", one, "--write") == 4
    assert f"--write would overwrite {path}, which comes with the package" in capsys.readouterr().err
    assert not path.exists()
    assert typed(monkeypatch, "--from", one, "--write", "--yes") == 0
    assert "wrote architectures.json; the README says:\n\nWith transformers 5.23.0" in capsys.readouterr().out
    assert typed(monkeypatch) == 0
    shown = capsys.readouterr().out
    assert typed(monkeypatch, "--from", one) == 0
    assert capsys.readouterr().out == shown == table(read_survey()) + "\n"
    assert typed(monkeypatch, "--compare", one) == 0
    assert capsys.readouterr().out.endswith("nothing differs in 1 models\n")
    two = report(tmp_path / "two.json", FAILING, transformers="5.24.0")
    assert typed(monkeypatch, "--compare", two) == 1
    assert capsys.readouterr().out.splitlines() == [
        "kept: transformers 5.23.0, torch 2.13.0, suite 1.0; compared: transformers 5.24.0, torch 2.13.0, suite 1.0",
        "broke: tiny:llama with hooks: exact-delta: max 1",
    ]


BROKEN: dict[str, str | bytes] = {
    "torn.json": '{"schema": 1, ',
    "deep.json": "[" * 100_000,
    "list.json": "[]",
    "two.json": '{"schema": 2}',
    "empty.json": '{"schema": 1, "suite": "1.0", "environment": {"versions": {}}, "models": []}',
    "odd.json": '{"schema": 1, "suite": "1.0", "environment": {"versions": {}}, "models": [{"spec": 3}]}',
    "null.json": '{"schema": 1, "suite": "1.0", "environment": null, "models": []}',
    "latin.json": b"\xff\xfe",
}


@pytest.mark.parametrize("name", [*BROKEN, "none.json", "."])
@pytest.mark.parametrize("option", ["--from", "--compare"])
def test_a_file_that_is_no_report(
    name: str, option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if name in BROKEN:
        text = BROKEN[name]
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    assert typed(monkeypatch, option, tmp_path / name) == 4
    out, error = capsys.readouterr()
    assert (out, len(error.splitlines())) == ("", 1)
    assert error.startswith(str(tmp_path))


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["--write"], "--write has nothing to write: name a report with --from=REPORT"),
        (["--write", "--compare", "x"], "--compare goes alone: it compares a sweep with the one that is kept"),
    ],
)
def test_what_cannot_be_meant(
    args: list[str], sentence: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed(monkeypatch, *args) == 4
    assert capsys.readouterr().err == f"{sentence}\n"


def test_reports_of_different_versions_do_not_go_together(tmp_path: Path) -> None:
    reports = [report(tmp_path / "a.json", GOOD), report(tmp_path / "b.json", BAD, transformers="5.24.0")]
    with pytest.raises(SurveyError) as caught:
        read_sweep(reports)
    assert str(caught.value).endswith("b.json are of different versions: transformers 5.23.0 and 5.24.0")


def test_a_kept_file_that_is_none(tmp_path: Path, sweep: Survey) -> None:
    path = tmp_path / "stored.json"
    spoilt: list[dict[str, Any]] = [{"schema": 2}, {"types": [{}]}, {"versions": []}, {"types": None}]
    for spoil in spoilt:
        path.write_text(json.dumps(copy.deepcopy(sweep) | spoil))
        with pytest.raises(SurveyError) as caught:
            read_survey(path)
        assert str(caught.value) == f"{path} is no survey of architectures of schema 1"
