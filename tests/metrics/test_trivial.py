"""Trivial statistics of a video: closed forms, what they ignore, and refusals."""

import numpy as np
import pytest

from tdd.errors import TddError
from tdd.metrics.trivial import TRIVIAL_STATISTICS, trivial_statistics

T, H, W = 6, 5, 8


def noise(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (T, H, W, 3), np.uint8)


def over_time(levels: list[int]) -> np.ndarray:
    """Even grey frames of the given levels."""
    return np.broadcast_to(np.array(levels, np.uint8)[:, None, None, None], (len(levels), H, W, 3)).copy()


def test_names_and_order() -> None:
    found = trivial_statistics(noise())
    assert tuple(found) == TRIVIAL_STATISTICS and len(found) == 13
    assert all(type(value) is float and np.isfinite(value) for value in found.values())


def test_a_still_even_picture_has_nothing_but_its_level() -> None:
    found = trivial_statistics(over_time([100] * T))
    means = {name: value for name, value in found.items() if name.startswith("mean")}
    assert set(means.values()) == {100.0}
    assert all(value == 0 for name, value in found.items() if name not in means)


def test_levels_over_time_give_change_and_flicker() -> None:
    found = trivial_statistics(over_time([10, 20, 10, 40]))  # steps 10, -10, 30; their steps -20, 40
    assert found["change"] == pytest.approx(50 / 3)
    assert found["change_spread"] == pytest.approx(np.std([10, 10, 30]))
    assert found["second_change"] == pytest.approx(30)
    assert found["sharpness"] == 0
    for channel in ("red", "green", "blue"):
        assert found[f"mean_{channel}"] == pytest.approx(20)
        assert found[f"flicker_{channel}"] == found[f"spread_{channel}"] == pytest.approx(np.std([10, 20, 10, 40]))


def test_the_largest_steps_of_bytes_do_not_overflow() -> None:
    found = trivial_statistics(over_time([0, 255, 0]))
    assert (found["change"], found["second_change"]) == (255, 510)


def test_a_ramp_across_the_picture_is_its_slope_in_sharpness() -> None:
    frames = np.broadcast_to((np.arange(W, dtype=np.uint8) * 6)[None, None, :, None], (3, H, W, 3))
    found = trivial_statistics(frames)
    assert found["sharpness"] == pytest.approx(3)  # 6 across, 0 down
    assert found["spread_green"] == pytest.approx(6 * np.sqrt((W**2 - 1) / 12))
    assert found["change"] == found["flicker_red"] == 0


def test_channels_keep_apart() -> None:
    frames = noise()
    frames[..., 2] = 7
    swapped = trivial_statistics(frames[..., ::-1])
    found = trivial_statistics(frames)
    assert found["mean_blue"] == 7 and found["spread_blue"] == found["flicker_blue"] == 0
    for what in ("mean", "spread", "flicker"):
        assert swapped[f"{what}_red"] == found[f"{what}_blue"]
        assert swapped[f"{what}_green"] == found[f"{what}_green"]


@pytest.mark.parametrize("name", ["reversed in time", "mirrored", "upside down", "transposed"])
def test_turning_the_video_round_changes_nothing(name: str) -> None:
    frames = noise()
    turned = {
        "reversed in time": frames[::-1],
        "mirrored": frames[:, :, ::-1],
        "upside down": frames[:, ::-1],
        "transposed": frames.swapaxes(1, 2),
    }[name]
    assert trivial_statistics(turned) == pytest.approx(trivial_statistics(frames))


def test_brightening_moves_the_means_alone() -> None:
    frames = noise() // 2
    found, brighter = trivial_statistics(frames), trivial_statistics(frames + np.uint8(50))
    for name, value in found.items():
        assert brighter[name] == pytest.approx(value + 50 * name.startswith("mean"))


def test_doubling_contrast_doubles_everything() -> None:
    frames = noise() // 2
    found = trivial_statistics(frames)
    assert trivial_statistics(frames * np.uint8(2)) == pytest.approx({name: 2 * value for name, value in found.items()})


@pytest.mark.parametrize(
    ("frames", "words"),
    [
        (np.zeros((T, H, W, 3)), "got float64"),
        (np.zeros((T, H, W), np.uint8), "shape"),
        (np.zeros((T, 3, H, W), np.uint8), "shape"),
        (np.zeros((2, H, W, 3), np.uint8), "at least 3 frames, got 2"),
        (np.zeros((T, 1, W, 3), np.uint8), "at least 2 by 2"),
    ],
)
def test_bad_input_is_refused(frames: np.ndarray, words: str) -> None:
    with pytest.raises(TddError, match=words):
        trivial_statistics(frames)
