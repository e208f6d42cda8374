"""Camera shake, exposure and focus: amounts that differ widely, and tracks of the amounts asked for."""

import dataclasses

import numpy as np
import pytest

from tdd.synth.handling import RANGES, Handling, Unrest, defocused, draw_handling, draw_unrest

AMOUNTS = Unrest(shake=0.002, sway=0.004, flicker=0.01, drift=0.02, hunt=0.1)


def test_amounts_fill_their_ranges_evenly_on_a_logarithmic_scale() -> None:
    rng = np.random.default_rng(0)
    drawn = [draw_unrest(rng) for _ in range(2000)]
    for name, (low, high) in RANGES.items():
        place = np.log([getattr(unrest, name) / low for unrest in drawn]) / np.log(high / low)
        assert place.min() >= 0 and place.max() <= 1
        np.testing.assert_allclose(np.quantile(place, [0.25, 0.5, 0.75]), [0.25, 0.5, 0.75], atol=0.05)


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(Handling)])
def test_tracks_have_the_amount_asked_for_and_no_mean(name: str) -> None:
    track = getattr(draw_handling(np.random.default_rng(1), AMOUNTS, 20_000), name)
    np.testing.assert_allclose(track.std(0), getattr(AMOUNTS, name), rtol=0.06)
    np.testing.assert_allclose(track.mean(0), 0, atol=0.06 * getattr(AMOUNTS, name))


def test_shake_is_new_in_each_frame_and_sway_is_not() -> None:
    handling = draw_handling(np.random.default_rng(2), AMOUNTS, 5000)
    for track, low, high in ((handling.shake, -0.05, 0.05), (handling.sway, 0.9, 0.96)):
        assert low < np.corrcoef(track[1:, 0], track[:-1, 0])[0, 1] < high
    np.testing.assert_array_equal(handling.offset, handling.shake + handling.sway)
    assert handling.exposure.shape == (5000, 3)


def test_defocus_blurs_sharpens_and_leaves_the_level() -> None:
    picture = np.random.default_rng(3).uniform(0, 255, (40, 40, 3)).astype(np.float32)
    same, soft, crisp = (defocused(picture, np.array([share]), 160) for share in (0.0, 0.5, -0.5))
    np.testing.assert_array_equal(same, picture)
    assert soft.std() < picture.std() < crisp.std()
    assert soft.mean() == pytest.approx(picture.mean(), rel=1e-2)
    split = np.zeros((40, 40, 1))
    split[:, 20:] = 0.5
    half = defocused(picture, split, 160)
    np.testing.assert_array_equal(half[:, :20], picture[:, :20])
    np.testing.assert_allclose(half[:, 20:], soft[:, 20:], rtol=1e-6)
