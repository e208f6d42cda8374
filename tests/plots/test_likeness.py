"""The crops of new data under those of training."""

import numpy as np
import pytest
from PIL import Image

from tdd.evaluation.likeness import kept, look_at, restored
from tdd.plots.likeness import _GAP, _HEAD, _LABEL, _TILE, draw_crops
from tests.faces import face_store


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stores")
    dark = face_store(folder / "dark", 1, 6, lambda frames: frames // 4, "LAV-DF", "test")
    return face_store(folder / "training", 0, 6), dark


def tile(path, row, column):
    """Mean colour of a tile."""
    picture = np.asarray(Image.open(path).convert("RGB"), float)
    top, left = _HEAD + row * (_TILE + _GAP), _LABEL + column * (_TILE + _GAP)
    return picture[top + 2 : top + _TILE - 2, left + 2 : left + _TILE - 2].mean((0, 1))


def test_every_row_shows_its_own_mean(stores, tmp_path):
    training, dark = stores
    known = restored(kept(look_at(training, training.index)), "w")
    path = draw_crops(dark, {"LAV-DF": dark.index}, tmp_path / "a.png", known)
    wanted = [known.picture, look_at(dark, dark.index).picture]
    for row, picture in enumerate(wanted):
        np.testing.assert_allclose(tile(path, row, 0), picture.mean((0, 1)), atol=6)
    assert tile(path, 0, 1).min() > 250  # of training nothing but the mean is known
    assert path.stat().st_size < 200_000


def test_a_training_store_at_hand_shows_single_crops(stores, tmp_path):
    training, dark = stores
    path = draw_crops(dark, {"LAV-DF": dark.index}, tmp_path / "a.png", training=(training, training.index))
    assert all(tile(path, 0, column).max() < 250 for column in range(7))
    unknown = draw_crops(dark, {"LAV-DF": dark.index}, tmp_path / "b.png")
    assert tile(unknown, 0, 0).min() > 250


def test_failed_checks_are_named_beside_their_row(stores, tmp_path):
    _, dark = stores
    checks = [{"name": "brightness, LAV-DF", "passed": False}, {"name": "brightness, other", "passed": False}]
    paths = [
        draw_crops(dark, {"LAV-DF": dark.index}, tmp_path / f"{number}.png", checks=said)
        for number, said in enumerate(([], checks[1:], checks))
    ]
    plain, other, named = (np.asarray(Image.open(path).convert("RGB"), int)[:, :_LABEL] for path in paths)
    assert (plain == other).all()
    # Something is written in the second row alone.
    changed = np.flatnonzero((abs(named - plain) > 60).any((1, 2)))  # the palette moves every colour a little
    second = _HEAD + _TILE + _GAP
    assert len(changed) and second < changed.min() and changed.max() < second + _TILE
