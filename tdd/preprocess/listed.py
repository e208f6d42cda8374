"""One listed video: a row of the catalog; and where its file lies."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tdd.preprocess.naming import on_disk


@dataclass(frozen=True, slots=True)
class Video:
    """One row of the catalog."""

    video_id: str
    """Unique over data sets and methods: FaceForensics++ uses the same file name in every method's folder."""
    dataset: str
    method: str
    """``real``, or the forgery method."""
    label: int
    """0 real, 1 fake (the picture, the sound or both)."""
    split: str
    path: str
    """Relative to the data root, with forward slashes."""
    identities: str
    """Who is seen, then whose face or motion was put in, separated by a space; empty where unknown."""
    word: str = ""
    """The spoken word (LRW)."""
    compression: str = ""
    """The owner's name for the version of the video (FaceForensics++); empty where there is only one."""
    audio: bool = False
    """Whether sound belongs to the video. What a file really holds is in the clip store's column of this name."""
    made_from: str = ""
    """``video_id`` of the real that a fake was made from, where a list names it."""
    segments: str = ""
    """The forged parts, ``0.520-1.300 2.000-2.440`` (s from the first frame on); empty where none, or unknown."""


def beside_or_in(home: Path, folder: PurePosixPath, inner: str, name: str) -> Path:
    """Where a listed video is: in ``folder`` of ``home``, or one level deeper where it is only there."""
    beside, deeper = on_disk(home, folder / name), on_disk(home, folder / inner / name)
    return deeper if deeper.is_file() and not beside.is_file() else beside


def relative(path: Path, root: Path) -> str:
    """A path below the data root as the catalog writes it: relative to the root, with forward slashes."""
    return path.relative_to(root).as_posix()
