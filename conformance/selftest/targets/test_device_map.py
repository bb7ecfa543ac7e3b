"""A model that accelerate spreads: on the CPU, on the disk, over both; a right adapter conforms on each."""

from __future__ import annotations

import gc
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from conformance.selftest.desk import Desk, refused
from conformance.selftest.places import TRAINED
from conformance.selftest.samples import sample
from conformance.selftest.verdicts_of import verdicts
from pytest_steering.errors import SpecError, TargetError
from pytest_steering.targets import devices
from pytest_steering.targets.devices import parse_device_map, read_device_map
from pytest_steering.targets.target import load_target

pytest.importorskip("accelerate")

STARCODER = str(TRAINED / "starcoder2")
SPLIT = '{"": "cpu", "model.layers.1": "disk", "model.layers.3": "disk"}'
PLACED = [(name, text) for text in ("disk", SPLIT, "cpu") for name in ("starcoder2", "qwen2", "gpt_bigcode")]
MOSTLY_DISK = '{"": "disk", "model.layers.0": "cpu"}'
"""One place inside another: accelerate alone would take the outer one for the whole."""
IDS = torch.arange(1, 9).view(2, 4)


def logits(**loading: Any) -> torch.Tensor:
    target = load_target(**loading)
    with torch.no_grad():
        found: torch.Tensor = target.model(IDS).logits
    return found


@pytest.mark.parametrize("text", ["auto", "balanced", "sequential", "cpu", "disk", SPLIT, MOSTLY_DISK])
@pytest.mark.parametrize("spec", ["tiny:llama", STARCODER])
def test_a_spread_model_computes_the_same(spec: str, text: str) -> None:
    target = load_target(spec, device_map=text)
    with torch.no_grad():
        assert torch.equal(target.model(IDS).logits, logits(spec=spec))
    lies = {"disk": "disk", SPLIT: "cpu+disk", MOSTLY_DISK: "cpu+disk"}
    assert target.place == lies.get(text, "cpu")
    assert target.notes[0].startswith(f"spread by --steering-device-map={text}: ")
    kept = sum(parameter.is_meta for parameter in target.model.parameters())
    assert (kept > 0) == (text in lies)


def test_the_directory_of_what_lies_on_the_disk_is_gone_with_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    target = load_target("tiny:llama", device_map="disk")
    assert len(list(tmp_path.glob("*/*.dat"))) > 30
    del target
    gc.collect()
    assert list(tmp_path.glob("pytest-steering-*")) == []


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("diks", "--steering-device-map: 'diks' is no place; did you mean disk?"),
        ("atuo", "--steering-device-map: 'atuo' is no place; did you mean auto?"),
        ("cpu:0", "--steering-device-map: 'cpu:0' is no place; did you mean cpu?"),
        ('{"": "cpu"', "--steering-device-map is no JSON: *; give auto, cpu, disk or a JSON object *"),
        ("{}", "--steering-device-map={} places no module; give *"),
        ('["cpu"]', '--steering-device-map=["cpu"] places no module; give *'),
        ('{"": true}', "--steering-device-map: '' lies at True, which is no place; give *"),
        ('{"lm_head": "diks"}', "--steering-device-map: 'diks' is no place; did you mean disk?"),
        ("toaster", "--steering-device-map: 'toaster' is no place; give auto, cpu, disk or *"),
    ],
)
def test_a_map_that_cannot_be_meant_is_refused(desk: Desk, text: str, sentence: str) -> None:
    refused(desk, "--steering-model=my_models:a", f"--steering-device-map={text}", sentence=sentence)
    desk.ini(f"steering_device_map = {text}")
    refused(desk, "--steering-model=my_models:a", sentence=sentence)


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (
            ["tiny:llama", '--steering-device-map={"": "cpu", "model.layer.0": "disk"}'],
            "--steering-device-map: tiny:llama has no module 'model.layer.0'; did you mean 'model.layers.0'?",
        ),
        (
            [STARCODER, '--steering-device-map={"": "cpu", "model.layers.9": "disk"}'],
            f"--steering-device-map: {STARCODER} has no module 'model.layers.9'; did you mean 'model.layers.*'?",
        ),
        (
            ["tiny:llama", '--steering-device-map={"model": "cpu"}'],
            '--steering-device-map: tiny:llama has no place for lm_head.weight: give one to "", which is all the rest',
        ),
        (
            [STARCODER, '--steering-device-map={"": "cpu", "lm_head": "disk"}'],
            f"--steering-device-map: {STARCODER} shares one tensor between model.embed_tokens.weight and "
            "lm_head.weight: give both the same place",
        ),
        (
            ["tiny:llama", "--steering-device-map=auto", "--steering-device=cpu"],
            "--steering-device and --steering-device-map both say where the model goes: give one of them",
        ),
        (
            [f"config:{STARCODER}", "--steering-device-map=auto"],
            f"config:{STARCODER} has shapes and no weights to place: leave out --steering-device-map",
        ),
    ],
)
def test_a_map_of_another_model_is_refused(desk: Desk, args: list[str], sentence: str) -> None:
    refused(desk, f"--steering-model={args[0]}", *args[1:], sentence=sentence)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("text", ["cuda", "0", '{"": 0}'])
