"""The pictures of an experiment: dose-response, effect per layer, effect per CWE; SVG and PNG beside the results.

Each shows the 95% intervals that the results have, and the random directions that the effect is compared with.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#E6E6E6",
    "legend.fontsize": 9,
    "legend.frameon": False,
}
_SHIFT = "shift towards “vulnerable” (nats)"
_TRAINED = "trained direction, 95% interval"
_DASHED: Any = (0, (4, 3))


def draw_all(summary: Summary, directory: Path) -> tuple[Path, ...]:
    """Every picture as SVG and PNG in ``directory``: the files, the same bytes for the same summary.

    The picture of layers is left out where they were not steered one by one.
    """
    pictures = {"dose-response": dose_response, "weaknesses": weaknesses}
    if summary.pooled.layers:
        pictures["layers"] = layers
    written = []
    for name, draw in pictures.items():
        with mpl.rc_context():  # default settings but for these, whatever the user's own matplotlibrc says
            mpl.rcdefaults()
            mpl.rcParams.update(_STYLE)
            figure = draw(summary)
            for ending in ("svg", "png"):
                path = directory / f"{name}.{ending}"
                # A date would make every drawing of the same numbers another file.
                figure.savefig(path, dpi=150, metadata={"Date": None} if ending == "svg" else {"Software": None})
                written.append(path)
    return tuple(written)


def dose_response(summary: Summary) -> Figure:
    """The answer's shift over doses, with the band of random directions; below it what is left of the prompt."""
    pooled, figure = summary.pooled, _figure(7.2, 6.0)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1.3))
    doses = [at.dose for at in pooled.doses]
    above.axhline(0, color=INK, linewidth=0.8)
    if count := summary.config.random_directions:
        table = np.array([pooled.random.get(dose) or (0.0,) * count for dose in doses])
        what = f"{count} random directions of equal norm"
        above.fill_between(doses, table.min(1), table.max(1), color=RANDOM, alpha=0.3, linewidth=0, label=what)
        above.plot(doses, table, color=RANDOM, linewidth=0.6)
    _points(above, doses, [at.shift.answer for at in pooled.doses], label=_TRAINED, linestyle="-")
    above.axvline(summary.config.test_dose, color=INK, linewidth=0.8, linestyle=_DASHED, label="tested dose")
    above.set_ylabel(_SHIFT)
    above.set_title(f"Dose-response, {_scope(summary)}")
    above.legend(loc="upper left", frameon=True, framealpha=1, edgecolor="none")
    above.margins(y=0.12)
    whole = pooled.unsteered.input_dependence
    left = [100 * at.divergence.input_dependence / whole if whole else 0.0 for at in pooled.doses]
    below.plot(doses, left, color="#999999", zorder=1)
    below.scatter(doses, left, color=[SATURATED if at.saturated else TARGET for at in pooled.doses], s=34, zorder=2)
    below.axhline(50, color=SATURATED, linewidth=1, linestyle=_DASHED)
    below.annotate("saturated below 50%", (1, 50), xycoords=("axes fraction", "data"), ha="right", va="bottom")
    below.set_ylim(0, max(110, *(value * 1.1 for value in left)))
    below.set_ylabel("input dependence\n(% of unsteered)")
    below.set_xlabel("relative dose: length of what is added ÷ mean norm of the residual stream")
    below.set_xticks(doses, [f"{dose:g}" for dose in doses])
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
            _points(axes, chosen, [found[layer] for layer in chosen], color=colour, label=label)
    ticks = list(found) if len(found) <= 16 else [layer for layer in found if layer % 4 == 0]
    axes.set_xticks(ticks, [str(layer) for layer in ticks])
    axes.set_xlabel(f"decoder layer, steered alone at dose {summary.config.test_dose:g}")
    axes.set_ylabel(_SHIFT)
    axes.set_title(f"Effect per layer, {_name(summary)}")
    axes.margins(y=0.15)
    figure.legend(loc="outside lower center", ncols=2)
    return figure


def weaknesses(summary: Summary) -> Figure:
    """The answer's shift per CWE at the tested dose beside random directions; pair accuracy before and after."""
    dose, groups = summary.config.test_dose, [*summary.cwes, summary.pooled]
    figure = _figure(9.4, 1.9 + 0.42 * len(groups))
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    rows = np.arange(len(groups))[::-1].astype(float)
    rows[-1] -= 0.5
    drawn = [
        (shift, row - 0.2) for row, group in zip(rows, groups, strict=True) for shift in group.random.get(dose, ())
    ]
    if drawn:
        left.plot(*zip(*drawn, strict=True), "|", color=RANDOM, markersize=7, label="each random direction")
    _points(left, rows, [group.at(dose).shift.answer for group in groups], across=True, label=_TRAINED)
    left.axvline(0, color=INK, linewidth=0.8)
    left.set_xlabel(_SHIFT)
    left.set_yticks(rows, [f"{group.name} ({group.scenarios})" for group in groups])
    left.set_ylabel("CWE (scenarios)")
    left.set_title(f"Effect per CWE, dose {dose:g}, {_scope(summary)}")
    was = [group.baseline.pair_accuracy for group in groups]
    now = [group.at(dose).behaviour.pair_accuracy for group in groups]
    _points(right, rows + 0.12, was, across=True, unit=100, color=INK, label="unsteered", marker="s")
    _points(right, rows - 0.12, now, across=True, unit=100, label="steered")
    right.set_xlim(-4, 104)
    right.set_xlabel("pairs with both files right (%)")
    figure.legend(loc="outside lower center", ncols=4)
    return figure


def _points(
    axes: Axes, places: Any, found: Iterable[Interval], *, across: bool = False, unit: float = 1, **options: Any
) -> None:
    """Estimates with their intervals, where there are any; along the x axis when ``across``."""
    ends = [
        (one.estimate, one.estimate if one.low is None else one.low, one.estimate if one.high is None else one.high)
        for one in found
    ]
    middle, low, high = unit * np.array(ends).T
    # Rounding may put an end of a narrow interval on the wrong side of its estimate.
    lengths = np.maximum(0, [middle - low, high - middle])
    style: dict[str, Any] = {
        "color": TARGET,
        "marker": "o",
        "markersize": 5.5,
        "capsize": 3,
        "linestyle": "none",
    } | options
    if across:
        axes.errorbar(middle, places, xerr=lengths, **style)
    else:
        axes.errorbar(places, middle, yerr=lengths, **style)


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
