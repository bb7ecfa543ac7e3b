"""A bundle shows its failure in a process that cannot import this package, and shows none under a right adapter."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open

from conformance.selftest.desk import BAD, FEW, MODEL, RIGHT, Desk, new_desk, refused

WRONG = {"FirstRow": "every-row", "PromptOnly": "every-pass", "Stronger": "exact-delta", "Leaving": "clean-after-exit"}
BLOCKED = """
import json, pathlib, runpy, sys, warnings

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "pytest_steering":
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Blocked())
found = {}
for script in sys.argv[1:]:
    place = pathlib.Path(script).parent
    sys.path.insert(0, str(place))
    try:
        runpy.run_path(script)
        found[script] = "passes"
    except Exception as error:
        found[script] = f"{type(error).__name__}: {error}".splitlines()[0]
    sys.path.pop(0)
    found[script] += " with the package" * ("pytest_steering.oracle" in sys.modules)
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """A run on two models under four wrong adapters, with a bundle of what each is known by."""
    desk = new_desk(tmp_path_factory.mktemp("bundles"))
    adapters = [f"--steering-adapter=their_steering:{name}" for name in WRONG]
    chosen = " or ".join(each.replace("-", "_") for each in WRONG.values())
    models = (MODEL, "--steering-model=tiny:llama")
    result = desk.run(*models, *adapters, "-k", chosen, "--steering-bundle=found/bundles", "-p", "no:xdist")
    assert result.ret == 1
    return desk


def bundle(desk: Desk, name: str, model: str) -> Path:
    (place,) = (desk.path / "found" / "bundles").glob(f"{WRONG[name]}-{model}-their-steering-{name}-*")
    return place


def run_without_the_package(desk: Desk, scripts: list[Path]) -> dict[str, str]:
    command = [sys.executable, "-c", BLOCKED, *map(str, scripts)]
    environment = {"PYTHONPATH": str(desk.path), "PATH": "", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=desk.path)
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.slow
def test_each_script_fails_there_and_passes_with_a_right_adapter(bench: Desk) -> None:
    wrong = {bundle(bench, name, "tiny-llama") / "show.py": name for name in WRONG}
    right = []
    for script, name in wrong.items():
        text = script.read_text()
        assert "pytest_steering" not in text
        assert len(text.splitlines()) <= 25
        right.append(script.with_name("right.py"))
        right[-1].write_text(text.replace(name, "Plain"))
    found = run_without_the_package(bench, [*wrong, *right])
    assert {found[str(script)].partition(":")[0] for script in wrong} == {"AssertionError"}, found
    assert {found[str(script)] for script in right} == {"passes"}, found


def test_what_lies_in_it(bench: Desk) -> None:
    place = bundle(bench, "FirstRow", "tiny-llama")
    facts: Any = json.loads((place / "facts.json").read_text())
    assert (facts["requirement"], facts["cause"], facts["spec"]) == ("every-row", "row-zero-only", "tiny:llama")
    assert facts["plan"] == {"layers": [0], "scale": 1.0, "positions": "all"}
    assert facts["versions"].keys() >= {"python", "torch", "transformers", "pytest-steering"}
    assert facts["rerun"].startswith("pytest --steering-model=tiny:llama --steering-adapter=their_steering:FirstRow ")
    tensors = {}
    for name in ("expected", "found"):
        with safe_open(place / f"{name}.safetensors", "pt") as file:
            tensors[name] = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (no mapping)
    assert tensors["expected"].keys() == tensors["found"].keys() == {"logits", "after"}
    apart = (tensors["expected"]["logits"] - tensors["found"]["logits"]).abs().amax((1, 2))
    assert (apart[1:] > 0.01).all()
    assert apart[0] < facts["allowed"]["logits"]
    assert not list(place.parent.glob(".*"))


def test_the_failure_says_where_it_is(desk: Desk) -> None:
    result = desk.run(MODEL, BAD, *FEW, "--steering-bundle=b")
    lines = [line.strip() for line in result.outlines if line.startswith("  bundle: ")]
    assert sorted(line.removeprefix("bundle: b/") for line in lines) == sorted(
        path.name for path in (desk.path / "b").iterdir()
    )
    assert len(lines) == 2


def test_what_no_single_run_shows_has_no_script_and_says_so(desk: Desk) -> None:
    desk.write(
        odd="""
from my_steering import Right
class Odd(Right):
    def __init__(self, model, architecture):
        super().__init__(model, architecture)
        self.calls = 0
    def add(self, residual, delta, plan):
        self.calls += 1
        return residual + delta * (self.calls != 7)
"""
    )
    result = desk.run(MODEL, "--steering-adapter=odd:Odd", "-k", "exact_delta or every_row", "--steering-bundle=b")
    assert result.ret == 1
    (place,) = (desk.path / "b").iterdir()
    facts = json.loads((place / "facts.json").read_text())
    assert facts["script"].startswith("no single steered run in a fresh block shows it")
    assert sorted(path.name for path in place.iterdir()) == ["facts.json"]


def test_a_right_adapter_leaves_none(desk: Desk) -> None:
    assert desk.run(MODEL, RIGHT, *FEW, "--steering-bundle=b").ret == 0
    assert not (desk.path / "b").exists()


def test_what_cannot_be_meant_is_refused(desk: Desk) -> None:
    (desk.path / "file").write_text("")
    refused(desk, MODEL, "--steering-bundle=file", sentence="--steering-bundle=file is a file: name a directory")
    sentence = "--steering-bundle has nothing to judge: name a model with --steering-model=SPEC"
    refused(desk, "--steering-bundle=b", sentence=sentence)
