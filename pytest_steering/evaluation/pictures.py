"""The pictures of an experiment: the answer's shift over doses and per CWE; SVG and PNG beside the results.

Each shows the 95% intervals that the results have, and the random directions that the effect is compared with.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pytest_steering.evaluation.statistics import Interval
from pytest_steering.evaluation.summary import Summary

TARGET, RANDOM, SATURATED, INK = "#0072B2", "#E69F00", "#CC79A7", "#333333"
"""Blue, orange and purple of Okabe and Ito, which colour-blind readers tell apart, and dark grey."""

_STYLE = {
    "svg.hashsalt": "pytest-steering",
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
_POINT: dict[str, Any] = {"marker": "o", "markersize": 5.5, "capsize": 3, "linestyle": "none"}


def draw_all(summary: Summary, directory: Path) -> tuple[Path, ...]:
    """Every picture as SVG and PNG in ``directory``: the files, the same bytes for the same summary."""
    written = []
    for name, draw in {"dose-response": dose_response, "weaknesses": weaknesses}.items():
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
    """The answer's shift over doses, with the band of random directions; saturated doses have their own colour."""
    pooled, figure = summary.pooled, _figure(7.2, 5.0)
    axes = figure.subplots()
    doses = [at.dose for at in pooled.doses]
    axes.axhline(0, color=INK, linewidth=0.8)
    if count := summary.config.random_directions:
        table = np.array([pooled.random.get(dose) or (0.0,) * count for dose in doses])
        what = f"{count} random directions of equal norm"
        axes.fill_between(doses, table.min(1), table.max(1), color=RANDOM, alpha=0.3, linewidth=0, label=what)
        axes.plot(doses, table, color=RANDOM, linewidth=0.6)
    axes.plot(doses, [at.shift.answer.estimate for at in pooled.doses], color=TARGET)
    for saturated, colour, label in (
        (False, TARGET, "trained direction, 95% interval"),
        (True, SATURATED, "saturated: less than half of the input dependence is left"),
    ):
        if chosen := [at for at in pooled.doses if at.saturated is saturated]:
            middle, lengths = _ends([at.shift.answer for at in chosen])
            axes.errorbar([at.dose for at in chosen], middle, yerr=lengths, color=colour, label=label, **_POINT)
    axes.axvline(summary.config.test_dose, color=INK, linewidth=0.8, linestyle=(0, (4, 3)), label="tested dose")
    axes.set_xticks(doses, [f"{dose:g}" for dose in doses])
    axes.set_xlabel("relative dose: length of what is added ÷ mean norm of the residual stream")
    axes.set_ylabel(_SHIFT)
    axes.set_title(f"Dose-response, {_scope(summary)}")
    axes.margins(y=0.12)
    figure.legend(loc="outside lower center", ncols=2)
    return figure


def weaknesses(summary: Summary) -> Figure:
    """The answer's shift per CWE at the tested dose, beside that along each random direction."""
    dose, groups = summary.config.test_dose, [*summary.cwes, summary.pooled]
    figure = _figure(7.2, 1.9 + 0.42 * len(groups))
    axes = figure.subplots()
    rows = np.arange(len(groups))[::-1].astype(float)
    rows[-1] -= 0.5  # all of them together stand apart
    drawn = [(one, row - 0.2) for row, group in zip(rows, groups, strict=True) for one in group.random.get(dose, ())]
    if drawn:
        axes.plot(*zip(*drawn, strict=True), "|", color=RANDOM, markersize=7, label="each random direction")
    middle, lengths = _ends([group.at(dose).shift.answer for group in groups])
    axes.errorbar(middle, rows, xerr=lengths, color=TARGET, label="trained direction, 95% interval", **_POINT)
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.set_xlabel(_SHIFT)
    axes.set_yticks(rows, [f"{group.name} ({group.scenarios})" for group in groups])
    axes.set_ylabel("CWE (scenarios)")
    axes.set_title(f"Effect per CWE, dose {dose:g}, {_scope(summary)}")
    figure.legend(loc="outside lower center", ncols=2)
    return figure


def _ends(found: Sequence[Interval]) -> tuple[Any, Any]:
    """The estimates, and how far their intervals reach to either side; nowhere where there is none."""
    middle = np.array([one.estimate for one in found])
    low = [one.estimate if one.low is None else one.low for one in found]
    high = [one.estimate if one.high is None else one.high for one in found]
    # Rounding may put an end of a narrow interval on the wrong side of its estimate.
    return middle, np.maximum(0, [middle - low, high - middle])


def _scope(summary: Summary) -> str:
    name = Path(summary.config.model_name).name or summary.config.model_name
    return f"{name}, layers {', '.join(map(str, summary.layers))}"


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure
