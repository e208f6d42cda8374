"""Backgrounds behind the speakers: quiet studios, or the busy places where celebrities are filmed."""

import cv2
import numpy as np


def _muted(rng: np.random.Generator, low: float, high: float, chroma: float) -> np.ndarray:
    """A colour (3,) of random grey level with a little hue."""
    return np.clip(rng.uniform(low, high) * (1 + rng.normal(0, chroma, 3)), 4, 250)


def _gradient(rng: np.random.Generator, size: int) -> np.ndarray:
    y, x = np.mgrid[0:size, 0:size].astype(np.float32) / size - 0.5
    angle, a, b = rng.uniform(0, 2 * np.pi), _muted(rng, 45, 215, 0.13), _muted(rng, 35, 200, 0.13)
    t = np.clip(x * np.cos(angle) + y * np.sin(angle) + 0.5 + 0.3 * rng.normal() * (x * x + y * y), 0, 1)[..., None]
    return (a * (1 - t) + b * t).astype(np.float32)


def _mottle(rng: np.random.Generator, size: int, cells: int, amount: float) -> np.ndarray:
    small = rng.normal(0, amount, (cells, cells, 1)) + rng.normal(0, amount * 0.3, (cells, cells, 3))
    small = small.astype(np.float32)
    return cv2.resize(small, (size, size), interpolation=cv2.INTER_CUBIC)


def _panels(rng: np.random.Generator, image: np.ndarray, count: int) -> None:
    size = len(image)
    for _ in range(count):
        x, y = rng.uniform(-0.2, 1, 2) * size
        w, h = rng.uniform(0.08, 0.5, 2) * size
        cv2.rectangle(image, (int(x), int(y)), (int(x + w), int(y + h)), _muted(rng, 25, 225, 0.25).tolist(), -1)


def _lights(rng: np.random.Generator, image: np.ndarray, count: int, radius: float) -> None:
    size = len(image)
    for _ in range(count):
        glow = np.zeros_like(image)
        centre = (rng.uniform(0, 1, 2) * size).astype(int).tolist()
        cv2.circle(
            glow,
            centre,
            max(1, int(rng.uniform(0.3, 1) * radius * size)),
            _muted(rng, 120, 240, 0.25).tolist(),
            -1,
            cv2.LINE_AA,
        )
        image += glow * rng.uniform(0.15, 0.5)


def _stripes(rng: np.random.Generator, image: np.ndarray) -> None:
    x = np.arange(len(image)) / len(image)
    fold = np.sin(2 * np.pi * (x * rng.uniform(5, 14) + 0.25 * np.sin(2 * np.pi * x * 3 + rng.uniform(0, 6))))
    image *= (1 + rng.uniform(0.05, 0.16) * fold)[None, :, None].astype(np.float32)


def _logos(rng: np.random.Generator, image: np.ndarray) -> None:
    """A wall of repeated signs, as behind people on a red carpet."""
    size, step = len(image), int(rng.uniform(0.16, 0.28) * len(image))
    ink = _muted(rng, 20, 230, 0.3).tolist()
    for row, y in enumerate(range(0, size, step)):
        for x in range(-step // 2 * (row % 2), size, step):
            end = (x + int(step * rng.uniform(0.4, 0.6)), y + step // 5)
            cv2.rectangle(image, (x, y), end, ink, -1, cv2.LINE_AA)


def draw_background(rng: np.random.Generator, size: int, domain: str = "studio") -> np.ndarray:
    """A background (size, size, 3) uint8 RGB for a domain, "studio" or "celebrity"."""
    image = _gradient(rng, size) + _mottle(rng, size, 5, 9)
    kind = rng.integers(4)
    if domain == "studio":
        if kind == 1:
            _stripes(rng, image)
        elif kind == 2:
            _panels(rng, image, int(rng.integers(2, 7)))
        elif kind == 3:
            _lights(rng, image, int(rng.integers(3, 9)), 0.12)
        image = cv2.GaussianBlur(image, (0, 0), size * rng.uniform(0.012, 0.035))
    else:
        if kind == 0:
            _logos(rng, image)
        elif kind == 1:
            image += _mottle(rng, size, 28, 26) * np.array([0.7, 1.0, 0.6], np.float32)
        else:
            _panels(rng, image, int(rng.integers(8, 18)))
        _lights(rng, image, int(rng.integers(0, 7)), 0.07)
        image = cv2.GaussianBlur(image, (0, 0), size * rng.uniform(0.006, 0.02))
    return np.clip(image + _mottle(rng, size, size // 3, 1.5), 0, 255).astype(np.uint8)
