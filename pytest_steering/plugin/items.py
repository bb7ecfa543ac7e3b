"""What a test is about: which requirement, of which target, under which adapter."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from pytest_steering.adapters.protocol import version_of
from pytest_steering.errors import printable
from pytest_steering.plugin.fixtures import ADAPTER, ENGINE, MODEL, parameters
from pytest_steering.plugin.options import settings_of
from pytest_steering.suite.catalogue import MARKER, Requirement, catalogue, first_sentence


@dataclass(frozen=True)
class Pairing:
    """A target under an adapter or an engine: ``adapter`` as chosen, empty where there is none; ``title`` as shown."""

    spec: str
    adapter: str
    title: str
    engine: bool = False
    """What is judged is an engine."""

    def __str__(self) -> str:
        return f"{self.title} on {self.spec}" if self.title else self.spec


_LONGEST = 80
"""More characters of an adapter's name are not shown."""
TITLES = pytest.StashKey[dict[tuple[str, str], str]]()


def pairing_of(item: pytest.Item) -> Pairing:
    """The target and the adapter that a test asks for, under the name that the adapter gives itself."""
    settings = settings_of(item.config)
    params = parameters(item)
    spec = str(params.get(MODEL) or (settings.specs[0] if len(settings.specs) == 1 else ""))
    names = getattr(item, "fixturenames", ())
    engine = ENGINE in names and bool(settings.engines)
    if not engine and ADAPTER not in names:
        return Pairing(spec, "", "")
    fixture, named = (ENGINE, settings.engines) if engine else (ADAPTER, settings.adapters)
    name = params.get(fixture, named[0])
    titles = item.config.stash.setdefault(TITLES, {})
    adapter = (getattr(item, "funcargs", None) or {}).get(fixture)
    if adapter is not None:
        titles[spec, name] = printable(f"{adapter.name} {version_of(adapter)}".strip(), _LONGEST)
    return Pairing(spec, name, titles.get((spec, name), name), engine)


def requirement_of(item: pytest.Item) -> Requirement:
    """The requirement that a test of the suite stands for: by its marker in the catalogue, or as its file states it."""
    marker = item.get_closest_marker(MARKER)
    function = item.name.partition("[")[0]
    name = str(marker.kwargs.get("id", function)) if marker is not None else function
    return catalogue().get(name) or Requirement(
        id=name,
        group=item.path.stem.removeprefix("test_").replace("_", "-"),
        sentence=first_sentence(getattr(item, "function", item).__doc__ or ""),
        needs=(),
        since="",
        nodeid=item.nodeid.partition("[")[0],
    )
