"""Who a synthetic person is: an outer head and an inner face, drawn independently of each other.

A face swap puts the inner face of one person into the outer head of another. Because no inner attribute is drawn
conditionally on an outer one, a swapped identity has exactly the distribution of a drawn one: without artefacts a
swap is just another person. All lengths are in face units: the origin lies between the eyes, u points to the image's
right, v points down, half a head is about one unit wide. Colours are RGB in 0..255.
"""

from dataclasses import dataclass

import numpy as np

RGB = tuple[float, float, float]

SKIN_TONES = np.array(
    [(247, 219, 196), (238, 198, 168), (222, 174, 138), (192, 140, 102), (146, 98, 68), (104, 68, 48), (76, 50, 38)],
    float,
)
HAIR_COLOURS = np.array(
    [
        (26, 22, 22),
        (46, 33, 27),
        (72, 49, 35),
        (106, 74, 48),
        (124, 62, 34),
        (158, 122, 76),
        (200, 168, 112),
        (146, 142, 138),
    ],
    float,
)
IRIS_COLOURS = np.array(
    [(66, 42, 26), (92, 60, 32), (104, 92, 50), (84, 112, 92), (88, 122, 156), (110, 120, 128)], float
)
HAIR_STYLES = ("part", "fringe", "back", "crop", "curly", "buzz", "bald")
HAIR_STYLE_WEIGHTS = (0.28, 0.17, 0.17, 0.14, 0.12, 0.06, 0.06)
BEARD_STYLES = ("none", "stubble", "moustache", "goatee", "full")
BEARD_STYLE_WEIGHTS = (0.66, 0.13, 0.05, 0.07, 0.09)


@dataclass(frozen=True)
class Outer:
    """What a face swap leaves in place: head outline, skin tone, hair, ears, neck, beard and glasses."""

    width: float  # half width of the head
    chin: float  # v of the chin
    top: float  # height of the skull above the origin
    squareness: float  # exponent of the super-ellipse that gives the jaw its shape
    taper: float  # how much the jaw narrows, 0..1
    cheek: float  # extra half width at the cheeks, relative
    skin: RGB
    ear: float  # half height of the ear
    neck: float  # half width of the neck
    hair_style: str  # one of HAIR_STYLES
    hair_length: float  # v where the hair behind the head ends; below 0.1 there is none
    hair_colour: RGB
    hairline: float  # v of the hairline on the forehead (negative: above the eyes)
    recession: float  # how far the hairline recedes at the temples
    volume: float  # thickness of the hair over the skull
    parting: float  # where the hair parts, -1 (left ear) .. 1 (right ear)
    wave: float  # waviness of single strands
    tucked: bool  # ears in front of the hair
    beard_style: str  # one of BEARD_STYLES
    beard_colour: RGB
    glasses: str  # "none", "round" or "square"
    glasses_colour: RGB
    glasses_width: float  # half width of one lens
    seed: int  # of strands and noise


@dataclass(frozen=True)
class Inner:
    """What a face swap carries over: eyes, brows, nose, mouth and the texture of the inner skin."""

    eye_x: float
    eye_y: float
    eye_w: float  # half width of the eye opening
    eye_h: float  # height of the upper lid over the eye's axis
    eye_tilt: float  # rise of the outer corner
    crease: float  # distance of the lid crease from the lid
    iris: RGB
    lashes: float  # 0 pale .. 1 dark
    brow_gap: float  # brow above eye
    brow_thick: float
    brow_tilt: float
    brow_arch: float
    brow_density: float
    brow_colour: RGB
    nose_y: float  # v of the base of the nose
    nose_w: float  # half width at the wings
    nose_ridge: float  # height of the ridge
    mouth_y: float
    mouth_w: float  # half width at rest
    lip_up: float
    lip_low: float
    lip_curve: float  # v of the corners against the middle of the lips
    lip_tint: RGB  # multiplies the skin tone
    teeth: RGB
    fold: float  # depth of the folds beside the mouth
    blush: float
    eye_shadow: float  # darkness around the eyes
    freckles: float  # 0 none .. 1 many
    moles: int
    seed: int  # of strands and noise


@dataclass(frozen=True)
class Identity:
    """A person: an outer head and an inner face."""

    outer: Outer
    inner: Inner


def to_rgb(values: np.ndarray) -> RGB:
    """A colour (3,) as a tuple, clipped to what a camera can hold."""
    r, g, b = np.clip(values, 6, 252)
    return float(r), float(g), float(b)


def _between(rng: np.random.Generator, palette: np.ndarray, spread: float) -> np.ndarray:
    """A colour between two neighbours of a palette, with relative noise per channel."""
    place = rng.uniform(0, len(palette) - 1.001)  # below the last colour, which has no next one
    low = int(place)
    colour = palette[low] * (low + 1 - place) + palette[low + 1] * (place - low)
    return colour * rng.uniform(1 - spread, 1 + spread) * rng.uniform(1 - spread / 3, 1 + spread / 3, 3)


