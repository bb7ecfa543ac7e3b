"""A wheel of this checkout, and environments outside it that hold the wheel and what it asks for."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

CHECKOUT = Path(__file__).resolve().parents[3]
OURS = "pytest-steering"

SCRIPT = """#!{python}
import sys

from {module} import {function}

sys.exit({function}())
"""


@dataclass(frozen=True)
class Wheel:
    """The file, and what it says of itself."""

    path: Path

    @classmethod
    def build(cls, directory: Path) -> Wheel:
        """The wheel of this checkout, built without a network."""
        command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(directory)]
        subprocess.run([*command, str(CHECKOUT)], check=True, capture_output=True)
        (path,) = directory.glob("*.whl")
        return cls(path)

    @property
    def names(self) -> list[str]:
        """Every file in it."""
        with zipfile.ZipFile(self.path) as archive:
            return archive.namelist()

    @cached_property
    def modules(self) -> dict[str, str]:
        """The source of each module, by the name that it is imported under; the code that models judge is data."""
        with zipfile.ZipFile(self.path) as archive:
            return {
                name.removesuffix(".py").removesuffix("/__init__").replace("/", "."): archive.read(name).decode()
                for name in archive.namelist()
                if name.endswith(".py") and "/mini_cwe/" not in name
            }

    @cached_property
    def requirements(self) -> list[str]:
        """Its requirements, as it states them."""
        (folder,) = {name.partition("/")[0] for name in self.names if ".dist-info/" in name}
        with zipfile.ZipFile(self.path) as archive:
            return metadata.PathDistribution(zipfile.Path(archive, f"{folder}/")).requires or []

    def requires(self, *extras: str) -> list[Requirement]:
        """What pip would install beside it on this machine: always, and for these extras."""
        return list(_asked(self.requirements, extras))


@dataclass(frozen=True)
class Environment:
    """A virtual environment with the wheel in it; its packages are links to those of the running interpreter."""

    root: Path

    @classmethod
    def create(cls, root: Path, wheel: Wheel, *extras: str) -> Environment:
        """An environment with the wheel, what it asks for with these extras, and what that asks for in turn."""
        venv.create(root, symlinks=True)
        environment = cls(root)
        for distribution in _closure(wheel.requires(*extras)):
            for name in {Path(file).parts[0] for file in distribution.files or ()} - {"..", "__pycache__"}:
                link = environment.packages / name
                if not link.exists():
                    link.symlink_to(Path(str(distribution.locate_file(name))).resolve())
        install = ["install", "--quiet", "--no-deps", "--no-index", "--disable-pip-version-check", str(wheel.path)]
        subprocess.run([sys.executable, "-m", "pip", "--python", str(environment.python), *install], check=True)
        for command in ("pytest", "torchrun"):
            entry, *_ = metadata.entry_points(group="console_scripts", name=command)
            script = root / "bin" / entry.name
            text = SCRIPT.format(python=environment.python, module=entry.module, function=entry.attr)
            script.write_text(text, encoding="utf-8")
            script.chmod(0o755)
        return environment

    @property
    def python(self) -> Path:
        """The interpreter."""
        return self.root / "bin" / "python"

    @property
    def packages(self) -> Path:
        """Where packages are installed."""
        return self.root / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"

    def run(self, command: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
        """The line of a shell is run in ``folder``, as by someone who has activated the environment."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "PYTHON"))}
        path = f"{self.root / 'bin'}{os.pathsep}{kept.get('PATH', '')}"
        return subprocess.run(
            command,
            shell=True,
            cwd=folder,
            env={**kept, "PATH": path, "VIRTUAL_ENV": str(self.root), "COLUMNS": "120", **variables},
            capture_output=True,
            text=True,
            check=False,
        )


def _asked(requirements: Iterable[str], extras: Iterable[str]) -> Iterator[Requirement]:
    for requirement in map(Requirement, requirements):
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield requirement


def _closure(requirements: list[Requirement]) -> Iterator[metadata.Distribution]:
    """The distributions that these lead to. A direct one must be here; an indirect one may be for another machine."""
    direct = {canonicalize_name(requirement.name) for requirement in requirements}
    found: set[tuple[str, frozenset[str]]] = set()
    waiting = list(requirements)
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        key = (name, frozenset(requirement.extras))
        if key in found or name == OURS:
            continue
        found.add(key)
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            if name in direct:
                raise
            continue
        yield distribution
        waiting += _asked(distribution.requires or (), requirement.extras)
