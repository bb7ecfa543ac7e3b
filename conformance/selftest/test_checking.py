"""check_adapter: the same verdict as by pytest's command, and nothing of the caller's is touched."""

from __future__ import annotations

import gc
import json
import os
import random
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import jsonschema
import pytest
import torch
from pytest_steering.fixtures.anatomies import InSequential
from pytest_steering.fixtures.known_bad.honest import Honest
from pytest_steering.fixtures.known_bad.tokens import RowZero
from torch import nn

import pytest_steering
from conformance.selftest.desk import MODEL, Desk
from pytest_steering import Report, SpecError, check_adapter
from pytest_steering.suite.catalogue import Asked

SCHEMA = json.loads((Path(pytest_steering.__file__).parent / "report" / "schema.json").read_text())
ROW_ZERO = "pytest_steering.fixtures.known_bad.tokens:RowZero"


Found = tuple[Report, dict[str, Any], dict[str, Any], str]


class Unbuildable(Honest):
    """Cannot be made."""

    def __init__(self, model: nn.Module, architecture: Any) -> None:
        raise KeyError("h")


class Interrupted(Honest):
    """Somebody presses Ctrl-C while it is made."""

    def __init__(self, model: nn.Module, architecture: Any) -> None:
        raise KeyboardInterrupt


def state(model: nn.Module) -> dict[str, Any]:
    """What of the process and of the model could be touched."""
    suite = {name: each for name, each in sys.modules.items() if name.partition(".")[0] == "conformance"}
    return {
        "environment": dict(os.environ),
        "path": (list(sys.path), list(sys.meta_path)),
        "streams": (sys.stdout, sys.stderr),
        "modules": suite,
        "here": (os.getcwd(), sorted(Path.cwd().rglob("*"))),
        "random": (torch.get_rng_state().tolist(), random.getstate()),
        "garbage": (gc.isenabled(), gc.get_freeze_count() > 0),
        "last": getattr(sys, "last_value", None),
        "threads": torch.get_num_threads(),
        "mode": [module.training for module in model.modules()],
        "hooks": [[len(each) for name, each in vars(m).items() if name.endswith("hooks")] for m in model.modules()],
        "flags": [parameter.requires_grad for parameter in model.parameters()],
        "attributes": [sorted(vars(module)) for module in model.modules()],
    }


HOSTILE = {
    "pytest.ini": "[pytest]\naddopts = --no-such-option\nsteering_models = none!\n",
    "conftest.py": "raise RuntimeError('not mine')\n",
    "conformance/__init__.py": "raise RuntimeError('not mine')\n",
    "conformance/conftest.py": "raise RuntimeError('not mine')\n",
    "conformance/test_shapes.py": "def test_mine(): assert 0\n",
}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Found:
    """A report from within a hostile project, what was before and after it, and the printed text."""
    here = tmp_path_factory.mktemp("project")
    for name, text in HOSTILE.items():
        (here / name).parent.mkdir(exist_ok=True)
        (here / name).write_text(text)
    model = InSequential().train()
    model.requires_grad_(False)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        patch.setenv("PYTEST_ADDOPTS", "--no-such-option")
        patch.setenv("PYTEST_PLUGINS", "no_such_plugin")
        patch.setattr(sys, "last_value", ValueError("earlier"), raising=False)
        patch.setitem(sys.modules, "conformance.theirs", ModuleType("conformance.theirs"))
        before = state(model)
        report = check_adapter(model, RowZero)
        return report, before, state(model), str(report)


def test_nothing_is_touched(found: Found) -> None:
    _, before, after, _ = found
    for name, was in before.items():
        assert after[name] == was, name


def test_it_says_what_pytest_says(found: Found, desk: Desk) -> None:
    report = found[0]
    desk.run(MODEL, f"--steering-adapter={ROW_ZERO}", "--steering-profile=core", "--steering-report=r.json")
    (theirs,), (ours,) = desk.report("r.json")["models"], report.to_json()["models"]
    said = [
        {
            (each["id"], *each["params"].values()): (each["outcome"], each["cause"], each["reason"])
            for each in model["requirements"]
        }
        for model in (theirs, ours)
    ]
    assert said[0] == said[1]
    assert (ours["verdict"], ours["cause"], ours["adapter"]) == (theirs["verdict"], theirs["cause"], theirs["adapter"])
    assert {each["id"] for each in ours["requirements"]} == set(Asked(profile="core").requirements)
    jsonschema.validate(report.to_json(), SCHEMA)


def test_it_can_be_asked_and_printed(found: Found) -> None:
    report, _, _, text = found
    assert (report.ok, report.verdict) == (False, "fails")
    rows = next(failure for failure in report.failures if failure.requirement == "every-row")
    assert rows.sentence == "every row of a batch is steered by the same vector"
    assert rows.cause == "row-zero-only"
    assert rows.numbers.startswith("layer 0, scale 1: max |Δ| ")
    assert rows.numbers.endswith("; allowed 2 ulp")
    assert f"every-row: {rows.sentence}\n  {rows.numbers}\n  likely: only batch row 0 is steered" in text
    assert text.splitlines()[-1].startswith("InSequential with RowZero: fails 1.1 core, ")
    assert repr(report) == text


def test_what_cannot_be_made_is_an_error() -> None:
    model = InSequential()
    report = check_adapter(model, Unbuildable)
    assert (report.ok, report.verdict) == (False, "error")
    assert str(report).endswith("error: adapter Unbuildable cannot be built: KeyError: 'h'")


def test_an_interrupt_is_the_callers() -> None:
    model = InSequential().train()
    before = state(model)
    with pytest.raises(KeyboardInterrupt):
        check_adapter(model, Interrupted)
    assert state(model) == before


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        ((InSequential(), "hoks"), "there is no steering adapter 'hoks': did you mean 'hooks'?"),
        ((InSequential(), 3), "the adapter is of type int: give a callable "),
        (("tiny:lama", "hooks"), "tiny:lama: transformers .* has no language model type 'lama'"),
        (("tiny:*", "hooks"), "tiny:.* is a pattern"),
        (([], "hooks"), "the model is of type list: give a torch.nn.Module, "),
        (((InSequential(), None, None), "hooks"), "the model is of type tuple: give a torch.nn.Module, "),
        ((InSequential(), object.__new__(RowZero)), "the adapter is a RowZero that is made already: give its class"),
    ],
)
def test_what_cannot_be_meant(args: tuple[Any, Any], sentence: str) -> None:
    with pytest.raises(SpecError, match=sentence):
        check_adapter(*args)
    with pytest.raises(SpecError, match="there is no profile 'all': known are full, core"):
        check_adapter("tiny:llama", "hooks", profile="all")
