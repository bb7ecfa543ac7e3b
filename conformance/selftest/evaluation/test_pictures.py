from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.lines import Line2D
from matplotlib.transforms import BboxBase

from conformance.selftest.evaluation.small_study import finished_study, small_config
from pytest_steering.evaluation import UniversalSteeringExperiment
from pytest_steering.evaluation.pictures import RANDOM, SATURATED, TARGET, dose_response, draw_all, weaknesses
from pytest_steering.evaluation.summary import Summary

PICTURES = (dose_response, weaknesses)


@pytest.fixture(scope="module")
def summary() -> Summary:
    return finished_study()[2].summary


def test_every_picture_is_written_as_svg_and_png(summary: Summary, tmp_path: Path) -> None:
    written = draw_all(summary, tmp_path)
    names = {f"{name}.{ending}" for name in ("dose-response", "weaknesses") for ending in ("svg", "png")}
    assert {path.name for path in written} == names == {path.name for path in tmp_path.iterdir()}
    for path in written:
        if path.suffix == ".svg":
            ElementTree.fromstring(path.read_text(encoding="utf-8"))
        else:
            pixels = imread(path)
            assert pixels.shape[0] > 400
            assert (pixels[..., :3] < 0.9).any()


def test_experiment_draws_beside_its_results(tmp_path: Path) -> None:
    data, out, _ = finished_study()
    finished = UniversalSteeringExperiment(small_config(data, out, pictures=True)).run()
    assert {path.parent for path in finished.pictures} == {out}
    assert len(finished.pictures) == 4


def test_the_same_numbers_give_the_same_files(summary: Summary, tmp_path: Path) -> None:
    """Also under a user's own settings."""
    first, second = tmp_path / "first", tmp_path / "second"
    for directory in (first, second):
        directory.mkdir()
        with mpl.rc_context({"font.size": 20, "svg.hashsalt": None}):
            draw_all(summary, directory)
    for path in first.iterdir():
        assert path.read_bytes() == (second / path.name).read_bytes()
        assert b"<dc:date>" not in path.read_bytes()


@pytest.mark.parametrize("draw", PICTURES)
def test_axes_say_what_they_show_and_in_what_unit(summary: Summary, draw: object) -> None:
    figure: Figure = draw(summary)  # type: ignore[operator]
    below = figure.axes[-1]
    assert below.get_xlabel()
    assert figure.axes[0].get_title(loc="left") or figure.axes[0].get_title()
    labels = " ".join(axis.get_xlabel() + axis.get_ylabel() for axis in figure.axes)
    assert "(nats)" in labels
    assert "tiny:llama" in figure.axes[0].get_title(loc="left") + figure.axes[0].get_title()


def test_no_legend_covers_a_point(summary: Summary) -> None:
    for draw in PICTURES:
        figure = draw(summary)
        figure.draw_without_rendering()
        boxes = [legend.get_window_extent() for legend in figure.legends]
        boxes += [legend.get_window_extent() for axes in figure.axes if (legend := axes.get_legend()) is not None]
        assert boxes
        for axes in figure.axes:
            for line in axes.lines:
                if line.get_marker() not in ("o", "s"):
                    continue
                for point in axes.transData.transform(np.column_stack(line.get_data())):
                    assert not any(box.contains(*point) for box in boxes), (draw.__name__, point)
        assert all(_inside(box, figure.bbox) for box in boxes)


def points_of(figure: Figure) -> list[Line2D]:
    return [line for line in figure.axes[0].lines if line.get_marker() == "o"]


def test_dose_response_shows_the_numbers(summary: Summary) -> None:
    doses = tuple(replace(at, saturated=False) for at in summary.pooled.doses)
    figure = dose_response(replace(summary, pooled=replace(summary.pooled, doses=doses)))
    (shown,) = points_of(figure)
    assert np.asarray(shown.get_xdata()).tolist() == [0, 0.1, 0.25]
    assert np.asarray(shown.get_ydata()).tolist() == [at.shift.answer.estimate for at in summary.pooled.doses]
    band = next(patch for patch in figure.axes[0].collections if isinstance(patch, PolyCollection))
    heights = np.asarray(band.get_paths()[0].vertices)[:, 1]
    drawn = summary.pooled.random[0.25]
    assert heights.max() == pytest.approx(max(0, *drawn))
    assert heights.min() == pytest.approx(min(0, *drawn))


def test_saturated_doses_have_another_colour(summary: Summary) -> None:
    marked = tuple(replace(at, saturated=at.dose == 0.25) for at in summary.pooled.doses)
    changed = replace(summary, pooled=replace(summary.pooled, doses=marked))
    shown = [(line.get_color(), np.asarray(line.get_xdata()).tolist()) for line in points_of(dose_response(changed))]
    assert shown == [(TARGET, [0, 0.1]), (SATURATED, [0.25])]
    assert len({TARGET, RANDOM, SATURATED}) == 3


def test_weaknesses_are_shown_with_their_intervals(summary: Summary) -> None:
    figure = weaknesses(summary)
    (axes,) = figure.axes
    (shown,) = points_of(figure)
    groups = [*summary.cwes, summary.pooled]
    shifts = [group.at(0.25).shift.answer for group in groups]
    assert np.asarray(shown.get_xdata()).tolist() == [shift.estimate for shift in shifts]
    reached = [np.asarray(path.vertices)[:, 0].tolist() for path in axes.collections[0].get_paths()]
    assert reached == [pytest.approx([shift.low, shift.high]) for shift in shifts]
    assert [label.get_text() for label in axes.get_yticklabels()] == [f"{group.name} (3)" for group in groups]


def test_without_random_directions_less_is_drawn(summary: Summary, tmp_path: Path) -> None:
    config = replace(summary.config, random_directions=0)
    bare = replace(summary.pooled, random={0.1: (), 0.25: ()}, control=None)
    cwes = tuple(replace(group, random={0.1: (), 0.25: ()}, control=None) for group in summary.cwes)
    changed = replace(summary, config=config, pooled=bare, cwes=cwes)
    assert len(draw_all(changed, tmp_path)) == 4
    for draw in PICTURES:
        assert RANDOM in colours_of(draw(summary))
        assert RANDOM not in colours_of(draw(changed))


def colours_of(figure: Figure) -> set[str]:
    return {str(line.get_color()) for line in figure.axes[0].lines}


def _inside(box: BboxBase, whole: BboxBase) -> bool:
    return bool(box.x0 >= whole.x0 and box.y0 >= whole.y0 and box.x1 <= whole.x1 and box.y1 <= whole.y1)
