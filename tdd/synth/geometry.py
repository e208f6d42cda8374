"""Where things are: curves of the face, the way the mouth deforms it, its projection into the frame, and the 68
landmarks.

Two maps carry every pixel and every landmark: `neutral` takes a point of the talking face to the point of the resting
face that is painted there, and `project` takes a point of the talking face into the frame (a weak-perspective camera
looking at a shallow relief). Landmarks come from the same two maps as the pixels, so they are exact.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from tdd.synth.identity import Identity, Inner, Outer
from tdd.synth.motion import Motion

if TYPE_CHECKING:
    from tdd.synth.visemes import MouthTrack

EXTENT = 1.7  # face units from the origin to the border of the resting face's texture
# A sixteenth of the inversions; moves a face by 0.01 px of a 160-pixel frame in the mean, by 0.4 px at most.
GRID_STEP = 4  # pixels between the nodes on which projections are inverted
Field = np.ndarray | float  # one value for each frame, (T, 1), or of one frame
CENTRE_Y = 0.485  # where a face without offset sits, as a fraction of the frame's height


def outline(outer: Outer, angle: np.ndarray) -> np.ndarray:
    """Points (K, 2) of the head's outline; angle 0 is the image's right, pi/2 the chin."""
    c, s = np.cos(angle), np.sin(angle)
    power = 2 / np.where(s > 0, outer.squareness, 2.15)  # the skull is nearly an ellipse, whatever the jaw
    v = np.where(s > 0, outer.chin, outer.top) * np.sign(s) * np.abs(s) ** power
    return np.stack([outer.width * np.sign(c) * np.abs(c) ** power * side_width(outer, v), v], -1)


def side_width(outer: Outer, v: np.ndarray) -> np.ndarray:
    """Half width of the head at height v, relative to the super-ellipse it is built from."""
    lower = np.clip(v / outer.chin, 0, 1)
    return (1 - outer.taper * lower**2) * (1 + outer.cheek * np.exp(-(((v - 0.4) / 0.3) ** 2)))


def lip_line(inner: Inner, a2: np.ndarray) -> np.ndarray:
    """Height v where the resting lips meet; `a2` is the squared place between middle (0) and corner (1)."""
    return inner.mouth_y + inner.lip_curve * a2


def lip_edges(inner: Inner, a2: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Heights v of the upper and lower edge of the resting lips at `a2` (see `lip_line`)."""
    line = lip_line(inner, a2)
    arch = np.maximum(1 - a2, 0)
    bow = 1 - 0.24 * np.exp(-a2 / 0.018)
    return line - inner.lip_up * arch**0.75 * bow, line + inner.lip_low * arch**0.85


