"""What keeps a run from ending where it must not, or never: set up when models are named."""

from __future__ import annotations

import contextlib
import os
from contextlib import AbstractContextManager, ExitStack

import pytest

from pytest_steering.errors import printable
from pytest_steering.plugin.items import pairing_of, requirement_of
from pytest_steering.plugin.leaving import staying
from pytest_steering.plugin.limit import Limit
from pytest_steering.plugin.options import CLOSING, settings_of

LIMIT = pytest.StashKey[Limit]()


def guard(config: pytest.Config) -> None:
    """Until pytest is done, judged code does not end it."""
    try:
        error_output = os.dup(2)  # nothing is captured at this moment
    except OSError:
        error_output = os.open(os.devnull, os.O_WRONLY)
    with ExitStack() as stack:
        stack.callback(os.close, error_output)
        stack.enter_context(staying(error_output))
        config.stash[LIMIT] = Limit(0.0, error_output, lambda: _last_words(config))
        config.add_cleanup(stack.pop_all().close)


def limited(item: pytest.Item) -> AbstractContextManager[None]:
    """The test of a requirement ends in time, or the process does."""
    limit, config = item.config.stash.get(LIMIT, None), item.config
    if limit is None:
        return contextlib.nullcontext()
    limit.seconds = settings_of(config).timeout
    return limit.on(printable(f"{requirement_of(item).id} ({pairing_of(item)}, {item.nodeid})"))


def _last_words(config: pytest.Config) -> None:
    closing = config.pluginmanager.getplugin(CLOSING)
    if closing is not None:
        closing.cut_short()
