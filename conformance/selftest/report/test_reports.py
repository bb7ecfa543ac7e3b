"""What a run found, on the terminal, in JSON and in JUnit's XML: the same with and without workers."""

from __future__ import annotations

import itertools
import json
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import jsonschema

import pytest_steering
from conformance.selftest.desk import OTHERS, Desk, no_xdist_and_two_workers

MODEL = "--steering-model=tiny:a"
SCHEMA = json.loads((Path(pytest_steering.__file__).parent / "report" / "schema.json").read_text())


def timeless(document: Any) -> Any:
    """The document without what differs from run to run, and in a fixed order."""
    for model in document["models"]:
        assert model["cost"].pop("seconds") > 0
        assert (model["cost"].pop("peak_bytes") > 0) == (model["verdict"] != "error")
        model["requirements"].sort(key=lambda entry: str(entry["nodeid"]))
        for entry in model["requirements"]:
            del entry["seconds"]
    return document


def test_the_schema_is_valid() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@no_xdist_and_two_workers
def test_the_json_report(desk: Desk, workers: tuple[str, ...]) -> None:
    adapters = ("--steering-adapter=bad", "--steering-adapter=timid")
    desk.run(MODEL, "--steering-model=tiny:broken", *adapters, *workers, "--steering-report=report.json")
    document = desk.report()
    jsonschema.validate(document, SCHEMA)
    assert (document["schema"], document["suite"]) == (1, "1.0")
    assert document["environment"]["versions"].keys() >= {"python", "pytest", "torch", "transformers"}
    assert document["environment"]["device"] == "cpu float32"
    models = {(model["spec"], model["adapter"]): model for model in timeless(document)["models"]}
    assert {key: model["verdict"] for key, model in models.items()} == {
        ("tiny:a", "bad"): "fails",
        ("tiny:a", "timid"): "conforms",
        ("tiny:broken", "bad"): "error",
        ("tiny:broken", "timid"): "error",
    }
    bad = models["tiny:a", "bad"]
    assert bad["architecture"]["num_layers"] == 4
    assert bad["cost"] == {"forward_tokens": 0, "load_seconds": 0.25}
    assert bad["overhead"] == {"ratio": 1.5}
    assert bad["requirements"][2] == {
        "id": "exact-delta",
        "group": "alpha",
        "outcome": "failed",
        "reason": "layer 2: max |Δ| 3.1e-02 at row 1; allowed 2 ulp; likely: only batch row 0 is steered",
        "params": {"layer": "2"},
        "nodeid": "conformance/test_alpha.py::test_exact_delta[tiny:a-bad-2]",
    }
    timid = {entry["id"]: entry for entry in models["tiny:a", "timid"]["requirements"]}
    assert timid["layers-found"]["outcome"] == "passed"
    assert timid["beams"]["outcome"] == "not_applicable"
    assert timid["beams"]["reason"] == "timid does not declare BEAMS"
    broken = models["tiny:broken", "bad"]
    assert broken["architecture"] is None
    assert {entry["outcome"] for entry in broken["requirements"]} == {"error"}
    assert {entry["reason"] for entry in broken["requirements"]} == {"tiny:broken: the weights end in the middle"}
    assert [entry["group"] for entry in broken["requirements"]][-1] == "beta-two"


def test_the_report_is_the_same_under_xdist(desk: Desk) -> None:
    models = ("--steering-model=tiny:b", MODEL)
    desk.write(slow="import time\ndef pytest_runtest_call(item): time.sleep(0.1 * ('tiny:b' in item.nodeid))")
    args = (*models, "--steering-adapter=old", "--steering-adapter=hooks", "-p", "slow")
    desk.run(*args, "--steering-report=one.json", "--steering-report=same.json")
    desk.run(*args, "--steering-report=two.json", "-n", "2")
    assert timeless(desk.report("one.json")) == timeless(desk.report("two.json"))
    assert desk.report("one.json")["suite"] == desk.report("same.json")["suite"]


def test_the_terminal(desk: Desk) -> None:
    result = desk.run(MODEL, "--steering-model=tiny:broken", "--steering-adapter=old", "--steering-adapter=timid")
    text = result.stdout.str().partition("- tiny:a with OldAdapter 0.3 -")[2]
    lines = [line for line in text.splitlines()[1:] if not line.startswith(("=", "ERROR", "FAILED"))]
    assert [line if not line.startswith("-") else line.strip("- ") for line in lines] == [
        "Found model.layers with 4 layers, hidden size 8; steering layers [1, 2, 3]",
        "note: the config says 5 layers",
        "note: one thing to note",
        "alpha     2 passed, 1 failed: exact-delta",
        "beta-two  1 passed, 1 failed: same-twice",
        "likely: only batch row 0 is steered",
        "tiny:a with timid",
        "Found model.layers with 4 layers, hidden size 8; steering layers [1, 2, 3]",
        "note: the config says 5 layers",
        "note: one thing to note",
        "alpha     3 passed, 1 n.a.: beams",
        "beta-two  1 passed, 1 n.a.: overhead",
        "tiny:broken with old",
        "alpha     0 passed, 3 failed: layers-found, exact-delta, beams",
        "beta-two  0 passed, 2 failed: same-twice, overhead",
        "tiny:broken with timid",
        "alpha     0 passed, 3 failed: layers-found, exact-delta, beams",
        "beta-two  0 passed, 2 failed: same-twice, overhead",
        "steering",
        "tiny:a with OldAdapter 0.3: fails 1.0 (3 passed, 2 failed: exact-delta, same-twice)",
        "tiny:a with timid: conforms to 1.0 (4 passed, 2 n.a.: beams, overhead)",
        "tiny:broken with old: error: tiny:broken: the weights end in the middle",
        "tiny:broken with timid: error: tiny:broken: the weights end in the middle",
    ]
    assert result.stdout.str().count("steering: tiny:a, tiny:broken with old, timid") == 1


