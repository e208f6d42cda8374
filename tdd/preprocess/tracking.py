"""Which box of one look at a video is which face of the look before; and whose video it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import linear_sum_assignment

FARTHEST = 0.7
"""Sides of its box that a face may be off where it was expected, its change of size added, to be taken for the same."""

COAST = 25  # one second at 25 fps
"""Frames for which a face that is not seen is still expected, on its way as before."""


@dataclass
class Track:
    """One face through a video."""

    number: int
    box: np.ndarray
    """Left, top, right, bottom, px, where it was last seen."""
    frame: int
    """When that was."""
    speed: np.ndarray = field(default_factory=lambda: np.zeros(2))
    """Of its centre, px a frame."""
    scores: list[float] = field(default_factory=list)
    """Of the detector, at each look that saw it."""

    def expected(self, frame: int) -> np.ndarray:
        """The box at a frame, moved on as before."""
        return self.box + np.tile(self.speed * (frame - self.frame), 2)

    def see(self, frame: int, box: np.ndarray) -> None:
        """Note where the face is now."""
        if frame > self.frame:
            now = (_centre(box) - _centre(self.box)) / (frame - self.frame)
            self.speed = now if not self.speed.any() else (self.speed + now) / 2
        self.box, self.frame = box, frame


class Tracker:
    """Faces through a video, one look at a time.

    Attributes:
        tracks: all faces ever seen, in the order of appearance.
    """

    def __init__(self) -> None:
        self.tracks: list[Track] = []

    def alive(self, frame: int) -> list[Track]:
        """Faces seen not long before ``frame``."""
        return [track for track in self.tracks if frame - track.frame <= COAST]

    def look(self, frame: int, boxes: np.ndarray) -> list[Track]:
        """Give each box to the face that was expected nearest to it, the sum of all distances being the smallest.

        A box near no expected face begins a new one.

        Args:
            frame: of the look; later than the one before.
            boxes: left, top, right, bottom, score, shape (N, 5).

        Returns:
            the face of each box.
        """
        known = self.alive(frame)
        cost = np.array([[distance(track.expected(frame), box[:4]) for box in boxes] for track in known])
        seen: dict[int, Track] = {}
        if cost.size:
            # What is too far costs alike: were farther dearer, a face that left would take a box from one that stayed.
            for row, column in zip(*linear_sum_assignment(np.minimum(cost, FARTHEST)), strict=True):
                if cost[row, column] <= FARTHEST:
                    seen[int(column)] = known[row]
        for column, box in enumerate(boxes):
            if column in seen:
                seen[column].see(frame, box[:4])
            else:
                seen[column] = Track(len(self.tracks), box[:4], frame)
                self.tracks.append(seen[column])
            seen[column].scores.append(float(box[4]))
        return [seen[column] for column in range(len(boxes))]


def distance(expected: np.ndarray, box: np.ndarray) -> float:
    """How unlike two boxes are: their centres' distance in sides, and the logarithm of the ratio of their sides."""
    first, second = side_of(expected), side_of(box)
    apart = float(np.linalg.norm(_centre(expected) - _centre(box)))
    return apart / ((first + second) / 2) + abs(float(np.log(first / second)))


def side_of(box: np.ndarray) -> float:
    """Mean of width and height, px, at least one."""
    return max(1.0, float(box[2] - box[0] + box[3] - box[1]) / 2)  # `distance` divides by it


def _centre(box: np.ndarray) -> np.ndarray:
    return np.array([box[0] + box[2], box[1] + box[3]]) / 2


def largest_boxes(boxes: np.ndarray, most: int) -> np.ndarray:
    """The ``most`` largest of boxes of shape (N, 5), the largest first, those of no extent left out."""
    boxes = boxes[(boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])]
    order = np.argsort([-side_of(box) for box in boxes], kind="stable")
    return boxes[order[:most]]


def main_face(areas: Mapping[int, float]) -> int | None:
    """Whose video it is: the face whose area, added up over its frames, is the largest; of two alike, the first.

    Args:
        areas: of each face's boxes, by its number, px²; ``None`` comes back when there is none.
    """
    return min(areas, key=lambda number: (-areas[number], number), default=None)
