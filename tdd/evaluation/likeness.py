"""Do crops look like those that a detector was trained on? Numbers a training run keeps, and new crops held to them.

A detector is a function of its crops alone. Where those of new data lie elsewhere in the picture, are larger, softer or
of other colours, its scores mean nothing, and nothing in the scores says so. What is kept is small: of some numbers a
video their middle and the range of the middle 95%, and one mean picture.

Limits, each from something:

- Numbers: at most half of the new videos may lie beyond the range of 95% of the training videos, on one side. Of like
  videos 2.5% do, so that half of ten or more do by chance once in 100,000 data sets.
- Size and place of the face: the training views move the edge of a crop by up to half of what they cut off, 5 of 150 px
  in the paper's recipe (:class:`tdd.config.ClipConfig`), so that a detector has seen such shifts and no larger ones. A
  face that is larger by a fifteenth moves its edge as far.
- Likeness: laid over each other as well as size and place allow, the mean picture of training has to explain half of
  the variance of the new one (correlation 0.71). That is asked only where it would explain half of that of as many
  other training videos. Size and place are asked only where either mean picture would correlate by 0.9 with that of as
  many others: with a dozen people it does not, and sizes of honest crops then differ by up to a tenth.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import pandas as pd

from tdd.config import ClipConfig
from tdd.data.store import ClipStore
from tdd.errors import TddError
from tdd.evaluation.selection import real_class
from tdd.names import LRW, SEEN_METHODS
from tdd.records.record import Check

VIDEOS = 200
"""Of a data set that are looked at, evenly spread over its list."""
MOMENTS = 3
"""Frames of each, evenly spread."""
LEAST_VIDEOS = 10
"""On both sides of a comparison."""
SIDE = 48
"""Of the mean picture, px."""
RANGE = (0.025, 0.5, 0.975)
"""Quantiles that are kept."""
BEYOND = 0.5
"""Share of new videos that may lie beyond the range on one side."""
EXPLAINED = 0.5
"""Share of the variance of a mean picture that another has to explain."""

SETTLED = 0.9
"""Agreement from which a mean picture tells size and place."""

_DEFAULT = ClipConfig()
_FINE = 2 * SIDE
_SURROUNDINGS = 10
_SCALES = np.exp(np.arange(-25, 26) * 0.02)
_EYES = (slice(36, 42), slice(42, 48))

NUMBERS = {
    "detail": (
        "fine detail", "difference of neighbouring pixels, as a share of that of pixels 4 apart",
        "softer, as if blurred,", "sharper",
    ),
    "brightness": ("brightness", "mean grey level", "darker", "brighter"),
    "redness": (
        "red less blue", "mean grey levels in the middle of the crop", "less red, as with swapped colours,", "redder",
    ),
    "align_residual": (
        "misfit of the landmarks", "distances between the eyes of the mean face", "better aligned", "worse aligned",
    ),
    "face_px": ("size of the face in the video", "px", "smaller in the video", "larger in the video"),
}  # fmt: skip
"""Numbers a video: name, unit, and what it says of crops below and above the range. The last two are columns of a clip
store's index, which an older version may lack."""


@dataclass(frozen=True)
class Crops:
    """What the crops of a group of videos look like.

    Attributes:
        crop: their side, px.
        videos: one row a video, with those columns of ``NUMBERS`` that are known.
        picture: mean of all, RGB, shape (SIDE, SIDE, 3), grey levels.
        agreement: correlation of the mean picture with that of as many other videos, as the halves of these tell it; 0
            where there are no two.
    """

    crop: int
    videos: pd.DataFrame
    picture: np.ndarray
    agreement: float


def training_rows(index: pd.DataFrame, methods: Sequence[str] = SEEN_METHODS) -> pd.DataFrame:
    """The videos of a store that a detector trains on: fakes of ``methods`` and their data sets' reals, training split.

    Where there are none, all videos of the training split, or else all; LRW only where there is nothing else.
    """
    faces = index[index["dataset"] != LRW] if (index["dataset"] != LRW).any() else index
    train = faces[faces["split"] == "train"]
    train = train if len(train) else faces
    fakes = train["method"].isin(methods) & (train["label"] == 1)
    own = [train[fakes], *(real_class(train, str(name)) for name in train.loc[fakes, "dataset"].unique())]
    return train[train.index.isin(pd.concat(own).index)] if fakes.any() else train


