"""Whether pytest runs tests at all: options with which it does something else are typed, and never inherited."""

from __future__ import annotations

import pytest

from pytest_steering.plugin.options import read_settings

_RUN_NOTHING = {
    "collectonly": ("--collect-only", "--co"),
    "showfixtures": ("--fixtures", "--funcargs"),
    "show_fixtures_per_test": ("--fixtures-per-test",),
    "cacheshow": ("--cache-show",),
    "markers": ("--markers",),
    "help": ("--help", "-h"),
    "version": ("--version", "-V"),
}
"""How they are typed, by the name that pytest keeps them under; the beginning of a word is enough."""
_TOLD = ("--steering-report", "--steering-baseline", "--steering-bundle", "--steering-strict")


def check_that_tests_run(config: pytest.Config) -> None:
    """``pytest.UsageError`` where a model is named and an option that nobody typed keeps pytest from running a test.

    With such an option in ``addopts`` or ``PYTEST_ADDOPTS`` each run would end with 0, and nothing would be judged.
    So would one that is asked, on the same command line, for a report, a gate or strictness and for ``--collect-only``.
    """
    asked = next((words for name, words in _RUN_NOTHING.items() if getattr(config.option, name, None)), ())
    if not asked:
        return
    words = [str(word) for word in config.invocation_params.args]
    typed = any(word.startswith(asked) for word in words)
    wanted = next((name for name in _TOLD if any(word.startswith(name) for word in words)), "")
    refused = not typed or (wanted and asked[0] == "--collect-only")
    if not refused or not read_settings(config).in_use:
        return
    if not typed:
        raise pytest.UsageError(
            f"addopts has {asked[0]}, with which pytest runs no test and judges nothing: take it out"
        )
    raise pytest.UsageError(f"--collect-only judges nothing that {wanted} could tell of: leave one of them out")
