"""The head of a run: which models are going to be judged, or that none is and what to type."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pytest_steering.plugin.collection import NAME, judges
from pytest_steering.plugin.options import Settings
from pytest_steering.targets.ranks import ranks_started

_FEW = 6
"""As many models are listed one by one."""


def header(config: pytest.Config, settings: Settings, dist: str) -> Iterator[str]:
    """A line for the models and adapters, and one for a typed ``--dist`` of pytest-xdist: it loads them repeatedly."""
    models = ", ".join(map(str, settings.specs))
    if len(settings.specs) > _FEW and any(spec.is_pattern for spec in settings.named):
        models = f"{', '.join(map(str, settings.named))} ({len(settings.specs)} models)"
    subjects = (*(settings.adapters if settings.judges_adapters else ()), *settings.engines)
    line = f"steering: {models} with {', '.join(subjects)}"
    if settings.parallel:
        line += f", on {ranks_started()} ranks ({settings.parallel})"
    if settings.device_map:
        line += f", spread by the device map {settings.device_map}"
    if not judges(config):
        line += f" for tests that name no model; no requirement is judged (that is: pytest {NAME})"
    yield line
    if dist != "no" and (getattr(config.option, "tx", None) or getattr(config.option, "numprocesses", None)):
        yield (
            f"steering: --dist={dist} loads a model in every worker that gets a test on it; without --dist each model "
            "is loaded once"
        )
