"""Measurements as coordinates: what a plot shows, in the pixels of its picture. No colours, no markup."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from statistics import fmean

WIDTH, HEIGHT = 420, 250
LEFT, RIGHT, TOP, BOTTOM = 62, 406, 14, 206

Number = float | int | None


@dataclass(frozen=True)
class Mark:
    """One measured point, with the span of what it is the mean of."""

    x: float
    y: float
    low: float
    high: float
    says: str


@dataclass(frozen=True)
class Line:
    """One series: its points in order, and the path through them."""

    name: str
    number: int
    marks: tuple[Mark, ...]
    dashed: bool = False

    @property
    def path(self) -> str:
        """The polyline through the points."""
        return " ".join(f"{mark.x:.1f},{mark.y:.1f}" for mark in self.marks)


@dataclass(frozen=True)
class Plot:
    """A picture with axes, and the same as a table for those who do not see it."""

    title: str
    x_title: str
    y_title: str
    lines: tuple[Line, ...]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    table: tuple[tuple[str, ...], ...]
    head: tuple[str, ...]
    says: str
    guides: tuple[str, ...] = field(default=())
    """Polylines of what was asked for."""


def scales(series: dict[str, list[tuple[float, Sequence[float]]]]) -> Plot | None:
    """The scale that arrives over the scale that was asked for, on axes that hold both signs and many sizes."""
    points = [(asked, list(arriving)) for each in series.values() for asked, arriving in each if arriving]
    if not points:
        return None
    far = max(abs(value) for asked, arriving in points for value in (asked, *arriving)) or 1.0
    near = min((abs(asked) for asked, _ in points if asked), default=1.0)

    def bent(value: float) -> float:
        return math.copysign(math.log2(1 + abs(value) / near), value)

    low = min(min(bent(asked), *map(bent, arriving)) for asked, arriving in points)
    x_at = _axis(bent, min(low, 0.0), bent(far), LEFT, RIGHT)
    y_at = _axis(bent, min(low, 0.0), bent(far), BOTTOM, TOP)
    ticks = _spread_out(sorted({0.0, *(asked for asked, _ in points)}), x_at, 30)
    lines = tuple(
        Line(
            name,
            number,
            tuple(
                Mark(
                    x_at(asked),
                    y_at(fmean(arriving)),
                    y_at(min(arriving)),
                    y_at(max(arriving)),
                    f"{name}: asked {asked:g}, arriving {_span(arriving)}",
                )
                for asked, arriving in sorted(each, key=lambda point: point[0])
                if arriving
            ),
        )
        for number, (name, each) in enumerate(series.items())
    )
    ends = bent(far), min(low, 0.0)
    guide = f"{LEFT:.1f},{BOTTOM:.1f} {RIGHT:.1f},{TOP:.1f}" if ends[0] > ends[1] else ""
    rows = [
        (name, f"{asked:g}", _span(arriving))
        for name, each in series.items()
        for asked, arriving in sorted(each, key=lambda point: point[0])
        if arriving
    ]
    return Plot(
        "Response over scale",
        "scale asked for",
        "scale that arrives",
        lines,
        tuple((x_at(tick), f"{tick:g}") for tick in ticks),
        tuple((y_at(tick), f"{tick:g}") for tick in _spread_out(ticks, y_at, 16)),
        tuple(rows),
        ("layer", "asked", "arriving"),
        "Each point is the mean over the tokens to steer, its bar the span. On the dotted line it is exactly as asked.",
        (guide,) if guide else (),
    )


def response(name: str, at: Sequence[float], levels: Sequence[Number]) -> Plot | None:
    """A token's logit over the scale."""
    points = [(scale, float(level)) for scale, level in zip(at, levels, strict=False) if level is not None]
    return _plain(
        "A token's logit over the scale",
        "scale along the token's own direction",
        "logit",
        {name: points},
        [scale for scale, _ in points],
        "It rises with every larger scale where steering works.",
    )


