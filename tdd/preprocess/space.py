"""What a clip store will take on disk, told before anything long begins, and the ways to make it smaller."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean
from typing import Any

from tdd.config import TIMESTAMPS, ClipConfig
from tdd.data.clock import FPS
from tdd.data.compact import SHARE, UT_VIDEO
from tdd.data.container import open_media, video_stream
from tdd.data.store import COMPACT, MOST_FRAMES
from tdd.data.video import SAMPLES_PER_FRAME
from tdd.errors import TddError
from tdd.machine.files import check_space
from tdd.names import CELEB_DF, FACEFORENSICS, FACEFORENSICS_FAMILY, LRW, REALS_OF
from tdd.preprocess.finding import landmark_file
from tdd.preprocess.folders import is_there
from tdd.preprocess.landmarks import count_frames

TYPICAL_FRAMES = {LRW: 29, FACEFORENSICS: 510, CELEB_DF: 360}
"""Frames a video, where neither landmarks nor files tell."""

OTHER_FRAMES = 300
"""The same for other data sets."""

LOOKED_AT = 24
"""Videos of a data set whose stated lengths stand for those of all that have no landmarks yet."""

ADVISED_BYTES = 10 * 10**9
"""From so many on, ways to keep less are told."""


Row = dict[str, Any]
"""Of the catalog."""


@dataclass(frozen=True)
class Storing:
    """How much of the frames a store keeps, and in which form. Neither changes what the paper's protocol scores."""

    compact: bool = False
    """Without loss in about a third of the bytes (:mod:`tdd.data.compact`)."""
    most_frames: int = 0
    """Frames from the start, 0 for all, of training videos and of those of which no more are scored."""
    talking: frozenset[str] = frozenset()
    """Data sets whose videos are kept whole all the same: they hold no fake, and stage 1 cuts them into pieces."""

    def among(self, rows: Collection[Row]) -> Storing:
        """The same, with the data sets of talking faces in the whole catalog."""
        forged = {REALS_OF.get(row["dataset"], row["dataset"]) for row in rows if row["label"]}
        return replace(self, talking=frozenset({row["dataset"] for row in rows} - forged - {LRW, *REALS_OF}))

    def limit(self, row: Row) -> int | None:
        """How many frames of a video of the catalog are kept at most; ``None``: all."""
        training = row["split"] == "train" and row["dataset"] not in self.talking
        capped = training or row["dataset"] in FACEFORENSICS_FAMILY
        return self.most_frames if self.most_frames and capped else None

    def plan(self) -> dict[str, Any]:
        """Keys of the store's plan; none where all frames are kept as they are."""
        compact = {COMPACT: UT_VIDEO} if self.compact else {}
        return compact | ({MOST_FRAMES: self.most_frames} if self.most_frames else {})

    def require(self, least: int, why: str) -> None:
        """Refuse to keep less than is used.

        Raises:
            TddError: ``most_frames`` is set, and below ``least``.
        """
        if self.most_frames and self.most_frames < least:
            raise TddError(
                f"--frames {self.most_frames} keeps too little: {why} {least} frames; ask for {least} or more."
            )


ALL_FRAMES = Storing()
"""As they are."""


@dataclass(frozen=True)
class Expected:
    """What videos will take."""

    by_dataset: dict[str, tuple[int, int]]
    """Data set -> its videos, and their frames as they will be kept."""
    sound_frames: int
    """Of the frames, those that have sound."""
    crop: int
    compact: bool

    @property
    def frames(self) -> int:
        """In all."""
        return sum(frames for _, frames in self.by_dataset.values())

    @property
    def bytes(self) -> int:
        """In all; with compact frames about so many."""
        return self._pixels(self.frames) + 2 * SAMPLES_PER_FRAME * self.sound_frames

    def _pixels(self, frames: int) -> int:
        return round(frames * self.crop**2 * 3 * (SHARE if self.compact else 1))

    def to_text(self, out: Path, smaller: Iterable[tuple[str, Expected]] = ()) -> str:
        """For a terminal: videos, frames and bytes, in all and by data set, and what else they could take.

        Args:
            out: the store's folder.
            smaller: options, and what is expected with them.
        """
        videos = sum(count for count, _ in self.by_dataset.values())
        free = shutil.disk_usage(next(path for path in (out, *out.absolute().parents) if path.exists())).free
        what = f"{videos:,} videos, about {self.frames:,} frames, {_size(self.bytes)}"
        lines = [f"The whole store: {what}; {_size(free)} free."]
        if len(self.by_dataset) > 1:
            lines += [
                f"  {name}: {count:,} videos, about {frames:,} frames, {_size(self._pixels(frames))}"
                for name, (count, frames) in self.by_dataset.items()
            ]
        if self.bytes >= ADVISED_BYTES:
            for option, other in smaller:
                fewer = "; training then draws its clips from fewer frames" if other.frames < self.frames else ""
                lines.append(f"  With {option} it would take {_size(other.bytes)}{fewer}.")
        return "\n".join(lines)


