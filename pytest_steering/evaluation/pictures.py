"""The pictures of an experiment: dose-response, effect per layer, effect per weakness; SVG and PNG beside the results.

Each shows the 95% intervals that the results have, and the random directions that the effect is compared with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pytest_steering.evaluation.statistics import Interval
from pytest_steering.evaluation.summary import Summary

TARGET, RANDOM, SATURATED, INK = "#0072B2", "#E69F00", "#CC79A7", "#333333"
"""Blue, orange and purple of Okabe and Ito, which colour-blind readers tell apart, and dark grey."""

_STYLE = {
    "svg.hashsalt": "pytest-steering",
    "svg.fonttype": "path",
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#E6E6E6",
    "grid.linewidth": 0.8,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
}
_DPI = 150
_SHIFT = "shift towards “vulnerable” (nats)"


def draw_all(summary: Summary, directory: Path) -> tuple[Path, ...]:
    """Every picture as SVG and PNG in ``directory``: the files, the same bytes for the same summary.

    The picture of layers is left out where they were not steered one by one.
    """
    pictures: dict[str, Callable[[Summary], Figure]] = {"dose-response": dose_response, "weaknesses": weaknesses}
    if summary.pooled.layers:
        pictures["layers"] = layers
    written = []
    for name, draw in pictures.items():
        with _styled():
            figure = draw(summary)
            for ending in ("svg", "png"):
                path = directory / f"{name}.{ending}"
                # A date would make every drawing of the same numbers another file.
                figure.savefig(path, dpi=_DPI, metadata={"Date": None} if ending == "svg" else {"Software": None})
                written.append(path)
    return tuple(written)


def dose_response(summary: Summary) -> Figure:
    """The answer's shift over doses, with the band of random directions; below it what is left of the prompt."""
    pooled = summary.pooled
    figure = _figure(7.2, 6.0)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1.3))
    doses = [at.dose for at in pooled.doses]
    _band(above, summary)
    shifts = [at.shift.answer for at in pooled.doses]
    _errors(above, doses, shifts, label="trained direction, 95% interval")
    above.axvline(summary.config.test_dose, color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
    above.annotate(
        "tested dose",
        (summary.config.test_dose, 0.02),
        xycoords=("data", "axes fraction"),
        xytext=(4, 0),
        textcoords="offset points",
        fontsize=8.5,
    )
    above.set_ylabel(_SHIFT)
    above.set_title(f"Dose-response, {_scope(summary)}")
    above.legend(loc="upper left", fontsize=9, frameon=True, framealpha=1, edgecolor="none")
    above.margins(y=0.12)
    left = [_share(at.divergence.input_dependence, pooled.unsteered.input_dependence) for at in pooled.doses]
    colours = [SATURATED if at.saturated else TARGET for at in pooled.doses]
    below.plot(doses, left, color="#999999", linewidth=1.2, zorder=1)
    below.scatter(doses, left, color=colours, s=34, zorder=2)
    below.axhline(50, color=SATURATED, linewidth=1, linestyle=(0, (4, 3)))
    below.text(
        1,
        50,
        "saturated below 50% ",
        color="#8F3F6B",
        fontsize=8.5,
        ha="right",
        va="bottom",
        transform=below.get_yaxis_transform(),
    )
    below.set_ylim(0, max(110, *(value * 1.1 for value in left)))
    below.set_ylabel("input dependence\n(% of unsteered)")
    below.set_xlabel("relative dose: length of what is added ÷ mean norm of the residual stream")
    below.set_xticks(doses, [f"{dose:g}" for dose in doses])
    figure.align_ylabels([above, below])
    return figure


def layers(summary: Summary) -> Figure:
    """The answer's shift with each decoder layer steered alone at the tested dose."""
    found = summary.pooled.layers
    figure = _figure(min(14.0, max(5.6, 2.6 + 0.32 * len(found))), 4.0)
    axes = figure.subplots()
    axes.axhline(0, color=INK, linewidth=0.8)
    together = [layer for layer in found if layer in summary.layers]
    others = [layer for layer in found if layer not in summary.layers]
    for chosen, colour, label in (
        (together, TARGET, f"steering layers {_range(together)}"),
        (others, "#999999", "other layers"),
    ):
        if chosen:
            _errors(axes, chosen, [found[layer] for layer in chosen], colour=colour, label=label, line=False)
    ticks = list(found) if len(found) <= 16 else [layer for layer in found if layer % 4 == 0]
    axes.set_xticks(ticks, [str(layer) for layer in ticks])
    axes.set_xlim(min(found) - 0.6, max(found) + 0.6)
    axes.set_xlabel(f"decoder layer, steered alone at dose {summary.config.test_dose:g}")
    axes.set_ylabel(_SHIFT)
    axes.set_title(f"Effect per layer, {_name(summary)}")
    figure.legend(*_handles(axes), loc="outside lower center", ncols=2, fontsize=9)
    axes.margins(y=0.15)
    return figure


def weaknesses(summary: Summary) -> Figure:
    """The answer's shift per weakness at the tested dose beside random directions; pair accuracy before, after."""
    dose = summary.config.test_dose
    groups = [*summary.cwes, summary.pooled]
    figure = _figure(9.4, 1.9 + 0.42 * len(groups))
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    rows = np.arange(len(groups))[::-1].astype(float)
    rows[-1] -= 0.5
    for row, group in zip(rows, groups, strict=True):
        if drawn := group.random.get(dose):
            left.plot(drawn, [row - 0.2] * len(drawn), "|", color=RANDOM, markersize=7, markeredgewidth=1.2)
    _errors(left, [g.at(dose).shift.answer for g in groups], rows, across=True, label="trained direction, 95% interval")
    if summary.config.random_directions:
        left.plot([], [], "|", color=RANDOM, markersize=7, markeredgewidth=1.2, label="each random direction")
    left.axvline(0, color=INK, linewidth=0.8)
    left.set_xlabel(_SHIFT)
    left.set_yticks(rows, [f"{g.name} ({g.scenarios})" for g in groups])
    left.set_ylabel("weakness (scenarios)")
    left.set_title(f"Effect per weakness, dose {dose:g}, {_scope(summary)}")
    for row, group in zip(rows, groups, strict=True):
        ends = (group.baseline.pair_accuracy, group.at(dose).behaviour.pair_accuracy)
        right.plot(
            [100 * end.estimate for end in ends], [row + 0.12, row - 0.12], color="#BBBBBB", linewidth=1, zorder=1
        )
    was_all = [_percent(group.baseline.pair_accuracy) for group in groups]
    now_all = [_percent(group.at(dose).behaviour.pair_accuracy) for group in groups]
    _errors(right, was_all, rows + 0.12, across=True, colour=INK, label="unsteered", marker="s")
    _errors(right, now_all, rows - 0.12, across=True, label="steered")
    right.set_xlim(-4, 104)
    right.set_xlabel("pairs with both files right (%)")
    figure.legend(
        *_handles(left, right), loc="outside lower center", ncols=4, fontsize=9, handletextpad=0.4, columnspacing=1.6
    )
    return figure


def _errors(
    axes: Axes,
    first: Sequence[Any] | Any,
    second: Sequence[Any] | Any,
    *,
    label: str,
    across: bool = False,
    colour: str = TARGET,
    marker: str = "o",
    line: bool = True,
) -> None:
    """Estimates with their intervals; along the x axis when ``across``."""
    intervals, places = (first, second) if across else (second, first)
    found: list[Interval] = list(intervals)
    middle = [one.estimate for one in found]
    lengths = [
        (0.0, 0.0)
        if one.low is None or one.high is None
        # Rounding may put an end of a narrow interval on the wrong side of its estimate.
        else (max(0.0, one.estimate - one.low), max(0.0, one.high - one.estimate))
        for one in found
    ]
    ends = np.array(lengths).T
    options: dict[str, Any] = {
        "color": colour,
        "fmt": marker,
        "markersize": 5.5,
        "capsize": 3,
        "elinewidth": 1.4,
        "label": label,
    }
    if across:
        axes.errorbar(middle, places, xerr=ends, linestyle="none", **options)
    else:
        axes.errorbar(places, middle, yerr=ends, linestyle="-" if line else "none", linewidth=1.6, **options)


def _band(axes: Axes, summary: Summary) -> None:
    """The random directions: each as a thin line, their range as a band."""
    random = {dose: drawn for dose, drawn in summary.pooled.random.items() if drawn}
    axes.axhline(0, color=INK, linewidth=0.8)
    if not random:
        return
    doses = sorted({0.0, *random})
    table = np.array([random.get(dose, (0.0,) * summary.config.random_directions) for dose in doses])
    axes.fill_between(doses, table.min(1), table.max(1), color=RANDOM, alpha=0.25, linewidth=0)
    axes.plot(doses, table, color=RANDOM, linewidth=0.6, alpha=0.8)
    count = summary.config.random_directions
    axes.fill_between(
        [], [], [], color=RANDOM, alpha=0.45, linewidth=0, label=f"{count} random directions of equal norm"
    )


def _handles(*axes: Axes) -> tuple[list[Any], list[str]]:
    found = [entry for one in axes for entry in zip(*one.get_legend_handles_labels(), strict=True)]
    return [handle for handle, _ in found], [label for _, label in found]


def _percent(interval: Interval) -> Interval:
    low, high = (None if end is None else 100 * end for end in (interval.low, interval.high))
    return replace(interval, estimate=100 * interval.estimate, low=low, high=high)


def _share(part: float, whole: float) -> float:
    return 100 * part / whole if whole else 0.0


def _scope(summary: Summary) -> str:
    return f"{_name(summary)}, layers {_range(summary.layers)}"


def _name(summary: Summary) -> str:
    return Path(summary.config.model_name).name or summary.config.model_name


def _range(layers: Sequence[int]) -> str:
    """``1-3`` where they follow on each other, else each of them."""
    if len(layers) > 2 and layers[-1] - layers[0] == len(layers) - 1:
        return f"{layers[0]}-{layers[-1]}"
    return ", ".join(map(str, layers))


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


@contextmanager
def _styled() -> Iterator[None]:
    """Default settings but for these, whatever the user's own matplotlibrc says."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        yield
