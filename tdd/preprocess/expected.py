"""How many videos of each split and method a complete copy of a data set holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tdd.errors import TddError
from tdd.machine.files import read_json
from tdd.names import (
    CELEB_DF,
    CELEB_DF_METHOD,
    CELEB_DF_PP,
    FACEFORENSICS,
    FACEFORENSICS_METHODS,
    LIP_RETIMING,
    LRW,
    REAL,
    SPLITS,
)
from tdd.preprocess.listed import Video
from tdd.preprocess.many_methods import CELEB_METHODS, CELEB_TESTED, OTHER_NAME, celeb_method

SYNTHETIC_MARK = "synth.json"
"""Written into the root by ``tdd synth`` when its trees are complete; holds their counts."""

Counts = dict[tuple[str, str], int]
"""Number of videos by (split, method)."""


def _per_split(counts: Sequence[int], methods: Sequence[str]) -> Counts:
    return {(split, method): count for split, count in zip(SPLITS, counts, strict=True) for method in methods if count}


OFFICIAL: dict[str, Counts] = {
    LRW: _per_split((488_763, 25_000, 25_000), [REAL]),
    FACEFORENSICS: _per_split((720, 140, 140), [REAL, *FACEFORENSICS_METHODS]),
    CELEB_DF: {("test", REAL): 178, ("test", CELEB_DF_METHOD): 340},  # RealForensics' own list omits two of the reals
    CELEB_DF_PP: {("test", REAL): 178}
    | {
        ("test", celeb_method(name)): CELEB_TESTED[scenario]
        for scenario, names in CELEB_METHODS.items()
        for name in names
        if name not in OTHER_NAME  # whether 200 are chosen of these too, or the 340 of Celeb-DF-v2, is not said
    },
}
"""What the owners state. All other data sets, and methods that are not here, are held against their own lists alone."""

LRW_SHORT_VAL = 24_993
"""Validation clips that some copies of LRW hold; such a copy counts as complete."""


def count_videos(videos: Sequence[Video]) -> Counts:
    """Videos by split and method."""
    return dict(Counter((video.split, video.method) for video in videos))


def expected_counts(root: Path, dataset: str, listed: Sequence[Video]) -> Counts:
    """What a complete copy of ``dataset`` holds: as its owner states, else as its lists say.

    Below a root that ``tdd synth`` wrote, its ``synth.json`` takes the owner's place.

    Raises:
        TddError: ``synth.json`` is damaged.
    """
    mark = root / SYNTHETIC_MARK
    official = _synthetic(mark) if mark.is_file() else OFFICIAL
    return count_videos(listed) | official.get(dataset, {})


def _synthetic(mark: Path) -> dict[str, Counts]:
    settings = read_json(mark)
    try:
        size, methods = settings["size"], settings["methods"]
        celeb = {
            ("test", REAL): size["celeb_real"] + size["youtube_real"],
            ("test", CELEB_DF_METHOD): size["celeb_fake"],
        }
        return {
            LRW: _per_split([size[f"lrw_{split}"] for split in SPLITS], [REAL]),
            FACEFORENSICS: _per_split(
                [2 * pairs for pairs in size["ff_pairs"]],
                [REAL, *(m for m in (*FACEFORENSICS_METHODS, LIP_RETIMING) if m in methods)],
            ),
            CELEB_DF: {key: count for key, count in celeb.items() if count},
        }
    except (KeyError, TypeError, ValueError) as error:
        raise TddError(f"{mark} is damaged ({error!r}); run tdd synth into that folder again.") from error
