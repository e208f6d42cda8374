"""Forged talking heads, each a stand-in for a published method, with a strength.

A forgery starts from a clean render of the person a perfect forgery would show: a swapped identity, or the target
speaking with the source's mouth. Artefacts, scaled by strength, then alter the inside of a mask of that same render.
At strength 0 nothing is altered, so a forgery is then just another real video.

One more forgery is no stand-in for a method: in ``LipRetiming`` the lips alone speak at a speed that runs on and halts,
and the face is drawn anew with them, so that the movement of the mouth is all the evidence there is.

Artefacts change what moves with what, and not how much moves, for else a detector could count change and know nothing
of faces (measured by benchmarks/shortcuts.py). So the parts of a forged face turn away from the camera's shake without
moving more; exposure and focus turn away from the camera's without varying more; a late mouth moves as much as one in
time; and the detail that low resolution takes away comes back as false detail that slips over the skin.

The methods imitate what is known of the originals' artefacts: Deepfakes, FaceSwap, Face2Face (Thies et al., CVPR 2016)
and NeuralTextures (Thies et al., SIGGRAPH 2019, arXiv 1904.12356) as in FaceForensics++ (Roessler et al., ICCV 2019,
arXiv 1901.08971), FaceShifter (Li et al., 2019, arXiv 1912.13457) and Celeb-DF (Li et al., CVPR 2020, arXiv
1909.12962). None of them runs the original method.
"""

from dataclasses import dataclass, replace
from functools import lru_cache

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates, shift

from tdd.errors import TddError
from tdd.names import LIP_RETIMING
from tdd.synth import artefacts
from tdd.synth.camera import Scene
from tdd.synth.handling import Handling, Unrest, defocused, draw_handling
from tdd.synth.identity import Identity, swap_identity
from tdd.synth.motion import Motion, smooth_noise
from tdd.synth.render import Rendered, render
from tdd.synth.visemes import MouthTrack

SWAPS = ("Deepfakes", "FaceSwap", "FaceShifter", "Celeb-DF")
SEAM_KNOTS = 12  # points around the mask whose jitter is interpolated
SEAM_TIME = 2.0  # frames over which that jitter is correlated
SLIP = 5.0  # how far false detail slips over the face, in shakes of the camera, and at right angles to them
PACE_TIME = 3.0  # frames over which the speed of re-timed lips is correlated
SEVERITY = (0.4, 1.6)  # range of the factor that makes some videos of a method easier than others


@dataclass(frozen=True)
class Amplitudes:
    """What a method does at strength 1; region, feather, parts, grain and tint do not scale with strength.

    Lengths are in face units (half a head is about one unit), colours relative, times in frames. The first five amounts
    are angles in radians between a track of the pasted face and the camera's own, up to pi: at 0 they are one, and at
    any angle the face's track has the camera's variance. Shake and sway are turned in the plane of the picture; the
    others are turned towards a track of their own that is drawn as the camera's is.
    """

    region: str  # what the mask covers: a key of artefacts.REGIONS
    feather: float  # width of the mask's soft edge
    shake: float = 0.0
    sway: float = 0.0
    flicker: float = 0.0
    drift: float = 0.0
    hunt: float = 0.0
    parts: float = 0.0  # how soon over the face those angles change sign, radians per face unit; 0: the same all over
    blur: float = 0.0  # low resolution: pixels a side shrink by 1 / (1 + blur)
    swim: float = 0.0  # false detail that slips over the skin, standard deviation
    grain: float = 0.05  # width of its blobs
    tint: float = 0.0  # share of it that is colour, 0..1
    mismatch: float = 0.0  # exponent of the pull towards the source's skin tone
    seam: float = 0.0  # jitter of the mask's outline
    lag: float = 0.0  # frames by which the mouth comes late
    pace: float = 0.0  # standard deviation of the logarithm of the speed at which the mouth moves


