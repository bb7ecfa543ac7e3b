"""The README as someone follows it: its commands in order, and the files that it shows under a name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_FENCE = re.compile(r"^```(\w*)$")
_NAME = re.compile(r"[\w./-]+\.(?:py|toml|ini)")
_STATUS = re.compile(r"exit status (\d)")
_HUB_ID = re.compile(r"--(?:steering-)?model=(\w[\w.-]*/[\w.-]+)")


@dataclass(frozen=True)
class Block:
    """A fenced block, its language and the paragraph before it."""

    language: str
    paragraph: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Command:
    """A line of a console block."""

    text: str
    comment: str
    needs_clone: bool

    @property
    def status(self) -> int:
        """The exit status that it ends with."""
        told = _STATUS.search(self.comment)
        return int(told[1]) if told else 0

    @property
    def is_ours(self) -> bool:
        """Whether it runs what the wheel brings, and does not install anything."""
        return self.text.startswith(("pytest", "torchrun", "python -m pytest_steering"))

    def hub_id(self, folder: Path) -> str | None:
        """The model of the Hub that it names: not a path below ``folder``."""
        named = _HUB_ID.search(self.text)
        return named[1] if named and not (folder / named[1]).exists() else None


def commands(text: str) -> list[Command]:
    """Every command; one needs a clone when its own comment or the paragraph before its block says "in a clone"."""
    return [
        Command(command.strip(), comment, "in a clone" in f"{block.paragraph} {comment}".lower())
        for block in _blocks(text)
        if block.language == "console"
        for line in _joined(block.lines)
        if line.startswith("$ ")
        for command, _, comment in [line.removeprefix("$ ").partition(" # ")]
    ]


def files(text: str) -> dict[str, str]:
    """The files that are shown: named by a comment in the first line, or last in the paragraph before the block."""
    return {
        name: "".join(f"{line}\n" for line in block.lines)
        for block in _blocks(text)
        if block.language in ("python", "toml", "ini")
        for name in [_name(block)]
        if name
    }


def _name(block: Block) -> str:
    first = _NAME.fullmatch(block.lines[0].removeprefix("# ")) if block.lines[0].startswith("# ") else None
    if first:
        return first[0]
    quoted = [name for name in re.findall(r"`([^`]+)`", block.paragraph) if _NAME.fullmatch(name)]
    return quoted[-1] if quoted else ""


def _joined(lines: tuple[str, ...]) -> list[str]:
    """The lines, with those that a backslash continues put together."""
    return re.sub(r"\s*\\\n\s*", " ", "\n".join(lines)).split("\n")


def _blocks(text: str) -> Iterator[Block]:
    language: str | None = None
    paragraph: list[str] = []
    inside: list[str] = []
    last_was_blank = False
    for line in text.splitlines():
        fence = _FENCE.match(line)
        if fence and language is None:
            language, inside = fence[1], []
        elif fence and language is not None:
            yield Block(language, " ".join(paragraph), tuple(inside))
            language, paragraph = None, []
        elif language is not None:
            inside.append(line)
        elif line.strip():
            if last_was_blank or line.startswith("#"):
                paragraph = []
            paragraph.append(line)
        last_was_blank = not line.strip()
