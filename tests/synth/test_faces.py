"""Synthetic faces: independent draws, exact landmarks, frames that follow their tracks."""

import dataclasses
from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import ks_2samp

from tdd.errors import TddError
from tdd.synth.camera import Scene, draw_scene, shoot
from tdd.synth.handling import Handling, Unrest, draw_handling
from tdd.synth.identity import Identity, Inner, Outer, draw_identity, swap_identity
from tdd.synth.motion import Motion, draw_motion
from tdd.synth.render import Rendered, render
from tdd.synth.visemes import MouthTrack

SIZE, FRAMES = 128, 8


def mouth(opening: np.ndarray, width: float = 0.5) -> MouthTrack:
    n = len(opening)
    return MouthTrack(np.asarray(opening, np.float32), np.full(n, width, np.float32), *np.zeros((3, n), np.float32))


def still(motion: Motion, **tracks: np.ndarray) -> Motion:
    """The motion with its first pose held, and some tracks replaced."""
    held = {f.name: np.repeat(getattr(motion, f.name)[:1], len(motion)) for f in dataclasses.fields(motion)}
    held["blink"] = held["blink"] * 0
    return Motion(**{**held, **{name: np.asarray(track, np.float32) for name, track in tracks.items()}})


def draw(seed: int, domain: str = "studio") -> tuple[Identity, Scene, Motion, np.random.Generator]:
    rng = np.random.default_rng(seed)
    return draw_identity(rng, domain), draw_scene(rng, SIZE, domain), draw_motion(rng, FRAMES, domain), rng


def numbers(person: Outer | Inner) -> np.ndarray:
    """All numeric attributes but the seed, colours flattened."""
    fields = [getattr(person, f.name) for f in dataclasses.fields(person) if f.name != "seed"]
    return np.concatenate([np.ravel(x) for x in fields if not isinstance(x, str)]).astype(float)


@pytest.fixture(scope="module")
def people() -> list[Identity]:
    rng = np.random.default_rng(7)
    return [draw_identity(rng) for _ in range(2000)]


@pytest.fixture(scope="module")
def spoken() -> tuple[Rendered, np.ndarray]:
    person, scene, motion, _ = draw(1)
    opening = np.array([0, 0.2, 0.4, 0.6, 0.8, 1.0, 0.5, 0.1])
    return render(person, scene, still(motion), mouth(opening), SIZE), opening


def test_inner_and_outer_attributes_are_independent(people: list[Identity]) -> None:
    outer, inner = np.array([numbers(p.outer) for p in people]), np.array([numbers(p.inner) for p in people])
    between = np.corrcoef(outer.T, inner.T)[: outer.shape[1], outer.shape[1] :]
    assert np.abs(between).max() < 4.5 / np.sqrt(len(people))  # 4.5 standard errors over about a thousand pairs


@pytest.mark.parametrize("style", ["none", "full"])
def test_inner_attributes_do_not_depend_on_the_beard(people: list[Identity], style: str) -> None:
    worn = np.array([p.outer.beard_style == style for p in people])
    for attribute in ("mouth_w", "lip_up", "nose_w", "eye_h"):
        values = np.array([getattr(p.inner, attribute) for p in people])
        assert ks_2samp(values[worn], values[~worn]).pvalue > 1e-3


def test_swapped_people_are_distributed_like_drawn_people(people: list[Identity]) -> None:
    swapped = [swap_identity(a, b) for a, b in pairwise(people[:1001])]
    real = people[1000:]

    def contrast(p: Identity) -> float:  # mixes both parts, so it would tell a dependence between them
        return float(np.mean(p.inner.brow_colour) - np.mean(p.outer.hair_colour))

    def room(p: Identity) -> float:
        return p.outer.width - p.inner.eye_x - p.inner.eye_w

    for statistic in (contrast, room):
        assert ks_2samp([statistic(p) for p in swapped], [statistic(p) for p in real]).pvalue > 1e-3


