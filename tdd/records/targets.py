"""Which test videos belong together, from the identities that a catalog names: the target first, then the source.

A fake shows the scene, movement and speech of its target, and so does the real that it was made from; a person's other
videos share face and habits. All of these are one target here.

FaceForensics++ swaps in both directions: of a pair, 000 and 001, the fakes are 000_001 and 001_000 (Roessler et al.,
ICCV 2019, arXiv 1901.08971). On real data a swapped face is that of the source, so that 000_001 has something of both
originals; clusters must have nothing in common (Obuchowski, Biometrics 53 (1997) 567-578). So the videos of a pair are
taken for one target: right whatever they share, at the price of half as many targets. In Celeb-DF-v2 every person is
swapped with many others, and clusters of all who are linked would be one; there it is the target's person alone.
"""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from tdd.names import DF40_FF, FACEFORENSICS, IDENTITIES, MADE_FROM, REALS_OF

LEAST_TARGETS = 2
"""With a video of each class: with fewer there is no variance over targets."""


def targets_of(videos: pd.DataFrame) -> pd.Series | None:
    """The target of each test video; ``None`` where they are not known.

    Args:
        videos: of one test set, indexed by ``video_id``, with ``dataset``, ``label`` and, where records keep it,
            ``identities``.

    Returns:
        a name a video; that of a video without identities, among others that have them, is its own. ``None`` where
        records keep none (older ones), a class has none (DFDC), or fewer than two targets have a video of a class.
    """
    if IDENTITIES not in videos or videos.empty:
        return None
    named = videos[IDENTITIES].fillna("").astype(str).str.split()
    known = named.str.len() > 0
    if not known.groupby(videos["label"]).any().all():
        return None
    partner = _partners(videos, named)
    found = pd.Series(
        [
            _target(str(dataset), people[0], partner) if people else str(video)
            for video, dataset, people in zip(videos.index, videos["dataset"], named, strict=True)
        ],
        index=videos.index,
        name="target",
    )
    return found if (found.groupby(videos["label"]).nunique() >= LEAST_TARGETS).all() else None


def shared_targets(tables: Iterable[pd.DataFrame]) -> pd.Series | None:
    """The target of each test video, from the first of several runs' tables of the same videos that knows it."""
    return next((found for table in tables if (found := targets_of(table)) is not None), None)


def own_reals(videos: pd.DataFrame) -> pd.Series:
    """The real that each fake was made from, by the fake's ``video_id``; fakes whose real is not there are left out.

    It is the one that ``made_from`` names; where that is empty, the one real of the fake's target. Where a person has
    several (Celeb-DF-v2), it is the one of the same number, with which both names end.

    Args:
        videos: as :func:`targets_of` takes them, with ``made_from`` where it is known.
    """
    told = _told_reals(videos)
    if IDENTITIES not in videos:
        return told
    reals: dict[tuple[str, str], list[str]] = {}
    people = videos[IDENTITIES].fillna("").astype(str).str.split()
    rows = list(zip(videos.index.astype(str), videos["dataset"].astype(str), videos["label"], people, strict=True))
    for video, dataset, label, names in rows:
        if label == 0 and names:
            reals.setdefault((_family(dataset), names[0]), []).append(video)
    found = {str(fake): str(real) for fake, real in told.items()}
    for video, dataset, label, names in rows:
        if video in found:
            continue
        own = reals.get((_family(dataset), names[0]), []) if label == 1 and names else []
        own = own if len(own) < 2 else [real for real in own if real.rsplit("_", 1)[-1] == video.rsplit("_", 1)[-1]]
        if len(own) == 1:
            found[video] = own[0]
    return pd.Series(found, dtype=object)


def _told_reals(videos: pd.DataFrame) -> pd.Series:
    """The reals that ``made_from`` names and that are there, by the fake's ``video_id``."""
    if MADE_FROM not in videos:
        return pd.Series(dtype=object)
    named = videos.loc[videos["label"] == 1, MADE_FROM].fillna("").astype(str)
    reals = videos.index[videos["label"] == 0]
    return named[named.isin(reals)].astype(object)


def _family(dataset: str) -> str:
    """Data sets that are made from the same originals name the same people."""
    return REALS_OF.get(dataset, dataset)


def _partners(videos: pd.DataFrame, named: pd.Series) -> dict[str, str]:
    """For each original of FaceForensics++ the name of its pair, as the fakes tell it."""
    fakes = named[videos["dataset"].isin((FACEFORENSICS, DF40_FF)) & (videos["label"] == 1)]
    pairs = {tuple(sorted(people)) for people in fakes if len(people) == 2}
    # In order, or an original that is in several pairs would be in another one's from process to process.
    return {name: "_".join(pair) for pair in sorted(pairs) for name in pair}


def _target(dataset: str, person: str, partner: dict[str, str]) -> str:
    family = _family(dataset)
    return f"{family}/{partner.get(person, person) if family == FACEFORENSICS else person}"
