"""``--steering-bundle``: each requirement that fails leaves a folder, once for a model under an adapter."""

from __future__ import annotations

import os
from typing import Any

import pytest

from pytest_steering.errors import Violation, one_line
from pytest_steering.plugin.items import Pairing
from pytest_steering.plugin.options import settings_of
from pytest_steering.report.text import clean
from pytest_steering.suite.catalogue import Requirement

BUNDLED = pytest.StashKey[set[tuple[str, str, str]]]()


def bundled(
    item: pytest.Item, pairing: Pairing, requirement: Requirement, error: BaseException, said: dict[str, str]
) -> str:
    """The line that says where the bundle is, or why there is none; empty where none was asked for."""
    settings = settings_of(item.config)
    harness: Any = (getattr(item, "funcargs", None) or {}).get("harness")
    if not settings.bundle or harness is None or not isinstance(error, Violation):
        return ""
    done = item.config.stash.setdefault(BUNDLED, set())
    key = (pairing.spec, pairing.adapter, requirement.id)
    if key in done:
        return ""
    done.add(key)
    from pytest_steering.suite.bundle import write_bundle  # noqa: PLC0415 (a model was asked for)

    facts = {
        "requirement": requirement.id,
        "sentence": requirement.sentence,
        "spec": pairing.spec,
        "adapter": pairing.adapter or "hooks",
        "nodeid": item.nodeid,
        **{name: said[name] for name in ("reason", "cause", "rerun")},
    }
    name = pairing.adapter or "hooks"
    directory = item.config.invocation_params.dir / settings.bundle
    try:
        place = write_bundle(directory, harness, name, settings.provided.get(name), clean(facts), said["program"])
    except Exception as failed:  # no room, or weights that safetensors cannot write: a failure is told in any case
        reason = (isinstance(failed, OSError) and failed.strerror) or one_line(failed)
        return f"  bundle: cannot be written to {settings.bundle}: {reason}"
    return f"  bundle: {os.path.join(settings.bundle, place.name)}"
