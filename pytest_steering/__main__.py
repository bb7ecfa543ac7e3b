"""``python -m pytest_steering`` prints what the suite requires and found, compares reports, and runs an experiment."""

from __future__ import annotations

import sys

from pytest_steering.importing import working_directory_last

if __name__ == "__main__":
    # For ``python -m`` Python looks there first, and it may be a checkpoint's directory.
    working_directory_last().__enter__()

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pytest_steering.errors import SpecError
from pytest_steering.report import commands as report_commands
from pytest_steering.suite import contract
from pytest_steering.suite.catalogue import table
from pytest_steering.suite.explaining import explained, terms
from pytest_steering.survey.architectures import command
from pytest_steering.survey.engines.stored import STORED as ENGINES
from pytest_steering.survey.engines.stored import read_engines
from pytest_steering.survey.engines.stored import read_stored as read_stored_engines
from pytest_steering.survey.engines.stored import write_stored as write_engines
from pytest_steering.survey.engines.table import table as engine_table
from pytest_steering.survey.files import SurveyError, agree_to_overwrite
from pytest_steering.survey.kill_matrix.stored import STORED as KILLS
from pytest_steering.survey.kill_matrix.stored import read_kills, read_stored, write_stored
from pytest_steering.survey.kill_matrix.table import table as kill_table
from pytest_steering.survey.libraries.stored import STORED as LIBRARIES
from pytest_steering.survey.libraries.stored import read_findings
from pytest_steering.survey.libraries.stored import read_stored as read_libraries
from pytest_steering.survey.libraries.stored import write_stored as write_findings
from pytest_steering.survey.libraries.table import table as library_table
from pytest_steering.survey.side_by_side import command as side_by_side

BAD_INPUT = 4
"""The exit status for what cannot be meant, as pytest has it."""


class _Stored(NamedTuple):
    """Something that is made from reports, kept in a file, and shown as a table."""

    path: Path
    judge: Callable[[Sequence[Path]], dict[str, Any]]
    read: Callable[[], dict[str, Any]]
    write: Callable[[dict[str, Any]], None]
    table: Callable[[dict[str, Any]], str]


_STORED = {
    "kill-matrix": _Stored(KILLS, read_kills, read_stored, write_stored, kill_table),
    "engines": _Stored(ENGINES, read_engines, read_stored_engines, write_engines, engine_table),
    "libraries": _Stored(LIBRARIES, read_findings, read_libraries, write_findings, library_table),
}


_TABLES: dict[str, Callable[[], str]] = {
    "requirements": table,
    "capabilities": lambda: f"{contract.capabilities()}\n\n{contract.attributes()}\n\n{terms()}",
}


_REPORTS = {"compare": report_commands.run_compare, "merge": report_commands.run_merge}


def main() -> int:
    """The command line of the package."""
    parser = argparse.ArgumentParser(prog="python -m pytest_steering")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")
    requirements = commands.add_parser(
        "requirements", help="Print every requirement of the suite as a Markdown table, or what one of them means"
    )
    requirements.add_argument(
        "ids", nargs="*", metavar="ID", help="Explain these: what is run, what is allowed, what breaks it"
    )
    commands.add_parser(
        "capabilities", help="Print what an adapter can promise, what else is read of one, and what the terms mean"
    )
    architectures = commands.add_parser(
        "architectures", help="Print what was found in every architecture, keep a new sweep, or compare one"
    )
    command.add_arguments(architectures)
    kills = commands.add_parser(
        "kill-matrix", help="Print which known-bad adapters the suite catches, or keep a new run"
    )
    _with_reports(kills)
    libraries = commands.add_parser("libraries", help="Print what was found in steering libraries, or keep new runs")
    _with_reports(libraries)
    engines = commands.add_parser("engines", help="Print what was found in serving engines, or keep new runs")
    _with_reports(engines)
    side = commands.add_parser("side-by-side", help="Print what steering costs under each adapter, or measure it")
    side_by_side.add_arguments(side)
    report_commands.add_compare(commands.add_parser("compare", help="Say what got worse from one report to another"))
    report_commands.add_merge(commands.add_parser("merge", help="Join the reports of shards into one"))
    study = commands.add_parser(
        "experiment", help="Train steering vectors on a model and measure what they do to its answers"
    )
    if sys.argv[1:2] == ["experiment"]:
        from pytest_steering.evaluation import command as experiment  # noqa: PLC0415 (the extra "study")

        experiment.add_arguments(study)
        return experiment.run(parser.parse_args(), _say)
    options = parser.parse_args()
    try:
        if getattr(options, "ids", ()):
            _say("\n\n".join(map(explained, options.ids)))
            return 0
        if options.command in _TABLES:
            _say(_TABLES[options.command]())
            return 0
        if options.command in _REPORTS:
            return _REPORTS[options.command](options, _say)
        if options.command in _STORED:
            return _show(_STORED[options.command], options.reports, write=options.write, yes=options.yes)
        if options.command == "side-by-side":
            return side_by_side.run(options, _say)
        return command.run(options, _say)
    except (SpecError, SurveyError) as error:
        sys.stderr.write(f"{' '.join(str(error).split())}\n")
        return BAD_INPUT


def _with_reports(parser: argparse.ArgumentParser) -> None:
    """The options of a command that shows what is kept, or what reports say and keeps it."""
    parser.add_argument("--from", dest="reports", action="append", type=Path, metavar="REPORT", default=[])
    parser.add_argument("--write", action="store_true", help="Keep what the reports say")
    parser.add_argument("--yes", action="store_true", help="Overwrite what comes with the package without being asked")


def _show(kept: _Stored, reports: list[Path], *, write: bool, yes: bool) -> int:
    if write and not reports:
        raise SurveyError("--write has nothing to write: name a report with --from=REPORT")
    found = kept.judge(reports) if reports else kept.read()
    if write:
        agree_to_overwrite(kept.path, yes=yes)
        kept.write(found)
    _say(kept.table(found))
    return 0


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main())
