"""What a test is about: which requirement, of which model, under which adapter."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from pytest_steering.plugin.fixtures import ADAPTER, MODEL, parameters
from pytest_steering.plugin.options import settings_of
from pytest_steering.suite.catalogue import MARKER, catalogue, first_sentence


@dataclass(frozen=True)
class Subject:
    """A model under an adapter: ``adapter`` as chosen, empty where none is asked for; ``title`` as shown."""

    spec: str
    adapter: str
    title: str

    def __str__(self) -> str:
        return f"{self.title} on {self.spec}" if self.title else self.spec


@dataclass(frozen=True)
class Clause:
    """The requirement that a test of the suite stands for."""

    id: str
    group: str
    sentence: str


TITLES = pytest.StashKey[dict[tuple[str, str], str]]()


def subject_of(item: pytest.Item) -> Subject:
    """The model and the adapter that a test asks for, under the name that the adapter gives itself."""
    settings = settings_of(item.config)
    params = parameters(item)
    spec = params.get(MODEL) or (settings.specs[0] if len(settings.specs) == 1 else "")
    if ADAPTER not in getattr(item, "fixturenames", ()):
        return Subject(spec, "", "")
    name = params.get(ADAPTER, settings.adapters[0])
    titles = item.config.stash.setdefault(TITLES, {})
    adapter = (getattr(item, "funcargs", None) or {}).get(ADAPTER)
    if adapter is not None:
        titles[spec, name] = " ".join(str(part) for part in (adapter.name, getattr(adapter, "version", "")) if part)
    return Subject(spec, name, titles.get((spec, name), name))


def clause_of(item: pytest.Item) -> Clause:
    """The requirement of a suite test, from its marker and its docstring."""
    marker = item.get_closest_marker(MARKER)
    function = item.name.partition("[")[0]
    name = str(marker.kwargs.get("id", function)) if marker is not None else function
    group = item.path.stem.removeprefix("test_").replace("_", "-")
    listed = catalogue().get(name)
    if listed is not None:
        return Clause(name, group, listed.sentence)
    return Clause(name, group, first_sentence(getattr(item, "function", item).__doc__ or ""))
