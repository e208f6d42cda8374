"""What changes in every frame and cannot be warped: the inside of the mouth and the eyes."""

import cv2
import numpy as np

from tdd.synth.geometry import MouthShape, lids, lip_line
from tdd.synth.identity import Identity, Inner

THROAT = np.array([46, 16, 16], np.float32)
TONGUE = np.array([184, 92, 92], np.float32)


def _edge(distance: np.ndarray, pixels: float) -> np.ndarray:
    """Coverage of a shape from the signed distance (face units) to its border; `pixels` is the face unit in pixels."""
    return np.clip(distance * pixels + 0.5, 0, 1)


def blend(image: np.ndarray, colour: np.ndarray, cover: np.ndarray) -> None:
    """Lay colours (h, w, 3) or (3,) over a uint8 image in place with coverage (h, w)."""
    base = image.astype(np.float32)
    base += (colour - base) * cover[..., None]
    image[:] = cv2.convertScaleAbs(base)  # rounds, where astype cuts


def paint_mouth(
    image: np.ndarray,
    inner: Inner,
    shape: MouthShape,
    tongue: float,
    teeth: float,
    place: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    pixels: float,
    light: float,
) -> None:
    """Paint teeth, tongue and throat into an image region (h, w, 3) in place.

    `place` holds, for each pixel, u at rest, v of the talking face, and the upper and lower edge of the opening there.
    """
    inside = _edge(np.minimum(place[1] - place[2], place[3] - place[1]), pixels) * (np.abs(place[0]) < inner.mouth_w)
    # What follows costs by the pixel, and the opening is a small part of the region.
    box = cv2.boundingRect((inside > 0).astype(np.uint8))
    if shape.up + shape.low < 0.01 or not box[2]:
        return
    crop = slice(box[1], box[1] + box[3]), slice(box[0], box[0] + box[2])
    image, inside = image[crop], inside[crop]
    u0, v, top, bottom = (field[crop] for field in place)
    a2 = np.minimum(np.square(u0 / inner.mouth_w), 1)
    gap, enamel = shape.up + shape.low, np.array(inner.teeth, np.float32)
    colour = THROAT * (0.7 + 0.9 * np.clip((v - top) / 0.3, 0, 1))[..., None]
    flesh = (0.20 + 0.55 * tongue) * gap + 0.02
    dome = bottom - flesh * np.maximum(1 - np.square(u0 / (0.72 * inner.mouth_w)), 0)
    lit = 0.62 + 0.38 * np.clip((v - dome) / 0.07, 0, 1) - 0.12 * np.exp(-np.square(u0 / 0.018))
    colour += (TONGUE * lit[..., None] - colour) * _edge(v - dome, pixels)[..., None]
    crown = np.square(np.sin(u0 * (np.pi / 0.082)))  # a tooth is 0.082 face units wide
    gums = bottom - 0.028 * (1 - a2) - 0.004 * crown
    below = _edge(v - gums, pixels) * np.clip((gap - 0.10) * 12, 0, 0.9) * (np.abs(u0) < 0.6 * inner.mouth_w)
    colour += (enamel * np.float32(0.66) - colour) * below[..., None]
    line = lip_line(inner, a2)
    hang = line - 0.35 * shape.up + 0.018 + 0.045 * teeth + 0.012 * min(1.0, gap * 4) - 0.02 * a2 + 0.006 * crown
    upper = _edge(hang - v, pixels) * _edge(0.82 - np.sqrt(a2), pixels * inner.mouth_w)
    seam = 1 - 0.20 * np.exp(-np.square(np.sin(u0 * (np.pi / 0.082)) / 0.35))
    shaded = (1 - 0.55 * a2) * seam * (0.62 + 0.38 * np.clip((v - top) / 0.05, 0, 1))
    colour += (enamel * shaded[..., None] - colour) * upper[..., None]
    lip_shadow = 0.7 + 0.3 * np.clip(np.minimum(v - top, bottom - v) / 0.03, 0, 1)
    blend(image, colour * (light * lip_shadow)[..., None], inside)


def paint_eyes(
    image: np.ndarray,
    identity: Identity,
    uv: np.ndarray,
    blink: float,
    gaze: tuple[float, float],
    pixels: float,
    light: tuple[float, float],
) -> None:
    """Paint both eyes and their lashes into an image region (h, w, 3) in place.

    `uv` (h, w, 2) are points of the face.
    """
    i, v = identity.inner, uv[..., 1]
    side = np.sign(uv[..., 0])
    s = (np.abs(uv[..., 0]) - i.eye_x) / i.eye_w
    upper, lower = lids(i, np.clip(s, -1.0, 1.0), blink)
    inside = _edge(np.minimum(v - upper, lower - v), pixels) * _edge((1 - np.abs(s)) * i.eye_w, pixels)
    bright = np.where(side < 0, np.float32(light[0]), np.float32(light[1]))
    colour = _eyeball(i, s, v, side, upper, lower, gaze, pixels) * bright[..., None]
    blend(image, colour, inside)
    over = np.abs(s) < 1.06
    lash = np.exp(-np.square((v - upper + 0.004) / 0.014)) * (0.55 + 0.3 * s) * (0.45 + 0.55 * i.lashes) * over
    flick = np.exp(-np.square((v - upper + 0.02) / 0.016)) * np.clip(s - 0.2, 0, 0.8) * 0.5 * i.lashes * over
    rim = 0.22 * np.exp(-np.square((v - lower - 0.006) / 0.011)) * over
    dark = np.clip(lash + flick, 0, 0.92)
    blend(image, np.array([24, 16, 14], np.float32), np.maximum(dark, rim))


def _eyeball(
    i: Inner,
    s: np.ndarray,
    v: np.ndarray,
    side: np.ndarray,
    upper: np.ndarray,
    lower: np.ndarray,
    gaze: tuple[float, float],
    pixels: float,
) -> np.ndarray:
    """Colours (h, w, 3) of the white, the iris, the pupil and the highlight."""
    radius = 0.092
    x = s * i.eye_w * side - gaze[0] * 0.32 * i.eye_w
    y = v - i.eye_y + 0.012 - gaze[1] * 0.05
    r = np.hypot(x, y)
    white = np.array([226, 219, 214], np.float32) * (1 - 0.30 * s * s)[..., None]
    white[..., 1:] -= (14 * np.clip(-s - 0.5, 0, 1))[..., None]  # redder at the inner corner
    fibre = 1 + 0.18 * np.sin(np.arctan2(y, x) * 17 + i.seed % 7) * np.clip(r / radius, 0, 1)
    ring = 1 - 0.65 * np.clip((r / radius - 0.72) / 0.28, 0, 1)
    glow = 0.75 + 0.55 * np.clip(y / radius, -0.6, 1)
    iris = np.array(i.iris, np.float32) * (fibre * ring * glow)[..., None]
    colour = white + (iris - white) * _edge(radius - r, pixels)[..., None]
    colour *= 1 - 0.92 * _edge(0.037 - r, pixels)[..., None]
    colour *= (0.52 + 0.48 * np.clip((v - upper) / 0.055, 0, 1))[..., None]
    spark = _edge(0.021 - np.hypot(x + 0.032, y + 0.03), pixels)
    return colour + (245 - colour) * (0.9 * spark * (upper < lower))[..., None]
