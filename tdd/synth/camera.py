"""Where a video is filmed and with what: scene, light and the camera that every frame, real or forged, goes through.

How much a camera shakes, flickers and hunts for focus differs widely from video to video. So the amount of change in a
video says little about whether it is forged.
"""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from tdd.errors import TddError
from tdd.synth.backgrounds import draw_background
from tdd.synth.handling import Handling, Unrest, defocused, draw_unrest
from tdd.synth.identity import RGB, to_rgb

DOMAINS = ("studio", "celebrity")
NOISE_STD = 32.0  # of the stored noise, which is scaled to what a scene needs; int8 holds four of them


@dataclass(frozen=True, eq=False)
class Scene:
    """Surroundings of one video, and its camera."""

    size: int  # side of the square frames, pixels
    domain: str
    background: np.ndarray  # (size, size, 3) uint8 RGB
    clothes: RGB
    neckline: float  # depth of the collar, face units
    stripes: float  # stripes on the clothes, radians per face unit; 0 is none
    light: np.ndarray  # (3,) unit vector towards the key light: right, down, towards the camera
    ambient: float  # share of light that comes from everywhere
    gloss: float  # shine of the skin
    gain: RGB  # white balance times exposure
    noise: float  # standard deviation of the sensor noise, grey levels
    blur: float  # sigma of the lens, pixels of a 160-pixel frame
    unrest: Unrest  # how much the camera shakes, flickers and hunts for focus
    crf: int  # constant rate factor for x264
    seed: int  # of folds in the clothes


def _light(rng: np.random.Generator, side: float) -> np.ndarray:
    angle, lift = rng.normal(0, side), rng.uniform(0.15, 0.7)
    # Never from the side or from behind: surface.shading divides by the third component.
    vector = np.array([np.sin(angle), -lift, max(np.cos(angle), 0.45)])
    return vector / np.linalg.norm(vector)


def draw_scene(rng: np.random.Generator, size: int, domain: str = "studio") -> Scene:
    """Draw a scene for square frames of `size` pixels.

    Raises TddError for an unknown domain or a size outside 64..512.
    """
    if domain not in DOMAINS:
        raise TddError(f"unknown domain {domain!r} for a synthetic scene; choose one of {', '.join(DOMAINS)}")
    if not 64 <= size <= 512:
        raise TddError(f"synthetic frames have between 64 and 512 pixels a side, not {size}")
    studio = domain == "studio"

    def between(in_studio: tuple[float, float], elsewhere: tuple[float, float]) -> float:
        return float(rng.uniform(*(in_studio if studio else elsewhere)))

    balance = rng.uniform(0.95, 1.05, 3) if studio else rng.uniform(0.88, 1.12, 3)
    red, green, blue = (float(g) for g in balance * between((0.88, 1.08), (0.68, 1.12)))
    return Scene(
        size=size,
        domain=domain,
        background=draw_background(rng, size, domain),
        clothes=to_rgb(rng.uniform(20, 220) * (1 + rng.normal(0, 0.35, 3))),
        neckline=rng.uniform(0.02, 0.45),
        stripes=rng.uniform(25, 45) if rng.random() < 0.12 else 0.0,
        light=_light(rng, 0.45 if studio else 0.7),
        ambient=between((0.42, 0.68), (0.25, 0.6)),
        gloss=between((0.2, 1.0), (0.2, 1.4)),
        gain=(red, green, blue),
        noise=between((1.0, 3.5), (2.5, 6.0)),
        blur=between((0.30, 0.65), (0.45, 0.95)),
        unrest=draw_unrest(rng),
        # Wide, so that the size of a file does not tell a forgery whose artefacts cost bits (benchmarks/shortcuts.py).
        crf=int(rng.integers(18, 31)) if studio else int(rng.integers(25, 32)),
        seed=int(rng.integers(1 << 31)),
    )


@lru_cache(maxsize=2)
def _noise_bank(size: int) -> np.ndarray:
    """Noise twice as large as a frame, from which every frame takes a random window."""
    # Drawn once, for drawing it anew for each frame takes longer than all else that `shoot` does.
    noise = np.random.default_rng(0).standard_normal((2 * size, 2 * size, 3)) * NOISE_STD
    return np.clip(noise, -127, 127).astype(np.int8)


def shoot(frames: np.ndarray, scene: Scene, handling: Handling, rng: np.random.Generator) -> np.ndarray:
    """What a scene's camera records of clean frames (T, S, S, 3) uint8 RGB; same shape and type.

    The whole frame is resampled at a random sub-pixel offset (at most about a pixel anywhere) that shakes, blurred by
    the lens, scaled by white balance and exposure, and given sensor noise. `handling` says how camera and light were
    from frame to frame; it was drawn for the scene and has T frames. Real and forged videos pass alike.
    """
    n, size = len(frames), scene.size
    # Even a still camera resamples: in a prototype, resampling of the fakes alone gave them away.
    angle, zoom = rng.uniform(-0.003, 0.003), rng.uniform(0.997, 1.003)
    offset = rng.uniform(-0.5, 0.5, 2) + handling.offset * size
    windows = rng.integers(0, size, (n, 2))
    turn = zoom * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    centre = (size - 1) / 2
    fixed = centre - turn @ [centre, centre]
    gain = np.array(scene.gain, np.float32) * np.exp(handling.exposure).astype(np.float32)
    bank, sigma, out = _noise_bank(size), scene.blur * size / 160, np.empty_like(frames)
    for t, frame in enumerate(frames):
        matrix = np.column_stack([turn, fixed + offset[t]])
        moved = cv2.warpAffine(frame, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
        linear = cv2.GaussianBlur(moved, (5, 5), sigma).astype(np.float32)
        linear = defocused(linear, handling.hunt[t], size)
        linear *= gain[t]
        y, x = windows[t]
        # Noise comes last: the sensor makes it, behind the lens.
        cv2.scaleAdd(bank[y : y + size, x : x + size].astype(np.float32), scene.noise / NOISE_STD, linear, linear)
        # Clipped first: convertScaleAbs takes the absolute value, and would turn noise below black bright.
        out[t] = cv2.convertScaleAbs(np.clip(linear, 0, 255, out=linear))
    return out
