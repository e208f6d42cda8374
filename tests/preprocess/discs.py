"""Stand-ins for faces and networks: coloured discs, a detector of colours, a network that sees the middle one."""

import cv2
import numpy as np
import torch

from tdd.data.video import write_video
from tdd.preprocess.face_networks import HeatMapPoints
from tdd.preprocess.finders import Finders
from tests.preprocess.trees import SIZE, face_points

RED, GREEN = (200, 20, 20), (20, 200, 20)
TEMPLATE = (face_points(1)[0] - SIZE / 2) / 30
"""68 points of a face of radius 1."""


def film(path, discs, height=160, width=240, **how):
    """A video with silent sound; ``discs``: for each frame (colour, x, y, radius) of what is in it, nearest last."""
    frames = np.full((len(discs), height, width, 3), 90, np.uint8)
    for frame, shown in zip(frames, discs, strict=True):
        for colour, x, y, radius in shown:
            centre = (round(x * 16), round(y * 16))
            cv2.circle(frame, centre, round(radius * 16), colour, -1, cv2.LINE_AA, 4)
    sound = np.zeros(round(len(frames) * 16_000 / how.get("fps", 25)), np.float32)
    write_video(path, frames, crf=8, **{"audio": sound} | how)
    return path


def disc_points(x, y, radius):
    """The 68 points of a disc, px."""
    return TEMPLATE * radius + (x, y)


def _masks(image):
    """What is red, and what is green, in RGB of any numbers, colours last."""
    red, green = image[..., 0].astype(np.float64), image[..., 1].astype(np.float64)
    level = 1 if image.dtype.kind == "f" else 255
    return red - green > 0.25 * level, green - red > 0.25 * level


class DiscDetector:
    """Boxes of red and of green; counts its looks."""

    def __init__(self):
        self.looks = 0

    def __call__(self, image):
        self.looks += 1
        boxes = []
        for mask in _masks(image):
            y, x = np.nonzero(mask)
            if len(x) > 40:
                boxes.append([x.min(), y.min(), x.max() + 1, y.max() + 1, 0.9])
        return np.array(boxes, np.float64).reshape(-1, 5)


class DiscNetwork:
    """Heat maps of the disc nearest to the middle of each crop, or low ones; counts its calls."""

    def __init__(self):
        self.calls = []

    def __call__(self, crops):
        self.calls.append(len(crops))
        return torch.stack([torch.from_numpy(self._maps(crop)) for crop in crops.permute(0, 2, 3, 1).cpu().numpy()])

    def _maps(self, crop):
        found = []
        for mask in _masks(crop):
            y, x = np.nonzero(mask)
            if len(x) > 500:
                found.append((np.hypot(x.mean() - 128, y.mean() - 128), x.mean(), y.mean(), np.sqrt(len(x) / np.pi)))
        if not found:
            return np.full((68, 64, 64), 0.05, np.float32)
        _, x, y, radius = min(found)
        points = disc_points(x + 0.5, y + 0.5, radius) / 4
        grid = np.arange(64) + 0.5
        across = np.exp(-((grid - points[:, :1]) ** 2) / 4)
        down = np.exp(-((grid - points[:, 1:]) ** 2) / 4)
        return (0.8 * down[:, :, None] * across[:, None, :]).astype(np.float32)


def disc_finders():
    """Both together."""
    return Finders(DiscDetector(), HeatMapPoints(DiscNetwork(), 195.0, "cpu"))