def lengths(root: Path, out: Path, rows: Iterable[Row], frame_rate: str) -> list[tuple[Row, int]]:
    """The videos of the catalog that are there, each with its frames.

    They are counted by landmarks where there are any, else by what a few videos of the data set state.

    Args:
        root: data root.
        out: the store's folder.
        rows: of the catalog.
        frame_rate: of the recipe's clips.
    """
    there = [row for row in rows if is_there(root / row["path"])]
    known = [count_frames(landmark_file(root, out, row)) for row in there]
    unknown: dict[str, list[Row]] = {}
    for row, length in zip(there, known, strict=True):
        if not length:
            unknown.setdefault(row["dataset"], []).append(row)
    typical = {name: _typical(root, name, some, frame_rate) for name, some in unknown.items()}
    return [(row, length or typical[row["dataset"]]) for row, length in zip(there, known, strict=True)]


def expected(videos: Iterable[tuple[Row, int]], crop: int, storing: Storing) -> Expected:
    """What videos, as :func:`lengths` gives them, will take in a store with faces of ``crop`` px."""
    found: dict[str, tuple[int, int]] = {}
    sound = 0
    for row, length in videos:
        frames = min(length, storing.limit(row) or length)
        count, total = found.get(row["dataset"], (0, 0))
        found[row["dataset"]] = count + 1, total + frames
        sound += frames if row["audio"] else 0
    return Expected(found, sound, crop, storing.compact)


def check_room(root: Path, out: Path, rows: Iterable[Row], clip: ClipConfig, storing: Storing) -> None:
    """Refuse to begin what the disk cannot hold.

    Raises:
        TddError: too little is free for these videos.
    """
    check_space(out, expected(lengths(root, out, rows, clip.frame_rate), clip.crop, storing).bytes)


def told_before(root: Path, out: Path, rows: list[Row], clip: ClipConfig, storing: Storing, scored: int) -> str:
    """What the whole store will take, for a terminal; a new one that the disk cannot hold is refused at once.

    Args:
        root: data root.
        out: the store's folder.
        rows: of the catalog.
        clip: of the recipe.
        storing: how videos will be kept.
        scored: frames of a FaceForensics++ video that are scored.

    Raises:
        TddError: too little is free for a new store, or fewer frames would be kept than are scored.
    """
    if any(row["dataset"] in FACEFORENSICS_FAMILY for row in rows):
        storing.require(scored, "by evaluation.faceforensics_frames the recipe scores of a FaceForensics++ video")
    storing = storing.among(rows)
    videos = lengths(root, out, rows, clip.frame_rate)
    whole = expected(videos, clip.crop, storing)
    if not (out / "clips").exists():
        check_space(out, whole.bytes)
    less = {
        "--compact": replace(storing, compact=True),
        f"--frames {scored}": replace(storing, most_frames=scored),
        f"--compact --frames {scored}": replace(storing, compact=True, most_frames=scored),
    }
    others = [(name, expected(videos, clip.crop, other)) for name, other in less.items()]
    return whole.to_text(out, [(name, other) for name, other in others if other.bytes < 0.9 * whole.bytes])


def _typical(root: Path, dataset: str, rows: list[Row], frame_rate: str) -> int:
    some = rows[:: max(1, len(rows) // LOOKED_AT)][:LOOKED_AT]
    stated = [frames for row in some if (frames := _stated_frames(root / row["path"], frame_rate))]
    return round(mean(stated)) if stated else TYPICAL_FRAMES.get(dataset, OTHER_FRAMES)


def _stated_frames(path: Path, frame_rate: str) -> int:
    """Frames that a file gives as its header states it; 0 where it does not say."""
    try:
        with open_media(path) as container:
            stream = video_stream(container, path)
            if frame_rate != TIMESTAMPS:
                return int(stream.frames)
            return round((container.duration or 0) / 1e6 * FPS)
    except TddError:
        return 0


def _size(count: float) -> str:
    return f"{count / 1e9:,.1f} GB" if count < 1e11 else f"{count / 1e9:,.0f} GB"
