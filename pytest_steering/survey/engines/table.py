"""What was found in engines as Markdown: a row for each engine and checkpoint."""

from __future__ import annotations

from typing import Any

from pytest_steering.survey.engines.stored import Judged

HEAD = ("engine", "checkpoint", "off unsteered, nats", "least bug, nats", "verdict")


def table(found: Judged) -> str:
    """How far each engine is off unsteered, what the least bug that must show does, and the verdict."""
    rows = [row for title, engine in found["engines"].items() for row in _rows(title, engine)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (HEAD, ["---"] * len(HEAD), *rows))


def _rows(title: str, engine: dict[str, Any]) -> list[list[str]]:
    versions = ", ".join(
        f"{name} {engine['versions'][name]}" for name in ("torch", "transformers") if name in engine["versions"]
    )
    rows = []
    for number, (subject, each) in enumerate(engine["models"].items()):
        figures = [f"{each[name]:.1e}" if name in each else "-" for name in ("apart", "effect")]
        rows.append([f"`{title}` ({versions})" if not number else "", f"`{subject}`", *figures, _said(each)])
    return rows


def _said(each: dict[str, Any]) -> str:
    if each["reason"]:
        return f"cannot be judged: {each['reason']}"
    parts = [f"{each['passed']} passed"]
    parts += [f"failed: {', '.join(each['failed'])}"] if each["failed"] else []
    parts += [f"n.a.: {', '.join(each['not_applicable'])}"] if each["not_applicable"] else []
    return f"{each['verdict']} ({'; '.join(parts)})"
