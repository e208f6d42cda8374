"""What is painted once per video: the lit head, the body behind it, and the glasses in front."""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from tdd.synth import hair, surface
from tdd.synth.camera import Scene
from tdd.synth.geometry import relief
from tdd.synth.identity import Identity, Outer
from tdd.synth.surface import FINE, TYPICAL_SCALE, Canvas

BODY_EXTENT = 2.2  # face units; the body's texture reaches past the frame's border


@dataclass(frozen=True, eq=False)
class Layers:
    """Textures of one video; RGBA images are uint8 with premultiplied alpha."""

    head: np.ndarray  # (n, n, 4)
    head_canvas: Canvas
    body: np.ndarray  # (m, m, 4)
    body_canvas: Canvas
    glasses: np.ndarray | None  # (n, n, 4) on the head's canvas
    relief: np.ndarray  # (96, 96) depth for parallax
    eye_light: tuple[float, float]  # brightness at the image's left and right eye
    mouth_light: float


@dataclass(frozen=True, eq=False)
class _Plain:
    """The parts of a person that no light has touched."""

    canvas: Canvas
    albedo: np.ndarray
    height: np.ndarray
    head: np.ndarray
    hair: np.ndarray
    relief: np.ndarray


@lru_cache(maxsize=4)  # a person's videos are made one after another (trees._make)
def _plain(identity: Identity, size: int) -> _Plain:
    canvas = Canvas(FINE * TYPICAL_SCALE * size)
    albedo = surface.skin_colour(identity, canvas)
    surface.lid_lines(identity.inner, canvas, albedo)
    image = np.clip(albedo, 0, 255).astype(np.uint8)  # OpenCV smooths the edges of hairs in 8 bits alone
    hair.beard(identity.outer, surface.lip_mask(identity.inner, canvas), canvas, image)
    surface.brows(identity, canvas, image)
    return _Plain(
        canvas=canvas,
        albedo=image.astype(np.float32),
        height=surface.height_field(identity, canvas),
        head=surface.head_mask(identity.outer, canvas),
        hair=hair.front_hair(identity.outer, canvas),
        relief=relief(identity),
    )


def _over(below: np.ndarray, above: np.ndarray) -> np.ndarray:
    """Premultiplied `above` over premultiplied `below`, both uint8 RGBA."""
    clear = cv2.merge([255 - above[..., 3]] * 4)
    return cv2.add(above, cv2.multiply(below, clear, scale=1 / 255))