def test_a_swap_keeps_the_head_and_takes_the_face(people: list[Identity]) -> None:
    target, source = people[:2]
    mixed = swap_identity(target, source)
    assert mixed.outer == target.outer and mixed.inner == source.inner


def test_landmarks_lie_in_the_frame_inside_the_jaw_and_in_order(spoken: tuple[Rendered, np.ndarray]) -> None:
    points = spoken[0].landmarks
    assert points.shape == (FRAMES, 68, 2) and points.dtype == np.float32
    assert points.min() > 0 and points.max() < SIZE
    jaw, inside = points[:, :17], points[:, 17:]
    assert (inside[..., 0] > jaw[..., 0].min(1, keepdims=True)).all()
    assert (inside[..., 0] < jaw[..., 0].max(1, keepdims=True)).all()
    assert (inside[..., 1] < jaw[:, 8:9, 1]).all()  # nothing below the chin
    heights = [points[:, group, 1].mean() for group in (range(17, 27), range(36, 48), range(31, 36), range(48, 60))]
    assert heights == sorted(heights)
    assert (points[:, 36, 0] < points[:, 45, 0]).all() and (points[:, 48, 0] < points[:, 54, 0]).all()


def test_the_lips_part_as_the_track_says(spoken: tuple[Rendered, np.ndarray]) -> None:
    rendered, opening = spoken
    gap = rendered.landmarks[:, 66, 1] - rendered.landmarks[:, 62, 1]
    assert np.corrcoef(gap, opening)[0, 1] > 0.99
    assert gap[0] == pytest.approx(0, abs=0.5) and gap[5] > 0.06 * SIZE


def test_the_lip_landmarks_are_where_the_mouth_is_dark(spoken: tuple[Rendered, np.ndarray]) -> None:
    rendered, _ = spoken
    column = round(float(rendered.landmarks[5, 62, 0]))
    top, bottom = rendered.landmarks[5, 62, 1], rendered.landmarks[5, 66, 1]
    change = np.abs(rendered.frames[5, :, column].astype(float) - rendered.frames[0, :, column]).mean(-1)
    inside = change[int(np.ceil(top)) + 1 : int(bottom) - 1]
    assert inside.mean() > 20  # the closed frame shows lips and skin where the open one shows teeth and throat
    assert change[: int(top) - 12].max() < 12


def test_spread_lips_are_wider_than_rounded_ones() -> None:
    person, scene, motion, _ = draw(2)
    closed = np.zeros(FRAMES)
    narrow, wide = (render(person, scene, still(motion), mouth(closed, w), SIZE).landmarks[0] for w in (0.0, 1.0))
    assert wide[54, 0] - wide[48, 0] > 1.4 * (narrow[54, 0] - narrow[48, 0])


def test_a_blink_closes_the_eyes_in_landmarks_and_pixels() -> None:
    person, scene, motion, _ = draw(3)
    blink = np.array([0, 0, 0.5, 1, 1, 0.5, 0, 0])
    moving = still(motion, blink=blink)
    rendered = render(person, scene, moving, mouth(np.zeros(FRAMES)), SIZE)
    height = rendered.landmarks[:, [40, 41], 1] - rendered.landmarks[:, [38, 37], 1]
    assert (height[3] < 0.2 * height[0]).all()
    x, y = np.round(rendered.landmarks[0, 36:42].mean(0)).astype(int)
    assert np.abs(rendered.frames[3, y, x].astype(int) - rendered.frames[0, y, x]).max() > 15
    np.testing.assert_array_equal(rendered.frames[0], rendered.frames[7])


def test_a_turned_head_shows_parallax() -> None:
    person, scene, motion, _ = draw(4)
    yaw = np.linspace(-0.4, 0.4, FRAMES)
    points = render(person, scene, still(motion, yaw=yaw), mouth(np.zeros(FRAMES)), SIZE).landmarks
    nose = points[:, 30, 0] - points[:, [0, 16], 0].mean(1)
    assert (np.diff(nose) > 0).all()


