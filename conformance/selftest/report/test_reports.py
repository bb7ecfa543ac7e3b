"""What a run found, in JSON and in JUnit's XML: the same with and without workers."""

from __future__ import annotations

import itertools
import json
import signal
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import pytest_steering
from conformance.selftest.desk import (
    BAD,
    EXACT,
    FEW,
    FOUND,
    MODEL,
    OF_FEW,
    OTHERS,
    RIGHT,
    ROWS,
    TIMID,
    Desk,
    new_desk,
)
from conformance.selftest.forking.interpreter import interpreter
from pytest_steering.report.json_report import write
from pytest_steering.steering.capability import Capability

SCHEMA = json.loads((Path(pytest_steering.__file__).parent / "report" / "schema.json").read_text())
BROKEN = "my_models:broken: calling it raised ValueError: the weights end in the middle"
WORKERS = {"alone": ("-p", "no:xdist"), "two": ("-n", "2")}


def timeless(document: Any) -> Any:
    """The document without what differs from run to run, and in a fixed order."""
    for model in document["models"]:
        cost = model["cost"]
        assert cost.pop("seconds") > 0
        assert (cost.pop("peak_bytes") > 0) == (cost.pop("load_seconds") > 0) == (model["verdict"] != "error")
        model["requirements"].sort(key=lambda entry: str(entry["nodeid"]))
        for entry in model["requirements"]:
            del entry["seconds"]
    return document


@pytest.fixture(scope="module")
def desks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Desk]:
    """One run on three models under two adapters, without workers and with two."""
    found = {}
    for name, workers in WORKERS.items():
        desk = found[name] = new_desk(tmp_path_factory.mktemp(name))
        desk.plugin("def pytest_runtest_call(self, item): time.sleep(0.02 * (':b' in item.nodeid))")
        models = ("--steering-model=my_models:b", MODEL, "--steering-model=my_models:broken")
        reports = ("--steering-report=report.json", "--steering-report=same.json", "--junitxml=junit.xml")
        assert desk.run(*models, BAD, TIMID, *FEW, *workers, *reports).ret == 1
    return found


def test_the_schema_is_valid() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("workers", WORKERS)
def test_the_json_report(desks: dict[str, Desk], workers: str) -> None:
    document = desks[workers].report()
    jsonschema.validate(document, SCHEMA)
    assert (document["schema"], document["suite"]) == (1, "1.1")
    assert document["environment"]["versions"].keys() >= {"python", "pytest", "torch", "transformers"}
    assert document["environment"]["device"] == "cpu float32"
    models = {(model["spec"], model["adapter"]): model for model in timeless(document)["models"]}
    assert {key: model["verdict"] for key, model in models.items()} == {
        ("my_models:b", "FirstRowOnly"): "fails",
        ("my_models:b", "Timid"): "conforms",
        ("my_models:a", "FirstRowOnly"): "fails",
        ("my_models:a", "Timid"): "conforms",
        ("my_models:broken", "my_steering:FirstRowOnly"): "error",
        ("my_models:broken", "my_steering:Timid"): "error",
    }
    bad = models["my_models:a", "FirstRowOnly"]
    assert bad["architecture"]["num_layers"] == 4
    assert bad["cost"]["forward_tokens"] > bad["cost"]["forward_passes"] > 0
    assert bad["declared"] == list(Capability)
    nodeid = EXACT[0].replace(":a-", ":a-my_steering:FirstRowOnly-")
    (failed,) = (entry for entry in bad["requirements"] if entry["nodeid"] == nodeid)
    assert 0 < failed.pop("forward_passes") < bad["cost"]["forward_passes"]
    reason = failed.pop("reason")
    (figure,) = failed.pop("figures")
    assert (figure["kind"], figure["layer"], figure["scale"]) == ("arrival", 0, 0.5)
    assert [set(row) for row in figure["moved"]] == [{1}, {0}, {0}]
    assert reason.startswith("layer 0, scale 0.5: max |Δ| ")
    assert reason.endswith("; likely: only batch row 0 is steered (output[0] on a layer that returns a tensor)")
    assert failed == {
        "id": "exact-delta",
        "group": "divergence",
        "outcome": "failed",
        "cause": "row-zero-only",
        "program": "",
        "rerun": f'pytest --steering-model=my_models:a --steering-adapter=my_steering:FirstRowOnly "{EXACT[0]}"',
        "measured": {},
        "params": {"place": "first", "scale": "0.5"},
        "nodeid": nodeid,
    }


@pytest.mark.parametrize("workers", WORKERS)
def test_what_is_not_applicable_has_a_reason(desks: dict[str, Desk], workers: str) -> None:
    (timid,) = (
        model
        for model in desks[workers].report()["models"]
        if (model["spec"], model["adapter"]) == ("my_models:a", "Timid")
    )
    outcomes = {entry["id"]: (entry["outcome"], entry["reason"]) for entry in timid["requirements"]}
    assert outcomes["layers-found"] == ("passed", "")
    assert outcomes["every-row"] == ("not_applicable", "Timid does not declare BATCH")


