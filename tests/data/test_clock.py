from fractions import Fraction
from itertools import pairwise
from statistics import median_low

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tdd.data.clock import to_25_fps


def shown(times, rule="timestamps"):
    return list(to_25_fps([(Fraction(time), number) for number, time in enumerate(times)], rule))


@pytest.mark.parametrize(
    ("rate", "frames", "expected"),
    [
        (Fraction(24), 24, 25),
        (Fraction(25), 25, 25),
        (Fraction(30_000, 1001), 300, 250),
        (Fraction(30), 30, 25),
        (Fraction(50), 50, 25),
        (Fraction(60), 60, 25),
        (Fraction(25, 2), 13, 26),
    ],
)
def test_a_clip_lasts_as_long_as_its_video(rate, frames, expected):
    times = [number / rate for number in range(frames)]
    numbers = shown(times)
    assert len(numbers) == expected
    for position, number in enumerate(numbers):
        assert abs(times[number] - Fraction(position, 25)) <= 1 / rate / 2


def test_25_fps_stays_frame_for_frame_and_relabelling_keeps_every_frame():
    assert shown([Fraction(n, 25) for n in range(40)]) == list(range(40))
    assert shown([Fraction(n, 30) for n in range(40)], "relabelled") == list(range(40))


@given(
    st.lists(st.integers(0, 120), min_size=2, max_size=12).map(lambda gaps: [sum(gaps[:n]) for n in range(len(gaps))]),
    st.integers(-5000, 5000),
)
def test_each_instant_shows_the_nearest_frame_of_any_timing(milliseconds, origin):
    times = [Fraction(ms + origin, 1000) for ms in milliseconds]
    numbers = shown(times)
    end = times[-1] + median_low(after - before for before, after in pairwise(times)) / 2
    instants = [times[0] + Fraction(k, 25) for k in range(100) if times[0] + Fraction(k, 25) <= end]
    assert len(numbers) == len(instants)
    for instant, number in zip(instants, numbers, strict=True):
        assert abs(times[number] - instant) == min(abs(time - instant) for time in times)
    assert numbers == sorted(numbers)


@pytest.mark.parametrize("last", [Fraction(1, 25), 1, 9])
def test_a_long_last_gap_makes_no_frozen_tail(last):
    times = [Fraction(n, 25) for n in range(50)]
    numbers = shown([*times, times[-1] + last])
    assert len(numbers) == 25 * (times[-1] + last) + 1  # nothing after the last frame's own 1/25 s


@pytest.mark.parametrize("rule", ["timestamps", "relabelled"])
def test_one_frame_is_one_frame_and_none_is_none(rule):
    assert shown([7], rule) == [0]
    assert shown([], rule) == []