@pytest.mark.parametrize("domain", ["studio", "celebrity"])
def test_the_same_seed_gives_the_same_bytes(domain: str) -> None:
    def video() -> np.ndarray:
        person, scene, motion, rng = draw(5, domain)
        handling = draw_handling(rng, scene.unrest, FRAMES)
        return shoot(render(person, scene, motion, mouth(np.linspace(0, 1, FRAMES)), SIZE).frames, scene, handling, rng)

    first = video()
    assert first.dtype == np.uint8 and first.shape == (FRAMES, SIZE, SIZE, 3)
    np.testing.assert_array_equal(first, video())


def centre_of_light(picture: np.ndarray) -> np.ndarray:
    """Mean place (x, y) of a picture's light, px."""
    rows, columns = np.indices(picture.shape)
    return np.array([(columns * picture).sum(), (rows * picture).sum()]) / picture.sum()


def filmed_dot(n_frames: int, **amounts: float) -> tuple[np.ndarray, Handling]:
    """Red channel of a bright dot at (20, 100) px, filmed without noise, and how it was filmed."""
    _, scene, _, rng = draw(6)
    still = Unrest(**{**dict.fromkeys((f.name for f in dataclasses.fields(Unrest)), 0.0), **amounts})
    scene = dataclasses.replace(scene, noise=0.0, gain=(1.0, 1.0, 1.0), unrest=still)
    dot = np.zeros((n_frames, SIZE, SIZE, 3), np.uint8)
    dot[:, 98:103, 18:23] = 200
    handling = draw_handling(rng, still, n_frames)
    return shoot(dot, scene, handling, rng)[..., 0].astype(float), handling


def test_a_still_camera_moves_nothing_by_more_than_about_a_pixel() -> None:
    seen, _ = filmed_dot(1)
    assert np.hypot(*(centre_of_light(seen[0]) - [20, 100])) < 1.1


def test_the_picture_moves_as_the_camera_shakes() -> None:
    seen, handling = filmed_dot(12, shake=0.01, sway=0.01)
    places = np.array([centre_of_light(picture) for picture in seen])
    np.testing.assert_allclose(places - places[0], (handling.offset - handling.offset[0]) * SIZE, atol=0.1)


def test_exposure_scales_the_light_and_focus_keeps_it() -> None:
    seen, handling = filmed_dot(12, flicker=0.05)
    light = seen.sum((1, 2))
    np.testing.assert_allclose(light / light[0], np.exp(handling.flicker - handling.flicker[0])[:, 0], rtol=0.01)
    seen, handling = filmed_dot(12, hunt=0.2)
    assert np.corrcoef(seen.std((1, 2)), handling.hunt[:, 0])[0, 1] < -0.95


@pytest.mark.parametrize("seed", range(20, 32))
def test_every_style_and_size_renders(seed: int) -> None:
    rng = np.random.default_rng(seed)
    size = int(rng.choice((96, 112, 150, 161)))
    person, scene, motion = draw_identity(rng), draw_scene(rng, size), draw_motion(rng, 2)
    frames = render(person, scene, motion, mouth(np.array([0.0, 1.0])), size).frames
    assert frames.shape == (2, size, size, 3)
    assert frames.std() > 15 and not np.array_equal(frames[0], frames[1])


def test_bad_input_is_refused() -> None:
    person, scene, motion, rng = draw(8)
    with pytest.raises(TddError, match="128-pixel"):
        render(person, scene, motion, mouth(np.zeros(FRAMES)), 96)
    with pytest.raises(TddError, match="mouth track 3"):
        render(person, scene, motion, mouth(np.zeros(3)), SIZE)
    with pytest.raises(TddError, match="unknown domain"):
        draw_scene(rng, SIZE, "film")
    with pytest.raises(TddError, match="pixels a side"):
        draw_scene(rng, 8)
    with pytest.raises(TddError, match="at least one frame"):
        draw_motion(rng, 0)
