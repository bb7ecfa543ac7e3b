"""The real thing, from a wheel: the same suite under the same ids as in the checkout."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import pytest_steering
from conformance.selftest.desk import OTHERS, ids

CHECKOUT = Path(pytest_steering.__file__).parent.parent
MODEL = "--steering-model=tiny:llama"

needs_checkout = pytest.mark.skipif(
    not (CHECKOUT / "pyproject.toml").exists(), reason="the plugin is not installed from a checkout"
)
pytestmark = needs_checkout


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(target), str(CHECKOUT)]
    subprocess.run(build, check=True, capture_output=True)
    (built,) = target.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site-packages")
    install = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--target", str(target), str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    return target


def test_the_wheel_holds_one_package(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"pytest_steering"}
    assert "pytest_steering/conformance/conftest.py" in names
    assert "pytest_steering/report/schema.json" in names
    assert "pytest_steering/architectures.json" in names
    assert "pytest_steering/py.typed" in names
    assert not [name for name in names if "selftest" in name]


def test_the_suite_is_the_same_from_a_wheel(
    installed: Path, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONPATH", raising=False)
    from_checkout = ids(pytester.runpytest_subprocess(*OTHERS[2:], MODEL, "--co", "-q"))
    assert len(from_checkout) > 50
    monkeypatch.setenv("PYTHONPATH", str(installed))
    pytester.makeini("[pytest]\npython_files = check_*.py")
    pytester.makeconftest(
        f"""
        import pytest_steering
        assert pytest_steering.__file__.startswith({str(installed)!r})
        """
    )
    assert ids(pytester.runpytest_subprocess(*OTHERS[2:], MODEL, "--co", "-q")) == from_checkout
    result = pytester.runpytest_subprocess(*OTHERS[2:], MODEL, "-m", "steering_requirement(id='residual-shape')")
    result.assert_outcomes(passed=3, deselected=len(from_checkout) - 3)
    result.stdout.fnmatch_lines(
        ["Found model.layers with * layers, hidden size *", "tiny:llama with hooks: conforms *"]
    )
