"""What a verdict says nothing of: requirements that did not run, and promises of which nothing was judged."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_steering.report.model import Outcome, Row


def missing(row: Row) -> list[str]:
    """The requirements that were asked, and of which no test ran."""
    ran = {result.id for result in row.results}
    return [name for name in row.asked.requirements if name not in ran]


def unjudged(row: Row) -> list[str]:
    """The capabilities that the adapter declares, and of which every requirement turned out not to be applicable."""
    judged: dict[str, bool] = {}
    asked = row.asked.requirements
    for result in row.results:
        for need in asked[result.id].needs if result.id in asked else ():
            name = need.lower()
            judged[name] = judged.get(name, False) or result.outcome is not Outcome.NOT_APPLICABLE
    return [name for name in row.model.declared.get(row.adapter, ()) if judged.get(name) is False]


def gaps(row: Row) -> Iterator[str]:
    """Each gap in a sentence, for a run that may have none."""
    who = f"{row.spec} with {row.title}"
    if left_out := missing(row):
        yield f"{who}: {len(left_out)} of {len(row.asked.requirements)} requirements did not run: {_few(left_out)}"
    outside = list(dict.fromkeys(result.id for result in row.results if result.outside))
    if outside:
        yield f"{who}: skipped or expected to fail from outside the suite: {_few(outside)}"
    if promised := unjudged(row):
        yield f"{who}: declared, and nothing of it could be judged: {_few(promised)}"


def _few(names: list[str]) -> str:
    return ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
