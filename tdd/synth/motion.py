"""How a head moves while it talks: pose, blinks, gaze and brows, drawn independently of what the mouth says."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from tdd.errors import TddError

BLINK = (0.3, 0.85, 1.0, 0.7, 0.3, 0.08)  # closure per frame at 25 fps


@dataclass(frozen=True, eq=False)
class Motion:
    """Head motion of one video; every field is float32 of shape (T,)."""

    yaw: np.ndarray  # radians, positive turns the face to the image's right
    pitch: np.ndarray  # radians, positive looks down
    roll: np.ndarray  # radians, positive is clockwise in the image
    x: np.ndarray  # centre of the face against the middle of the frame, fractions of the frame's side
    y: np.ndarray
    scale: np.ndarray  # one face unit, as a fraction of the frame's side
    blink: np.ndarray  # 0 open .. 1 closed
    gaze_x: np.ndarray  # -1..1
    gaze_y: np.ndarray
    brow: np.ndarray  # raise of the brows, about -1..1

    def __len__(self) -> int:
        return len(self.yaw)


def smooth_noise(rng: np.random.Generator, n: int, sigma: float, channels: tuple[int, ...] = ()) -> np.ndarray:
    """Gaussian noise (n, *channels) of unit variance, correlated over about `sigma` frames; below 0.4 it is white."""
    if sigma < 0.4:  # a kernel this narrow is a single frame
        return rng.standard_normal((n, *channels))
    pad = int(4 * sigma) + 1  # scipy ends its kernel at 4 sigma: no frame that is kept feels the border
    noise = gaussian_filter1d(rng.standard_normal((n + 2 * pad, *channels)), sigma, axis=0, mode="wrap")[pad : pad + n]
    return noise * np.sqrt(2 * np.sqrt(np.pi) * sigma)  # the kernel leaves 1 / (2 sqrt(pi) sigma) of the variance


def _blinks(rng: np.random.Generator, n: int) -> np.ndarray:
    closure = np.zeros(n)
    start = int(rng.integers(-10, 60))  # a blink may have begun before the video
    while start < n:
        for i, value in enumerate(BLINK):
            if 0 <= start + i < n:
                closure[start + i] = value
        start += int(rng.integers(35, 110))  # 1.4 to 4.4 s at 25 fps
    return closure


def _saccades(rng: np.random.Generator, n: int, sigma: float) -> np.ndarray:
    """Gaze that rests and jumps, as eyes do."""
    holds = rng.integers(6, 25, n // 6 + 2)  # enough of them even if each were the shortest
    return gaussian_filter1d(np.repeat(rng.normal(0, sigma, len(holds)), holds)[:n], 0.5, mode="nearest")


def draw_motion(rng: np.random.Generator, n_frames: int, domain: str = "studio") -> Motion:
    """Draw the motion of one video of `n_frames` frames; the celebrity domain moves more.

    Raises TddError below 1 frame.
    """
    if n_frames < 1:
        raise TddError(f"a synthetic video needs at least one frame, not {n_frames}")
    k = 1.0 if domain == "studio" else 1.3
    n = n_frames
    tracks = {
        # Clipped where the iteration of geometry.unproject still converges; at yaw 0.7 it does not.
        "yaw": np.clip(rng.normal(0, 0.14) * k + 0.09 * k * smooth_noise(rng, n, 9), -0.48, 0.48),
        "pitch": np.clip(rng.normal(0, 0.05) * k + 0.05 * smooth_noise(rng, n, 8), -0.3, 0.3),
        "roll": np.clip(rng.normal(0, 0.05) * k + 0.03 * smooth_noise(rng, n, 10), -0.3, 0.3),
        "x": rng.normal(0, 0.016) + 0.009 * smooth_noise(rng, n, 10),
        "y": rng.normal(0, 0.014) + 0.008 * smooth_noise(rng, n, 9),
        "scale": rng.uniform(0.255, 0.295) * (1 + 0.01 * smooth_noise(rng, n, 14)),
        "blink": _blinks(rng, n),
        "gaze_x": np.clip(_saccades(rng, n, 0.3), -0.9, 0.9),
        "gaze_y": np.clip(_saccades(rng, n, 0.15), -0.5, 0.5),
        "brow": 0.4 * smooth_noise(rng, n, 7),
    }
    return Motion(**{name: track.astype(np.float32) for name, track in tracks.items()})