def test_a_device_that_is_not_there_is_refused(text: str) -> None:
    read_device_map(text)
    with pytest.raises(SpecError, match="there is no cuda device here"):
        parse_device_map(text)


def test_a_map_of_a_model_that_is_built_by_a_call_is_checked_when_it_is(desk: Desk) -> None:
    result = desk.run("--steering-model=my_models:a", '--steering-device-map={"": "cpu", "no": "disk"}', "-k", "found")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*my_models:a: --steering-device-map cannot be meant: it has no module 'no'*"])
    with pytest.raises(TargetError, match="has no module 'lm_heat'; did you mean 'lm_head'"):
        load_target(STARCODER, device_map='{"": "cpu", "lm_heat": "disk"}')


def test_without_accelerate_it_is_said_what_to_install(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "find_spec", lambda name: None)
    sentence = "--steering-device-map needs accelerate: pip install 'pytest-steering[device-map]'"
    refused(desk, "--steering-model=my_models:a", "--steering-device-map=auto", sentence=sentence)


def test_a_failure_is_repeated_with_the_map_and_the_report_names_the_places(desk: Desk) -> None:
    bad = "--steering-adapter=my_steering:FirstRowOnly"
    report = ("--steering-report=report.json", "--steering-bundle=bundles")
    result = desk.run_apart(
        "--steering-model=tiny:llama", bad, f"--steering-device-map={SPLIT}", "-k", "every_row and first", *report
    )
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            f"steering: tiny:llama with my_steering:FirstRowOnly, spread by the device map {SPLIT}".replace("[", "[[]"),
            f"  rerun: pytest --steering-model=tiny:llama {bad} '--steering-device-map={SPLIT}' *",
        ]
    )
    (row,) = desk.report()["models"]
    assert row["device"] == "cpu+disk float32"
    (script,) = (desk.path / "bundles").glob("*/show.py")
    text = script.read_text()
    assert "'model.layers.1': 'disk'" in text
    facts = json.loads(script.with_name("facts.json").read_text())
    assert facts["script"].startswith("show.py shows it")


def test_a_setting_of_the_project_gives_way_to_what_is_typed(desk: Desk) -> None:
    desk.ini("steering_device_map = disk")
    args = ("--steering-model=tiny:llama", "-k", "layers_found", "--steering-report=report.json")
    assert desk.run(*args).ret == 0
    assert desk.report()["models"][0]["device"] == "disk float32"
    assert desk.run(*args, "--steering-device=cpu").ret == 0
    assert desk.report()["models"][0]["device"] == "cpu float32"


@pytest.mark.slow
@pytest.mark.parametrize("text", [SPLIT, "disk"])
def test_a_right_adapter_conforms_where_few_are_asked(text: str, tmp_path: Path) -> None:
    chosen = "exact_delta or model_left_alone or every_pass or fresh_process or clean_after"
    found = verdicts(
        tmp_path / "report.json", f"--steering-model={STARCODER}", f"--steering-device-map={text}", "-k", chosen
    )
    row = found[f"{STARCODER} hooks"]
    assert (row["failed"], row["verdict"]) == (set(), "conforms")
    assert "same-in-fresh-process" in {each["id"] for each in row["requirements"] if each["outcome"] == "passed"}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "text"), sample(PLACED, 4, "KNOWN_GOOD"))
def test_a_right_adapter_conforms(name: str, text: str, tmp_path: Path) -> None:
    """In the core; the whole suite takes minutes, and was seen to pass."""
    text = text.replace("model.layers", "transformer.h") if name == "gpt_bigcode" else text
    spec = TRAINED / name
    asked = (f"--steering-model={spec}", f"--steering-device-map={text}", "--steering-profile=core")
    row = verdicts(tmp_path / "report.json", *asked)[f"{spec} hooks"]
    assert (row["failed"], row["verdict"]) == (set(), "conforms")
