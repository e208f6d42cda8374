"""Hair, drawn strand by strand: on the head, behind it, and as a beard.

Strands of the head live in two coordinates: `along` runs from the left ear (-1) over the forehead (0) to the right
ear (1), `out` from the hairline (0) to the silhouette (1). A style is a rule where strands start and where they lead.
Images are RGBA with premultiplied alpha, which OpenCV's smooth-edged drawing keeps.
"""

import cv2
import numpy as np

from tdd.synth.geometry import outline
from tdd.synth.identity import Outer
from tdd.synth.surface import SHIFT, Canvas

POINTS = 9  # of a strand


class Scalp:
    """The two curves between which the hair of a head grows."""

    def __init__(self, outer: Outer) -> None:
        rng = np.random.default_rng(outer.seed)
        self.outer = outer
        self.along = np.linspace(-1.15, 1.15, 93)  # beyond the ears, where strands may still lead
        self.line = self._hairline(rng)
        skull = outline(outer, -np.pi / 2 + self.along * np.pi * 0.52)
        lift = np.cos(np.clip(self.along, -1, 1) * np.pi / 2) ** 0.8
        bumps = np.interp(self.along, np.linspace(-1.2, 1.2, 15), rng.normal(0, 0.12, 15))
        thick = outer.volume * (1 + bumps)
        grow = np.stack([1 + thick * 0.75, 1 + thick * (0.55 + 0.35 * lift)], -1)
        ends = np.clip((1.14 - np.abs(self.along)) / 0.34, 0, 1) ** 0.7
        self.rim = self.line + (skull * grow - self.line) * ends[:, None]

    def _hairline(self, rng: np.random.Generator) -> np.ndarray:
        o, a = self.outer, np.abs(self.along)
        front, temple = np.clip(a / 0.62, 0, 1), np.clip((a - 0.62) / 0.38, 0, 1.3)
        u = np.sign(self.along) * (0.66 * front**0.9 + (0.97 * o.width - 0.66) * temple**0.6)
        corner = np.exp(-np.square((a - 0.45) / 0.2))
        v = o.hairline - o.recession * corner + 0.10 * front**2 + (0.12 - o.hairline - 0.10) * temple**1.1
        wobble = np.interp(self.along, np.linspace(-1.2, 1.2, 40), rng.normal(0, 0.014, 40))
        return np.stack([u, v + wobble], -1)

    def points(self, along: np.ndarray, out: np.ndarray) -> np.ndarray:
        """Points (..., 2) at scalp coordinates."""
        inner, rim = (
            np.stack([np.interp(along, self.along, curve[:, i]) for i in (0, 1)], -1) for curve in (self.line, self.rim)
        )
        return inner + (rim - inner) * out[..., None]

    def region(self, low: float, high: float) -> np.ndarray:
        """Polygon of the hair between two values of `along`."""
        a = np.linspace(low, high, 60)
        bulge = 0.0 if self.outer.hair_style in ("fringe", "part") else 0.02
        return np.concatenate([self.points(a, np.full(60, bulge)), self.points(a[::-1], np.full(60, 0.99))])


def _tones(outer: Outer, rng: np.random.Generator, n: int, spread: float = 0.17) -> np.ndarray:
    """Colours (n, 4) of strands: each a little lighter or darker than the hair."""
    shade = rng.normal(1.0, spread, (n, 1)).clip(0.55, 1.7)
    colours = np.array(outer.hair_colour) * shade + 10 * (shade - 0.8)
    return np.concatenate([np.clip(colours, 3, 255), np.full((n, 1), 255.0)], 1)


def _opaque(outer: Outer, factor: float) -> tuple[float, ...]:
    r, g, b = (c * factor for c in outer.hair_colour)
    return r, g, b, 255.0


def _count(canvas: Canvas, n: int) -> int:
    """Number of strands: fewer on coarse textures, where they are wider."""
    return max(12, int(n * min(1.3, canvas.density / 72)))