# benchmarks/shortcuts.py holds them to areas of 0.60 for any one trivial number, and 0.65 for all of a view.
AMPLITUDES: dict[str, Amplitudes] = {
    "Deepfakes": Amplitudes("face", feather=0.10, shake=2.2, hunt=1.3, parts=2.5, blur=0.10, swim=0.050),
    "FaceSwap": Amplitudes(
        "face",
        feather=0.03,
        flicker=1.2,
        mismatch=0.25,
        seam=0.02,
        parts=1.8,
        blur=0.08,
        swim=0.048,
        grain=0.08,
        tint=0.7,
    ),
    "Face2Face": Amplitudes(
        "lower", feather=0.08, shake=2.4, sway=2.0, lag=0.3, parts=2.5, blur=0.18, swim=0.058, grain=0.07
    ),
    "NeuralTextures": Amplitudes("mouth", feather=0.07, shake=1.8, hunt=1.0, blur=0.52, swim=0.070),
    "FaceShifter": Amplitudes(
        "face", feather=0.12, sway=2.4, drift=1.2, parts=3.0, blur=0.02, swim=0.062, grain=0.06, tint=0.4
    ),
    "Celeb-DF": Amplitudes(
        "face", feather=0.14, shake=2.2, sway=1.6, flicker=0.8, parts=2.0, blur=0.25, swim=0.064, tint=0.3
    ),
    LIP_RETIMING: Amplitudes("mouth", feather=0.07, pace=0.8),
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
    mouth: MouthTrack,
    source_mouth: MouthTrack,
    size: int,
    handling: Handling,
    strength: float = 1.0,
    amplitudes: Amplitudes | None = None,
) -> Forged:
    """Forge the video of `target` with `source`.

    Swaps keep the target's motion, `mouth` and outer head and take the source's inner face; reenactments (Face2Face,
    NeuralTextures) keep the person and take `source_mouth`; LipRetiming keeps all but the times of the person's own
    mouth. `amplitudes` replaces the method's own. Frames are clean: pass them to `camera.shoot` like real ones. Raises
    TddError for an unknown method or a negative strength.
    """
    if method not in AMPLITUDES:
        raise TddError(f"unknown forgery {method!r}; choose one of {', '.join(AMPLITUDES)}")
    if not strength >= 0:
        raise TddError(f"the strength of a forgery is zero or positive, not {strength}")
    severity = strength * rng.uniform(*SEVERITY)
    amount = _scaled(amplitudes or AMPLITUDES[method], severity)
    if method == LIP_RETIMING:
        mouth = retimed(mouth, rng, amount.pace)
        clean = _clean(target, scene, motion, mouth, size)
    elif method in SWAPS:
        clean = _clean(swap_identity(target, source), scene, motion, mouth, size)
    else:
        clean = _clean(target, scene, motion, source_mouth, size)
        mouth = source_mouth
    tone = np.array(source.outer.skin) / np.array(target.outer.skin)
    return _Retoucher(rng, clean, amount, scene.unrest, handling, motion, mouth, tone, severity).video()


def retimed(mouth: MouthTrack, rng: np.random.Generator, pace: float) -> MouthTrack:
    """The same way of the mouth, from its first place to its last, at a speed that changes.

    Args:
        mouth: tracks of shape (T,).
        rng: of the speeds.
        pace: standard deviation of the logarithm of the speed; at 0 the track is as it was.
    """
    tracks = [np.asarray(track, np.float32) for track in vars(mouth).values()]
    last = len(tracks[0]) - 1
    if not pace or last < 1:
        return mouth
    times = np.append(0.0, np.cumsum(np.exp(pace * smooth_noise(rng, last, PACE_TIME))))
    times *= last / times[-1]
    # Cubic, for straight lines between frames would take from the mouth's way.
    moved = (map_coordinates(track, [times], order=3, mode="nearest") for track in tracks)
    return MouthTrack(*(np.clip(track, 0, 1) for track in moved))


@lru_cache(maxsize=2)  # one swap and one reenactment of a target: its other methods start from the same frames
def _clean(identity: Identity, scene: Scene, motion: Motion, mouth: MouthTrack, size: int) -> Rendered:
    return render(identity, scene, motion, mouth, size)


