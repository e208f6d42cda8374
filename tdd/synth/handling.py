"""How a camera is held and how steady its light is: tracks over time that a whole picture shares.

Every video has them, real or forged. In a real video each part of the picture follows one handling. What a forgery
pastes in follows, more or less, a handling of its own that is drawn by the same law: the picture then changes as much
as before, and only what moves with what tells.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from tdd.synth.motion import smooth_noise

SWAY_TIME = 2.0  # frames over which the slow part of the shake is correlated
DRIFT_TIME = 6.0  # the same for white balance
DEFOCUS = 1.2  # sigma of the blur that focus comes and goes by, pixels of a 160-pixel frame


@dataclass(frozen=True)
class Unrest:
    """How much of each a video has: standard deviations over time."""

    shake: float  # from frame to frame, fractions of the frame's side
    sway: float  # over SWAY_TIME, fractions of the frame's side
    flicker: float  # of the exposure from frame to frame, logarithm
    drift: float  # of each channel's gain over DRIFT_TIME, logarithm
    hunt: float  # of the focus from frame to frame, share of the way to a picture blurred by DEFOCUS


# Lengths are pixels of the demo's 160-pixel frames. Ends lie 5 to 10 times apart, so an amount says little.
RANGES = {
    "shake": (0.1 / 160, 0.6 / 160),
    "sway": (0.15 / 160, 0.8 / 160),
    "flicker": (0.003, 0.015),
    "drift": (0.005, 0.03),
    "hunt": (0.02, 0.2),
}


def draw_unrest(rng: np.random.Generator) -> Unrest:
    """Draw how restless one video is, each amount on a logarithmic scale."""
    return Unrest(**{name: float(np.exp(rng.uniform(*np.log(ends)))) for name, ends in RANGES.items()})


@dataclass(frozen=True, eq=False)
class Handling:
    """What camera and light did, T frames."""

    shake: np.ndarray  # (T, 2) right and down, fractions of the frame's side
    sway: np.ndarray  # (T, 2)
    flicker: np.ndarray  # (T, 1) logarithm of the exposure
    drift: np.ndarray  # (T, 3) logarithm of the gain of red, green and blue
    hunt: np.ndarray  # (T, 1) share of the way to a blurred picture; below 0 is crisper

    @property
    def offset(self) -> np.ndarray:
        """Where the picture is moved to, (T, 2), fractions of the frame's side."""
        return self.shake + self.sway

    @property
    def exposure(self) -> np.ndarray:
        """Logarithm of the gain of each channel, (T, 3)."""
        return self.flicker + self.drift


def draw_handling(rng: np.random.Generator, unrest: Unrest, n_frames: int) -> Handling:
    """Draw the handling of `n_frames` frames."""
    return Handling(
        shake=unrest.shake * smooth_noise(rng, n_frames, 0, (2,)),
        sway=unrest.sway * smooth_noise(rng, n_frames, SWAY_TIME, (2,)),
        flicker=unrest.flicker * smooth_noise(rng, n_frames, 0, (1,)),
        drift=unrest.drift * smooth_noise(rng, n_frames, DRIFT_TIME, (3,)),
        hunt=unrest.hunt * smooth_noise(rng, n_frames, 0, (1,)),
    )


def defocused(picture: np.ndarray, share: np.ndarray, size: int) -> np.ndarray:
    """A float32 picture (h, w, 3) that went a share of the way to a blurred one; below 0 it gets crisper.

    `share` holds one number, or one for each pixel (h, w, 1). `size` is the side of the whole frame, pixels.
    """
    blurred = cv2.GaussianBlur(picture, (0, 0), DEFOCUS * size / 160)
    return picture + share.astype(np.float32) * (blurred - picture)  # float64 would spread to the picture
