"""From a face's box to the landmark network's input, and from its heat maps back to points of the frame.

The geometry of face-alignment (Bulat and Tzimiropoulos, ICCV 2017, arXiv 1703.07332), for many faces at a time; its
points are whole pixels, and these are not.
"""

from __future__ import annotations

import cv2
import numpy as np

INPUT = 256
"""Side of the network's input, px."""

REFERENCE = 200.0
"""Pixels of a face of scale 1, a number of the network's training."""

RAISED = 0.12
"""How far above the middle of its box a face's crop is centred, as a share of the box's height."""


def centres_and_sides(boxes: np.ndarray, reference_scale: float) -> tuple[np.ndarray, np.ndarray]:
    """The square that the network sees of each box.

    Args:
        boxes: left, top, right, bottom, px, shape (N, 4).
        reference_scale: of the detector that drew them: width and height of a face of scale 1 added up, px.

    Returns:
        centres, px, shape (N, 2), and sides, px, shape (N,).
    """
    size = boxes[:, 2:] - boxes[:, :2]
    centres = boxes[:, 2:] - size / 2
    centres[:, 1] -= RAISED * size[:, 1]
    return centres, REFERENCE * size.sum(1) / reference_scale


def crop_face(image: np.ndarray, centre: np.ndarray, side: float) -> np.ndarray:
    """Cut one square, bounded by whole pixels as in the network's training; what lies outside the picture is black.

    Args:
        image: RGB uint8, shape (H, W, 3).
        centre: px, shape (2,).
        side: px.

    Returns:
        RGB uint8, shape (256, 256, 3).
    """
    # The package counts pixels from 1 and cuts towards zero; so crops are its own to the bit.
    low = np.trunc(centre - side / 2 + side / INPUT).astype(int)
    high = np.maximum(np.trunc(centre + side / 2).astype(int), low + 1)
    height, width = image.shape[:2]
    inside = image[max(low[1], 0) : max(high[1], 0), max(low[0], 0) : max(high[0], 0)]
    if not inside.size:
        return np.zeros((INPUT, INPUT, 3), np.uint8)
    left, top = np.maximum(-low, 0)
    right, bottom = np.maximum(high - (width, height), 0)
    if left or top or right or bottom:
        inside = cv2.copyMakeBorder(inside, top, bottom, left, right, cv2.BORDER_CONSTANT)
    return cv2.resize(inside, (INPUT, INPUT), interpolation=cv2.INTER_LINEAR)


def points_of(maps: np.ndarray, centres: np.ndarray, sides: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each heat map is highest, a quarter of a cell towards its higher neighbours.

    Args:
        maps: shape (N, 68, S, S).
        centres: px, shape (N, 2).
        sides: px, shape (N,).

    Returns:
        points, px of the frame (the first pixel's middle is 0), shape (N, 68, 2), and heights, shape (N, 68), both
        float32.
    """
    n, count, size, _ = maps.shape
    flat = maps.reshape(n, count, size * size)
    best = flat.argmax(-1)
    heights = np.take_along_axis(flat, best[..., None], -1)[..., 0]
    y, x = np.divmod(best, size)
    row, column = np.ogrid[:n, :count]
    cells = np.stack([x, y], -1).astype(np.float64)
    inner = (x > 0) & (x < size - 1) & (y > 0) & (y < size - 1)
    xi, yi = x.clip(1, size - 2), y.clip(1, size - 2)  # for the look-up alone: at a border `inner` drops the result
    slope_x = maps[row, column, yi, xi + 1] - maps[row, column, yi, xi - 1]
    slope_y = maps[row, column, yi + 1, xi] - maps[row, column, yi - 1, xi]
    cells += np.where(inner[..., None], np.sign(np.stack([slope_x, slope_y], -1)) / 4, 0)
    shares = (cells + 0.5) / size - 0.5  # of the crop's side, from its centre
    points = centres[:, None] + sides[:, None, None] * shares - 0.5
    return points.astype(np.float32), heights.astype(np.float32)
