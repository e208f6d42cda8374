"""Read data sets in their owners' layouts into one table of videos.

One reader a data set; none renames, copies or needs a hand-made list. Layouts, labels and splits are the official ones.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from tdd.errors import TddError

LRW = "LRW"
FACEFORENSICS = "FaceForensics++"
CELEB_DF = "Celeb-DF-v2"

FACEFORENSICS_METHODS = ("Deepfakes", "FaceSwap", "Face2Face", "NeuralTextures", "FaceShifter")
SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Video:
    """One row of the catalog."""

    video_id: str
    """Unique over data sets and methods: FaceForensics++ uses the same file name in every method's folder."""
    dataset: str
    method: str
    """``real``, or the forgery method."""
    label: int
    """0 real, 1 fake."""
    split: str
    path: str
    """Relative to the data root, with forward slashes."""
    identities: str
    """Who is seen, then whose face or motion was put in, separated by a space; empty where unknown."""
    word: str = ""
    """The spoken word (LRW)."""


def read_catalog(root: Path) -> pd.DataFrame:
    """Catalog every known data set below ``root``.

    Returns:
        one row a video, in a fixed order, with the columns of :class:`Video`.

    Raises:
        TddError: no data set there, a split file missing or malformed, or a listed video missing.
    """
    readers = {LRW: read_lrw, FACEFORENSICS: read_faceforensics, CELEB_DF: read_celeb_df}
    videos = [video for name, read in readers.items() if (root / name).is_dir() for video in read(root)]
    if not videos:
        raise TddError(
            f"No data set was found in {root}; expected a folder named {', '.join(readers)} (data/README.md)."
        )
    return pd.DataFrame([dataclasses.asdict(video) for video in videos])


def read_lrw(root: Path) -> Iterator[Video]:
    """``LRW/lipread_mp4/<WORD>/{train,val,test}/<WORD>_00001.mp4``: real talking faces."""
    folder = root / LRW / "lipread_mp4"
    _require(folder.is_dir(), f"{folder} is missing; LRW's videos lie in a folder lipread_mp4.")
    for word in sorted(entry.name for entry in folder.iterdir() if entry.is_dir()):
        for split in SPLITS:
            for path in sorted((folder / word / split).glob("*.mp4")):
                yield Video(f"{LRW}/{split}/{path.stem}", LRW, "real", 0, split, _relative(path, root), "", word)


def read_faceforensics(root: Path, compression: str = "c23") -> Iterator[Video]:
    """FaceForensics++ (with FaceShifter, where present) by its split lists of pairs.

    A pair [a, b] stands for the reals a and b and, in every method, the fakes a_b and b_a.
    """
    home = root / FACEFORENSICS
    methods = [m for m in FACEFORENSICS_METHODS if (home / "manipulated_sequences" / m).is_dir()]
    for split in SPLITS:
        pairs = _read_pairs(home / "splits" / f"{split}.json")
        reals = sorted(identity for pair in pairs for identity in pair)
        fakes = sorted(pair for a, b in pairs for pair in ((a, b), (b, a)))
        for name in reals:
            path = home / "original_sequences" / "youtube" / compression / "videos" / f"{name}.mp4"
            yield _listed(root, path, f"{FACEFORENSICS}/real/{compression}/{name}", FACEFORENSICS, "real", split, name)
        for method in methods:
            for target, source in fakes:
                name = f"{target}_{source}"
                path = home / "manipulated_sequences" / method / compression / "videos" / f"{name}.mp4"
                video_id = f"{FACEFORENSICS}/{method}/{compression}/{name}"
                yield _listed(root, path, video_id, FACEFORENSICS, method, split, f"{target} {source}")


def read_celeb_df(root: Path) -> Iterator[Video]:
    """Celeb-DF-v2 by its list of test videos, in which 1 means real and 0 fake; some copies add a folder ``videos``."""
    home = root / CELEB_DF
    listing = home / "List_of_testing_videos.txt"
    _require(listing.is_file(), f"{listing} is missing; it comes with Celeb-DF-v2 and belongs there.")
    for number, line in enumerate(listing.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        flag, _, name = line.strip().partition(" ")
        _require(
            flag in ("0", "1") and "/" in name, f"{listing}, line {number}: expected '1 folder/file.mp4', not '{line}'."
        )
        folder, _, file = name.partition("/")
        path = home / folder / file
        if not path.is_file():
            path = home / folder / "videos" / file
        stem = Path(file).stem
        identities = " ".join(stem.split("_")[:-1])
        method = "real" if flag == "1" else "Celeb-DF"
        yield _listed(root, path, f"{CELEB_DF}/{folder}/{stem}", CELEB_DF, method, "test", identities)


def _read_pairs(path: Path) -> list[tuple[str, str]]:
    _require(
        path.is_file(),
        f"{path} is missing; copy the split lists from dataset/splits/ of the FaceForensics repository.",
    )
    try:
        pairs = json.loads(path.read_text(encoding="utf-8"))
        return [(str(a), str(b)) for a, b in pairs]
    except (ValueError, TypeError) as error:
        raise TddError(
            f"{path} is not a list of pairs of video ids ({error}); copy it again from its source."
        ) from error


def _listed(root: Path, path: Path, video_id: str, dataset: str, method: str, split: str, identities: str) -> Video:
    _require(path.is_file(), f"{path} is on the official list of {dataset} but not on the disk; complete the copy.")
    return Video(video_id, dataset, method, int(method != "real"), split, _relative(path, root), identities)


def _relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()


def _require(condition: bool, sentence: str) -> None:
    if not condition:
        raise TddError(sentence)


def count_table(videos: Iterable[Video] | pd.DataFrame) -> pd.DataFrame:
    """Videos by data set and method (rows) and split (columns)."""
    table = videos if isinstance(videos, pd.DataFrame) else pd.DataFrame([dataclasses.asdict(v) for v in videos])
    counts = table.groupby(["dataset", "method", "split"]).size().unstack("split", fill_value=0)
    return counts.reindex(columns=[split for split in SPLITS if split in counts.columns])
