"""Synthetic forgeries: clean at strength 0, confined to their masks, different in kind."""

import numpy as np
import pytest

from tdd.errors import TddError
from tdd.names import SYNTHETIC_METHODS
from tdd.synth.camera import draw_scene
from tdd.synth.forgery import AMPLITUDES, SWAPS, Forged, forge
from tdd.synth.identity import draw_identity, swap_identity
from tdd.synth.motion import draw_motion
from tdd.synth.render import render
from tdd.synth.visemes import MouthTrack

SIZE, FRAMES = 112, 10


def track(seed: int) -> MouthTrack:
    return MouthTrack(*np.random.default_rng(seed).random((5, FRAMES)).astype(np.float32))


def forged(method: str, strength: float, seed: int = 0) -> tuple[Forged, np.ndarray]:
    """A forged video, and the plain render of the person it shows."""
    rng = np.random.default_rng(seed)
    target, source = draw_identity(rng), draw_identity(rng)
    scene, motion = draw_scene(rng, SIZE), draw_motion(rng, FRAMES)
    video = forge(method, rng, target, source, scene, motion, track(1), track(2), SIZE, strength)
    shown, mouth = (swap_identity(target, source), track(1)) if method in SWAPS else (target, track(2))
    return video, render(shown, scene, motion, mouth, SIZE).frames


@pytest.mark.parametrize("method", SYNTHETIC_METHODS)
def test_at_strength_zero_a_forgery_is_just_another_video(method: str) -> None:
    video, plain = forged(method, 0.0)
    np.testing.assert_array_equal(video.frames, plain)


@pytest.mark.parametrize("method", SYNTHETIC_METHODS)
def test_artefacts_stay_inside_the_mask_and_change_over_time(method: str) -> None:
    video, plain = forged(method, 1.0)
    change = np.abs(video.frames.astype(int) - plain).max(-1)
    assert video.masks.shape == (FRAMES, SIZE, SIZE) and video.masks.dtype == bool
    assert change[~video.masks].max() == 0
    assert 0.3 < change[video.masks].mean() < 40
    assert 0.005 < video.masks.mean() < 0.4
    errors = (video.frames.astype(float) - plain)[:, video.masks.all(0)]
    assert np.abs(np.diff(errors, axis=0)).mean() > 0.1  # a still artefact would be no temporal cue


@pytest.mark.parametrize("method", SYNTHETIC_METHODS)
def test_artefacts_grow_with_strength_from_nothing(method: str) -> None:
    size = []
    for strength in (0.02, 0.4, 1.0, 2.0):
        video, plain = forged(method, strength)
        size.append(np.abs(video.frames.astype(float) - plain)[video.masks].mean())
    assert size == sorted(size) and size[0] < 0.25 * size[2]


def test_masks_lie_where_each_method_works() -> None:
    for method in SYNTHETIC_METHODS:
        video, _ = forged(method, 1.0)
        nose, lips = video.landmarks[0, 27], video.landmarks[0, 48:60].mean(0)
        (x, y), (u, v) = np.round(nose).astype(int), np.round(lips).astype(int)
        assert video.masks[0, v, u]
        assert bool(video.masks[0, y, x]) == (method in SWAPS)


@pytest.mark.parametrize("method", SYNTHETIC_METHODS)
def test_the_same_seed_gives_the_same_forgery(method: str) -> None:
    first, again, other = forged(method, 1.0)[0], forged(method, 1.0)[0], forged(method, 1.0, seed=1)[0]
    np.testing.assert_array_equal(first.frames, again.frames)
    assert not np.array_equal(first.frames, other.frames)


def test_severity_varies_between_videos_of_a_method() -> None:
    change = []
    for seed in range(6):
        video, plain = forged("Deepfakes", 1.0, seed)
        change.append(np.abs(video.frames.astype(float) - plain)[video.masks].mean())
    assert max(change) > 1.3 * min(change)


def test_every_method_has_amplitudes_of_its_own() -> None:
    assert set(AMPLITUDES) == set(SYNTHETIC_METHODS) and len(set(AMPLITUDES.values())) == len(SYNTHETIC_METHODS)


def test_bad_input_is_refused() -> None:
    with pytest.raises(TddError, match="unknown forgery 'Morph'"):
        forged("Morph", 1.0)
    with pytest.raises(TddError, match="zero or positive"):
        forged("Deepfakes", -0.5)
