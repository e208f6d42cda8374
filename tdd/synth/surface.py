"""The resting face as a lit surface: colour without light, a height field, and how a light falls on both."""

import cv2
import numpy as np

from tdd.synth.geometry import EXTENT, brow_line, lids, lip_edges, lip_line, outline, side_width
from tdd.synth.identity import Identity, Inner, Outer

SHIFT = 4  # fractional bits of OpenCV's drawing coordinates
FINE = 1.5  # texels of the resting face per pixel of a typical frame
TYPICAL_SCALE = 0.29  # one face unit as a fraction of the frame's side


class Canvas:
    """A square texture over [-extent, extent]^2 face units, and drawing in those units."""

    def __init__(self, density: float, extent: float = EXTENT) -> None:
        self.density, self.extent = density, extent
        self.n = round(2 * extent * density)
        self.axis = ((np.arange(self.n) + 0.5) / density - extent).astype(np.float32)

    def blob(self, u: float, v: float, su: float, sv: float) -> np.ndarray:
        """A Gaussian bump (n, n) of height 1."""
        column, row = (np.exp(-0.5 * np.square((self.axis - c) / s)) for c, s in ((v, sv), (u, su)))
        return column[:, None] * row

    def pair(self, u: float, v: float, su: float, sv: float) -> np.ndarray:
        """Two mirrored bumps."""
        row = np.exp(-0.5 * np.square((self.axis - u) / su)) + np.exp(-0.5 * np.square((self.axis + u) / su))
        return np.exp(-0.5 * np.square((self.axis - v) / sv))[:, None] * row

    def noise(self, rng: np.random.Generator, sigma: float) -> np.ndarray:
        """Smooth noise (n, n) of unit variance, correlated over `sigma` face units."""
        # Drawn coarse and enlarged, so that a seed gives the same skin at any image size.
        coarse = max(8, int(2 * self.extent / sigma * 1.5))
        small = rng.standard_normal((coarse, coarse)).astype(np.float32)
        field = cv2.resize(small, (self.n, self.n), interpolation=cv2.INTER_CUBIC)
        return field / field.std()

    def texels(self, points: np.ndarray) -> np.ndarray:
        """Fixed-point drawing coordinates of points (..., 2)."""
        return np.round(((points + self.extent) * self.density - 0.5) * (1 << SHIFT)).astype(np.int32)

    def fill(self, image: np.ndarray, points: np.ndarray, colour: tuple[float, ...]) -> None:
        """Fill a polygon (K, 2) with smooth edges."""
        cv2.fillPoly(image, [self.texels(points)], colour, cv2.LINE_AA, SHIFT)

    def strokes(self, image: np.ndarray, lines: np.ndarray, colours: np.ndarray, width: float = 0.0) -> None:
        """Draw polylines (N, K, 2) in colours (N, C), in eight groups of similar tone; `width` 0 is one texel."""
        order = np.argsort(colours.sum(1), kind="stable")  # dark ones first: light hairs lie on top
        texels, thickness = self.texels(lines), max(1, round(width * self.density))
        # OpenCV draws many lines in one call, but all in one colour.
        for group in np.array_split(order, 8):
            if len(group):
                colour = tuple(float(c) for c in colours[group].mean(0))
                cv2.polylines(image, list(texels[group]), False, colour, thickness, cv2.LINE_AA, SHIFT)


def disc_radius(outer: Outer, canvas: Canvas) -> np.ndarray:
    """Squared radius (n, n) in the head's own outline: 1 on the outline."""
    u, v = canvas.axis[None], canvas.axis[:, None]
    height = np.where(v > 0, outer.chin, outer.top)
    across = u / (outer.width * side_width(outer, v))
    return np.abs(across) ** outer.squareness + np.abs(v / height) ** outer.squareness


