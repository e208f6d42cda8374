"""Align faces: landmarks to a mean face to a square crop, steady over time.

The procedure of RealForensics (Haliassos et al., CVPR 2022, arXiv 2201.07131), whose crops the paper uses, on float
landmarks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import cv2
import numpy as np

from tdd.config import ClipConfig
from tdd.data.video import FPS, VideoFile
from tdd.errors import TddError

Item = TypeVar("Item")

WINDOW = 12
"""Frames over which landmarks are averaged."""

STABLE = [28, 33, 36, 39, 42, 45, 48, 54]
"""Points that the transform is fitted to: nose, eye corners, mouth corners."""

# From 15 on as in RealForensics, though two points of the jaw (15, 16) are then among them.
CENTRE = slice(15, 68)
"""Points whose mean is the centre of the crop."""

EYE_DISTANCE = 0.25
"""Distance between the eyes' centres in the mean face, as a share of the canvas."""

FARTHEST = 3
"""Longer sides of the picture that a landmark may lie beyond its edge: no face in sight reaches farther."""

LIKE_A_FACE, TYPICAL = 0.2, 3
"""A shape counts in the mean face whose Procrustes distance (sine) from the middle one is up to 0.2, or up to 3 times
what is typical: 0.1 to 0.2 lies between a frontal face and one turned by 20 to 35 degrees."""

ONE_POINT = 0.5
"""Share of a shape's size (root of the sum of squares about the mean) that a single point may have; of a face, 0.25."""

Seer = Callable[[np.ndarray, np.ndarray, int, int], None]
"""Called for every frame with the transform, the steadied landmarks, and height and width of the picture."""


def steady_landmarks(
    items: Iterable[tuple[Item, np.ndarray]], window: int = WINDOW
) -> Iterator[tuple[Item, np.ndarray, np.ndarray]]:
    """Average landmarks over the ``window`` frames from each frame on, then move them back onto its own mean point.

    So size, tilt and shape are steadied while the face is still followed without lag. The last frames share one window,
    and so do all frames of a video that is shorter than one. At most ``window`` items are held at a time.

    Args:
        items: anything that stands for a frame, and its landmarks, px, shape (68, 2).
        window: frames.

    Yields:
        each item, its landmarks, and the averaged ones, float64, shape (68, 2), px.
    """
    ahead: deque[tuple[Item, np.ndarray]] = deque()
    shape = None
    for pair in items:
        ahead.append(pair)
        if len(ahead) == window:
            shape = _mean_shape(ahead)
            item, points = ahead.popleft()
            yield item, points, shape + points.mean(0)
    if shape is None and ahead:
        shape = _mean_shape(ahead)
    for item, points in ahead:
        yield item, points, shape + points.mean(0)


def _mean_shape(items: Iterable[tuple[Item, np.ndarray]]) -> np.ndarray:
    mean = np.mean([points for _, points in items], axis=0, dtype=np.float64)
    return mean - mean.mean(0)


def alignment(
    points: np.ndarray, steady: np.ndarray, target: np.ndarray, crop: int, height: int, width: int
) -> np.ndarray:
    """The transform from a picture to its crop.

    A similarity transform (least median of squares) takes the steadied stable points onto the mean face; the square is
    centred on the mean of the frame's own transformed points 15 to 67.

    Args:
        points: landmarks, px, shape (68, 2).
        steady: the same, steadied.
        target: mean face, px of the canvas, shape (68, 2).
        crop: side of the crop, px.
        height: of the picture, px.
        width: of the picture, px.

    Returns:
        float64, shape (2, 3).

    Raises:
        TddError: the landmarks define no transform (all in one place), or their centre lies outside the picture.
    """
    x, y = points[CENTRE].mean(0)
    if not (0 <= x < width and 0 <= y < height):
        raise TddError(
            f"the face's centre lies at ({x:.0f}, {y:.0f}) px, outside the picture of {width} x {height} px; cut the "
            "video before the face leaves, or mend the landmarks"
        )
    transform, _ = cv2.estimateAffinePartial2D(steady[STABLE], target[STABLE], method=cv2.LMEDS)
    # The determinant is the scale squared: below 1e-6 the face would be drawn a thousand times smaller.
    if transform is None or not np.isfinite(transform).all() or abs(np.linalg.det(transform[:, :2])) < 1e-6:
        raise TddError("the landmarks lie in one place, and no alignment follows from them; mend them")
    transform[:, 2] += crop / 2 - (transform[:, :2] @ (x, y) + transform[:, 2])
    found: np.ndarray = transform
    return found


def align_face(
    image: np.ndarray, points: np.ndarray, steady: np.ndarray, target: np.ndarray, clip: ClipConfig
) -> np.ndarray:
    """Cut the aligned square out of one frame, as :func:`alignment` finds it; what lies outside the picture is black.

    Args:
        image: RGB uint8, shape (H, W, 3).
        points: landmarks, px, shape (68, 2).
        steady: the same, steadied.
        target: mean face, px of the canvas, shape (68, 2).
        clip: gives the side of the crop.

    Returns:
        RGB uint8, shape (crop, crop, 3).

    Raises:
        TddError: as :func:`alignment`.
    """
    return _cut(image, alignment(points, steady, target, clip.crop, *image.shape[:2]), clip.crop)


def _cut(image: np.ndarray, transform: np.ndarray, crop: int) -> np.ndarray:
    return cv2.warpAffine(image, transform, (crop, crop), flags=cv2.INTER_LINEAR)


