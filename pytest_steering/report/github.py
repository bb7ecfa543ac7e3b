"""What GitHub shows of a run: a summary of the job, and annotations at the adapter's own lines.

https://docs.github.com/actions/reference/workflow-commands-for-github-actions
"""

from __future__ import annotations

import html
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pytest_steering.report.gaps import gaps
from pytest_steering.report.model import Outcome, Record, Result, Row, Verdict
from pytest_steering.report.terminal import verdict
from pytest_steering.report.text import legible
from pytest_steering.suite.catalogue import catalogue

MOST_ANNOTATIONS = 10
"""GitHub shows no more errors of one step."""
MOST_FAILURES = 30
"""Failures in a summary, which may hold a megabyte."""
LONGEST = 1000
_SIGNS = {Verdict.CONFORMS: "✅", Verdict.FAILS: "❌", Verdict.ERROR: "⚠️"}
_BAD = (Outcome.FAILED, Outcome.ERROR)


def is_here(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether this run is a step of a GitHub job."""
    return environment.get("GITHUB_ACTIONS") == "true"


def annotated(record: Record, here: Path, environment: Mapping[str, str] = os.environ) -> Iterator[str]:
    """A command for each line of the project and cause: what fails there, of which model, and how to see it again.

    ``here`` is where pytest was started; files are named as the repository has them.
    """
    found: list[str] = []
    for row in record.rows():
        by_place: dict[tuple[str, str], list[Result]] = {}
        for result in row.having(*_BAD):
            by_place.setdefault((result.line, result.error or result.cause), []).append(result)
        chief = row.explanation.cause
        for (place, cause), results in sorted(by_place.items(), key=lambda each: each[0][1] != chief):
            found.append(_annotation(row, results, _in_repository(place, here, environment), cause))
    yield from found[:MOST_ANNOTATIONS]


def _annotation(row: Row, results: Sequence[Result], place: tuple[str, str], cause: str) -> str:
    first = results[0]
    ids = list(dict.fromkeys(result.id for result in results))
    who = f"{row.title} on {row.spec}"
    if first.error:
        title, lines = f"{who}: error", [first.error]
    else:
        title = f"{who} fails {', '.join(ids[:6])}{', …' if len(ids) > 6 else ''}"
        sentence = catalogue()[first.id].sentence if first.id in catalogue() else ""
        lines = [f"{first.id}: {sentence}", first.reason]
        lines += [f"rerun: {first.rerun}"] if first.rerun else []
    file, line = place
    given = {"file": file, "line": line, "title": title[:LONGEST]}
    properties = ",".join(f"{name}={_property(value)}" for name, value in given.items() if value)
    return f"::error {properties}::{_data(chr(10).join(text[:LONGEST] for text in lines))}"


def _in_repository(place: str, here: Path, environment: Mapping[str, str]) -> tuple[str, str]:
    """File and line as GitHub knows them: relative to the workspace, with slashes; nothing where it lies outside."""
    file, _, line = place.rpartition(":")
    if not file:
        return "", ""
    path = Path(os.path.abspath(here / file))
    workspace = Path(environment.get("GITHUB_WORKSPACE") or here)
    return (path.relative_to(workspace).as_posix(), line) if path.is_relative_to(workspace) else ("", "")


def _data(text: str) -> str:
    return legible(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def summary(record: Record, amiss: Sequence[str]) -> str:
    """The summary of the job, in GitHub's Markdown: verdicts, groups, failures."""
    rows = record.rows()
    lines = [f"## Steering: suite {_text(str(record.asked))}", ""]
    if not rows:
        lines.append("No requirement was judged.")
    else:
        lines += ["| | model | adapter | passed | failed | verdict |", "|---|---|---|--:|--:|---|"]
    for row in rows:
        sign = "◐" if row.verdict is Verdict.CONFORMS and any(True for _ in gaps(row)) else _SIGNS[row.verdict]
        said = verdict(row).removeprefix(f"{row.spec} with {row.title}: ").partition(" (")[0]
        passed, failed = len(row.ids(Outcome.PASSED)), len(row.ids(*_BAD))
        cells = [sign, _code(row.spec), _code(row.title), str(passed), str(failed), _text(said)]
        lines.append(f"| {' | '.join(cells)} |")
    lines += [f"\n{_text(sentence)}" for sentence in amiss]
    for row in rows:
        if row.verdict is Verdict.FAILS:
            lines += _failures(row)
    return "\n".join([*lines, ""])


def _failures(row: Row) -> Iterator[str]:
    yield f"\n<details><summary>What fails on {_html(row.spec)} with {_html(row.title)}</summary>\n"
    if row.explanation.text:
        yield f"Likely: {_text(row.explanation.text)}\n"
    failed = list({result.id: result for result in reversed(row.having(*_BAD))}.values())[::-1]
    for result in failed[:MOST_FAILURES]:
        sentence = catalogue()[result.id].sentence if result.id in catalogue() else ""
        yield f"- <b>{_html(result.id)}</b>: {_text(sentence)}<br>{_text(result.reason)}<br>{_code(result.rerun)}"
    if len(failed) > MOST_FAILURES:
        yield f"- and {len(failed) - MOST_FAILURES} more"
    yield "\n</details>"


def _html(text: str) -> str:
    return html.escape(" ".join(legible(text[:LONGEST]).split()))


def _text(text: str) -> str:
    """Text that no mark of Markdown is read in."""
    return re.sub(r"[\\`*_{}\[\]()#+\-!|~@:]", lambda mark: f"&#{ord(mark[0])};", _html(text))


def _code(text: str) -> str:
    return f"<code>{_text(text)}</code>" if text else ""
