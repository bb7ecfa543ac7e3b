"""``python -m pytest_steering`` prints what the suite requires, and what it found in every architecture."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from pytest_steering.kills.matrix import read_kept, read_kills, write_kept
from pytest_steering.kills.table import table as kill_table
from pytest_steering.libraries.kept import read_findings
from pytest_steering.libraries.kept import read_kept as read_libraries
from pytest_steering.libraries.kept import write_kept as write_findings
from pytest_steering.libraries.table import table as library_table
from pytest_steering.requirements import table
from pytest_steering.survey import command
from pytest_steering.survey.kept import SurveyError

BAD_INPUT = 4
"""The exit status for what cannot be meant, as pytest has it."""


def main() -> int:
    """The command line of the package."""
    parser = argparse.ArgumentParser(prog="python -m pytest_steering")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")
    commands.add_parser("requirements", help="Print every requirement of the suite as a Markdown table")
    architectures = commands.add_parser(
        "architectures", help="Print what was found in every architecture, keep a new sweep, or compare one"
    )
    command.add_arguments(architectures)
    kills = commands.add_parser(
        "kill-matrix", help="Print which known-bad adapters the suite catches, or keep a new run"
    )
    kills.add_argument("--from", dest="reports", action="append", type=Path, metavar="REPORT", default=[])
    kills.add_argument("--write", action="store_true", help="Keep what the reports say")
    libraries = commands.add_parser("libraries", help="Print what was found in steering libraries, or keep new runs")
    libraries.add_argument("--from", dest="reports", action="append", type=Path, metavar="REPORT", default=[])
    libraries.add_argument("--write", action="store_true", help="Keep what the reports say")
    options = parser.parse_args()
    if options.command == "requirements":
        _say(table())
        return 0
    try:
        if options.command == "kill-matrix":
            return _kill_matrix(options.reports, write=options.write)
        if options.command == "libraries":
            return _libraries(options.reports, write=options.write)
        return command.run(options, _say)
    except SurveyError as error:
        sys.stderr.write(f"{' '.join(str(error).split())}\n")
        return BAD_INPUT


def _kill_matrix(reports: list[Path], *, write: bool) -> int:
    if write and not reports:
        raise SurveyError("--write has nothing to write: name a report with --from=REPORT")
    matrix = read_kills(reports) if reports else read_kept()
    if write:
        write_kept(matrix)
    _say(kill_table(matrix))
    return 0


def _libraries(reports: list[Path], *, write: bool) -> int:
    if write and not reports:
        raise SurveyError("--write has nothing to write: name a report with --from=REPORT")
    findings = read_findings(reports) if reports else read_libraries()
    if write:
        write_findings(findings)
    _say(library_table(findings))
    return 0


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main())