def face_crops(
    video: VideoFile, points: np.ndarray, target: np.ndarray, clip: ClipConfig, see: Seer | None = None
) -> Iterator[np.ndarray]:
    """Aligned faces of one video at 25 fps: what every clip of the package is cut from.

    Args:
        video: not yet read.
        points: landmarks of each frame of the file, px, shape (T, 68, 2).
        target: mean face, px of the canvas, shape (68, 2).
        clip: frame rate, side of the crop, and the fewest frames.
        see: told of every alignment; :class:`tdd.preprocess.quality.CropWatch` has one.

    Yields:
        RGB uint8, shape (crop, crop, 3).

    Raises:
        TddError: the video cannot be read, is shorter than a clip or not as long as its landmarks, a landmark lies
            far outside the picture, or a face cannot be aligned; the sentence names the frame.
    """
    fitting = (
        (frame, points[frame.source].astype(np.float64))
        for frame in video.shown(clip.frame_rate)
        if frame.source < len(points)  # more frames than landmarks are told below, when all are counted
    )
    count = 0
    for frame, own, steady in steady_landmarks(fitting):
        image = frame.rgb()  # to RGB only now: frames wait at half the size
        height, width = image.shape[:2]
        if not count:
            _refuse_far_points(video, points, height, width)
        try:
            transform = alignment(own, steady, target, clip.crop, height, width)
        except TddError as error:
            raise TddError(f"{video.path}, frame {frame.source}: {error}.") from error
        if see:
            see(transform, steady, height, width)
        yield _cut(image, transform, clip.crop)
        count += 1
    if video.decoded != len(points):
        raise TddError(
            f"{video.path} has {video.decoded} frames and its landmarks {len(points)}; one is cut short or belongs to "
            "another video: copy or make it again."
        )
    if count < clip.frames:
        raise TddError(
            f"{video.path} has {count} frames at {FPS} fps, and a clip takes {clip.frames}; give a longer piece of "
            "film, or leave this one out."
        )


def _refuse_far_points(video: VideoFile, points: np.ndarray, height: int, width: int) -> None:
    far = FARTHEST * max(height, width)
    # Asked this way round, so that what is no number is refused too.
    sane = ((points > -far) & (points < far + np.array([width, height]))).all(2)
    if not sane.all():
        frame, point = np.argwhere(~sane)[0]
        x, y = points[frame, point]
        raise TddError(
            f"{video.path}, frame {frame}: landmark {point} lies at ({x:.6g}, {y:.6g}) px, far outside the picture of "
            f"{width} x {height} px; write its landmarks again."
        )


def mean_face(shapes: np.ndarray, canvas: int, rounds: int = 5) -> np.ndarray:
    """Generalised Procrustes mean (Gower, Psychometrika 1975) of landmark shapes, placed upright in the canvas.

    The eyes' centres lie level, 1/4 of the canvas apart, and the mean point in its middle. Shapes that are no faces are
    left out of it (see :func:`like_faces`): a single one would move the mean of all.

    Args:
        shapes: shape (N, 68, 2), px.
        canvas: side of the square, px.

    Returns:
        float32, shape (68, 2), px of the canvas.

    Raises:
        TddError: no shape is that of a face, or their mean is not.
    """
    shapes = shapes[like_faces(shapes)]
    if not len(shapes):
        raise TddError("None of the training landmarks are those of a face; write them again (data/README.md).")
    z = _normal(shapes)
    mean = z[0]
    for _ in range(rounds):  # drawn faces settle to 2e-5 px in two
        aligned = z * np.exp(-1j * np.angle(z @ mean.conj()))[:, None]
        mean = aligned.mean(0)
        mean /= np.linalg.norm(mean)
    eyes = mean[42:48].mean() - mean[36:42].mean()
    with np.errstate(divide="ignore", invalid="ignore"):  # eyes in one place are told below
        mean = mean * (EYE_DISTANCE * canvas / eyes)  # turns and scales at once
    placed = np.stack([mean.real, mean.imag], 1).astype(np.float32) + np.float32(canvas / 2)
    if not is_upright(placed):
        raise TddError("The mean of the training landmarks is no upright face; write them again (data/README.md).")
    return placed


def _normal(shapes: np.ndarray) -> np.ndarray:
    """Shapes without place and size, as complex numbers (a similarity is then a product): shape (N, 68)."""
    z = shapes[..., 0].astype(np.float64) + 1j * shapes[..., 1]
    z -= z.mean(1, keepdims=True)
    z /= np.linalg.norm(z, axis=1, keepdims=True)  # a large face counts no more than a small one
    return z


def like_faces(shapes: np.ndarray) -> np.ndarray:
    """Which of the shapes are those of faces, as the shapes themselves have it; for a mean that no wild value moves.

    Left out are shapes that are not finite or lie in one place, shapes of which one point makes up most of the size,
    and shapes far from the middle one, that is, from the one whose median distance to the others is least.

    Args:
        shapes: shape (N, 68, 2), px.

    Returns:
        bool, shape (N,).
    """
    good = np.isfinite(shapes).all((1, 2))
    good[good] = np.ptp(shapes[good], axis=1).all(1)
    z = _normal(shapes[good])
    own = np.abs(z).max(1) <= ONE_POINT
    good[good], z = own, z[own]
    if len(z):
        apart = np.sqrt(1 - np.minimum(1.0, np.abs(z @ z.conj().T)) ** 2)  # (N, N), sine of the Procrustes angle
        typical = np.median(apart, axis=1)
        limit = max(LIKE_A_FACE, TYPICAL * typical.min())
        good[good] = apart[typical.argmin()] <= limit
    return good


def is_upright(points: np.ndarray) -> bool:
    """Whether 68 points may be a mean face: finite, the eyes apart and in their order, the mouth below them.

    Args:
        points: shape (68, 2), px.
    """
    right, left, mouth = (points[part].mean(0) for part in (slice(36, 42), slice(42, 48), slice(48, 68)))
    return bool(np.isfinite(points).all() and right[0] < left[0] and max(right[1], left[1]) < mouth[1])
