"""The page itself: one file, without a script, that needs no network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from pytest_steering.report.page.model import SHOWN, SIGNS, WORDS, Subject
from pytest_steering.report.text import clean
from pytest_steering.suite.catalogue import Asked

STATES = {"conforms": "conform", "partly": "conform as far as judged", "fails": "fail", "error": "could not be judged"}


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("pytest_steering.report", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html.jinja")


def render(document: Mapping[str, Any], compared: Mapping[tuple[str, str], Sequence[str]] | None = None) -> str:
    """The page of a report's document.

    ``compared`` has, by model and adapter, what a comparison with a baseline says: a sentence each.
    """
    document = clean(dict(document))
    asked = Asked(document["suite"], document.get("profile", "full"))
    subjects = [
        Subject(f"m{number}", entry, asked, tuple((compared or {}).get((entry["spec"], entry["adapter"]), ())))
        for number, entry in enumerate(document["models"])
    ]
    states = Counter(subject.state for subject in subjects)
    worst = next((state for state in ("error", "fails", "partly", "conforms") if states[state]), "partly")
    groups = list(dict.fromkeys(group for subject in subjects for group in subject.groups))
    return _template().render(
        environment=document["environment"],
        subjects=subjects,
        asked=str(asked),
        tally=", ".join(f"{states[state]} {word}" for state, word in STATES.items() if states[state]),
        worst=worst,
        groups=groups,
        words=WORDS,
        signs=SIGNS,
        shown=SHOWN,
    )