def _scaled(a: Amplitudes, k: float) -> Amplitudes:
    angles = ("shake", "sway", "flicker", "drift", "hunt")
    others = ("blur", "mismatch", "seam", "lag", "swim", "pace")
    # Beyond pi a track turns back to the camera's: more strength would be less.
    scaled = {name: min(getattr(a, name) * k, np.pi) for name in angles}
    return replace(a, **scaled, **{name: getattr(a, name) * k for name in others})


class _Retoucher:
    """Draws a video's artefacts over time, then applies them frame by frame inside the mask."""

    def __init__(
        self,
        rng: np.random.Generator,
        clean: Rendered,
        amount: Amplitudes,
        unrest: Unrest,
        handling: Handling,
        motion: Motion,
        mouth: MouthTrack,
        tone: np.ndarray,
        severity: float,
    ) -> None:
        n, self.size = len(clean.frames), clean.frames.shape[1]
        self.clean, self.amount, self.severity = clean, amount, severity
        self.unit = (np.asarray(motion.scale) * self.size).astype(np.float32)
        own, a = draw_handling(rng, unrest, n), amount
        self.moves = [(handling.shake * self.size, a.shake), (handling.sway * self.size, a.sway)]
        self.gains = [(handling.flicker, own.flicker, a.flicker), (handling.drift, own.drift, a.drift)]
        self.focus = handling.hunt, own.hunt, a.hunt
        self.tone = np.clip(tone, 0.7, 1.4) ** a.mismatch
        heading, self.phase = rng.uniform(-np.pi, np.pi, 2)
        self.wave = a.parts * np.array([np.cos(heading), np.sin(heading)])
        self.seam = smooth_noise(rng, n, SEAM_TIME, (SEAM_KNOTS, 2)) * a.seam
        self.late = _mouth_errors(mouth, a.lag)
        self.grain = _swimming_texture(rng, self.size, a.grain * float(self.unit.mean()), a.tint) if a.swim else None
        # By the camera's own way, so that false detail adds change only to a video that changes anyway.
        self.slip = SLIP * handling.offset[:, ::-1] * [-1, 1] * self.size

    def video(self) -> Forged:
        """The whole forged video."""
        frames, masks = self.clean.frames.copy(), np.zeros(self.clean.frames.shape[:3], bool)
        for t, frame in enumerate(frames):
            mask, box = artefacts.soft_mask(self.size, self._polygon(t), self.amount.feather * self.unit[t])
            masks[t][box] = mask > 0  # at strength 0 too: where a forgery would have worked
            if self.severity > 0:
                artefacts.paste(frame, box, mask, self._patch(t, frame, box))
        return Forged(frames, self.clean.landmarks, masks)

    def _polygon(self, t: int) -> np.ndarray:
        polygon = artefacts.REGIONS[self.amount.region](self.clean.landmarks[t])
        place = np.linspace(0, SEAM_KNOTS, len(polygon), endpoint=False)
        ring = np.concatenate([self.seam[t], self.seam[t][:1]]) * self.unit[t]  # closed: no step where it begins
        return polygon + np.stack([np.interp(place, np.arange(SEAM_KNOTS + 1), ring[:, i]) for i in (0, 1)], -1)

    def _patch(self, t: int, frame: np.ndarray, box: artefacts.Box) -> np.ndarray:
        """The altered contents (h, w, 3) float32 of the box."""
        a = self.amount
        part = self._part(t, box)
        patch = artefacts.pulled(frame, box, *self._displacement(t, box, part)).astype(np.float32)
        if a.blur:
            # Even the least shrinking softens; faded in, so that the artefact grows from nothing with strength.
            low = artefacts.coarse(patch, 1 / (1 + a.blur))
            patch += (low - patch) * min(1.0, self.severity)
        if self.grain is not None:
            patch *= 1 + a.swim * self._grain(t, box)
        if a.hunt:
            patch = defocused(patch, _error(*self.focus, t, part), self.size)
        gain = sum(_error(*track, t, part) for track in self.gains)
        return patch * (self.tone * np.exp(gain)).astype(np.float32)

    def _part(self, t: int, box: artefacts.Box) -> np.ndarray:
        """How far each pixel (h, w) of the box goes its own way, -1..1: a wave that stands still on the face."""
        x, y = artefacts.pixel_grid(box)
        centre, unit = self.clean.landmarks[t, 27:36].mean(0), self.unit[t]
        return np.sin(self.phase + (self.wave[0] * (x - centre[0]) + self.wave[1] * (y - centre[1])) / unit)

    def _displacement(self, t: int, box: artefacts.Box, part: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where each pixel of the box is taken from, (dx, dy) in pixels: against the way that the face moves."""
        unit, points = self.unit[t], self.clean.landmarks[t]
        x, y = artefacts.pixel_grid(box)
        dx = dy = np.zeros_like(part)
        for track, angle in self.moves:
            (right, down), cos, sin = track[t], np.cos(angle * part), np.sin(angle * part)
            # Only the difference from the camera's way: `camera.shoot` moves the whole frame later.
            dx, dy = dx - ((cos - 1) * right - sin * down), dy - (sin * right + (cos - 1) * down)
        if self.amount.lag:
            open_error, width_error, jaw_error = (self.late[t] * unit).astype(np.float32)
            lips = points[48:68].mean(0)
            across, down = (x - lips[0]) / (0.42 * unit), (y - lips[1]) / (0.34 * unit)
            near = np.exp(-(across**2)) * np.exp(-(down**2))
            dy = dy - open_error * down * near * 1.6 - jaw_error * np.clip(down, 0, 1)
            dx = dx - width_error * across * near * 1.6
        return dx.astype(np.float32), dy.astype(np.float32)

    def _grain(self, t: int, box: artefacts.Box) -> np.ndarray:
        """The part (h, w, 3) of the texture noise that lies over the box, adrift against the face."""
        assert self.grain is not None
        origin = (self.clean.landmarks[t, 33] + self.slip[t]) % self.size
        x, y = artefacts.pixel_grid(box)
        dx, dy = np.float32(-origin[0]) + 0 * y, np.float32(-origin[1]) + 0 * x
        place = cv2.merge([np.ascontiguousarray(dx + x), np.ascontiguousarray(dy + y)])
        return cv2.remap(self.grain, place, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)


def _error(shared: np.ndarray, own: np.ndarray, angle: float, t: int, part: np.ndarray) -> np.ndarray:
    """What a track (T, C) turned from `shared` towards `own` differs from `shared` by, (h, w, C), where `part` says."""
    turn = angle * part[..., None]
    return (np.cos(turn) - 1) * shared[t] + np.sin(turn) * own[t]


def _mouth_errors(mouth: MouthTrack, lag: float) -> np.ndarray:
    """Errors (T, 3) of opening, width and jaw in face units that a mouth `lag` frames late makes."""
    opening, width = np.asarray(mouth.opening, float), np.asarray(mouth.width, float)
    late_open, late_width = (shift(x, lag, mode="nearest") - x for x in (opening, width))
    # Cubic, for straight lines between frames would take from the mouth's motion what the lag must not take.
    return np.stack([0.17 * late_open, 0.12 * late_width, 0.10 * late_open], -1)


def _swimming_texture(rng: np.random.Generator, size: int, blob: float, tint: float) -> np.ndarray:
    """Smooth noise (size, size, 3) float32 of unit variance that tiles, of blobs `blob` pixels wide."""
    noise = rng.standard_normal((size, size, 4)).astype(np.float32)
    soft = gaussian_filter(noise, (blob, blob, 0), mode="wrap")
    soft /= soft.std((0, 1))
    # Weights whose squares add up to 1 keep the variance at any tint.
    return np.ascontiguousarray(np.sqrt(1 - tint**2) * soft[..., :1] + tint * soft[..., 1:])
