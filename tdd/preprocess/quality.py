"""Whether an aligned face can be right: four numbers a video, taken while its crops are cut, and what they warn of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import pandas as pd

from tdd.preprocess.crops import STABLE

RIGHT_EYE, LEFT_EYE, MOUTH = slice(36, 42), slice(42, 48), slice(48, 68)
DIGITS = 4
NAMED = 3
"""Videos that a warning names."""


@dataclass(frozen=True)
class Limit:
    """What a number may be before it is warned of."""

    low: float
    high: float
    warning: str
    """What is said of a video beyond."""
    unit: str
    """The number in words, ``{}`` standing for it."""

    def passed(self, values: pd.Series) -> pd.Series:
        """Which values lie beyond; one that is not known does not."""
        return (values < self.low) | (values > self.high)


LIMITS = {
    # The points of a head turned by 45 degrees miss a frontal mean face by about 0.2; those of a mirrored face, or in
    # another order, by 0.6.
    "align_residual": Limit(0.0, 0.3, "the landmarks do not fit the mean face", "off by {:.2f} of the eyes' distance"),
    # A chin or a forehead out of the picture takes less; with a quarter missing, much of what is scored is black.
    "outside_share": Limit(0.0, 0.25, "the crop reaches out of the picture", "{:.0%} of it is black"),
    # Nobody who speaks to a camera stands on his head; a rotation that the landmarks or the video lack does this.
    "upside_down": Limit(0.0, 0.1, "the face stands on its head", "in {:.0%} of the frames"),
    # A turn of the head by 45 degrees narrows a face to 0.7, a nod by 45 degrees widens it to 1.4, and people differ by
    # a tenth.
    "stretch": Limit(0.6, 1.6, "the face is stretched or squeezed", "{:.2f} times as wide for its height as the mean"),
}
"""By column of the store's index, as :meth:`CropWatch.columns` fills them."""


class CropWatch:
    """Looks at every alignment of one video: hand :meth:`see` to :func:`tdd.preprocess.crops.face_crops`."""

    def __init__(self, target: np.ndarray, crop: int) -> None:
        """``target``: mean face, px of the canvas, shape (68, 2); ``crop``: side of the crop, px."""
        self._target, self._crop = target.astype(np.float64), crop
        self._eyes = float(np.linalg.norm(_eyes(self._target)))
        self._seen: list[tuple[float, float, float, float]] = []

    def see(self, transform: np.ndarray, points: np.ndarray, height: int, width: int) -> None:
        """Take one frame in.

        Args:
            transform: from the picture to the crop, shape (2, 3).
            points: steadied landmarks, px of the picture, shape (68, 2).
            height: of the picture, px.
            width: of the picture, px.
        """
        moved = points @ transform[:, :2].T + transform[:, 2]
        self._seen.append((
            self._residual(moved),
            self._outside(transform, height, width),
            float(_height(points) < 0 or _height(moved) < 0),
            _shape(points) / _shape(self._target),
        ))  # fmt: skip

    def columns(self) -> dict[str, float]:
        """The columns of the index; empty before a frame was seen.

        ``align_residual``: root mean square distance of the aligned stable points from the mean face's, both about
        their mean, in distances between the mean face's eyes; median over frames. ``outside_share``: share of the
        crop's area that lies outside the picture; mean. ``upside_down``: share of frames whose eyes are below the
        mouth, in the picture or in the crop. ``stretch``: distance of the eyes over that from eyes to mouth, in ratios
        of the mean face; median.
        """
        if not self._seen:
            return {}
        table = np.array(self._seen)
        found = (np.median(table[:, 0]), table[:, 1].mean(), table[:, 2].mean(), np.median(table[:, 3]))
        return {name: round(float(value), DIGITS) for name, value in zip(LIMITS, found, strict=True)}

    def _residual(self, moved: np.ndarray) -> float:
        own, wanted = moved[STABLE], self._target[STABLE]
        apart = (own - own.mean(0)) - (wanted - wanted.mean(0))
        return float(np.sqrt((apart**2).sum(1).mean()) / self._eyes)

    def _outside(self, transform: np.ndarray, height: int, width: int) -> float:
        """The picture's corners in the crop, and how much of the crop they leave uncovered."""
        corners = np.array([[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]], np.float64)
        end = self._crop - 1
        square = np.array([[0, 0], [end, 0], [end, end], [0, end]], np.float32)
        shown = (corners @ transform[:, :2].T + transform[:, 2]).astype(np.float32)
        covered, _ = cv2.intersectConvexConvex(shown, square)
        return 1 - min(1.0, covered / end**2)


def _eyes(points: np.ndarray) -> np.ndarray:
    eyes: np.ndarray = points[LEFT_EYE].mean(0) - points[RIGHT_EYE].mean(0)
    return eyes


def _down(points: np.ndarray) -> np.ndarray:
    down: np.ndarray = points[MOUTH].mean(0) - (points[LEFT_EYE].mean(0) + points[RIGHT_EYE].mean(0)) / 2
    return down


def _height(points: np.ndarray) -> float:
    """How far the mouth lies below the eyes, px."""
    return float(_down(points)[1])


def _shape(points: np.ndarray) -> float:
    """Distance of the eyes over that from eyes to mouth."""
    return float(np.linalg.norm(_eyes(points))) / max(float(np.linalg.norm(_down(points))), 1e-9)


def doubts(columns: Mapping[str, Any]) -> list[str]:
    """What is to be said of one video with these columns, each with its number."""
    return [
        f"{limit.warning} ({limit.unit.format(columns[name])})"
        for name, limit in LIMITS.items()
        if name in columns and not limit.low <= columns[name] <= limit.high
    ]


def crop_warnings(index: pd.DataFrame) -> list[str]:
    """Sentences on the crops of a store that may be wrong: one a kind, the worst videos named with their number.

    Args:
        index: of the store; columns that an older version did not write are passed over.
    """
    said = []
    for name, limit in LIMITS.items():
        if name not in index:
            continue
        beyond = index[limit.passed(index[name])]
        if beyond.empty:
            continue
        far = (beyond[name] - (limit.low + limit.high) / 2).abs().sort_values(ascending=False, kind="stable")
        worst = [f"{beyond['video_id'][row]} ({limit.unit.format(beyond[name][row])})" for row in far.index[:NAMED]]
        more = f", and {len(beyond) - NAMED:,} more" if len(beyond) > NAMED else ""
        count = f"{len(beyond):,} video{'s' * (len(beyond) != 1)}"
        said.append(f"{limit.warning[0].upper()}{limit.warning[1:]} in {count}: {', '.join(worst)}{more}.")
    return said
