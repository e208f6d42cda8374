"""Align faces: landmarks to a mean face to a square crop, steady over time.

The procedure of RealForensics (Haliassos et al., CVPR 2022, arXiv 2201.07131), whose crops the paper uses, on float
landmarks.
"""

from __future__ import annotations

import cv2
import numpy as np

from tdd.config import ClipConfig
from tdd.errors import TddError

WINDOW = 12
"""Frames over which landmarks are averaged."""

STABLE = [28, 33, 36, 39, 42, 45, 48, 54]
"""Points that the transform is fitted to: nose, eye corners, mouth corners."""

CENTRE = slice(15, 68)
"""Points whose mean is the centre of the crop."""

EYE_DISTANCE = 0.25
"""Distance between the eyes' centres in the mean face, as a share of the canvas."""


def smooth_landmarks(points: np.ndarray, window: int = WINDOW) -> np.ndarray:
    """Average over the ``window`` frames from each frame on, then move back onto the frame's own mean point.

    So size, tilt and shape are steadied while the face is still followed without lag. The last frames share one window.

    Args:
        points: shape (T, 68, 2), px.
    """
    window = min(window, len(points))
    total = np.cumsum(np.concatenate([np.zeros_like(points[:1]), points]).astype(np.float64), axis=0)
    means = (total[window:] - total[:-window]) / window  # (T - window + 1, 68, 2)
    means = means[np.minimum(np.arange(len(points)), len(means) - 1)]
    return means - means.mean(1, keepdims=True) + points.mean(1, keepdims=True)


def align_faces(frames: np.ndarray, points: np.ndarray, mean_face: np.ndarray, clip: ClipConfig) -> np.ndarray:
    """Cut one aligned square per frame.

    A similarity transform (least median of squares) takes the smoothed stable points onto the mean face; the square is
    centred on the mean of the frame's own transformed points 15 to 67.

    Args:
        frames: RGB uint8, shape (T, H, W, 3).
        points: landmarks, px, shape (T, 68, 2).
        mean_face: shape (68, 2), px of the canvas.
        clip: gives the sides of canvas and crop.

    Returns:
        RGB uint8, shape (T, crop, crop, 3).

    Raises:
        TddError: the landmarks of a frame do not define a transform (all in one place).
    """
    smoothed = smooth_landmarks(points)
    crops = np.empty((len(frames), clip.crop, clip.crop, 3), np.uint8)
    for t, frame in enumerate(frames):
        transform, _ = cv2.estimateAffinePartial2D(smoothed[t, STABLE], mean_face[STABLE], method=cv2.LMEDS)
        if transform is None or not np.isfinite(transform).all() or abs(np.linalg.det(transform[:, :2])) < 1e-6:
            raise TddError(f"The landmarks of frame {t} lie in one place: no alignment follows from them.")
        centre = transform[:, :2] @ points[t, CENTRE].mean(0) + transform[:, 2]
        transform[:, 2] += clip.crop / 2 - centre
        cv2.warpAffine(frame, transform, (clip.crop, clip.crop), dst=crops[t], flags=cv2.INTER_LINEAR)
    return crops


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
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    mean = z[0]
    for _ in range(rounds):
        aligned = z * np.exp(-1j * np.angle(z @ mean.conj()))[:, None]
        mean = aligned.mean(0)
        mean /= np.linalg.norm(mean)
    eyes = mean[42:48].mean() - mean[36:42].mean()
    mean = mean * (EYE_DISTANCE * canvas / eyes)  # turns and scales at once
    return np.stack([mean.real, mean.imag], 1).astype(np.float32) + np.float32(canvas / 2)
