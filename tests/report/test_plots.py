"""The plots of a report: lines where they belong, and the same bytes each time."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from harness.report.chart import (
    COLUMNS,
    GREY,
    HAIR,
    HEIGHT,
    TICKS,
    WIDTH,
    Line,
    _straightened,
    _thinned,
    chart,
    linear,
    logarithmic,
)
from harness.report.plots import COLOURS, DASHES, along_time, apart, curves

STEPS = np.arange(5)


def points(svg, colour):
    """The points of the longest line of a colour, (points, 2), in points of the image, from its upper left corner."""
    paths = re.findall(rf'<path d="([^"]*)"[^>]*stroke: {colour}', svg)
    longest = max(paths, key=len)
    return np.array([[float(each) for each in pair] for pair in re.findall(r"[ML] ([\d.]+) ([\d.]+)", longest)])


def texts(svg):
    return [each.text for each in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def of(line, y):
    return chart([line], linear("step", STEPS.astype(float), whole=True), y)


def test_a_line_is_where_its_numbers_are():
    y = np.array([0.0, 1.0, 3.0, 2.0, 4.0])
    there = points(of(Line("one", STEPS, y, "#0072b2", width=1.2), linear("loss", y)), "#0072b2")
    assert np.array_equal(
        there, points(of(Line("one", STEPS, y.astype("f4"), "#0072b2"), linear("loss", y.astype("f4"))), "#0072b2")
    )
    assert there.shape == (5, 2)
    assert np.allclose(np.diff(there[:, 0]), np.diff(there[:, 0])[0], atol=0.02)
    slope = (there[4, 1] - there[0, 1]) / 4
    assert slope < 0, "up is less, in an image"
    assert np.allclose(there[:, 1] - there[0, 1], slope * y, atol=0.03)
    assert (there > 0).all()
    assert (there < (WIDTH, HEIGHT)).all()


def test_equal_factors_are_equal_lengths_on_a_logarithmic_axis():
    y = 10.0 ** -np.arange(5.0)
    there = points(of(Line("one", STEPS, y, "#0072b2"), logarithmic("error", y)), "#0072b2")
    assert np.allclose(np.diff(there[:, 1]), np.diff(there[:, 1])[0], atol=0.02)


@pytest.mark.parametrize("gap", [0.0, -1.0, np.nan, np.inf])
def test_what_a_logarithmic_axis_cannot_show_is_left_out(gap):
    y = np.array([1e-3, 1e-2, gap, 1e-1, 1.0])
    there = points(of(Line("one", STEPS, y, "#0072b2"), logarithmic("error", y)), "#0072b2")
    assert len(there) == 4


@pytest.mark.parametrize(
    "y",
    [
        [5e-324, 1e-200, 1.0, 1e200, 1.7e308],
        [5e-324, 1e-323, 2e-323, 4e-323, 8e-323],
        [1e304, 1e305, 1e306, 1e307, 1.7e308],
    ],
    ids=["all there are", "the least", "the largest"],
)
def test_the_least_and_the_largest_numbers_have_their_place(y):
    there = points(of(Line("one", STEPS, np.array(y), "#0072b2"), logarithmic("error", np.array(y))), "#0072b2")
    assert len(there) == len(y)
    assert (np.diff(there[:, 1]) < 0).all(), "downwards in the image is upwards in its numbers"


@pytest.mark.parametrize("loss", [[1.7e308, -1.7e308, 1.0], [np.inf, -1e305, np.nan]], ids=["near", "beyond"])
def test_a_loss_on_its_way_to_infinity_leaves_the_plot(loss):
    assert "step of the training" in texts(curves(np.array(loss), {"torch": np.array(loss)}, 3).svg)


def test_no_two_lines_look_alike():
    found = along_time(STEPS, STEPS + 1.0, {str(n): STEPS + 1.0 for n in range(24)}, "the inputs").svg
    looks = re.findall(r"fill: none;( stroke-dasharray: [\d.,]+;)?[^\"]*?stroke: (#\w{6})", found)
    assert len({look for look in looks if look[1] in COLOURS}) == 24
    assert len(COLOURS) * len(DASHES) >= 24


def test_of_many_trainings_the_worst_have_colours_and_names_and_the_others_are_grey():
    right = np.array([3.0, 2.0, 1.0])
    others = {"far": right + 1, "nearer": right + 0.5, **{f"near{n}": right + 0.01 * n for n in range(1, 22)}}
    for plot in (curves(right, others, 3), apart(right, others, 3)):
        assert plot is not None
        names = [each for each in texts(plot.svg) if each in others]
        assert names == ["far", "nearer", "near1"]
        assert "20 more, which are nearer" in texts(plot.svg)
        assert plot.svg.count(f"stroke: {GREY}") == 20 + 1, "and the sample beside their name"
    assert "baseline" in texts(curves(right, others, 3).svg)


def test_a_single_other_training_has_its_name():
    right = np.array([3.0, 2.0, 1.0])
    assert {"far", "near"} <= set(texts(curves(right, {"far": right + 1, "near": right}, 1).svg))


def test_ticks_are_whole_steps():
    svg = curves(np.array([3.0, 2.0, 1.5]), {}, 3).svg
    assert {"0", "1", "2"} <= set(texts(svg))
    assert "0.5" not in texts(svg)


def test_where_trainings_part_is_shown():
    right = np.array([3.0, 2.0, 1.0])
    assert apart(right, {"same": right.copy(), "none": np.zeros(2)}, 3) is None
    found = apart(right, {"other": np.array([3.0, 2.0, 1.25])}, 3)
    assert found is not None
    assert "other 0.25" in found.alt
    assert "other" in texts(found.svg)


def test_the_same_numbers_make_the_same_bytes():
    made = [along_time(STEPS, STEPS + 1.0, {"one": STEPS * 1e-9}, "the inputs").svg for _ in range(2)]
    assert made[0] == made[1]


def test_a_gradient_of_zero_makes_a_plot_all_the_same():
    assert along_time(STEPS, np.zeros(5), {"one": np.zeros(5)}, "the inputs").svg


def off_by(points, kept):
    """Return the distance of each of all points from the line through the kept points, (S,)."""
    there = kept[np.isfinite(kept).all(axis=1)]
    return np.abs(np.interp(points[:, 0], there[:, 0], there[:, 1]) - points[:, 1])


@pytest.mark.parametrize("steps", [2, 3, 50, 1000, 5000])
@pytest.mark.parametrize("shape", ["straight", "curved", "noisy", "steps"])
def test_a_line_of_fewer_points_passes_all_of_them_within_a_hair(steps, shape):
    x = np.linspace(54, 396, steps)
    y = {
        "straight": x / 3,
        "curved": 60 + 50 * np.exp(-(x - 54) / 30),
        "noisy": np.random.default_rng(1).uniform(40, 190, steps),
        "steps": np.where((np.arange(steps) // 7) % 2, 50.0, 150.0),
    }[shape]
    points = np.stack([x, y], axis=1)
    kept = _straightened(points)
    assert off_by(points, kept).max() <= HAIR * 1.001
    assert shape != "straight" or len(kept) == 2
    assert shape != "curved" or len(kept) < 60
    of_columns = _thinned(points)
    assert len(of_columns) <= 4 * COLUMNS
    assert of_columns[:, 1].min() == pytest.approx(y.min(), abs=HAIR)
    assert of_columns[:, 1].max() == pytest.approx(y.max(), abs=HAIR)


@pytest.mark.parametrize("steps", [40, 6000])
def test_a_gap_stays_a_gap_however_many_points_there_are(steps):
    x, y = np.linspace(54, 396, steps), np.linspace(40, 190, steps)
    y[steps // 2] = np.nan
    kept = _thinned(np.stack([x, y], axis=1))
    assert np.isnan(kept[:, 1]).sum() == 1
    svg = chart([Line("one", np.arange(steps), y, "#0072b2")], linear("step", np.arange(steps)), linear("loss", y))
    (path,) = re.findall(r'<path d="([^"]*)"[^>]*stroke: #0072b2; stroke-width: 1.2', svg)[:1]
    assert path.count("M") == 2


def test_names_are_written_as_they_are():
    svg = along_time(STEPS, STEPS + 1.0, {"<b>&\"'": STEPS * 1e-9}, "the inputs").svg
    assert "error, <b>&\"'" in texts(svg)


@pytest.mark.parametrize(
    ("low", "high"),
    [(0, 1), (0, 7), (-3, 2), (1e-300, 3e-300), (-9e299, 9e299), (5e-324, 2e-322), (1e16, 1e16 + 64), (2.5, 2.5)],
)
@pytest.mark.parametrize("whole", [False, True])
def test_ticks_are_few_round_and_within_the_axis(low, high, whole):
    axis = linear("loss", np.array([low, high], np.float64), whole=whole)
    at = np.array([tick for tick, _ in axis.ticks])
    assert len(at) <= TICKS + 1
    assert len(at) >= 2 or whole or low == high
    assert ((axis.at(at) >= -1e-12) & (axis.at(at) <= 1 + 1e-12)).all()
    assert not whole or (at % 1 == 0).all()