def look_at(store: ClipStore, rows: pd.DataFrame) -> Crops:
    """Measure crops.

    Args:
        store: holds them.
        rows: of its index; at most ``VIDEOS``, evenly spread, are read.

    Raises:
        TddError: there is no row, or a crop cannot be read.
    """
    if rows.empty:
        raise TddError(f"{store.folder} has no such video, so that there is no crop to look at.")
    chosen = rows.iloc[np.unique(np.linspace(0, len(rows) - 1, VIDEOS).astype(int))]
    numbers, pictures = [], []
    for video, length in zip(chosen["video_id"], chosen["frames"], strict=True):
        moments = np.unique(np.linspace(0, int(length) - 1, MOMENTS + 2).astype(int)[1:-1])
        frames = np.concatenate([store.frames(video, int(moment), 1) for moment in moments])
        numbers.append(_numbers(frames))
        pictures.append(np.mean([_small(frame) for frame in frames], axis=0))
    table = pd.DataFrame(numbers, index=chosen.index)
    for name in ("align_residual", "face_px"):
        if name in chosen and chosen[name].notna().any():
            table[name] = chosen[name].astype(float)
    return Crops(int(store.plan["crop"]), table, np.mean(pictures, axis=0), _reliability(pictures))


def _reliability(pictures: list[np.ndarray]) -> float:
    """How well a mean picture would correlate with that of as many others: from its halves (Spearman-Brown)."""
    if len(pictures) < 2:
        return 0.0
    halves = [np.mean(pictures[part::2], axis=0) for part in (0, 1)]
    own = max(0.0, _correlation(*halves))
    return 2 * own / (1 + own)


def _numbers(frames: np.ndarray) -> dict[str, float]:
    """Of RGB frames, shape (n, crop, crop, 3)."""
    pixels = frames.astype(np.float64)
    quarter = frames.shape[1] // 4
    middle = pixels[:, quarter : frames.shape[1] - quarter, quarter : frames.shape[2] - quarter].mean((0, 1, 2))
    coarse = _change(pixels, 4)
    return {
        "detail": _change(pixels, 1) / coarse if coarse else 0.0,
        "brightness": float(pixels.mean()),
        "redness": float(middle[0] - middle[2]),
    }


def _change(pixels: np.ndarray, apart: int) -> float:
    """Mean absolute difference of pixels so far apart, across and down."""
    down, across = pixels[:, apart:] - pixels[:, :-apart], pixels[:, :, apart:] - pixels[:, :, :-apart]
    return float(np.abs(down).mean() + np.abs(across).mean()) / 2


def _small(frame: np.ndarray) -> np.ndarray:
    how = cv2.INTER_AREA if frame.shape[0] > SIDE else cv2.INTER_CUBIC
    return cv2.resize(frame, (SIDE, SIDE), interpolation=how).astype(np.float64)


def kept(crops: Crops) -> dict[str, Any]:
    """What a record and weights keep of training crops, as plain values; :func:`restored` reads it back."""
    _, png = cv2.imencode(".png", np.rint(crops.picture).astype(np.uint8)[..., ::-1])
    return {
        "videos": len(crops.videos),
        "crop": crops.crop,
        "numbers": {
            name: [float(value) for value in crops.videos[name].quantile(list(RANGE))] for name in crops.videos
        },
        "picture": base64.b64encode(png.tobytes()).decode("ascii"),
        "agreement": float(crops.agreement),
    }


def kept_of_training(store: ClipStore, methods: Sequence[str]) -> dict[str, Any]:
    """What is kept of the crops in a store that a detector of ``methods`` trains on (:func:`training_rows`)."""
    return kept(look_at(store, training_rows(store.index, methods)))


@dataclass(frozen=True)
class Known:
    """What is known of the crops of training: as :class:`Crops`, but with ``RANGE`` in place of every video's numbers.

    ``count`` is the number of videos behind it.
    """

    crop: int
    count: int
    numbers: dict[str, tuple[float, float, float]]
    picture: np.ndarray
    agreement: float