@pytest.mark.parametrize("workers", WORKERS)
def test_a_model_that_is_not_there_is_an_error_everywhere(desks: dict[str, Desk], workers: str) -> None:
    models = desks[workers].report()["models"]
    broken = [model for model in models if model["spec"] == "my_models:broken"]
    assert [model["architecture"] for model in broken] == [None, None]
    for model in broken:
        assert {(entry["outcome"], entry["reason"]) for entry in model["requirements"]} == {("error", BROKEN)}
        assert {entry["group"] for entry in model["requirements"]} >= {"architecture", "positions"}


def test_the_report_is_the_same_under_xdist(desks: dict[str, Desk]) -> None:
    alone, two = timeless(desks["alone"].report()), timeless(desks["two"].report())
    assert alone == two
    assert alone == timeless(desks["alone"].report("same.json"))


@pytest.mark.parametrize("workers", WORKERS)
def test_junit_carries_the_properties(desks: dict[str, Desk], workers: str) -> None:
    cases = {str(case.get("name")): case for case in ET.parse(desks[workers].path / "junit.xml").iter("testcase")}
    found = {name: {str(p.get("name")): p.get("value") for p in case.iter("property")} for name, case in cases.items()}
    passed = found["test_exact_delta[my_models:a-my_steering:Timid-middle--3.0]"]
    assert int(str(passed.pop("steering_peak_bytes"))) > 0
    assert [figure["kind"] for figure in json.loads(str(passed.pop("steering_figures")))] == ["arrival"]
    assert int(str(passed.pop("steering_forward_tokens"))) > int(str(passed.pop("steering_forward_passes"))) > 0
    assert passed == {
        "steering_requirement": "exact-delta",
        "steering_group": "divergence",
        "steering_spec": "my_models:a",
        "steering_adapter": "my_steering:Timid",
        "steering_params": '{"place": "middle", "scale": "-3.0"}',
        "steering_adapter_title": "Timid",
    }
    first = found["test_layers_found[my_models:a]"]
    assert float(str(first["steering_load_seconds"])) > 0
    assert json.loads(str(first["steering_architecture"]))["num_layers"] == 4
    described = [name for name, properties in found.items() if "steering_architecture" in properties]
    assert sorted(described) == ["test_layers_found[my_models:a]", "test_layers_found[my_models:b]"]


def test_what_steering_costs_is_in_the_report(desk: Desk) -> None:
    desk.run(MODEL, RIGHT, TIMID, "-k", "forward_overhead", "--steering-report=report.json")
    for model in desk.report()["models"]:
        assert model["overhead"]["forward"]["ratio"] > 0


def test_tests_of_the_user_are_in_no_report(desk: Desk) -> None:
    desk.write(test_mine="def test_mine(steering_model, record_property): record_property('mine', 1)")
    result = desk.run(MODEL, "--steering-report=report.json", "test_mine.py")
    assert result.parseoutcomes() == {"passed": 1}
    assert desk.report()["models"] == []
    assert "with hooks:" not in result.stdout.str()


def test_a_run_that_is_cut_short_says_so_in_its_report(desk: Desk) -> None:
    report = desk.path / "report.json"
    report.write_text("before")
    desk.write(
        slow="""
import signal, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job is started without it
def pytest_runtest_teardown(): print('ready', flush=True); time.sleep(60)
"""
    )
    options = (*OTHERS, "-p", "slow", "-s", MODEL, RIGHT, FOUND, "--steering-report=report.json")
    command = [interpreter(), "-m", "pytest", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=desk.path) as process:
        assert process.stdout is not None
        said = itertools.takewhile(lambda line: "ready" not in line, process.stdout)
        before = list(said)
        process.send_signal(signal.SIGINT)
        process.stdout.read()
    assert process.returncode == 2, before
    assert desk.report()["complete"] is False
    assert sorted(path.name for path in desk.path.glob("*report*") if path.is_file()) == ["report.json"]


def test_a_report_that_cannot_be_finished_leaves_what_was_there(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    report.write_text("before")
    with pytest.raises(TypeError):
        write(report, {"whole": object()})
    assert report.read_text() == "before"
    assert list(tmp_path.iterdir()) == [report]


def test_a_report_is_written_for_a_run_that_stops_at_the_first_failure(desk: Desk) -> None:
    result = desk.run(MODEL, BAD, *FEW, "-x", "--steering-report=report.json")
    assert result.ret == 1
    assert desk.report()["models"][0]["verdict"] == "fails"


def test_collecting_writes_no_report(desk: Desk) -> None:
    desk.ini("addopts = --steering-report=report.json")
    result = desk.run(MODEL, "--co", "-q")
    assert result.ret == 0
    assert not (desk.path / "report.json").exists()


def test_a_worker_that_crashes_is_a_failure_of_the_requirement(desk: Desk) -> None:
    desk.plugin(f"def pytest_runtest_call(self, item): item.nodeid == {ROWS[1]!r} and os.kill(os.getpid(), 9)")
    result = desk.run(MODEL, RIGHT, *FEW, "-n", "2", "--steering-report=report.json")
    assert result.ret == 1
    model = desk.report()["models"][0]
    crashed = [entry for entry in model["requirements"] if entry["outcome"] == "error"]
    assert [entry["nodeid"] for entry in crashed] == [ROWS[1]]
    assert "crashed" in crashed[0]["reason"]
    assert (model["verdict"], len(model["requirements"])) == ("fails", len(OF_FEW))
