"""One project with the plugins that projects have, each alone and all at once, and with warnings as errors."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from conformance.selftest.desk import FEW, MODEL, OF_FEW, RIGHT, Desk, new_desk

OWN = """
import unittest
import pytest

@pytest.mark.steering_model(min_layers=9)
def test_own_lacks(steering_model, tmp_path): assert 0

@pytest.mark.steering_model("my_models:a", "my_models:b")
def test_own_models(steering_model, steering_adapter, steering_vector, steering_batch, tmp_path):
    from pytest_steering import SteeringPlan
    layer = steering_model.architecture.steering_layers[0]
    with steering_adapter.steer(SteeringPlan({layer: steering_vector(layer)})) as steered:
        assert steered(**steering_batch) is not None

@pytest.mark.steering_model
class TestOwn(unittest.TestCase):
    def test_own_method(self): pass

def test_own_plain(tmp_path): pass
"""
PLUGINS = {
    "pytest_randomly": (),
    "pytest_timeout": ("--timeout=300",),
    "pytest_cov": ("--cov=my_steering",),
    "pytest_rerunfailures": ("--reruns=1",),
    "pytest_sugar": (),
    "pytest_html": ("--html=report.html", "--self-contained-html"),
    "pytest_jsonreport": ("--json-report",),
    "pytest_asyncio": ("-o", "asyncio_default_fixture_loop_scope=function"),
    "pytest_subtests": (),
    "xdist": ("-n", "2"),
}
"""The modules of the plugins, and what switches each on."""
NAMES = {
    "pytest_randomly": "randomly",
    "pytest_timeout": "timeout",
    "pytest_cov": "pytest_cov",
    "pytest_rerunfailures": "rerunfailures",
    "pytest_sugar": "sugar",
    "pytest_html": "html",
    "pytest_jsonreport": "pytest_jsonreport",
    "pytest_asyncio": "asyncio",
    "pytest_subtests": "subtests",
    "xdist": "xdist",
}


def judged(desk: Desk, *modules: str) -> None:
    """The project's tests and the suite pass with these plugins and no other."""
    off = [word for module, name in NAMES.items() if module not in modules for word in ("-p", f"no:{name}")]
    on = [word for module in modules for word in PLUGINS[module]]
    select = ("-k", f"own or {FEW[1]}")
    report = "--steering-report=report.json"
    result = desk.run_anew(MODEL, RIGHT, report, "test_own.py", "conformance", *select, "-W", "error", *off, *on)
    shown = result.stdout.str() + result.stderr.str()
    assert result.ret == 0, shown
    assert "my_models:a with Right: conforms to" in shown
    (model,) = desk.report()["models"]
    assert sum(each["outcome"] == "passed" for each in model["requirements"]) == len(OF_FEW)


@pytest.fixture
def project(tmp_path: Path) -> Desk:
    desk = new_desk(tmp_path)
    desk.write(test_own=OWN)
    return desk


@pytest.mark.slow
@pytest.mark.parametrize("module", PLUGINS)
def test_each_alone(project: Desk, module: str) -> None:
    if find_spec(module) is None:
        pytest.skip(f"{module} is not installed: tox -e guest has it")
    judged(project, module)


@pytest.mark.slow
@pytest.mark.parametrize("without", ["xdist", ""])
def test_all_at_once(project: Desk, without: str) -> None:
    missing = [module for module in PLUGINS if find_spec(module) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed: tox -e guest has them")
    judged(project, *(module for module in PLUGINS if module != without))