def layers(series: dict[str, Sequence[Number]], wanted: dict[str, Sequence[Number]]) -> Plot | None:
    """How far the residual stream moves after each layer, for each layer that was steered; and by the reference."""
    solid = {name: [(float(n), 100 * v) for n, v in enumerate(each) if v is not None] for name, each in series.items()}
    dashed = {name: [(float(n), 100 * v) for n, v in enumerate(each) if v is not None] for name, each in wanted.items()}
    count = max((len(each) for each in (*series.values(), *wanted.values())), default=0)
    return _plain(
        "Effect per layer",
        "after decoder layer",
        "residual stream moves by, in %",
        solid,
        [float(number) for number in range(count)],
        "How far the residual stream moves after each layer when one layer is steered at scale 1, as a share of its "
        "size. Dashed: the reference implementation; where both agree, it lies under the line.",
        dashed,
    )


def _plain(
    title: str,
    x_title: str,
    y_title: str,
    solid: dict[str, list[tuple[float, float]]],
    x_ticks: Sequence[float],
    says: str,
    dashed: dict[str, list[tuple[float, float]]] | None = None,
) -> Plot | None:
    everything = [point for each in (*solid.values(), *(dashed or {}).values()) for point in each]
    if len({x for x, _ in everything}) < 2:
        return None
    low, high = min(y for _, y in everything), max(y for _, y in everything)
    ticks = _round_ticks(low, high)
    x_at = _axis(float, min(x for x, _ in everything), max(x for x, _ in everything), LEFT + 8, RIGHT - 8)
    y_at = _axis(float, min(low, ticks[0]), max(high, ticks[-1]), BOTTOM, TOP)
    lines, rows = [], []
    for series, is_dashed in ((dashed or {}, True), (solid, False)):
        for number, (name, points) in enumerate(series.items()):
            label = f"{name}, reference" if is_dashed else name
            marks = [
                Mark(x_at(x), y_at(y), y_at(y), y_at(y), f"{label}: {x_title} {x:g}, {y_title} {y:.4g}")
                for x, y in sorted(points)
            ]
            rows += [(label, f"{x:g}", f"{y:.4g}") for x, y in sorted(points)]
            lines.append(Line(label, number, tuple(marks), is_dashed))
    return Plot(
        title,
        x_title,
        y_title,
        tuple(lines),
        tuple((x_at(tick), f"{tick:g}") for tick in _spread_out(x_ticks, x_at, 24)),
        tuple((y_at(tick), f"{tick:g}") for tick in ticks),
        tuple(rows),
        ("series", x_title, y_title),
        says,
    )


def _axis(
    bent: Callable[[float], float], low: float, high: float, start: float, end: float
) -> Callable[[float], float]:
    span = high - low or 1.0
    return lambda value: start + (bent(value) - low) / span * (end - start)


def _round_ticks(low: float, high: float) -> list[float]:
    """About five round numbers around all values."""
    span = high - low or abs(high) or 1.0
    step = 10.0 ** math.floor(math.log10(span / 4))
    step *= next(factor for factor in (1, 2, 5, 10) if span / (step * factor) <= 5)
    first = math.floor(low / step)
    return [float(f"{(first + n) * step:.6g}") for n in range(math.ceil(high / step) - first + 1)]


def _spread_out(ticks: Iterable[float], at: Callable[[float], float], apart: float) -> list[float]:
    """Those ticks whose labels do not touch."""
    kept: list[float] = []
    for tick in sorted(ticks, key=lambda tick: (-abs(tick), tick)):
        if all(abs(at(tick) - at(other)) >= apart for other in kept):
            kept.append(tick)
    return sorted(kept)


def _span(values: Sequence[float]) -> str:
    low, high = min(values), max(values)
    return f"{low:.4g}" if f"{low:.3g}" == f"{high:.3g}" else f"{low:.4g} to {high:.4g}"
