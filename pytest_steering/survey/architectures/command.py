"""``python -m pytest_steering architectures``: show what is kept, keep a new sweep, or compare one with it."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

from pytest_steering.survey.architectures.compare import WORSE, differences, headline
from pytest_steering.survey.architectures.stored import STORED, read_survey, write_survey
from pytest_steering.survey.architectures.sweep import read_sweep
from pytest_steering.survey.architectures.table import counts, table
from pytest_steering.survey.files import SurveyError, agree_to_overwrite


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command exist."""
    repeatable = partial(parser.add_argument, action="append", type=Path, metavar="REPORT", default=[])
    repeatable("--from", dest="reports", help="Show the sweep that wrote this report (repeatable)")
    parser.add_argument("--write", action="store_true", help="Keep that sweep, in the place of the one before")
    parser.add_argument("--yes", action="store_true", help="Overwrite what comes with the package without being asked")
    repeatable("--compare", help="Say what the sweep that wrote this report found otherwise (repeatable)")


def run(options: argparse.Namespace, say: Callable[[str], None]) -> int:
    """The exit status: 1 when a compared sweep is worse than the kept one. ``SurveyError`` for what cannot be meant."""
    if options.compare:
        if options.reports or options.write:
            raise SurveyError("--compare goes alone: it compares a sweep with the one that is kept")
        return _compare(options.compare, say)
    if options.write:
        if not options.reports:
            raise SurveyError("--write has nothing to write: name a report with --from=REPORT")
        survey = read_sweep(options.reports)
        agree_to_overwrite(STORED, yes=options.yes)
        write_survey(survey)
        say(f"wrote {STORED.name}; the README says:\n\n{counts(survey)}")
        return 0
    say(table(read_sweep(options.reports) if options.reports else read_survey()))
    return 0


def _compare(reports: list[Path], say: Callable[[str], None]) -> int:
    kept, swept = read_survey(), read_sweep(reports)
    found = differences(kept, swept)
    say(headline(kept, swept))
    for difference in found:
        say(str(difference))
    if not found:
        say(f"nothing differs in {len(swept['types'])} models")
    return int(any(difference.change in WORSE for difference in found))