def restored(values: Mapping[str, Any], where: str) -> Known:
    """Read what :func:`kept` gave.

    Raises:
        TddError: it is damaged; ``where`` says what holds it.
    """
    try:
        png = np.frombuffer(base64.b64decode(values["picture"], validate=True), np.uint8)
        picture = cv2.imdecode(png, cv2.IMREAD_COLOR)
        if picture is None or picture.shape != (SIDE, SIDE, 3):
            raise ValueError("its mean picture cannot be read")
        numbers = {}
        for name, limits in values["numbers"].items():
            low, middle, high = map(float, limits)
            if not (low <= middle <= high and name in NUMBERS):
                raise ValueError(f"it has {name} = {limits}")
            numbers[name] = (low, middle, high)
        return Known(
            int(values["crop"]), int(values["videos"]), numbers, picture[..., ::-1].astype(np.float64),
            float(values["agreement"]),
        )  # fmt: skip
    except (KeyError, TypeError, ValueError, AttributeError, cv2.error) as error:
        raise TddError(
            f"What {where} keeps of its training crops is damaged ({error}); make the weights again, or take the field "
            "'crops' out."
        ) from error


@dataclass(frozen=True)
class Fit:
    """How a mean picture lies in another.

    Attributes:
        likeness: correlation of both there, -1 to 1.
        scale: how many times as large its face is in the other.
        right: of the face's place, as a share of the crop's side.
        down: the same.
    """

    likeness: float
    scale: float
    right: float
    down: float