def test_the_terminal_after_a_sweep(desk: Desk) -> None:
    result = desk.run("--steering-model=tiny:*", "--steering-adapter=hooks", "--steering-adapter=bad", "-rN", "--tb=no")
    lines = result.stdout.str().partition("collected")[2].splitlines()
    blocks = [line.strip("- ") for line in lines if line.startswith("--")]
    names = ["d", "a", "a-b", "qa", "qb", "x1", "x2", "broken", "see", "a@image-text-to-text", "qsee"]
    bad = [f"tiny:{name} with bad" for name in names]
    bad.insert(names.index("broken"), "tiny:broken with hooks")
    assert blocks == [*bad, "steering"]
    verdicts = lines[next(n for n, line in enumerate(lines) if line.strip("- ") == "steering") + 1 : -1]
    assert len(verdicts) == 2 * len(names) + 1
    assert verdicts[:2] == [
        "tiny:d with hooks: conforms to 1.0 (6 passed)",
        "tiny:d with bad: fails 1.0 (3 passed, 2 failed: exact-delta, same-twice)",
    ]
    assert verdicts[-1] == "22 subjects: 10 conform, 10 fail, 2 error"


def test_a_part_of_the_suite_says_that_it_is_one(desk: Desk) -> None:
    desk.run(MODEL, "conformance/test_alpha.py").stdout.fnmatch_lines(
        ["tiny:a with hooks: conforms to 1.0 as far as it ran, 2 of 5 requirements left out (4 passed)"]
    )


def test_junit_carries_the_properties(desk: Desk) -> None:
    desk.run(MODEL, "--junitxml=junit.xml", "-n", "2")
    cases = {str(case.get("name")): case for case in ET.parse(desk.path / "junit.xml").iter("testcase")}
    found = {name: {str(p.get("name")): p.get("value") for p in case.iter("property")} for name, case in cases.items()}
    second = found["test_exact_delta[tiny:a-2]"]
    assert second.pop("steering_peak_bytes")
    assert second == {
        "steering_requirement": "exact-delta",
        "steering_group": "alpha",
        "steering_spec": "tiny:a",
        "steering_adapter": "hooks",
        "steering_params": '{"layer": "2"}',
        "steering_adapter_title": "hooks",
        "steering_forward_tokens": "0",
    }
    first = found["test_layers_found[tiny:a]"]
    assert first["steering_load_seconds"] == "0.250"
    assert json.loads(str(first["steering_architecture"]))["num_layers"] == 4
    assert [name for name, properties in found.items() if "steering_architecture" in properties] == [
        "test_layers_found[tiny:a]"
    ]


def test_tests_of_the_user_are_in_no_report(desk: Desk) -> None:
    desk.write(test_mine="def test_mine(steering_model, record_property): record_property('mine', 1)")
    result = desk.run(MODEL, "--steering-report=report.json", "test_mine.py")
    assert desk.report()["models"] == []
    assert "with hooks:" not in result.stdout.str()


def test_a_report_that_was_there_stays_when_the_run_is_cut_short(desk: Desk) -> None:
    report = desk.path / "report.json"
    report.write_text("before")
    desk.write(
        slow="""
        import signal, time
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job is started without it
        def pytest_runtest_teardown(): print('ready', flush=True); time.sleep(60)
        """
    )
    command = [sys.executable, "-m", "pytest", *OTHERS, "-p", "slow", "-s", MODEL, "--steering-report=report.json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=desk.path) as process:
        assert process.stdout is not None
        said = itertools.takewhile(lambda line: "ready" not in line, process.stdout)
        before = list(said)
        process.send_signal(signal.SIGINT)
        process.stdout.read()
    assert process.returncode == 2, before
    assert report.read_text() == "before"
    assert sorted(path.name for path in desk.path.glob("*report*") if path.is_file()) == ["report.json"]


def test_a_report_is_written_for_a_run_that_stops_at_the_first_failure(desk: Desk) -> None:
    result = desk.run(MODEL, "--steering-adapter=bad", "-x", "--steering-report=report.json")
    assert result.ret == 1
    assert desk.report()["models"][0]["verdict"] == "fails"


def test_collecting_writes_no_report(desk: Desk) -> None:
    result = desk.run(MODEL, "--co", "-q", "--steering-report=report.json")
    assert result.ret == 0
    assert not (desk.path / "report.json").exists()


def test_a_worker_that_crashes_is_a_failure_of_the_requirement(desk: Desk) -> None:
    desk.write(
        crash="""
        import os

        def pytest_runtest_call(item):
            if "exact_delta[tiny:a-2]" in item.nodeid:
                os._exit(3)
        """
    )
    result = desk.run(MODEL, "-n", "2", "-p", "crash", "--steering-report=report.json")
    assert result.ret == 1
    model = desk.report()["models"][0]
    crashed = [entry for entry in model["requirements"] if entry["outcome"] == "error"]
    assert [entry["nodeid"] for entry in crashed] == ["conformance/test_alpha.py::test_exact_delta[tiny:a-2]"]
    assert "crashed" in crashed[0]["reason"]
    assert (model["verdict"], len(model["requirements"])) == ("fails", 6)
