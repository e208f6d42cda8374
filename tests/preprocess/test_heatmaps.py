"""Crops and points against face-alignment's own functions, which take one face at a time."""

import numpy as np
import pytest

from tdd.preprocess.heatmaps import centres_and_sides, crop_face, points_of

package = pytest.importorskip("face_alignment.utils")


def boxes(count, seed=0):
    draw = np.random.default_rng(seed)
    corner, size = draw.uniform(-30, 200, (count, 2)), draw.uniform(20, 200, (count, 2))
    return np.concatenate([corner, corner + size], 1)


def their_square(box, reference=195.0):
    centre = np.array([box[2] - (box[2] - box[0]) / 2, box[3] - (box[3] - box[1]) / 2])
    centre[1] -= (box[3] - box[1]) * package.CENTER_Y_OFFSET
    return centre, (box[2] - box[0] + box[3] - box[1]) / reference


def test_crops_are_the_packages_to_the_bit():
    image = np.random.default_rng(0).integers(0, 256, (240, 320, 3), dtype=np.uint8)
    centres, sides = centres_and_sides(boxes(100), 195.0)
    for box, centre, side in zip(boxes(100), centres, sides, strict=True):
        their_centre, their_scale = their_square(box)
        np.testing.assert_allclose(centre, their_centre)
        assert side == pytest.approx(200 * their_scale)
        np.testing.assert_array_equal(crop_face(image, centre, side), package.crop(image, their_centre, their_scale))


def test_a_face_outside_the_picture_is_black():
    image = np.full((50, 60, 3), 200, np.uint8)
    assert not crop_face(image, np.array([-400.0, 20.0]), 60).any()
    assert not crop_face(image, np.array([20.0, 900.0]), 60).any()


def test_points_cut_to_whole_pixels_are_the_packages(monkeypatch):
    for name in ("_get_preds_fromhm", "transform_np"):  # without the compiler, which takes half a minute
        monkeypatch.setattr(package, name, getattr(package, name).py_func)
    maps = np.random.default_rng(1).normal(size=(4, 68, 64, 64)).astype(np.float32)
    squares = boxes(4, seed=2)
    points, heights = points_of(maps, *centres_and_sides(squares, 195.0))
    for number, box in enumerate(squares):
        _, theirs, scores = package.get_preds_fromhm(maps[number : number + 1], *their_square(box))
        np.testing.assert_array_equal(np.trunc(points[number] + 0.5), theirs[0])  # theirs counts from a pixel's edge
        np.testing.assert_array_equal(heights[number], scores[0])


def test_a_peak_is_found_where_it_was_drawn():
    true = np.random.default_rng(3).uniform(8, 56, (2, 68, 2))  # cells
    grid = np.arange(64)
    across, down = (np.exp(-((grid - true[..., i, None]) ** 2) / 4) for i in (0, 1))
    centres, sides = np.array([[100.0, 90.0], [30.0, 40.0]]), np.array([128.0, 64.0])
    points, _ = points_of(down[..., :, None] * across[..., None, :], centres, sides)
    expected = centres[:, None] + sides[:, None, None] * ((true + 0.5) / 64 - 0.5) - 0.5
    assert (np.abs(points - expected) <= sides[:, None, None] / 64 / 4 + 1e-4).all()  # a quarter of a cell
