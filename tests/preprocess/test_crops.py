import numpy as np
import pytest

from tdd.config import ClipConfig
from tdd.errors import TddError
from tdd.preprocess.crops import (
    CENTRE,
    STABLE,
    align_face,
    alignment,
    is_upright,
    like_faces,
    mean_face,
    steady_landmarks,
)
from tests.preprocess.trees import SIZE, face_points

CLIP = ClipConfig(canvas=128, crop=75, view_crop=70, input_size=56)


def steady(points):
    return np.array([averaged for _, _, averaged in steady_landmarks(enumerate(points))])


def drawn_in_32nds(image, transform, crop):
    """What OpenCV 4 draws: bilinear, places rounded to 1/32 px; each in 1/1024 px, the row's and the column's share."""
    back = np.linalg.inv(np.vstack([transform, [0, 0, 1]]))[:2]
    down, right = np.mgrid[:crop, :crop]
    rows = np.rint(1024 * (back[:, 1:2, None] * down + back[:, 2:, None])).astype(int) + 16
    columns = np.rint(1024 * back[:, :1, None] * right).astype(int)
    (x, y), (dx, dy) = np.divmod((rows + columns) >> 5, 32)
    padded = np.pad(image.astype(float), ((1, 1), (1, 1), (0, 0)))
    height, width = padded.shape[:2]
    out = np.zeros((crop, crop, 3))
    for up, left in ((0, 0), (0, 1), (1, 0), (1, 1)):
        weight = (dx if left else 32 - dx) * (dy if up else 32 - dy) / 1024
        at = (np.clip(y + up + 1, 0, height - 1), np.clip(x + left + 1, 0, width - 1))
        out += weight[..., None] * padded[at]
    return out


@pytest.mark.parametrize("seed", range(4))
def test_crops_are_drawn_in_32nds_of_a_pixel(seed):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (90, 110, 3), dtype=np.uint8)  # noise shows any other weights
    points = face_points(1, turn=rng.normal(0, 0.3), scale=rng.uniform(0.6, 1.4), seed=seed)[0].astype(float)
    target = mean_face(face_points(1), CLIP.canvas)
    transform = alignment(points, points, target, CLIP.crop, 90, 110)
    drawn = align_face(image, points, points, target, CLIP)
    assert np.abs(drawn - drawn_in_32nds(image, transform, CLIP.crop)).max() <= 1


def test_smoothing_is_the_stated_mean_moved_onto_the_frame():
    points = np.random.default_rng(0).normal(size=(30, 68, 2))
    smooth = steady(points)
    for t in (0, 7, 18, 25, 29):
        start = min(t, 18)  # the last 12 frames share one window
        window = points[start : start + 12].mean(0)
        np.testing.assert_allclose(smooth[t], window - window.mean(0) + points[t].mean(0), atol=1e-9)


@pytest.mark.parametrize("length", [0, 1, 3, 11, 12])
def test_smoothing_a_video_of_one_window_or_less_uses_all_of_it(length):
    points = np.random.default_rng(0).normal(size=(length, 68, 2))
    for t, averaged in enumerate(steady(points)):
        shape = points.mean(0)
        np.testing.assert_allclose(averaged, shape - shape.mean(0) + points[t].mean(0), atol=1e-9)


def test_smoothing_holds_one_window_at_a_time_and_keeps_the_order():
    drawn = []
    points = np.zeros((68, 2))
    for number, (item, _, _) in enumerate(steady_landmarks((drawn.append(i) or i, points) for i in range(100))):
        assert item == number and len(drawn) == min(number + 12, 100)


def test_the_mean_face_undoes_similarity_transforms():
    shapes = np.concatenate(
        [face_points(1, turn, scale, seed) for turn, scale, seed in [(0, 1, 0), (0.4, 0.7, 1), (-0.3, 1.3, 2)]]
    )
    mean = mean_face(shapes, 128)
    left, right = mean[36:42].mean(0), mean[42:48].mean(0)
    np.testing.assert_allclose(right - left, [32, 0], atol=1e-3)
    np.testing.assert_allclose(mean.mean(0), [64, 64], atol=1e-3)
    upright = mean_face(face_points(1), 128)
    np.testing.assert_allclose(mean, upright, atol=1e-3)


