"""The wheel is small, holds what users need, and gives the verdicts of the checkout with or without the extras."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from pytest_steering._version import SUITE_VERSION

from .environment import CHECKOUT, Environment, Wheel

MOST_BYTES = 1_000_000

SHIPPED = (
    "report/schema.json",
    "py.typed",
    "conformance/conftest.py",
    "fixtures/checkpoint.py",
    "fixtures/configs/starcoder2-15b/config.json",
    "fixtures/findings/repeng_batch.py",
    "fixtures/full_size.py",
    "fixtures/known_bad/tokens.py",
    "fixtures/mini_cwe/README.md",
    "fixtures/unusual.py",
)
OURS_ALONE = (
    "conformance/selftest/",
    "fixtures/false_alarms.py",
    "fixtures/fresh_seeds.py",
    "fixtures/gguf_files.py",
    "fixtures/hostile",
    "fixtures/hub_server.py",
    "fixtures/trained/",
    "fixtures/training/",
)

IMPORT_ALL = """
import importlib, json, sys
missing = {}
for name in json.loads(sys.argv[1]):
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing[name] = error.name.partition(".")[0]
import pytest_steering
print(json.dumps([pytest_steering.__file__, missing]))
"""

NEEDS = {
    "pytest_steering.adapters.nnsight": {"nnsight"},
    "pytest_steering.adapters.libraries.nnterp": {"nnterp"},
    "pytest_steering.adapters.libraries.pyvene": {"pyvene"},
    "pytest_steering.adapters.libraries.repeng": {"repeng"},
    "pytest_steering.adapters.libraries.steering_vectors": {"steering_vectors"},
    "pytest_steering.adapters.libraries.transformer_lens": {"transformer_lens"},
    "pytest_steering.engines.llama_cpp": {"llama_cpp"},
    "pytest_steering.evaluation": {"matplotlib", "scipy", "statsmodels", "tqdm"},
    "pytest_steering.fixtures.findings.nnterp": {"nnterp"},
    "pytest_steering.fixtures.findings.pyvene": {"pyvene"},
    "pytest_steering.fixtures.findings.repeng": {"repeng"},
    "pytest_steering.fixtures.findings.steering_vectors": {"steering_vectors"},
    "pytest_steering.fixtures.findings.transformer_lens": {"transformer_lens"},
    "pytest_steering.fixtures.known_good": {"nnsight"},
    "pytest_steering.plugin.xdist": {"xdist"},
}
"""What a module may lack in an environment without extras, by how its name begins."""

JUDGED = ("exact-delta", "every-row", "forward-overhead")
SLOW = "RunsThreeTimes"
VERDICT = (
    "pytest --steering-model=tiny:llama --steering-adapter=hooks "
    f"--steering-adapter=pytest_steering.fixtures.known_bad.state:{SLOW} "
    '-k "exact_delta or every_row or forward_overhead" --steering-report=verdict.json -q'
)


def test_what_is_in_it(wheel: Wheel) -> None:
    names = wheel.names
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"pytest_steering"}
    assert {f"pytest_steering/{name}" for name in SHIPPED} <= set(names)
    assert not [name for name in names for ours in OURS_ALONE if name.startswith(f"pytest_steering/{ours}")]
    size = wheel.path.stat().st_size
    sys.stdout.write(f"{wheel.path.name}: {size / 1e3:.0f} kB\n")
    assert size < MOST_BYTES


@pytest.mark.slow
def test_every_module_is_imported_without_extras(wheel: Wheel, bare: Environment, tmp_path: Path) -> None:
    modules = sorted(wheel.modules)
    assert len(modules) > 100
    (tmp_path / "import_all.py").write_text(IMPORT_ALL)
    result = bare.run(f"python import_all.py '{json.dumps(modules)}'", tmp_path)
    assert result.returncode == 0, result.stderr
    home, missing = json.loads(result.stdout.splitlines()[-1])
    assert Path(home).is_relative_to(bare.packages)
    allowed = {
        name: {lib for start, libs in NEEDS.items() if name.startswith(start) for lib in libs} for name in missing
    }
    assert not {name: lib for name, lib in missing.items() if lib not in allowed[name]}
    assert {start for start in NEEDS if not any(name.startswith(start) for name in missing)} == set()


@pytest.mark.slow
def test_the_same_suite_from_the_checkout(bare: Environment, tmp_path: Path) -> None:
    collect = "pytest --steering-model=tiny:llama --co -q"
    from_wheel = bare.run(collect, tmp_path)
    from_checkout = bare.run(f"python -m {collect}", tmp_path, PYTHONPATH=str(CHECKOUT))
    assert from_wheel.returncode == from_checkout.returncode == 0, from_wheel.stdout + from_checkout.stdout
    tests = [line for line in from_wheel.stdout.splitlines() if "::" in line]
    assert len(tests) > 50
    assert tests == [line for line in from_checkout.stdout.splitlines() if "::" in line]


@pytest.mark.slow
def test_the_suite_without_extras(bare: Environment, tmp_path: Path) -> None:
    result = bare.run("pytest --steering-model=tiny:gpt2 --steering-profile=core -q", tmp_path, OMP_NUM_THREADS="1")
    assert result.returncode == 0, result.stdout
    assert f"tiny:gpt2 with hooks: conforms to {SUITE_VERSION} core" in result.stdout


@pytest.mark.slow
def test_the_same_verdict_without_xdist_and_benchmark(bare: Environment, full: Environment, tmp_path: Path) -> None:
    """They are absent, switched off, or in use: the same requirements pass and fail, the timings among them."""
    absent = verdict(bare, tmp_path)
    assert absent["hooks"] == dict.fromkeys(JUDGED, "passed")
    assert absent[SLOW]["forward-overhead"] == "failed"
    assert verdict(full, tmp_path, "-p no:xdist -p no:benchmark") == absent
    assert verdict(full, tmp_path) == absent
    assert "pytest-xdist" not in bare.run("pytest -VV", tmp_path).stdout


def verdict(environment: Environment, folder: Path, options: str = "") -> dict[str, dict[str, str]]:
    """How each requirement ended, by adapter."""
    result = environment.run(f"{VERDICT} {options}", folder, OMP_NUM_THREADS="1")
    assert result.returncode == 1, result.stdout + result.stderr
    models: list[dict[str, Any]] = json.loads((folder / "verdict.json").read_text())["models"]
    return {each["adapter"]: {one["id"]: one["outcome"] for one in each["requirements"]} for each in models}
