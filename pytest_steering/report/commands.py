"""``python -m pytest_steering compare`` and ``merge``: what is done with reports after the run."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from pytest_steering.errors import SpecError
from pytest_steering.report.baseline_file import read
from pytest_steering.report.compare import compare, failing, lines, markdown, tally
from pytest_steering.report.json_report import write
from pytest_steering.report.merge import merge, read_report


def add_compare(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``compare``."""
    parser.add_argument("base", type=Path, metavar="BASE.json", help="A report, or the file of a baseline")
    parser.add_argument("head", type=Path, metavar="HEAD.json", help="The report that is compared with it")
    parser.add_argument("--markdown", action="store_true", help="Print a table for a comment or a job summary")


def add_merge(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``merge``."""
    parser.add_argument(
        "reports", type=Path, nargs="+", metavar="REPORT.json", help="The reports of the shards of one run"
    )
    parser.add_argument("--output", "-o", type=Path, metavar="PATH", required=True, help="Write the whole report here")


def run_compare(options: argparse.Namespace, say: Callable[[str], None]) -> int:
    """The changes are printed; the status is 1 where anything is worse or missing. ``SpecError`` for bad input."""
    base, head = (read(path, str(path)) for path in (options.base, options.head))
    if (base.suite, base.profile) != (head.suite, head.profile):
        raise SpecError(f"{options.base} is of suite {base} and {options.head} of {head}: ask the same of both")
    if not base.subjects and not head.subjects:
        raise SpecError(f"neither {options.base} nor {options.head} says anything of a model")
    changes = compare(base, head)
    title = f"{options.base} to {options.head}"
    if options.markdown:
        say(markdown(changes, title))
    else:
        for line in lines(changes):
            say(line)
        say(f"{title}: {tally(changes)}")
    return int(failing(changes))


def run_merge(options: argparse.Namespace, say: Callable[[str], None]) -> int:
    """The whole report is written. ``SpecError`` for reports that do not go together."""
    reports = {str(path): read_report(path) for path in options.reports}
    if len(reports) < len(options.reports):
        raise SpecError("a report is named twice")
    whole = merge(reports)
    if options.output.is_dir() or not options.output.parent.is_dir():
        raise SpecError(f"--output={options.output} cannot be written: there is no such directory, or it is one")
    try:
        write(options.output, whole)
    except OSError as error:
        raise SpecError(f"--output={options.output} cannot be written: {error.strerror}") from None
    for model in whole["models"]:
        say(f"{model['spec']} with {model['adapter']}: {model['verdict']} ({len(model['requirements'])} tests)")
    return 0
