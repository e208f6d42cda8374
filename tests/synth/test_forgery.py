"""Synthetic forgeries: clean at strength 0, confined to their masks, different in kind."""

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from tdd.errors import TddError
from tdd.metrics.trivial import TRIVIAL_STATISTICS, trivial_statistics
from tdd.names import LIP_RETIMING, SYNTHETIC_METHODS
from tdd.synth.camera import draw_scene
from tdd.synth.forgery import AMPLITUDES, SWAPS, Amplitudes, Forged, _error, _Retoucher, forge, retimed
from tdd.synth.handling import Handling, Unrest, draw_handling
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
    handling = draw_handling(rng, scene.unrest, FRAMES)
    video = forge(method, rng, target, source, scene, motion, track(1), track(2), SIZE, handling, strength)
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


@pytest.mark.parametrize("track", ["flicker", "drift", "hunt"])
def test_a_track_that_turns_away_keeps_its_variance(track: str) -> None:
    rng = np.random.default_rng(0)
    unrest = Unrest(shake=0.002, sway=0.004, flicker=0.01, drift=0.02, hunt=0.1)
    shared, own = (getattr(draw_handling(rng, unrest, 5000), track) for _ in range(2))
    for angle in (0.3, 1.2, 2.5):
        turned = np.array(
            [shared[t] + _error(shared, own, angle, t, np.ones((1, 1)))[0, 0] for t in range(len(shared))]
        )
        assert turned.std() == pytest.approx(shared.std(), rel=0.1)
        assert np.corrcoef(turned[:, 0], shared[:, 0])[0, 1] == pytest.approx(np.cos(angle), abs=0.1)


def test_parts_that_turn_away_move_as_far_as_the_camera() -> None:
    """Each pixel's whole way, the camera's and its own, has the length of the camera's way alone."""
    a = Amplitudes("face", feather=0.1, shake=2.0, sway=2.0, parts=2.5)
    retoucher, handling = _retoucher(a)
    box = (slice(20, 90), slice(20, 90))
    turned = 0.0
    for t in range(FRAMES):
        dx, dy = retoucher._displacement(t, box, retoucher._part(t, box))  # taken from there: the way is against it
        way = handling.offset[t] * SIZE
        np.testing.assert_allclose(np.hypot(way[0] - dx, way[1] - dy), np.hypot(*way), rtol=1e-4)
        turned = max(turned, float(np.hypot(dx, dy).max() / np.hypot(*way)))
    assert turned > 1.3  # and some part goes quite another way


def _retoucher(amount: Amplitudes) -> tuple[_Retoucher, Handling]:
    rng = np.random.default_rng(0)
    person, scene, motion = draw_identity(rng), draw_scene(rng, SIZE), draw_motion(rng, FRAMES)
    handling = draw_handling(rng, scene.unrest, FRAMES)
    clean = render(person, scene, motion, track(1), SIZE)
    made = _Retoucher(rng, clean, amount, scene.unrest, handling, motion, track(1), np.ones(3), 1.0)
    return made, handling


@pytest.mark.parametrize("method", SYNTHETIC_METHODS)
def test_a_forgery_has_the_colours_of_the_plain_render(method: str) -> None:
    """In the mean over a few faces; that nothing else gives it away, benchmarks/shortcuts.py measures."""
    names = [name for name in TRIVIAL_STATISTICS if name.startswith(("mean", "spread"))]
    ratios = []
    for seed in range(4):
        video, plain = forged(method, 1.0, seed)
        found, expected = (trivial_statistics(frames[:, 25:95, 25:90]) for frames in (video.frames, plain))
        ratios.append([found[name] / expected[name] for name in names])
    np.testing.assert_allclose(np.mean(ratios, 0), 1, atol=0.06)


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
    assert set(AMPLITUDES) == {*SYNTHETIC_METHODS, LIP_RETIMING} and len(set(AMPLITUDES.values())) == len(AMPLITUDES)


def spoken(frames: int = 60) -> MouthTrack:
    """A mouth that opens and shuts as fast as in speech, about four times a second."""
    time = np.arange(frames) / 25
    tracks = [0.5 + 0.4 * np.sin(2 * np.pi * (3 + k / 3) * time + k) for k in range(5)]
    return MouthTrack(*(track.astype(np.float32) for track in tracks))


def test_re_timed_lips_go_their_own_way_at_another_speed() -> None:
    """Each place is one of the track's own at a time that only moves on, from the first to the last."""
    own = spoken()
    fine = np.linspace(0, 59, 5901)
    way = np.stack([map_coordinates(track, [fine], order=3) for track in vars(own).values()])
    speeds = []
    for seed in range(5):
        moved = np.stack(list(vars(retimed(own, np.random.default_rng(seed), 0.8)).values()))
        assert moved.shape == (5, 60)
        np.testing.assert_allclose(moved[:, [0, -1]], way[:, [0, -1]], atol=1e-4)
        times = fine[[np.abs(way - place[:, None]).sum(0).argmin() for place in moved.T]]
        assert np.abs(way[:, np.searchsorted(fine, times)] - moved).max() < 0.02
        assert (np.diff(times) > 0).all()
        speeds.append(np.diff(times))
    logs = np.log(np.concatenate(speeds))
    assert 0.5 < logs.std() < 1.1


def test_lips_of_the_own_speed_are_the_same() -> None:
    own = spoken()
    assert retimed(own, np.random.default_rng(0), 0.0) is own


def test_a_face_with_re_timed_lips_differs_from_a_real_one_below_the_nose_alone() -> None:
    rng = np.random.default_rng(0)
    person, scene, motion = draw_identity(rng), draw_scene(rng, SIZE), draw_motion(rng, FRAMES)
    handling = draw_handling(rng, scene.unrest, FRAMES)
    own = spoken(FRAMES)
    real = render(person, scene, motion, own, SIZE)

    def made(strength: float) -> Forged:
        draws = np.random.default_rng(1)
        return forge(LIP_RETIMING, draws, person, person, scene, motion, own, track(2), SIZE, handling, strength)

    np.testing.assert_array_equal(made(0.0).frames, real.frames)
    change = np.abs(made(1.0).frames.astype(int) - real.frames).max(-1)
    for frame, points in zip(change, real.landmarks, strict=True):
        assert frame[: int(points[27:31, 1].mean())].max() == 0  # above the nose's tip nothing moves otherwise
    assert change.max() > 40


def test_bad_input_is_refused() -> None:
    with pytest.raises(TddError, match="unknown forgery 'Morph'"):
        forged("Morph", 1.0)
    with pytest.raises(TddError, match="zero or positive"):
        forged("Deepfakes", -0.5)


def test_annotations_are_types_and_not_their_names():
    assert not [kind for kind in forge.__annotations__.values() if isinstance(kind, str)]
