"""What a figure says of itself, and that its picture carries it."""

import numpy as np
import pytest
from PIL import Image

from tdd.plots.style import drawing
from tdd.plots.words import described


def words_of(tmp_path, draw, **facts):
    """The words that a picture carries, read by another library."""
    path = tmp_path / "figure.png"
    with drawing(path, 5, 3, **facts) as figure:
        draw(figure)
    with Image.open(path) as picture:
        picture.load()  # text may stand behind the pixels
        assert described(path) == picture.text["Description"]
        return picture.text["Description"]


def two_panels(figure):
    left, right = figure.subplots(1, 2)
    left.plot([1, 2], label="forgery\nand real")
    left.axhline(1)  # has no name
    left.set(title="FaceSwap", xlabel="frame", ylabel="grey levels")
    right.barh(["csn", "vivit", "lstm"], [1, 2, 3])
    right.set_xlabel("AUC, %")
    left.legend()
    figure.supxlabel(r"In \$.")


def test_panels_axes_legend_rows_and_small_print_are_said(tmp_path):
    said = words_of(tmp_path, two_panels)
    assert said == (
        "Figure, 2 panels. FaceSwap: lines, grey levels over frame. bars, over AUC, %. Shown: forgery and real. "
        "Rows: csn; vivit; lstm. In $."
    )


def test_a_map_says_what_its_colours_are(tmp_path):
    def draw(figure):
        axes = figure.subplots()
        figure.colorbar(axes.imshow(np.eye(3)), label="weight")
        axes.set(title="attention", xlabel="frame that is read")

    assert words_of(tmp_path, draw) == "Figure. attention: picture, over frame that is read. Colours: weight."


def test_a_logarithmic_axis_has_no_rows(tmp_path):
    assert words_of(tmp_path, lambda figure: figure.subplots().loglog([1, 100], [1, 100])) == "Figure. lines."


def test_words_of_ones_own_stand_in_place_of_them(tmp_path):
    assert words_of(tmp_path, two_panels, words="α − β") == "α − β"


@pytest.mark.parametrize("save", [{}, {"optimize": True}])
def test_a_picture_without_words_has_none(tmp_path, save):
    Image.new("P", (9, 9)).save(tmp_path / "plain.png", **save)
    assert described(tmp_path / "plain.png") == ""