def lay_over(training: np.ndarray, new: np.ndarray) -> Fit:
    """Where and how large the middle of one mean picture is found in another, both of shape (SIDE, SIDE, 3).

    Sizes from 0.61 to 1.65 in steps of 2% and every place are tried; the correlation is that of the features.
    """
    old, other = (_features(picture) for picture in (training, new))
    edge = _FINE // 4
    core = old[edge:-edge, edge:-edge]
    best = Fit(-1.0, 1.0, 0.0, 0.0)
    for scale in _SCALES:
        side = round(len(core) * float(scale))
        shown = cv2.resize(core, (side, side), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
        found = cv2.matchTemplate(other, shown, cv2.TM_CCOEFF_NORMED)
        top, left = np.unravel_index(int(found.argmax()), found.shape)
        if found[top, left] > best.likeness:
            right, down = (float(at + side / 2 - _FINE / 2) / _FINE for at in (left, top))
            best = Fit(float(found[top, left]), side / len(core), right, down)
    return best


def _features(picture: np.ndarray) -> np.ndarray:
    """Grey levels less their surroundings: a bright head before a dark wall is like any other, eyes and a mouth not."""
    grey = cv2.cvtColor(picture.astype(np.float32), cv2.COLOR_RGB2GRAY)
    fine = cv2.resize(grey, (_FINE, _FINE), interpolation=cv2.INTER_CUBIC)
    return fine - cv2.GaussianBlur(fine, (0, 0), _SURROUNDINGS)


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    flat = np.stack([_features(picture).ravel() for picture in (one, other)])
    return float(np.corrcoef(flat)[0, 1]) if np.ptp(flat, axis=1).all() else 0.0


def crop_checks(known: Known, new: Crops, name: str, picture: str) -> list[Check]:
    """New crops against those of training.

    Args:
        known: of training.
        new: of one data set.
        name: of that data set.
        picture: file that shows both, for the sentence.

    Returns:
        a check each of size, place and likeness of the face, where training crops show one, and of each number that
        both have; empty where one side has fewer than ``LEAST_VIDEOS`` videos.

    Raises:
        TddError: the crops are of another size in px.
    """
    if known.crop != new.crop:
        raise TddError(f"The crops of {name} are {new.crop} px wide and those of training {known.crop} px.")
    if min(known.count, len(new.videos)) < LEAST_VIDEOS:
        return []
    found = _place_checks(known, new, name, picture) if known.agreement**2 >= EXPLAINED else []
    both = [number for number in NUMBERS if number in known.numbers and number in new.videos]
    return [*found, *(_number_check(known, new.videos[number], number, name, picture) for number in both)]


def _place_checks(known: Known, new: Crops, name: str, picture: str) -> list[Check]:
    fit = lay_over(known.picture, new.picture)
    least = math.sqrt(EXPLAINED)
    like = Check(
        f"likeness of the crops, {name}", fit.likeness, least,
        f"the mean crop of {name} correlates with that of training by {fit.likeness:.2f} at the best size and place, "
        f"and {least:.2f} is asked for (half of the variance): it may show no face, or a turned one; see {picture}",
    )  # fmt: skip
    if fit.likeness < least or min(known.agreement, new.agreement) < SETTLED:
        return [like]
    cut = (_DEFAULT.crop - _DEFAULT.view_crop) / _DEFAULT.crop
    apart = math.hypot(fit.right, fit.down)
    ways = [
        f"{abs(share) * new.crop:.1f} px {way[share > 0]}"
        for share, way in ((fit.right, ("to the left", "to the right")), (fit.down, ("up", "down")))
        if abs(share) >= 1 / _FINE
    ]
    times = max(fit.scale, 1 / fit.scale)
    return [
        like,
        Check(
            f"size in the crops, {name}", times, 1 + cut,
            f"faces are {fit.scale:.2f} times as large in the crops of {name} as in those of training, and "
            f"{1 / (1 + cut):.2f} to {1 + cut:.2f} times is what training views moved their edges; see {picture}",
            "<=",
        ),
        Check(
            f"place in the crops, {name}", apart * new.crop, cut / 2 * new.crop,
            f"faces in the crops of {name} lie {' and '.join(ways) or '0 px'} from where they lay in training, and up "
            f"to {cut / 2 * new.crop:.1f} of {new.crop} px is what training views moved them; see {picture}",
            "<=",
        ),
    ]  # fmt: skip


def _number_check(known: Known, values: pd.Series, number: str, name: str, picture: str) -> Check:
    label, unit, under, over = NUMBERS[number]
    low, middle, high = known.numbers[number]
    here = values.dropna()
    below, above = float((here < low).mean()), float((here > high).mean())
    share, way = (below, under) if below > above else (above, over)
    said = (
        f"{share:.0%} of the crops of {name} are {way} than 97.5% of training's, and half may be: {label} "
        f"{_short(here.median())} in the middle, in training {_short(middle)} ({_short(low)} to {_short(high)} in 95%; "
        f"{unit}); see {picture}"
    )
    return Check(f"{label}, {name}", share, BEYOND, said, "<=")


def _short(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"


def mean_face_check(training: np.ndarray | None, store: ClipStore) -> list[Check]:
    """The mean face that a store's faces were aligned to, against that of training; none where one is not known.

    Args:
        training: px of the canvas, shape (68, 2).
        store: with new crops.
    """
    own = store.mean_face()
    if training is None or own is None:
        return []
    wide, wanted = _eye_distance(own), _eye_distance(training)
    times = max(wide / wanted, wanted / wide)
    cut = (_DEFAULT.crop - _DEFAULT.view_crop) / _DEFAULT.crop
    return [
        Check(
            "mean face", times, 1 + cut,
            f"the eyes of the mean face that {store.folder.name} was aligned to are {wide:.1f} px apart and those of "
            f"training's {wanted:.1f} px, and up to {1 + cut:.2f} times is what training views moved an edge; prepare "
            "the data with --mean-face and that of training",
            "<=",
        )
    ]  # fmt: skip


def _eye_distance(points: np.ndarray) -> float:
    right, left = (points[eye].mean(0) for eye in _EYES)
    return float(np.linalg.norm(left - right))


@dataclass(frozen=True)
class Compared:
    """Crops of a store against the training crops of another.

    ``groups`` are the rows of its data sets that were compared, ``training`` those of the other store.
    """

    checks: list[Check]
    groups: dict[str, pd.DataFrame]
    training: pd.DataFrame


def against(store: ClipStore, other: ClipStore, picture: str) -> Compared:
    """Hold the crops of each data set of a store to those of another's training videos (:func:`training_rows`).

    Args:
        store: of new crops.
        other: of training.
        picture: file that shows both, for sentences.

    Raises:
        TddError: the crops of both have another size, or a crop cannot be read.
    """
    training = training_rows(other.index)
    known = restored(kept(look_at(other, training)), str(other.folder))
    index = store.index
    faces = index[index["dataset"] != LRW] if (index["dataset"] != LRW).any() else index
    groups = {str(dataset): rows for dataset, rows in faces.groupby("dataset")}
    checks = mean_face_check(other.mean_face(), store)
    for name, rows in groups.items():
        checks += crop_checks(known, look_at(store, rows), name, picture)
    return Compared(checks, groups, training)