def lids(inner: Inner, s: np.ndarray, blink: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
    """Heights v of the upper and lower lid at s, -1 (inner corner) .. 1 (outer corner)."""
    arch = np.maximum(1 - s * s, 0)
    axis = inner.eye_y - inner.eye_tilt * s
    lower = axis + 0.5 * inner.eye_h * arch * (1 + 0.15 * s)
    upper = axis - inner.eye_h * np.sqrt(arch * np.sqrt(arch)) * (1 - 0.12 * s)
    return upper + (lower - upper) * blink * 0.97, lower


def brow_line(inner: Inner, s: np.ndarray) -> np.ndarray:
    """Points (..., 2) of the right-hand brow's middle line at s, -1 (inner end) .. 1 (outer end)."""
    u = inner.eye_x + 0.03 + 1.28 * inner.eye_w * s
    bend = inner.brow_arch * (1 - ((s - 0.25) / 1.25) ** 2) * 1.3
    return np.stack([u, inner.eye_y - inner.brow_gap - bend - inner.brow_tilt * s + 0.04 * np.maximum(s - 0.3, 0)], -1)


@dataclass(frozen=True, eq=False)
class MouthShape:
    """Mouth geometry in face units; fields are (T, 1) or scalars."""

    half_width: Field
    up: Field  # rise of the upper lip in the middle
    low: Field  # drop of the lower lip in the middle
    jaw: Field  # drop of the chin
    thick: Field  # relative swelling of the lips
    cup: Field  # exponent of the opening's outline: small is round

    def at(self, t: int) -> "MouthShape":
        """The shape of frame t, with scalar fields."""
        return MouthShape(*(float(np.asarray(getattr(self, name))[t, 0]) for name in self.__dataclass_fields__))


def mouth_shape(inner: Inner, mouth: "MouthTrack") -> MouthShape:
    """Mouth geometry (T, 1) of a mouth track; rounding narrows, spreading widens, teeth lift the upper lip."""
    opening, width, push, teeth = (
        np.asarray(x, np.float32)[:, None] for x in (mouth.opening, mouth.width, mouth.protrusion, mouth.teeth)
    )
    gap = 0.34 * np.clip(opening, 0, 1.1) + 0.04 * teeth
    return MouthShape(
        # Exaggerated, for a prototype's networks read width badly from small crops (R² 0.13; opening 0.74).
        half_width=inner.mouth_w * (0.72 + 0.52 * width) * (1 - 0.16 * push),
        up=0.25 * gap + 0.015 * teeth,
        low=0.75 * gap,  # the jaw carries the lower lip
        jaw=0.62 * gap,
        thick=0.30 * push - 0.16 * (width - 0.5) - 0.12 * opening,
        cup=0.5 + 0.35 * width,
    )


def neutral(
    inner: Inner, shape: MouthShape, chin: float, u: np.ndarray, v: np.ndarray, upper: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Where on the resting face the point (u, v) of the talking face is painted.

    Returns (u, v) at rest and the heights of the opening's upper and lower edge at that u. `upper` says which points
    belong to the upper lip; by default those above the middle of the opening.
    """
    narrow = inner.mouth_w / shape.half_width - 1
    across = u / (1.75 * inner.mouth_w)
    # The fourth power takes the corners along with the middle of the lips; the second would leave them behind.
    squeeze = np.exp(-np.square((v - inner.mouth_y) * (1 / 0.26)) - np.square(np.square(across)))
    u0 = u * (1 + narrow * squeeze)
    a2 = np.minimum(np.square(u0 / inner.mouth_w), 1)  # beyond the corners 1 - a2 would be negative, and its power NaN
    line = lip_line(inner, a2)
    cup = (1 - a2) ** shape.cup
    top, bottom = line - shape.up * cup, line + shape.low * cup
    if upper is None:
        upper = v + v < top + bottom
    near = np.abs(np.where(upper, top - v, v - bottom))
    lip = shape.thick * near * np.exp(-np.square(near * (1 / 0.12)))
    rise = shape.up * cup * np.exp(-np.square(near * (1 / 0.18))) + lip
    fall = np.minimum(near / (chin - inner.mouth_y), 1)
    fall = fall * fall * (3 - 2 * fall)  # no kink at either end, which would show as a crease
    side = u * u * (1 / 0.66)
    hinge = np.exp(-side * side * side)  # the jaw turns about the ears: its sides drop less
    drop = shape.low * cup * (1 - fall) + shape.jaw * fall * hinge + lip
    return u0, np.where(upper, v + rise, v - drop), top, bottom


def talking(inner: Inner, shape: MouthShape, chin: float, points: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """Inverse of `neutral`: where points (T, K, 2) of the resting face go, by fixed-point iteration."""
    moved = points.copy()
    moved[..., 1] += np.where(upper, -shape.up, shape.low)
    # Full steps stop at an error of 0.14 px of a 160-pixel frame; steps of 0.7 reach 0.03 px in about 20.
    for _ in range(24):
        u0, v0, _, _ = neutral(inner, shape, chin, moved[..., 0], moved[..., 1], upper)
        moved += 0.7 * (points - np.stack([u0, v0], -1))
    return moved


def brow_raise(inner: Inner, raised: np.ndarray | float, v: np.ndarray) -> np.ndarray:
    """How far the skin at height v moves up with the brows."""
    return 0.035 * raised * np.exp(-np.square((v - inner.eye_y + inner.brow_gap) / 0.17))


# ---------------------------------------------------------------- relief and projection


def relief(identity: Identity, n: int = 96) -> np.ndarray:
    """Smooth depth (n, n) of the face towards the camera over [-EXTENT, EXTENT]^2, for parallax when the head turns."""
    outer, inner = identity.outer, identity.inner
    axis = ((np.arange(n) + 0.5) / n * 2 - 1) * EXTENT
    u, v = np.meshgrid(axis, axis)
    dome = 0.60 - 0.34 * (u / outer.width) ** 2 - 0.22 * np.square((v + 0.05) / outer.chin)
    along = np.clip((v - inner.eye_y) / (inner.nose_y - inner.eye_y), 0, 1.1)
    ridge = np.exp(-np.square(u / 0.15)) * np.exp(-np.square(np.maximum(v - inner.nose_y + 0.06, 0) / 0.08)) * along
    chin = np.exp(-np.square(u / 0.3) - np.square((v - outer.chin + 0.15) / 0.25))
    # A floor, for the dome falls without end: at yaw 0.48 `unproject` would miss by 0.16 face units instead of 0.01.
    return np.maximum(dome + (0.06 + 0.6 * inner.nose_ridge) * ridge + 0.04 * chin, -0.45).astype(np.float32)


def _depth(table: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Depth at points (T, K, 2) from a relief table."""
    texel = ((points + EXTENT) * (len(table) / (2 * EXTENT)) - 0.5).astype(np.float32)
    return cv2.remap(table, texel, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def frame_centre(motion: Motion, size: int) -> np.ndarray:
    """Pixel (T, 2) of the face's origin (x, y)."""
    return np.stack([(0.5 + motion.x) * size, (CENTRE_Y + motion.y) * size], -1)


def project(points: np.ndarray, table: np.ndarray, motion: Motion, size: int) -> np.ndarray:
    """Pixels (T, K, 2) of points (T, K, 2) of the talking face."""
    z = _depth(table, points)
    yaw, pitch, roll = (np.asarray(a)[:, None] for a in (motion.yaw, motion.pitch, motion.roll))
    x = points[..., 0] * np.cos(yaw) + z * np.sin(yaw)
    y = points[..., 1] * np.cos(pitch) + z * np.sin(pitch)
    turned = np.stack([x * np.cos(roll) - y * np.sin(roll), x * np.sin(roll) + y * np.cos(roll)], -1)
    return frame_centre(motion, size)[:, None] + turned * (motion.scale * size)[:, None, None]


def grid_nodes(size: int) -> np.ndarray:
    """Pixel positions of the nodes along one side; `expand` interpolates between them."""
    # Half-pixel centres, as cv2.resize has them, and one node beyond each border: past the last it only repeats.
    return (np.arange(-(-size // GRID_STEP) + 2) - 0.5) * GRID_STEP - 0.5


def expand(nodes: np.ndarray, size: int) -> np.ndarray:
    """Interpolate values on the nodes (n, n, C) to every pixel (size, size, C)."""
    full = cv2.resize(nodes, None, fx=GRID_STEP, fy=GRID_STEP, interpolation=cv2.INTER_LINEAR)
    return full[GRID_STEP : GRID_STEP + size, GRID_STEP : GRID_STEP + size]


def derotated(motion: Motion, size: int) -> np.ndarray:
    """Node positions (T, n, n, 2) in face units relative to the face's origin, head roll removed."""
    nodes = grid_nodes(size)
    x, y = (c - frame_centre(motion, size)[:, i, None, None] for i, c in enumerate(np.meshgrid(nodes, nodes)))
    c, s = (f(motion.roll)[:, None, None] for f in (np.cos, np.sin))
    unit = (motion.scale * size)[:, None, None]
    return np.stack([(x * c + y * s) / unit, (y * c - x * s) / unit], -1)


def unproject(flat: np.ndarray, table: np.ndarray, motion: Motion) -> np.ndarray:
    """Points (T, n, n, 2) of the talking face seen at the nodes that `derotated` returned."""
    yaw, pitch = (np.asarray(a)[:, None, None] for a in (motion.yaw, motion.pitch))
    points = flat
    for _ in range(6):  # the relief is shallow: each step shrinks the error, fourfold at yaw 0.14, by a third at 0.48
        z = _depth(table, points.reshape(len(flat), -1, 2)).reshape(flat.shape[:3])
        u = (flat[..., 0] - z * np.sin(yaw)) / np.cos(yaw)
        points = np.stack([u, (flat[..., 1] - z * np.sin(pitch)) / np.cos(pitch)], -1)
    return points


# ---------------------------------------------------------------- landmarks


def _resting_mouth(inner: Inner) -> tuple[np.ndarray, np.ndarray]:
    """Resting landmarks 48-67 (20, 2) and which of them belong to the upper lip."""
    a = np.linspace(-1, 1, 7)
    top, bottom = lip_edges(inner, a * a)
    b = np.linspace(-0.92, 0.92, 5)
    line = lip_line(inner, b * b)
    u = np.concatenate([a, a[-2:0:-1], b, b[-2:0:-1]]) * inner.mouth_w
    v = np.concatenate([top, bottom[-2:0:-1], line, line[-2:0:-1]])
    return np.stack([u, v], -1), np.isin(np.arange(20), [*range(7), *range(12, 17)])


def _nose(inner: Inner) -> np.ndarray:
    """Landmarks 27-35 (9, 2): ridge downwards, then base from left to right."""
    bridge, tip = inner.eye_y + 0.01, inner.nose_y - 0.09
    ridge = np.stack([np.zeros(4), np.linspace(bridge, tip, 4)], -1)
    a = np.linspace(-0.75, 0.75, 5)
    return np.concatenate([ridge, np.stack([a * inner.nose_w, inner.nose_y + 0.045 * (1 - a * a)], -1)])


def _eyes(inner: Inner, blink: np.ndarray) -> np.ndarray:
    """Landmarks 36-47 (T, 12, 2)."""
    s = np.array([-1, -0.36, 0.36, 1, 0.36, -0.36])  # inner corner, over the top, outer corner, back below
    upper, lower = lids(inner, s[None], blink[:, None])
    v = np.where(np.arange(6) < 4, upper, lower)
    right = np.stack([np.broadcast_to(inner.eye_x + inner.eye_w * s, v.shape), v], -1)
    left = right[:, [3, 2, 1, 0, 5, 4]] * [-1, 1]  # numbered from the image's left, so the mirrored eye runs backwards
    return np.concatenate([left, right], 1)


def landmarks(identity: Identity, table: np.ndarray, motion: Motion, mouth: "MouthTrack", size: int) -> np.ndarray:
    """The 68 landmarks (T, 68, 2), pixels (x, y), float32, in the order of iBUG 300-W (Sagonas et al., 2013)."""
    outer, inner = identity.outer, identity.inner
    shape, n = mouth_shape(inner, mouth), len(motion)
    jaw = outline(outer, np.linspace(np.pi * 1.04, -np.pi * 0.04, 17))
    resting_mouth, upper = _resting_mouth(inner)
    soft = np.concatenate([jaw, resting_mouth])
    # Told, not found by place: at rest the inner points of both lips lie on one line.
    is_upper = np.concatenate([jaw[:, 1] < inner.mouth_y + inner.lip_curve, upper])
    moved = talking(inner, shape, outer.chin, np.repeat(soft[None], n, 0), is_upper[None])
    right_brow = np.repeat(brow_line(inner, np.linspace(-1, 1, 5))[None], n, 0)
    right_brow[..., 1] -= brow_raise(inner, np.asarray(motion.brow)[:, None], right_brow[..., 1])
    left_brow = right_brow[:, ::-1] * [-1, 1]
    nose = np.repeat(_nose(inner)[None], n, 0)
    points = [moved[:, :17], left_brow, right_brow, nose, _eyes(inner, motion.blink), moved[:, 17:]]
    return project(np.concatenate(points, 1), table, motion, size).astype(np.float32)