def height_field(identity: Identity, canvas: Canvas) -> np.ndarray:
    """Height (n, n) of the resting face in face units: skull, sockets, nose, cheeks, lips, chin."""
    outer, i = identity.outer, identity.inner
    blob, pair = canvas.blob, canvas.pair
    # A root's slope has no bound at zero: 1.04 and the floor keep it finite, and so the shading of the skull's edge.
    z = 0.62 * np.sqrt(np.clip(1.04 - disc_radius(outer, canvas), 0.015, None))
    z += 0.022 * pair(0.24, i.eye_y - 0.19, 0.17, 0.07) + 0.035 * blob(0, -0.5, 0.4, 0.2)
    z -= 0.07 * pair(i.eye_x - 0.03, i.eye_y - 0.02, 0.14, 0.10)
    z += 0.06 * pair(i.eye_x, i.eye_y - 0.01, 0.10, 0.065) + 0.05 * pair(0.52, 0.2, 0.17, 0.12)
    z -= 0.03 * pair(0.46, 0.48, 0.12, 0.14)
    z += _nose_height(i, canvas) + _mouth_height(i, canvas)
    z += 0.08 * blob(0, outer.chin - 0.19, 0.17, 0.11)
    return z.astype(np.float32)


def _nose_height(i: Inner, canvas: Canvas) -> np.ndarray:
    u, v = canvas.axis[None], canvas.axis[:, None]
    along = np.clip((v - i.eye_y + 0.22) / (i.nose_y - i.eye_y + 0.22), 0, 1)
    base = 1 / (1 + np.exp((v - i.nose_y + 0.03) / 0.022))
    sigma = 0.062 + 0.038 * along
    ridge = (
        (0.035 + i.nose_ridge * along**1.6)
        * np.exp(-0.5 * np.square(u / sigma))
        * base
        * np.clip(along * 2.2, 0, 1) ** 2
    )
    wings = 0.085 * canvas.pair(i.nose_w * 0.72, i.nose_y - 0.025, i.nose_w * 0.26, 0.045)
    return ridge + wings + 0.05 * canvas.blob(0, i.nose_y - 0.06, 0.06, 0.05)


def _mouth_height(i: Inner, canvas: Canvas) -> np.ndarray:
    blob, y = canvas.blob, i.mouth_y
    z = 0.06 * blob(0, y, i.mouth_w * 0.9, 0.15) - 0.02 * blob(0, (y + i.nose_y) / 2, 0.028, 0.09)
    z += 0.030 * blob(0, y - i.lip_up * 0.55, i.mouth_w * 0.5, i.lip_up * 0.5)
    z += 0.045 * blob(0, y + i.lip_low * 0.5, i.mouth_w * 0.48, i.lip_low * 0.42)
    z -= 0.035 * blob(0, y + i.lip_curve * 0.2, i.mouth_w * 0.62, 0.014)
    z -= 0.045 * blob(0, y + i.lip_low + 0.07, 0.15, 0.045)
    z -= 0.022 * canvas.pair(i.mouth_w + 0.03, y, 0.04, 0.05)
    return z - i.fold * _fold(i, canvas)


def _fold(i: Inner, canvas: Canvas) -> np.ndarray:
    """Naso-labial folds: grooves (n, n) from the wings of the nose past the corners of the mouth."""
    v = canvas.axis[:, None]
    along = np.clip((v - i.nose_y + 0.05) / (i.mouth_y - i.nose_y + 0.05), 0, 1.2)
    line = i.nose_w + 0.05 + (i.mouth_w + 0.05 - i.nose_w) * along**1.2
    strength = np.exp(-0.5 * np.square((along - 0.5) / 0.35))
    return 0.028 * strength * np.exp(-0.5 * np.square((np.abs(canvas.axis[None]) - line) / 0.035))


ROUGHNESS = (0.3, 3.0)
"""How rough the skin is, from face to face: wide, so that roughness in one frame says little about a forgery."""


def skin_colour(identity: Identity, canvas: Canvas) -> np.ndarray:
    """Colour of the resting face without light, (n, n, 3) float32 RGB: the outer skin tone times the inner texture."""
    outer, i = identity.outer, identity.inner
    rng, blob, pair = np.random.default_rng(i.seed), canvas.blob, canvas.pair
    coarse, pores = canvas.noise(rng, 0.05), canvas.noise(rng, 0.025)
    tone = 1 + 0.018 * canvas.noise(rng, 0.22) + rng.uniform(*ROUGHNESS) * (0.022 * coarse + 0.016 * pores)
    red = (0.05 + 0.09 * i.blush) * pair(0.5, 0.24, 0.16, 0.12) + 0.07 * blob(0, i.nose_y - 0.06, 0.1, 0.08)
    red += 0.03 * canvas.noise(rng, 0.12) * 0.4
    dark = (0.05 + 0.13 * i.eye_shadow) * pair(i.eye_x, i.eye_y + 0.02, 0.15, 0.085)
    dark += (
        0.55 * pair(i.nose_w * 0.48, i.nose_y + 0.018, 0.034, 0.017)
        + 0.10 * pair(i.nose_w + 0.015, i.nose_y - 0.02, 0.018, 0.04)
        + 0.16 * blob(0, i.nose_y + 0.04, i.nose_w * 0.7, 0.022)
    )
    dark += _spots(i, rng, canvas)
    albedo = (tone - dark)[..., None] * (1 - red[..., None] * np.array([-0.35, 1.0, 0.85], np.float32))
    albedo *= 1 + lip_mask(i, canvas)[..., None] * (_lip_texture(i, rng, canvas) - 1)
    return np.maximum(albedo * np.array(outer.skin, np.float32), 4).astype(np.float32)


