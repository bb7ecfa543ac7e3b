"""``python -m pytest_steering requirements`` prints the table of requirements as Markdown."""

from __future__ import annotations

import argparse
import sys

from pytest_steering.requirements import table


def main() -> None:
    """The command line of the package."""
    parser = argparse.ArgumentParser(prog="python -m pytest_steering")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    commands.add_parser("requirements", help="Print every requirement of the suite as a Markdown table")
    parser.parse_args()
    sys.stdout.write(table() + "\n")


if __name__ == "__main__":
    main()
