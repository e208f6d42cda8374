"""Forged talking heads, each a stand-in for a published method, with a strength.

A forgery starts from a clean render of the person a perfect forgery would show: a swapped identity, or the target
speaking with the source's mouth. Artefacts, scaled by strength, then alter the inside of a mask of that same render.
At strength 0 nothing is altered, so a forgery is then just another real video. The methods imitate what is known of
the originals' artefacts: Deepfakes, FaceSwap, Face2Face (Thies et al., CVPR 2016) and NeuralTextures (Thies et al.,
SIGGRAPH 2019, arXiv 1904.12356) as in FaceForensics++ (Roessler et al., ICCV 2019, arXiv 1901.08971), FaceShifter (Li
et al., 2019, arXiv 1912.13457) and Celeb-DF (Li et al., CVPR 2020, arXiv 1909.12962). None of them runs the original
method.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter1d

from tdd.errors import TddError
from tdd.names import SYNTHETIC_METHODS
from tdd.synth import artefacts
from tdd.synth.camera import Scene
from tdd.synth.identity import Identity, swap_identity
from tdd.synth.motion import Motion, smooth_noise
from tdd.synth.render import Rendered, render

if TYPE_CHECKING:
    from tdd.synth.visemes import MouthTrack

SWAPS = ("Deepfakes", "FaceSwap", "FaceShifter", "Celeb-DF")
DRIFT_TIME = 8.0  # frames over which the slow colour drift is correlated
SEAM_KNOTS = 12  # points around the mask whose jitter is interpolated
SWIM_STEP = 0.05  # face units that swimming texture drifts per frame
SEVERITY = (0.4, 1.6)  # range of the factor that makes some videos of a method easier than others


@dataclass(frozen=True)
class Amplitudes:
    """What a method does at strength 1; every amplitude but the feather and the times scales with strength.

    Lengths are in face units (half a head is about one unit), colours relative, times in frames. All noises have unit
    variance before scaling.
    """

    region: str  # what the mask covers: a key of artefacts.REGIONS
    feather: float  # width of the mask's soft edge
    shift: float = 0.0  # jitter of the patch: shift
    turn: float = 0.0  # jitter of the patch: rotation (radians), scale and shear
    smooth: float = 0.0  # correlation time of that jitter
    blur: float = 0.0  # low resolution: pixels a side shrink by 1 / (1 + blur)
    colour: float = 0.0  # colour jitter
    drift: float = 0.0  # slow colour drift
    mismatch: float = 0.0  # exponent of the pull towards the source's skin tone
    seam: float = 0.0  # jitter of the mask's outline
    breathe: float = 0.0  # slow local warps of the inner face
    mouth: float = 0.0  # jitter of the mouth's opening and width
    lag: float = 0.0  # share of the mouth's motion that comes late
    swim: float = 0.0  # texture noise that swims over the skin


AMPLITUDES: dict[str, Amplitudes] = {
    "Deepfakes": Amplitudes("face", feather=0.10, shift=0.0065, turn=0.004, blur=0.28, colour=0.009),
    "FaceSwap": Amplitudes("face", feather=0.03, shift=0.012, turn=0.0065, colour=0.014, mismatch=0.50, seam=0.030),
    "Face2Face": Amplitudes("lower", feather=0.08, shift=0.012, mouth=0.055, lag=0.80, smooth=0.5),
    "NeuralTextures": Amplitudes("mouth", feather=0.07, shift=0.0065, blur=0.55, swim=0.048),
    "FaceShifter": Amplitudes("face", feather=0.12, shift=0.008, breathe=0.036, drift=0.040, smooth=2.0),
    "Celeb-DF": Amplitudes("face", feather=0.14, shift=0.013, turn=0.0075, blur=0.36, colour=0.013, smooth=0.8),
}


@dataclass(frozen=True, eq=False)
class Forged:
    """A forged video: frames (T, S, S, 3) uint8 RGB, landmarks (T, 68, 2) float32 pixels, masks (T, S, S) bool."""

    frames: np.ndarray
    landmarks: np.ndarray
    masks: np.ndarray


def forge(
    method: str,
    rng: np.random.Generator,
    target: Identity,
    source: Identity,
    scene: Scene,
    motion: Motion,
    mouth: "MouthTrack",
    source_mouth: "MouthTrack",
    size: int,
    strength: float = 1.0,
    amplitudes: Amplitudes | None = None,
) -> Forged:
    """Forge the video of `target` with `source`.

    Swaps keep the target's motion, `mouth` and outer head and take the source's inner face; reenactments (Face2Face,
    NeuralTextures) keep the person and take `source_mouth`. `amplitudes` replaces the method's own. Frames are clean:
    pass them to `camera.shoot` like real ones. Raises TddError for an unknown method or a negative strength.
    """
    if method not in SYNTHETIC_METHODS:
        raise TddError(f"unknown forgery {method!r}; choose one of {', '.join(SYNTHETIC_METHODS)}")
    if not strength >= 0:
        raise TddError(f"the strength of a forgery is zero or positive, not {strength}")
    if method in SWAPS:
        clean = _clean(swap_identity(target, source), scene, motion, mouth, size)
    else:
        clean = _clean(target, scene, motion, source_mouth, size)
        mouth = source_mouth
    severity = strength * rng.uniform(*SEVERITY)
    amount = _scaled(amplitudes or AMPLITUDES[method], severity)
    tone = np.array(source.outer.skin) / np.array(target.outer.skin)
    return _Retoucher(rng, clean, amount, motion, mouth, tone, severity).video()


@lru_cache(maxsize=2)  # one swap and one reenactment of a target: its other methods start from the same frames
def _clean(identity: Identity, scene: Scene, motion: Motion, mouth: "MouthTrack", size: int) -> Rendered:
    return render(identity, scene, motion, mouth, size)


def _scaled(a: Amplitudes, k: float) -> Amplitudes:
    names = ("shift", "turn", "blur", "colour", "drift", "mismatch", "seam", "breathe", "mouth", "lag", "swim")
    return replace(a, **{name: getattr(a, name) * k for name in names})


class _Retoucher:
    """Draws a video's artefacts over time, then applies them frame by frame inside the mask."""

    def __init__(
        self,
        rng: np.random.Generator,
        clean: Rendered,
        amount: Amplitudes,
        motion: Motion,
        mouth: "MouthTrack",
        tone: np.ndarray,
        severity: float,
    ) -> None:
        n, self.size = len(clean.frames), clean.frames.shape[1]
        self.clean, self.amount, self.severity = clean, amount, severity
        self.unit = (np.asarray(motion.scale) * self.size).astype(np.float32)
        self.affine = smooth_noise(rng, n, amount.smooth, (2, 3))
        shared, own = smooth_noise(rng, n, amount.smooth, (1,)), smooth_noise(rng, n, amount.smooth, (3,))
        gain = amount.colour * (0.8 * shared + 0.6 * own) + amount.drift * smooth_noise(rng, n, DRIFT_TIME, (3,))
        self.gain = (np.clip(tone, 0.7, 1.4) ** amount.mismatch * np.exp(gain)).astype(np.float32)
        self.seam = rng.standard_normal((n, SEAM_KNOTS, 2)) * amount.seam
        self.nodes = smooth_noise(rng, n, amount.smooth, (4, 4, 2)) * amount.breathe
        self.late = _mouth_errors(rng, mouth, amount)
        self.grain = _swimming_texture(rng, self.size) if amount.swim else None
        self.swim = rng.standard_normal((n, 2)).cumsum(0) * SWIM_STEP

    def video(self) -> Forged:
        """The whole forged video."""
        frames, masks = self.clean.frames.copy(), np.zeros(self.clean.frames.shape[:3], bool)
        for t, frame in enumerate(frames):
            mask, box = artefacts.soft_mask(self.size, self._polygon(t), self.amount.feather * self.unit[t])
            masks[t][box] = mask > 0
            if self.severity > 0:
                artefacts.paste(frame, box, mask, self._patch(t, frame, box))
        return Forged(frames, self.clean.landmarks, masks)

    def _polygon(self, t: int) -> np.ndarray:
        polygon = artefacts.REGIONS[self.amount.region](self.clean.landmarks[t])
        place = np.linspace(0, SEAM_KNOTS, len(polygon), endpoint=False)
        ring = np.concatenate([self.seam[t], self.seam[t][:1]]) * self.unit[t]
        return polygon + np.stack([np.interp(place, np.arange(SEAM_KNOTS + 1), ring[:, i]) for i in (0, 1)], -1)

    def _patch(self, t: int, frame: np.ndarray, box: artefacts.Box) -> np.ndarray:
        """The altered contents (h, w, 3) float32 of the box."""
        a = self.amount
        patch = artefacts.pulled(frame, box, *self._displacement(t, box)).astype(np.float32)
        if a.blur:
            low = artefacts.coarse(patch, 1 / (1 + a.blur))
            patch += (low - patch) * min(1.0, self.severity)
        if self.grain is not None:
            patch *= 1 + a.swim * self._grain(t, box)[..., None]
        return patch * self.gain[t]

    def _displacement(self, t: int, box: artefacts.Box) -> tuple[np.ndarray, np.ndarray]:
        """Where each pixel of the box is taken from, (dx, dy) in pixels."""
        a, unit, points = self.amount, self.unit[t], self.clean.landmarks[t]
        x, y = artefacts.pixel_grid(box)
        centre = points[27:36].mean(0)
        m = (self.affine[t] * [a.turn, a.turn, a.shift * unit]).astype(np.float32)
        dx = m[0, 0] * (x - centre[0]) + m[0, 1] * (y - centre[1]) + m[0, 2]
        dy = m[1, 0] * (x - centre[0]) + m[1, 1] * (y - centre[1]) + m[1, 2]
        if a.breathe:
            flow = cv2.resize(
                (self.nodes[t] * unit).astype(np.float32), (x.size, y.size), interpolation=cv2.INTER_CUBIC
            )
            dx, dy = dx + flow[..., 0], dy + flow[..., 1]
        if a.mouth or a.lag:
            open_error, width_error, jaw_error = (self.late[t] * unit).astype(np.float32)
            lips = points[48:68].mean(0)
            across, down = (x - lips[0]) / (0.42 * unit), (y - lips[1]) / (0.34 * unit)
            near = np.exp(-(across**2)) * np.exp(-(down**2))
            dy = dy - open_error * down * near * 1.6 - jaw_error * np.clip(down, 0, 1)
            dx = dx - width_error * across * near * 1.6
        return dx.astype(np.float32), dy.astype(np.float32)

    def _grain(self, t: int, box: artefacts.Box) -> np.ndarray:
        """The part (h, w) of the texture noise that lies over the box, adrift against the face."""
        assert self.grain is not None
        shift = (self.clean.landmarks[t, 33] + self.swim[t] * self.unit[t]) % self.size
        x, y = artefacts.pixel_grid(box)
        dx, dy = np.float32(-shift[0]) + 0 * y, np.float32(-shift[1]) + 0 * x
        place = cv2.merge([np.ascontiguousarray(dx + x), np.ascontiguousarray(dy + y)])
        return cv2.remap(self.grain, place, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)


def _mouth_errors(rng: np.random.Generator, mouth: "MouthTrack", a: Amplitudes) -> np.ndarray:
    """Errors (T, 3) of opening, width and jaw in face units: noise, and what over-smoothing and lag leave behind."""
    opening, width = np.asarray(mouth.opening, float), np.asarray(mouth.width, float)
    noise = smooth_noise(rng, len(opening), a.smooth, (3,)) * a.mouth
    late_open, late_width = (
        gaussian_filter1d(np.concatenate([x[:1], x[:-1]]), 1.0, mode="nearest") - x for x in (opening, width)
    )
    lag = np.stack([0.17 * late_open, 0.12 * late_width, 0.10 * late_open], -1) * a.lag
    return noise * [1.0, 0.8, 0.5] + lag


def _swimming_texture(rng: np.random.Generator, size: int) -> np.ndarray:
    """Smooth noise (size, size) float32 of unit variance that tiles."""
    noise = rng.standard_normal((size, size)).astype(np.float32)
    soft = cv2.GaussianBlur(np.tile(noise, (2, 2)), (0, 0), size * 0.0125)[
        size // 2 : size // 2 + size, size // 2 : size // 2 + size
    ]
    return np.ascontiguousarray(soft / soft.std())
