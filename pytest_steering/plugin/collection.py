"""How the bundled suite is collected: the same tests and ids from a wheel and from the checkout."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pytest_steering.importing import unwarned
from pytest_steering.plugin.fixtures import MODEL, parameters
from pytest_steering.plugin.items import requirement_of
from pytest_steering.plugin.options import settings_of
from pytest_steering.suite.catalogue import SELECTED_BY, suite_directory

NAME = "conformance"
SELFTEST = "selftest"

FOREIGN = pytest.StashKey[frozenset[Path]]()
"""The directories that pytest passes through on the way to the suite, where nothing else is wanted."""


class SuiteModule(pytest.Module):
    """A file of the bundled suite: what it collects does not depend on the user's naming conventions."""

    def collect(self) -> list[pytest.Item | pytest.Collector]:
        """The file is imported, and with it libraries that may warn of something."""
        with unwarned():
            return list(super().collect())

    def funcnamefilter(self, name: str) -> bool:
        """Functions named ``test_…`` are the tests, whatever ``python_functions`` says."""
        return name.startswith("test_")

    def classnamefilter(self, name: str) -> bool:
        """No class is collected."""
        return False


def is_suite_item(item: pytest.Item) -> bool:
    """Whether the test stands for a requirement of the bundled suite."""
    return item.getparent(SuiteModule) is not None


def choose_tests(session: pytest.Session) -> None:
    """The bundled suite is what runs when models are named and no path is, or where a path of it is typed."""
    config = session.config
    arguments = config.args
    if config.args_source is not pytest.Config.ArgsSource.ARGS:
        if settings_of(config).typed:
            config.args = [str(suite_directory())]
    elif not config.option.pyargs:
        config.args = [_bundled(argument, config.invocation_params.dir) for argument in arguments]
    if config.args != arguments:
        config.stash[FOREIGN] = _way_to_suite(config.rootpath)


def judges(config: pytest.Config) -> bool:
    """Whether the bundled suite is going to be collected, before anything is."""
    suite = suite_directory()
    if config.args_source is not pytest.Config.ArgsSource.ARGS:
        if settings_of(config).typed:
            return True
        package = Path(__file__).resolve().parents[1]
        installed = package in suite.parents
        return not installed and any(suite.is_relative_to(_path(each, config)) for each in config.args)
    if config.option.pyargs and any(each.startswith(__name__.partition(".")[0]) for each in config.args):
        return True
    paths = [_path(_bundled(each, config.invocation_params.dir), config) for each in config.args]
    return any(
        suite.is_relative_to(path) or (path.is_relative_to(suite) and SELFTEST not in path.parts) for path in paths
    )


def _path(argument: str, config: pytest.Config) -> Path:
    return (config.invocation_params.dir / argument.partition("::")[0]).resolve()


def collect_file(
    file_path: Path, parent: pytest.Collector, collected: list[pytest.Collector]
) -> list[pytest.Collector]:
    """A file of the suite is collected by the suite's own collector and by no other."""
    if file_path.suffix != ".py" or not _is_suite(file_path.parent):
        return collected
    if not file_path.name.startswith("test_"):
        return []
    return [SuiteModule.from_parent(parent, path=file_path, nodeid=f"{NAME}/{file_path.name}")]


def ignore(path: Path, config: pytest.Config) -> bool | None:
    """What lies beside the suite is left out, and the suite's own files are let through.

    Paths that were typed, and directories on the way to them, never come here.
    """
    if path.name == SELFTEST and _is_suite(path.parent):
        ours = suite_directory().parent == config.rootpath
        return None if ours and not settings_of(config).typed else True
    foreign = config.stash.get(FOREIGN, None)
    if not foreign:
        return None
    if path.parent in foreign:
        return True
    return False if _is_suite(path.parent) else None


def say_all_in_marker(item: pytest.Item) -> None:
    """A test of the suite is selected by all that its requirement is, also by what its marker takes from the file."""
    if is_suite_item(item):
        requirement = requirement_of(item)
        facts = {name: getattr(requirement, name) for name in SELECTED_BY if requirement.since}
        item.add_marker(pytest.mark.steering_requirement(**facts))


def leave_out(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Requirements that the profile, a pinned version of the suite, or the kind of subject does not ask are
    deselected."""
    judged = settings_of(config).judged
    kept: list[pytest.Item] = []
    left: list[pytest.Item] = []
    for item in items:
        asks = not is_suite_item(item) or any(asked.asks(requirement_of(item)) for asked in judged)
        (kept if asks else left).append(item)
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = kept


def _is_suite(directory: Path) -> bool:
    return directory.name == NAME and directory.resolve() == suite_directory()


def _bundled(argument: str, here: Path) -> str:
    path, colons, rest = argument.partition("::")
    parts = Path(path).parts
    if not parts or parts[0] != NAME or (here / path).exists():
        return argument
    found = suite_directory().joinpath(*parts[1:])
    return f"{found}{colons}{rest}" if found.exists() else argument


def _way_to_suite(rootpath: Path) -> frozenset[Path]:
    """The directories above the suite that are not the project's own."""
    suite = suite_directory()
    package = Path(__file__).resolve().parents[1]
    foreign = {parent for parent in suite.parents if not parent.is_relative_to(rootpath)}
    if package in suite.parents:
        foreign |= {package, package.parent}
    return frozenset(foreign - {rootpath, *rootpath.parents})


@dataclass
class Selection:
    """How many tests each requirement has in this run, and which requirements lost some to a selection."""

    collected: Counter[str] = field(default_factory=Counter)
    reduced: set[str] = field(default_factory=set)
    elsewhere: Counter[str] = field(default_factory=Counter)
    """How many tests run on models that their markers name and the command line does not."""

    def take(self, items: Sequence[pytest.Item]) -> None:
        """These tests are going to run."""
        self.collected = Counter(requirement_of(item).id for item in items if is_suite_item(item))
        specs = settings_of(items[0].config).specs if items else ()
        named = (parameters(item).get(MODEL) for item in items)
        self.elsewhere = Counter(str(spec) for spec in named if spec is not None and spec not in specs)

    def drop(self, items: Sequence[pytest.Item]) -> None:
        """These tests were deselected."""
        self.reduced.update(requirement_of(item).id for item in items if is_suite_item(item))

    def dump(self) -> dict[str, Any]:
        """The selection as a worker of pytest-xdist sends it."""
        return {
            "collected": dict(self.collected),
            "reduced": sorted(self.reduced),
            "elsewhere": dict(self.elsewhere),
        }

    def load(self, dump: dict[str, Any]) -> None:
        """The selection of a worker is that of the run: all workers collect the same."""
        self.collected = Counter(dump["collected"])
        self.reduced.update(dump["reduced"])
        self.elsewhere = Counter(dump["elsewhere"])
