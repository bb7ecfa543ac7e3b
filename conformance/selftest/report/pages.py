"""A page read back: its elements, their attributes and what text they hold."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = frozenset({"meta", "link", "img", "br", "hr", "input"})
SELF_CLOSED = frozenset({"line", "circle", "rect", "path", "polyline"})


@dataclass
class Element:
    """One element, with what is inside it."""

    tag: str
    attributes: dict[str, str]
    children: list[Element] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All text in it, its blanks folded."""
        return " ".join(" ".join(self.said).split())

    def all(self, *tags: str) -> list[Element]:
        """Every element of these kinds in it."""
        inside = [found for child in self.children for found in (child, *child.all())]
        return [each for each in inside if not tags or each.tag in tags]

    def of(self, name: str) -> list[Element]:
        """Every element of a class in it."""
        return [each for each in self.all() if name in each.attributes.get("class", "").split()]


class Page(HTMLParser):
    """A page as a tree; ``ValueError`` where an element is not closed as it was opened."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.root = Element("", {})
        self._open = [self.root]
        self.feed(text)
        self.close()
        if len(self._open) > 1:
            raise ValueError(f"<{self._open[-1].tag}> is not closed")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self._open[-1].children.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open[-1].children.append(Element(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        closed = self._open.pop()
        if closed.tag != tag:
            raise ValueError(f"<{closed.tag}> is closed by </{tag}>")

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.said.append(data)