def _spots(i: Inner, rng: np.random.Generator, canvas: Canvas) -> np.ndarray:
    """Darkness (n, n) of freckles and moles."""
    spots = np.zeros((canvas.n, canvas.n), np.float32)
    count = int(160 * i.freckles)
    points = np.stack([rng.normal(0, 0.36, count), rng.normal(0.18, 0.14, count)], -1)
    for point in canvas.texels(points):
        cv2.circle(
            spots,
            tuple(map(int, point)),
            int(0.010 * canvas.density * 16),  # in the 16ths of a texel that SHIFT stands for
            rng.uniform(0.06, 0.22),
            -1,
            cv2.LINE_8,  # OpenCV smooths edges in 8-bit images alone; the blur below softens these
            SHIFT,
        )
    for point in canvas.texels(rng.uniform((-0.6, -0.55), (0.6, 0.95), (i.moles, 2))):
        cv2.circle(spots, tuple(map(int, point)), int(0.019 * canvas.density * 16), 0.45, -1, cv2.LINE_8, SHIFT)
    return cv2.GaussianBlur(spots, (0, 0), 0.008 * canvas.density)


def lip_mask(i: Inner, canvas: Canvas) -> np.ndarray:
    """Coverage (n, n) of the resting lips, 0..1."""
    a = np.clip(canvas.axis / i.mouth_w, -1, 1)
    top, bottom = lip_edges(i, a * a)
    v = canvas.axis[:, None]
    soft = 0.016
    mask = np.clip((v - top) / soft + 0.6, 0, 1) * np.clip((bottom - v) / soft + 0.6, 0, 1)
    return (mask * (np.abs(canvas.axis) < i.mouth_w * 0.985)).astype(np.float32)


def _lip_texture(i: Inner, rng: np.random.Generator, canvas: Canvas) -> np.ndarray:
    """Tint (n, n, 3) of the lips: vertical creases, a dark line where they meet."""
    a2 = np.minimum(np.square(canvas.axis / i.mouth_w), 1)
    creases = 1 + 0.05 * np.interp(canvas.axis, np.linspace(-0.5, 0.5, 60), rng.standard_normal(60))
    line = 1 - 0.55 * np.exp(-0.5 * np.square((canvas.axis[:, None] - lip_line(i, a2)) / 0.011)) * (1 - 0.4 * a2)
    return (np.array(i.lip_tint, np.float32) / 255) * (creases * line)[..., None]


def brows(identity: Identity, canvas: Canvas, image: np.ndarray) -> None:
    """Draw the brows hair by hair on an RGB image (n, n, 3)."""
    i = identity.inner
    rng = np.random.default_rng(i.seed + 1)
    count = int((50 + 70 * i.brow_density) * min(1.5, canvas.density / 70))  # wider hairs on coarse textures: fewer
    s = rng.uniform(-1, 1, (2, count))
    thick = i.brow_thick * (1 - 0.75 * np.maximum(s, 0) ** 1.5) * np.minimum(1, (s + 1.2) * 1.6)
    root = brow_line(i, s) + np.stack([np.zeros_like(s), thick * rng.uniform(-0.9, 0.9, s.shape)], -1)
    lean = np.stack([0.75 + 0.25 * s, -0.75 + 0.85 * np.maximum(s + 0.5, 0)], -1) + rng.normal(0, 0.22, (*s.shape, 2))
    tip = root + lean * rng.uniform(0.03, 0.06, s.shape)[..., None]
    lines = np.stack([root, (root + tip) / 2 + [0, -0.004], tip], -2)
    lines[0] *= [-1, 1]
    skin = np.array(identity.outer.skin)
    own = 0.45 - 0.3 * i.brow_density
    for share in (0.5, own):
        colour = np.array(i.brow_colour) * (1 - share) * 0.9 + skin * share * 0.75
        colours = colour * rng.uniform(0.75, 1.2, (2 * count, 1))
        canvas.strokes(image, lines.reshape(-1, 3, 2), colours)