@pytest.mark.parametrize(("turn", "scale"), [(0.0, 1.0), (0.35, 0.8), (-0.2, 1.2)])
def test_landmarks_land_on_the_mean_face_whatever_the_pose(turn, scale):
    points = face_points(3, turn, scale)
    target = mean_face(face_points(1), CLIP.canvas)
    offset = CLIP.crop / 2 - target[CENTRE].mean(0)  # the crop is centred on the mean of points 15 to 67
    for number in (*STABLE[:2], 30):
        x, y = points[1, number]
        columns, rows = np.meshgrid(np.arange(SIZE), np.arange(SIZE))
        spot = 255 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 4)  # a soft dot at the landmark, to sub-pixel
        image = spot[:, :, None].repeat(3, axis=2).astype(np.uint8)
        crop = align_face(image, points[1], steady(points)[1], target, CLIP)[:, :, 0].astype(float)
        found = np.array([(crop.sum(0) @ np.arange(75)), (crop.sum(1) @ np.arange(75))]) / crop.sum()
        np.testing.assert_allclose(found, target[number] + offset, atol=0.5)


def test_points_in_one_place_are_refused():
    points = np.full((68, 2), 5.0)
    with pytest.raises(TddError, match="in one place"):
        align_face(np.zeros((32, 32, 3), np.uint8), points, points, face_points(1)[0], CLIP)


def test_a_face_partly_outside_is_padded_with_black_and_one_outside_is_refused():
    points, target = face_points(1)[0].astype(float), mean_face(face_points(1), CLIP.canvas)
    image = np.full((SIZE, SIZE, 3), 200, np.uint8)
    partly = points + np.array([SIZE / 2 - 2, 0])
    crop = align_face(image, partly, partly, target, CLIP)
    assert (crop[:, :30] == 200).all() and (crop[:, -30:] == 0).all()
    for outside in (points + np.array([SIZE, 0]), points - np.array([0, SIZE])):
        with pytest.raises(TddError, match="outside the picture of 96 x 96 px"):
            align_face(image, outside, outside, target, CLIP)


def faces(count=9):
    """Turned, shrunk and jittered, as faces of one data set are."""
    rng = np.random.default_rng(0)
    some = [face_points(1, turn=rng.normal(0, 0.2), scale=rng.uniform(0.5, 2))[0] for _ in range(count)]
    return np.stack(some) + rng.normal(0, 0.8, (count, 68, 2)).astype(np.float32)


@pytest.mark.parametrize("value", [-1e39, 1e20, -1e20, 1e6, -3e3, 400, np.nan, np.inf])
@pytest.mark.parametrize("count", [1, 2, 8, 60])
@pytest.mark.parametrize("place", ["first", "last"])
def test_one_wild_value_never_moves_the_mean_face(value, count, place):
    good = faces(count)
    wild = good[:1].copy()
    with np.errstate(over="ignore"):
        wild[0, 5, 0] = np.float32(value)
    together = np.concatenate([wild, good] if place == "first" else [good, wild])
    np.testing.assert_array_equal(mean_face(together, 128), mean_face(good, 128))


@pytest.mark.parametrize(
    "kind",
    [
        lambda _: np.full((68, 2), 40.0),
        lambda rng: rng.uniform(0, 500, (68, 2)),
        lambda _: face_points(1)[0] * [1, 0],
        lambda _: face_points(1)[0] * [1, 0.2],
        lambda rng: face_points(1)[0][rng.permutation(68)],
    ],
)
def test_shapes_that_are_no_faces_do_not_move_it_either(kind):
    rng, good = np.random.default_rng(1), faces(12)
    together = np.concatenate([good, np.stack([kind(rng) for _ in range(4)]).astype(np.float32)])
    np.testing.assert_array_equal(mean_face(together, 128), mean_face(good, 128))


def test_of_faces_all_count():
    """Heads turned up to 35 degrees among frontal ones: the plain Procrustes mean, in which none is left out."""
    good = faces(30)
    for number, angle in enumerate(np.linspace(-0.6, 0.6, 10)):
        good[number, :, 0] *= np.cos(angle)
    assert like_faces(good).all()


@pytest.mark.parametrize("shapes", [np.full((3, 68, 2), np.nan), np.full((2, 68, 2), 7.0), np.zeros((0, 68, 2))])
def test_without_a_face_there_is_no_mean(shapes):
    with pytest.raises(TddError, match="None of the training landmarks are those of a face"):
        mean_face(shapes.astype(np.float32), 128)


def test_a_mean_that_is_no_face_is_refused():
    mirrored = faces(5) * np.float32([-1, 1])
    with pytest.raises(TddError, match="no upright face"):
        mean_face(mirrored, 128)
    assert is_upright(mean_face(faces(5), 128))
