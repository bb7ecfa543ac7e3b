"""``python -m pytest_steering side-by-side``: the stored table, or a new measurement."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from pytest_steering.survey.files import agree_to_overwrite
from pytest_steering.survey.side_by_side.measuring import MODES, measure
from pytest_steering.survey.side_by_side.table import STORED, read_stored, table, write_stored


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("--model", metavar="SPEC", help="Measure on this model; without it, what is stored is shown")
    parser.add_argument("--mode", action="append", choices=MODES, help="Only so: eager, compiled (default: both)")
    parser.add_argument("--pairs", type=int, default=15, help="Steered and unsteered runs of each (default: 15)")
    parser.add_argument("--backend", default="inductor", help="What torch.compile compiles with (default: inductor)")
    parser.add_argument("--write", action="store_true", help="Keep the measurement and its picture")
    parser.add_argument("--yes", action="store_true", help="Overwrite what comes with the package without being asked")


def run(options: argparse.Namespace, say: Callable[[str], None]) -> int:
    """The table is printed, and the exit status is 0."""
    if options.model is None:
        say(table(read_stored()))
        return 0
    if options.write:
        agree_to_overwrite(STORED, yes=options.yes)
    modes = tuple(options.mode or MODES)

    def progress(what: str) -> None:
        sys.stderr.write(f"{what}\n")

    found = measure(options.model, modes=modes, pairs=max(2, options.pairs), say=progress, backend=options.backend)
    if options.write:
        write_stored(found)
    say(table(found))
    return 0