def draw_outer(rng: np.random.Generator, domain: str = "studio") -> Outer:
    """Draw an outer head. `domain` "celebrity" wears glasses more often; everything else is the same."""
    hair = _between(rng, HAIR_COLOURS, 0.2)
    style = str(rng.choice(HAIR_STYLES, p=HAIR_STYLE_WEIGHTS))
    long_hair = style in ("part", "fringe", "back", "curly") and rng.random() < 0.5
    volume = {"curly": (0.14, 0.34), "buzz": (0.01, 0.03), "crop": (0.06, 0.14)}.get(style, (0.05, 0.17))
    return Outer(
        width=rng.uniform(0.80, 0.94),
        chin=rng.uniform(1.06, 1.22),
        top=rng.uniform(1.14, 1.28),
        squareness=rng.uniform(2.05, 2.6),
        taper=rng.uniform(0.16, 0.38),
        cheek=rng.uniform(0.0, 0.05),
        skin=to_rgb(_between(rng, SKIN_TONES, 0.05)),
        ear=rng.uniform(0.19, 0.27),
        neck=rng.uniform(0.46, 0.62),
        hair_style=style,
        hair_length=rng.uniform(0.5, 1.9) if long_hair else 0.0,
        hair_colour=to_rgb(hair),
        hairline=rng.uniform(-0.86, -0.66),
        recession=rng.uniform(-0.05, 0.10),
        volume=rng.uniform(*volume),
        parting=rng.choice((-1.0, 1.0)) * rng.uniform(0.0, 0.42),
        wave=rng.uniform(0.0, 1.0),
        tucked=bool(rng.random() < 0.5),
        beard_style=str(rng.choice(BEARD_STYLES, p=BEARD_STYLE_WEIGHTS)),
        beard_colour=to_rgb(hair * rng.uniform(0.7, 1.05)),  # of the hair: both are outer, and a swap keeps both
        glasses=str(rng.choice(("round", "square")))
        if rng.random() < (0.15 if domain == "studio" else 0.3)
        else "none",
        glasses_colour=to_rgb(_between(rng, HAIR_COLOURS, 0.3) * rng.uniform(0.3, 1.0)),
        glasses_width=rng.uniform(0.25, 0.31),
        seed=int(rng.integers(1 << 31)),
    )


def draw_inner(rng: np.random.Generator) -> Inner:
    """Draw an inner face; its colours are either its own or multiply the skin tone of the head that will wear it."""
    return Inner(
        eye_x=rng.uniform(0.34, 0.42),
        eye_y=rng.uniform(-0.10, -0.01),
        eye_w=rng.uniform(0.155, 0.195),
        eye_h=rng.uniform(0.06, 0.10),
        eye_tilt=rng.uniform(-0.015, 0.03),
        crease=rng.uniform(0.02, 0.06),
        iris=to_rgb(_between(rng, IRIS_COLOURS, 0.15)),
        lashes=rng.uniform(0.3, 1.0),
        brow_gap=rng.uniform(0.19, 0.26),
        brow_thick=rng.uniform(0.016, 0.04),
        brow_tilt=rng.uniform(-0.05, 0.03),
        brow_arch=rng.uniform(0.01, 0.06),
        brow_density=rng.uniform(0.5, 1.0),
        # Not of the hair, which is outer: brows that match it in drawn people alone would tell a swap in one frame.
        brow_colour=to_rgb(_between(rng, HAIR_COLOURS[:6], 0.2) * 0.8),
        nose_y=rng.uniform(0.27, 0.36),
        nose_w=rng.uniform(0.13, 0.19),
        nose_ridge=rng.uniform(0.12, 0.22),
        mouth_y=rng.uniform(0.58, 0.68),
        mouth_w=rng.uniform(0.26, 0.33),
        lip_up=rng.uniform(0.045, 0.085),
        lip_low=rng.uniform(0.06, 0.105),
        lip_curve=rng.uniform(-0.03, 0.02),
        lip_tint=to_rgb(np.array([232, 158, 160]) * rng.uniform(0.85, 1.08) * rng.uniform(0.93, 1.07, 3)),
        teeth=to_rgb(np.array([238, 232, 218]) * rng.uniform(0.86, 1.0)),
        fold=rng.uniform(0.2, 1.0),
        blush=rng.uniform(0.0, 1.0),
        eye_shadow=rng.uniform(0.0, 1.0),
        freckles=float(max(0.0, rng.uniform(-3.0, 1.0))),  # three people in four have none
        moles=int(rng.integers(0, 4)),
        seed=int(rng.integers(1 << 31)),
    )


def draw_identity(rng: np.random.Generator, domain: str = "studio") -> Identity:
    """Draw a person for a domain, "studio" (LRW and FaceForensics++ like) or "celebrity" (Celeb-DF like)."""
    return Identity(outer=draw_outer(rng, domain), inner=draw_inner(rng))


def swap_identity(target: Identity, source: Identity) -> Identity:
    """The person a perfect face swap shows: the target's head with the source's inner face."""
    return Identity(outer=target.outer, inner=source.inner)