def _parted(o: Outer, rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    side = np.where(rng.uniform(-1, 1, n) < o.parting, -1.0, 1.0)
    start = o.parting + side * rng.uniform(0, 0.8, n) ** 1.2 * (1 - side * o.parting)
    length = rng.uniform(0.25, 0.6, n)
    t = np.linspace(0, 1, POINTS)
    along = np.clip(start[:, None] + side[:, None] * length[:, None] * t, -1.06, 1.06)
    root = rng.uniform(-0.04, 1.0, n)
    sweep = 0.2 * np.sin(np.pi * t) * (1 - root[:, None]) + (0.12 * rng.normal(0, 1, n))[:, None] * t
    return along, np.clip(root[:, None] + sweep, -0.05, 1.03)


def _fringed(o: Outer, rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    t = np.linspace(0, 1, POINTS)
    start = rng.uniform(-1, 1, n)
    along = start[:, None] * (0.85 + 0.15 * t) + o.parting * 0.35 * t * (1 - np.abs(start[:, None]))
    root = rng.uniform(0.1, 1.0, n)
    depth = -(0.18 + 0.34 * rng.uniform(0.4, 1, n)) * np.cos(start * np.pi / 2) ** 1.6
    end = np.where(rng.random(n) < 0.55, depth, root - rng.uniform(0.2, 0.5, n))
    return along, np.maximum(root[:, None] + (end - root)[:, None] * t**1.2, depth[:, None])


def _backward(o: Outer, rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    t = np.linspace(0, 1, POINTS)
    start = rng.uniform(-1.02, 1.02, n)
    root = rng.uniform(-0.03, 0.85, n)
    along = start[:, None] * (1 - 0.16 * t * rng.uniform(0.6, 1.2, (n, 1))) + o.parting * 0.12 * t
    return along, np.minimum(root[:, None] + rng.uniform(0.25, 0.5, (n, 1)) * t, 1.01)


def _cropped(o: Outer, rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    t = np.linspace(0, 1, POINTS)
    start, root = rng.uniform(-1, 1, n), rng.uniform(-0.03, 1.0, n)
    along = start[:, None] + rng.normal(0, 0.05, (n, 1)) * t + o.parting * 0.25 * t**2
    return along, root[:, None] + rng.uniform(0.12, 0.30, (n, 1)) * t * np.sign(rng.uniform(-0.5, 1, (n, 1)))


RULES = {"part": (_parted, 620), "fringe": (_fringed, 620), "back": (_backward, 560), "crop": (_cropped, 760)}


def _curls(rng: np.random.Generator, centres: np.ndarray, size: float) -> np.ndarray:
    """Arcs (N, POINTS, 2) about centres (N, 2)."""
    n = len(centres)
    angle = rng.uniform(0, 2 * np.pi, (n, 1)) + np.linspace(0, 1, POINTS) * rng.uniform(1.4, 3.2, (n, 1))
    radius = size * rng.uniform(0.5, 1.2, (n, 1))
    return centres[:, None] + np.stack([np.cos(angle) * radius, np.sin(angle) * radius], -1)


def _wavy(lines: np.ndarray, rng: np.random.Generator, amount: float) -> np.ndarray:
    """Add a travelling wave across strands (N, K, 2), growing towards their tips."""
    t = np.linspace(0, 1, lines.shape[1])
    phase = rng.normal(0, 0.8, (len(lines), 1)) + lines[:, :1, 0] * 9
    wave = amount * np.sin(phase + t * 7) * t
    direction = lines[:, -1] - lines[:, 0]
    # 1e-6: a strand without length has no direction.
    normal = np.stack([-direction[:, 1], direction[:, 0]], -1) / (
        np.linalg.norm(direction, axis=1, keepdims=True) + 1e-6
    )
    return lines + wave[..., None] * normal[:, None]


def front_hair(outer: Outer, canvas: Canvas) -> np.ndarray:
    """Hair in front of the head, RGBA (n, n, 4) uint8 premultiplied, without light."""
    image = np.zeros((canvas.n, canvas.n, 4), np.uint8)
    if outer.hair_style == "bald":
        return image
    rng, scalp = np.random.default_rng(outer.seed + 1), Scalp(outer)
    dark = _opaque(outer, 0.70)
    if outer.hair_style == "buzz":
        return _buzz(outer, scalp, canvas, image)
    canvas.fill(image, scalp.region(-1.04, 1.04), dark)  # no skin shines through between strands
    if outer.hair_style == "curly":
        n = _count(canvas, 1300)
        centres = scalp.points(rng.uniform(-1.05, 1.05, n), rng.uniform(-0.02, 1.04, n))
        canvas.strokes(image, _curls(rng, centres, 0.045 + 0.03 * outer.wave), _tones(outer, rng, n, 0.17))
        return image
    rule, count = RULES[outer.hair_style]
    n = _count(canvas, count)
    if outer.hair_style == "fringe":
        _fringe_mass(scalp, canvas, image, dark)
    lines = scalp.points(*rule(outer, rng, n))
    lines += rng.normal(0, 0.008, lines.shape).cumsum(1) * 0.5  # summed, so that strands bend and do not tremble
    lines = _wavy(lines, rng, 0.022 * outer.wave)
    canvas.strokes(image, lines[: n // 2], _tones(outer, rng, n // 2, 0.16) * [0.9, 0.9, 0.9, 1], 0.022)
    canvas.strokes(image, lines[n // 2 :], _tones(outer, rng, n - n // 2))
    if outer.hair_length > 0.1 and not outer.tucked:
        _side_locks(outer, rng, canvas, image)
    return image


def _side_locks(outer: Outer, rng: np.random.Generator, canvas: Canvas, image: np.ndarray) -> None:
    """Hair that falls over the ears and along the cheeks."""
    n, t = _count(canvas, 260), np.linspace(0, 1, POINTS)
    side = np.where(rng.random(n) < 0.5, -1.0, 1.0)
    place = rng.uniform(0, 1, n)
    start = rng.uniform(-0.75, 0.1, n)
    stop = np.minimum(outer.hair_length + rng.normal(0, 0.05, n), start + rng.uniform(0.6, 1.1, n)).clip(0.15, 1.25)
    v = start[:, None] + (stop - start)[:, None] * t
    skull = outer.width * np.sqrt(np.clip(1 - np.square(np.minimum(v, 0) / outer.top), 0.05, 1))
    u = (
        skull * (0.90 + (0.18 + 0.5 * outer.volume) * place[:, None])
        + 0.06 * outer.wave * np.sin(v * 5 + 3 * place[:, None]) * t
    )
    lines = np.stack([side[:, None] * u, v], -1)
    canvas.strokes(image, lines[: n // 2], _tones(outer, rng, n // 2) * [0.85, 0.85, 0.85, 1], 0.03)
    canvas.strokes(image, lines[n // 2 :], _tones(outer, rng, n - n // 2))


def _fringe_mass(scalp: Scalp, canvas: Canvas, image: np.ndarray, colour: tuple[float, ...]) -> None:
    a = np.linspace(-0.95, 0.95, 50)
    low = scalp.points(a, -0.28 * np.cos(a * np.pi / 2) ** 1.6)
    canvas.fill(image, np.concatenate([low, scalp.points(a[::-1], np.full(50, 0.5))]), colour)


def _buzz(outer: Outer, scalp: Scalp, canvas: Canvas, image: np.ndarray) -> np.ndarray:
    """Hair of a few millimetres: a veil with a soft edge and many dots."""
    rng = np.random.default_rng(outer.seed + 2)
    veil = np.zeros((canvas.n, canvas.n), np.uint8)
    canvas.fill(veil, scalp.region(-1.02, 1.02), (255,))
    cover = cv2.GaussianBlur(veil, (0, 0), 0.025 * canvas.density).astype(np.float32) / 255
    grain = np.clip(0.62 + 0.13 * canvas.noise(rng, 0.018), 0, 1)
    image[..., 3] = 255 * cover * grain
    image[..., :3] = np.array(outer.hair_colour) * (cover * grain)[..., None] * 0.85
    return image


def back_hair(outer: Outer, canvas: Canvas) -> np.ndarray:
    """Hair behind the head and on the shoulders, RGBA (n, n, 4) uint8 premultiplied."""
    image = np.zeros((canvas.n, canvas.n, 4), np.uint8)
    if outer.hair_style in ("bald", "buzz"):
        return image
    rng = np.random.default_rng(outer.seed + 3)
    dark = _opaque(outer, 0.45)
    if outer.hair_style == "curly":
        _curly_cloud(outer, rng, canvas, image, dark)
        return image
    rim = outline(outer, np.linspace(np.pi, 2 * np.pi, 50)) * (1 + 0.6 * outer.volume)
    if outer.hair_length < 0.1:
        _nape(outer, rng, rim * [0.95, 0.97], canvas, image, dark)
        return image
    _fall(outer, rng, rim, canvas, image, dark)
    return image


def _nape(
    outer: Outer, rng: np.random.Generator, rim: np.ndarray, canvas: Canvas, image: np.ndarray, dark: tuple[float, ...]
) -> None:
    """The back of short hair, seen beside a turned head."""
    canvas.fill(image, np.concatenate([rim, [[0.72 * outer.width, 0.35], [-0.72 * outer.width, 0.35]]]), dark)
    n = _count(canvas, 160)
    t, side = np.linspace(0, 1, POINTS), np.where(rng.random(n) < 0.5, -1.0, 1.0)
    angle = np.pi / 2 * rng.uniform(0.0, 0.9, (n, 1)) - 0.5 * t
    radius = rng.uniform(0.8, 0.97, (n, 1)) * [1.0]
    lines = np.stack(
        [side[:, None] * np.cos(angle) * rim[:, 0].max() * radius, np.sin(angle) * rim[:, 1].min() * radius], -1
    )
    canvas.strokes(image, lines, _tones(outer, rng, n) * [0.6, 0.6, 0.6, 1])


def _fall(
    outer: Outer, rng: np.random.Generator, rim: np.ndarray, canvas: Canvas, image: np.ndarray, dark: tuple[float, ...]
) -> None:
    """Long hair: locks that hang from the sides of the head."""
    half, end = outer.width * (1.07 + 0.5 * outer.volume), outer.hair_length
    flare = 0.05 + 0.2 * outer.wave
    bottom = np.array(
        [
            [half + flare * 0.5, end * 0.8],
            [half * 0.7, end - 0.05],
            [-half * 0.7, end - 0.05],
            [-half - flare * 0.5, end * 0.8],
        ]
    )
    canvas.fill(image, np.concatenate([rim, bottom]), dark)
    n = _count(canvas, 560)
    side = np.where(rng.random(n) < 0.5, -1.0, 1.0)
    place, t = rng.uniform(0.42, 1.04, n), np.linspace(0, 1, 14)  # the head hides what is nearer to the middle
    start = rng.uniform(-1.15, 0.5, n)
    stop = np.minimum(start + rng.uniform(0.5, 1.9, n), end + rng.normal(0, 0.05, n))
    v = start[:, None] + (stop - start)[:, None] * t
    hang = np.clip((v + 0.2) / 1.2, 0, 1)
    u = side[:, None] * (
        half * place[:, None] * np.sqrt(np.clip(1 - np.square(np.minimum(v, 0) / 1.35), 0.05, 1))
        + flare * hang * place[:, None] ** 3
    )
    wave = 0.05 * outer.wave * np.sin(v * 6 + rng.normal(0, 0.5, (n, 1)) + place[:, None] * 4) * hang
    canvas.strokes(
        image, np.stack([u + wave, v], -1)[: n // 2], _tones(outer, rng, n // 2, 0.16) * [0.8, 0.8, 0.8, 1], 0.03
    )
    canvas.strokes(image, np.stack([u + wave, v], -1)[n // 2 :], _tones(outer, rng, n - n // 2) * [0.92, 0.92, 0.92, 1])


def _curly_cloud(
    outer: Outer, rng: np.random.Generator, canvas: Canvas, image: np.ndarray, dark: tuple[float, ...]
) -> None:
    n, end = _count(canvas, 700), max(0.0, outer.hair_length * 0.6)
    angle = rng.uniform(np.pi * 0.9 - end, np.pi * 2.1 + end, n)
    radius = np.sqrt(rng.uniform(0.3, 1, n)) * (1.0 + outer.volume)  # the root spreads them evenly over the area
    cloud = np.stack([np.cos(angle) * outer.width * 1.06, np.sin(angle) * outer.top], -1) * radius[:, None]
    for centre in canvas.texels(cloud):
        cv2.circle(image, tuple(map(int, centre)), int(0.09 * canvas.density * 16), dark, -1, cv2.LINE_AA, SHIFT)
    size = 0.05 + 0.03 * outer.wave
    canvas.strokes(image, _curls(rng, cloud, size), _tones(outer, rng, n, 0.17) * [0.75, 0.75, 0.75, 1])


# ---------------------------------------------------------------- beard


def _beard_density(outer: Outer, canvas: Canvas) -> np.ndarray:
    """Where a beard of the outer's style grows, (n, n) in 0..1; the lips keep free of it for any inner face."""
    u, v = canvas.axis[None], canvas.axis[:, None]
    side = np.abs(u) / outer.width
    jaw = np.clip((v - 0.52 + 0.75 * np.clip(side - 0.45, 0, 1)) / 0.22 + 2.2 * np.clip(side - 0.72, 0, 1), 0, 1)
    moustache = canvas.blob(0, 0.47, 0.22, 0.055) * 1.5
    chin = np.clip(1.6 * canvas.blob(0, 0.98, 0.21, 0.17), 0, 1)
    around = np.clip(1.5 * np.exp(-np.square((np.hypot(u, (v - 0.7) * 0.9) - 0.37) / 0.09)), 0, 1) * (v > 0.4)
    full = np.clip(jaw * (v > 0.0) + moustache, 0, 1)
    field = {"stubble": 0.9 * full, "full": full, "moustache": moustache, "goatee": np.maximum(chin, around)}[
        outer.beard_style
    ]
    return np.clip(field, 0, 1).astype(np.float32)


def beard(outer: Outer, lips: np.ndarray, canvas: Canvas, image: np.ndarray) -> None:
    """Draw the beard on an RGB image (n, n, 3), keeping off the mask `lips` (n, n)."""
    if outer.beard_style == "none":
        return
    rng = np.random.default_rng(outer.seed + 4)
    density = _beard_density(outer, canvas) * (
        1 - np.clip(cv2.GaussianBlur(lips, (0, 0), 0.012 * canvas.density) * 1.6, 0, 1)
    )
    density = cv2.GaussianBlur(density, (0, 0), 0.03 * canvas.density) * (1 - np.clip(lips * 1.5, 0, 1))
    stubble = outer.beard_style == "stubble"
    veil = density * (0.40 if stubble else 0.75) * np.clip(1 + 0.25 * canvas.noise(rng, 0.02), 0, 1.4)
    image[:] = np.clip(image * (1 - veil[..., None]) + np.array(outer.beard_colour) * veil[..., None], 0, 255)
    if stubble:  # too short for strokes
        return
    n = _count(canvas, 2600)
    roots = rng.uniform((-outer.width, 0.3), (outer.width, outer.chin + 0.02), (n, 2))
    index = np.clip((roots + canvas.extent) * canvas.density, 0, canvas.n - 1).astype(int)
    roots = roots[rng.random(n) < density[index[:, 1], index[:, 0]] * 0.9]
    lean = np.stack([0.45 * roots[:, 0], np.ones(len(roots))], -1) + rng.normal(0, 0.25, roots.shape)
    tips = roots + lean * rng.uniform(0.025, 0.055, (len(roots), 1))
    tones = (
        np.array(outer.beard_colour) * rng.normal(1.08, 0.22, (len(roots), 1)).clip(0.6, 1.8)
        + np.array(outer.skin) * 0.08
    )
    canvas.strokes(image, np.stack([roots, tips], 1), tones)
