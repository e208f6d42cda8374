"""Align faces: landmarks to a mean face to a square crop, steady over time.

The procedure of RealForensics (Haliassos et al., CVPR 2022, arXiv 2201.07131), whose crops the paper uses, on float
landmarks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
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


def align_face(
    image: np.ndarray, points: np.ndarray, steady: np.ndarray, target: np.ndarray, clip: ClipConfig
) -> np.ndarray:
    """Cut the aligned square out of one frame.

    A similarity transform (least median of squares) takes the steadied stable points onto the mean face; the square is
    centred on the mean of the frame's own transformed points 15 to 67. What lies outside the picture is black.

    Args:
        image: RGB uint8, shape (H, W, 3).
        points: landmarks, px, shape (68, 2).
        steady: the same, steadied.
        target: mean face, px of the canvas, shape (68, 2).
        clip: gives the side of the crop.

    Returns:
        RGB uint8, shape (crop, crop, 3).

    Raises:
        TddError: the landmarks define no transform (all in one place), or their centre lies outside the picture.
    """
    x, y = points[CENTRE].mean(0)
    height, width = image.shape[:2]
    if not (0 <= x < width and 0 <= y < height):
        raise TddError(
            f"the face's centre lies at ({x:.0f}, {y:.0f}) px, outside the picture of {width} x {height} px; cut the "
            "video before the face leaves, or mend the landmarks"
        )
    transform, _ = cv2.estimateAffinePartial2D(steady[STABLE], target[STABLE], method=cv2.LMEDS)
    # The determinant is the scale squared: below 1e-6 the face would be drawn a thousand times smaller.
    if transform is None or not np.isfinite(transform).all() or abs(np.linalg.det(transform[:, :2])) < 1e-6:
        raise TddError("the landmarks lie in one place, and no alignment follows from them; mend them")
    transform[:, 2] += clip.crop / 2 - (transform[:, :2] @ (x, y) + transform[:, 2])
    return cv2.warpAffine(image, transform, (clip.crop, clip.crop), flags=cv2.INTER_LINEAR)


def face_crops(video: VideoFile, points: np.ndarray, target: np.ndarray, clip: ClipConfig) -> Iterator[np.ndarray]:
    """Aligned faces of one video at 25 fps: what every clip of the package is cut from.

    Args:
        video: not yet read.
        points: landmarks of each frame of the file, px, shape (T, 68, 2).
        target: mean face, px of the canvas, shape (68, 2).
        clip: frame rate, side of the crop, and the fewest frames.

    Yields:
        RGB uint8, shape (crop, crop, 3).

    Raises:
        TddError: the video cannot be read, is shorter than a clip or not as long as its landmarks, or a face cannot be
            aligned; the sentence names the frame.
    """
    fitting = (
        (frame, points[frame.source].astype(np.float64))
        for frame in video.shown(clip.frame_rate)
        if frame.source < len(points)  # more frames than landmarks are told below, when all are counted
    )
    count = 0
    for frame, own, steady in steady_landmarks(fitting):
        try:
            yield align_face(frame.rgb(), own, steady, target, clip)  # to RGB only now: frames wait at half the size
        except TddError as error:
            raise TddError(f"{video.path}, frame {frame.source}: {error}.") from error
        count += 1
    if video.decoded != len(points):
        raise TddError(
            f"{video.path} has {video.decoded} frames and its landmarks {len(points)}; one is cut short or belongs to "
            "another video: copy or make it again."
        )
    if count < clip.frames:
        raise TddError(f"{video.path} has {count} frames at {FPS} fps, and a clip takes {clip.frames}.")


def mean_face(shapes: np.ndarray, canvas: int, rounds: int = 5) -> np.ndarray:
    """Generalised Procrustes mean (Gower, Psychometrika 1975) of landmark shapes, placed upright in the canvas.

    The eyes' centres lie level, 1/4 of the canvas apart, and the mean point in its middle.

    Args:
        shapes: shape (N, 68, 2), px.
        canvas: side of the square, px.

    Returns:
        float32, shape (68, 2), px of the canvas.
    """
    z = (
        shapes[..., 0].astype(np.float64) + 1j * shapes[..., 1]
    )  # the plane as complex numbers: a similarity is a product
    z -= z.mean(1, keepdims=True)
    z /= np.linalg.norm(z, axis=1, keepdims=True)  # a large face counts no more than a small one
    mean = z[0]
    for _ in range(rounds):  # drawn faces settle to 2e-5 px in two
        aligned = z * np.exp(-1j * np.angle(z @ mean.conj()))[:, None]
        mean = aligned.mean(0)
        mean /= np.linalg.norm(mean)
    eyes = mean[42:48].mean() - mean[36:42].mean()
    mean = mean * (EYE_DISTANCE * canvas / eyes)  # turns and scales at once
    return np.stack([mean.real, mean.imag], 1).astype(np.float32) + np.float32(canvas / 2)