def _tinted(layer: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """Multiply the colours of a premultiplied layer by (n, n); alpha stays and bounds them."""
    lit = layer.copy()
    colour = np.clip(layer[..., :3] * factor[..., None], 0, 255).astype(np.uint8)
    lit[..., :3] = np.minimum(colour, layer[..., 3:])
    return lit


def _ears(outer: Outer, canvas: Canvas, light: np.ndarray) -> np.ndarray:
    image = np.zeros((canvas.n, canvas.n, 4), np.uint8)
    skin = np.array(outer.skin)
    if outer.hair_length > 0.1 and not outer.tucked:
        return image
    a = np.linspace(0, 2 * np.pi, 40)
    for side in (-1, 1):
        tone = skin * [0.96, 0.84, 0.80] * np.clip(0.92 + 0.35 * side * light[0], 0.4, 1.2)
        for scale, shift, dark in ((1.0, 0.0, 1.0), (0.68, 0.012, 0.72), (0.45, 0.0, 0.9)):
            u = outer.width * 0.985 + shift + outer.ear * 0.46 * scale * np.cos(a) * (1 - 0.25 * np.sin(a))
            v = 0.10 + outer.ear * scale * np.sin(a)
            canvas.fill(image, np.stack([side * u, v], -1), (*np.clip(tone * dark, 0, 255), 255.0))
    return image


def _head(identity: Identity, plain: _Plain, scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    """The lit head with ears and hair, and the shading (n, n) that fell on its skin."""
    canvas, light, outer = plain.canvas, scene.light, identity.outer
    shade = surface.shading(plain.height, canvas, light, scene.ambient)
    skin = surface.lit_skin(
        plain.albedo, _hair_shadow(plain, shade), surface.gloss(plain.height, canvas, light) * scene.gloss
    )
    cover = plain.head.astype(np.float32)[..., None] / 255
    face = np.concatenate([np.clip(skin, 0, 255) * cover, cover * 255], -1).astype(np.uint8)
    image = _over(_ears(outer, canvas, light), face)
    return _over(image, _lit_hair(outer, plain, scene)), shade


def _hair_shadow(plain: _Plain, shade: np.ndarray) -> np.ndarray:
    """Shading darkened where the hair keeps light from the skin beside it."""
    density = plain.canvas.density
    soft = cv2.GaussianBlur(plain.hair[..., 3], (0, 0), 0.05 * density).astype(np.float32) / 255
    return shade * (1 - 0.38 * np.roll(soft, int(0.03 * density), 0))  # downwards: all light comes from above


def _lit_hair(outer: Outer, plain: _Plain, scene: Scene) -> np.ndarray:
    """Front hair under the light, with the bright band that bundles of parallel strands show."""
    canvas, light = plain.canvas, scene.light
    u, v = canvas.axis[None], canvas.axis[:, None]
    away = np.hypot(u / (outer.width * 1.15), v / (outer.top * 1.12))
    side = 1 + 0.55 * light[0] * u / outer.width - 0.35 * light[1] * (-v - 0.8)
    band = (
        0.42
        * np.exp(-np.square((away - 0.84 + 0.05 * light[0] * u) / 0.07))
        * (outer.hair_style != "curly")
        * np.clip(-0.15 - v * 1.6, 0, 1)
    )
    rim = 1 - 0.45 * np.clip((away - 0.86) / 0.16, 0, 1)
    rng = np.random.default_rng(outer.seed + 7)
    ragged = 1 + 0.5 * canvas.noise(rng, 0.06)
    return _tinted(plain.hair, np.clip(side, 0.5, 1.4) * rim * (1 + band * np.clip(ragged, 0, 2)))


def _body(outer: Outer, scene: Scene, size: int) -> tuple[np.ndarray, Canvas]:
    canvas = Canvas(1.1 * TYPICAL_SCALE * size, BODY_EXTENT)
    image = hair.back_hair(outer, canvas)
    _paint_neck(outer, scene, canvas, image)
    _paint_clothes(outer, scene, canvas, image)
    return image, canvas


def _paint_neck(outer: Outer, scene: Scene, canvas: Canvas, image: np.ndarray) -> None:
    neck, chin = outer.neck, outer.chin
    v = np.linspace(0.4, chin + 0.75, 12)
    half = neck * (0.97 + 0.5 * np.clip(v - chin - 0.18, 0, 1) ** 1.3)
    mask = np.zeros(image.shape[:2], np.uint8)
    canvas.fill(mask, np.concatenate([np.stack([half, v], -1), np.stack([-half, v], -1)[::-1]]), (255,))
    u, v = canvas.axis[None], canvas.axis[:, None]
    across = u / (neck * 1.05)
    shade = np.clip(0.92 - 0.30 * across**2 + 0.45 * scene.light[0] * across, 0.25, 1.15)
    shade = shade * (1 - 0.50 * np.exp(-np.square(np.maximum(v - chin + 0.12, 0) / 0.30)))  # the chin's shadow
    sinew = 0.07 * np.exp(-np.square((np.abs(u) - 0.32 * neck - 0.1 * (chin + 0.6 - v)) / 0.05))
    lit = surface.lit_skin(np.array(outer.skin, np.float32), shade + sinew, np.zeros_like(shade))
    cover = mask.astype(np.float32)[..., None] / 255
    layer = np.concatenate([np.clip(lit, 0, 255) * cover, cover * 255], -1).astype(np.uint8)
    image[:] = _over(image, layer)


def _paint_clothes(outer: Outer, scene: Scene, canvas: Canvas, image: np.ndarray) -> None:
    base, neck = outer.chin + 0.36, outer.neck
    points = [[0.0, base + scene.neckline], [neck * 0.7, base + scene.neckline * 0.45], [neck * 1.06, base - 0.02]]
    points += [[neck * 1.5, base + 0.12], [1.35, base + 0.32], [1.75, base + 0.7], [1.9, 2.6], [0, 2.6]]
    right = np.array(points)
    mask = np.zeros(image.shape[:2], np.uint8)
    canvas.fill(mask, np.concatenate([right, right[::-1] * [-1, 1]]), (255,))
    u, v = canvas.axis[None], canvas.axis[:, None]
    rng = np.random.default_rng(scene.seed)
    folds = 0.07 * canvas.noise(rng, 0.22) + 0.02 * canvas.noise(rng, 0.03)
    shade = np.clip(0.95 + 0.35 * scene.light[0] * u - 0.12 * (v - base) - 0.12 * u * u + folds, 0.2, 1.25)
    hem = np.abs(v - base - scene.neckline * np.clip(1 - np.abs(u) / neck, 0, 1) - 0.03)
    shade = shade * (1 - 0.25 * np.exp(-np.square(hem / 0.03)))
    if scene.stripes:
        shade = shade * (1 - 0.3 * (np.sin(v * scene.stripes) > 0.3))
    cover = mask.astype(np.float32)[..., None] / 255
    colour = np.clip(np.array(scene.clothes) * shade[..., None], 0, 255)
    image[:] = _over(image, np.concatenate([colour * cover, cover * 255], -1).astype(np.uint8))


def _glasses(outer: Outer, inner_eye: tuple[float, float], canvas: Canvas) -> np.ndarray | None:
    """Frames and faint glare; they sit where the wearer's eyes are."""
    if outer.glasses == "none":
        return None
    image = np.zeros((canvas.n, canvas.n, 4), np.uint8)
    colour = (*outer.glasses_colour, 255.0)
    eye_u, eye_v = inner_eye[0] + 0.01, inner_eye[1] + 0.03
    a = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    power = 1.0 if outer.glasses == "round" else 0.55
    lens = np.stack(
        [np.sign(np.cos(a)) * np.abs(np.cos(a)) ** power, 0.78 * np.sign(np.sin(a)) * np.abs(np.sin(a)) ** power], -1
    )
    lens *= min(outer.glasses_width, eye_u - 0.06)  # else lenses would meet over the nose where eyes stand close
    thick = max(1, int(0.028 * canvas.density))
    for side in (-1, 1):
        ring = lens + np.array([side * eye_u, eye_v])
        canvas.fill(image, ring, (16, 17, 18, 22))
        cv2.polylines(image, [canvas.texels(ring)], True, colour, thick, cv2.LINE_AA, surface.SHIFT)
        edge = eye_u + lens[:, 0].max()
        arm = np.array([[side * edge, eye_v - 0.08], [side * outer.width * 1.01, eye_v - 0.03]])
        cv2.polylines(image, [canvas.texels(arm)], False, colour, thick, cv2.LINE_AA, surface.SHIFT)
    gap = eye_u - lens[:, 0].max()
    bridge = np.stack([np.linspace(-gap, gap, 9), eye_v - 0.05 - 0.04 * (1 - np.linspace(-1, 1, 9) ** 2)], -1)
    cv2.polylines(image, [canvas.texels(bridge)], False, colour, thick, cv2.LINE_AA, surface.SHIFT)
    return image


def build_layers(identity: Identity, scene: Scene, size: int) -> Layers:
    """Paint a person for one scene, for frames of `size` x `size` pixels."""
    plain, inner = _plain(identity, size), identity.inner
    head, shade = _head(identity, plain, scene)
    body, body_canvas = _body(identity.outer, scene, size)
    canvas = plain.canvas

    def at(u: float, v: float) -> float:
        x, y = (int((c + canvas.extent) * canvas.density) for c in (u, v))
        r = max(1, int(0.1 * canvas.density))
        return float(np.clip(shade[y - r : y + r, x - r : x + r].mean(), 0.2, 1.2))

    return Layers(
        head=head,
        head_canvas=canvas,
        body=body,
        body_canvas=body_canvas,
        # By the eyes of who wears them: glasses that fit badly would tell a swap.
        glasses=_glasses(identity.outer, (inner.eye_x, inner.eye_y), canvas),
        relief=plain.relief,
        eye_light=(at(-inner.eye_x, inner.eye_y), at(inner.eye_x, inner.eye_y)),
        mouth_light=at(0.0, inner.mouth_y),
    )