def lid_lines(inner: Inner, canvas: Canvas, albedo: np.ndarray) -> None:
    """Darken the crease of the upper lid and the edge of the lower one, in place."""
    s = np.linspace(-1, 1, 15)
    upper, lower = lids(inner, s, 0.0)
    shade = np.zeros(albedo.shape[:2], np.float32)
    for side in (-1, 1):
        u = side * (inner.eye_x + inner.eye_w * s)
        crease = np.stack([u * 1.0 + side * 0.01, upper - inner.crease * (1 - 0.5 * s**2)], -1)
        bag = np.stack([u, lower + 0.05 + 0.02 * (1 - s * s)], -1)[3:-2]
        for line, value in ((crease, 0.34), (bag, 0.08 + 0.1 * inner.eye_shadow)):
            cv2.polylines(
                shade, [canvas.texels(line)], False, value, max(1, int(0.016 * canvas.density)), cv2.LINE_8, SHIFT
            )
    albedo *= 1 - cv2.GaussianBlur(shade, (0, 0), 0.011 * canvas.density)[..., None]


def shading(height: np.ndarray, canvas: Canvas, light: np.ndarray, ambient: float) -> np.ndarray:
    """Relative brightness (n, n) of a height field under a directional light; about 1 where it faces the camera."""
    smooth = cv2.GaussianBlur(height, (0, 0), 0.012 * canvas.density)
    # Sobel's weights add up to 8, and a texel is 1 / density face units: slopes without a unit.
    du = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, scale=canvas.density / 8)
    dv = cv2.Sobel(smooth, cv2.CV_32F, 0, 1, scale=canvas.density / 8)
    facing = (light[2] - du * light[0] - dv * light[1]) / np.sqrt(1 + du * du + dv * dv)
    lambert = np.clip((facing + 0.12) / (light[2] + 0.12), 0, 1.5)
    # Stands for the light that surroundings take away: hollows lose more than ridges gain.
    hollow = np.clip((smooth - cv2.GaussianBlur(smooth, (0, 0), 0.10 * canvas.density)) * 2.6, -0.4, 0.16)
    return (ambient + (1 - ambient) * lambert) * (1 + hollow)


def gloss(height: np.ndarray, canvas: Canvas, light: np.ndarray) -> np.ndarray:
    """Specular highlight (n, n), 0..1, of a height field under a directional light."""
    smooth = cv2.GaussianBlur(height, (0, 0), 0.02 * canvas.density)
    du = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, scale=canvas.density / 8)
    dv = cv2.Sobel(smooth, cv2.CV_32F, 0, 1, scale=canvas.density / 8)
    half = light + np.array([0, 0, 1.0])  # half-way to the viewer, who is on the third axis (Blinn)
    half = half / np.linalg.norm(half)
    facing = (half[2] - du * half[0] - dv * half[1]) / np.sqrt(1 + du * du + dv * dv)
    return np.clip(facing, 0, 1) ** 22


def lit_skin(albedo: np.ndarray, shade: np.ndarray, shine: np.ndarray) -> np.ndarray:
    """Light on skin, (n, n, 3) float32: shadows stay warm because light travels under the skin."""
    # A floor, for the logarithm of a black shade is infinite.
    logs = np.log(np.maximum(shade, 0.05))[..., None] * np.array([0.88, 1.04, 1.12], np.float32)
    lit = albedo * np.exp(logs) + 26 * shine[..., None]
    return np.where(lit > 190, 190 + (lit - 190) * 0.55, lit)  # a camera's shoulder: bright skin keeps its colour


def head_mask(outer: Outer, canvas: Canvas) -> np.ndarray:
    """Coverage (n, n) uint8 of the head without ears."""
    mask = np.zeros((canvas.n, canvas.n), np.uint8)
    canvas.fill(mask, outline(outer, np.linspace(0, 2 * np.pi, 160, endpoint=False)), (255,))
    return mask
