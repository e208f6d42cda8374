"""Which clips are shown when: data sets and samplers whose every draw follows from (seed, epoch, position)."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch.utils.data import BatchSampler, DataLoader, Dataset

from tdd.config import ClipConfig, MachineConfig, Recipe
from tdd.data.audio import N_MELS, log_mel
from tdd.data.augment import CUT, NO_NOISE, Cut, Noise, central_cut, cut_view, draw_cut, draw_noise
from tdd.data.loading import Loader
from tdd.data.speech import ANYWHERE, PIECE, START
from tdd.data.store import ClipStore
from tdd.errors import TddError
from tdd.machine.ranks import my_share, world

UNKNOWN_WORD = -1
"""Number of a word that no training clip says: the prober cannot name it."""


@dataclass(frozen=True)
class Draw:
    """One clip to load: a row of the table, and the seed of everything random about it."""

    row: int
    seed: tuple[int, ...]
    frames: int | None = None
    """The clip is drawn from so many frames at the start of the video; ``None``: from all."""


class _Rows:
    """Columns of a table, read row by row; pandas takes longer for a row than OpenCV for a frame."""

    def __init__(self, table: pd.DataFrame, *names: str) -> None:
        self._columns = {name: table[name].to_numpy() for name in names}

    def __getitem__(self, number: int) -> dict[str, Any]:
        return {name: column[number] for name, column in self._columns.items()}


def _placed(table: pd.DataFrame, clip: ClipConfig) -> pd.DataFrame:
    """The table with ``start``; without one, each clip is drawn from its whole video.

    Raises:
        TddError: there are pieces, and a clip is longer than they are.
    """
    if START not in table:
        return table.assign(**{START: ANYWHERE})
    if clip.frames > PIECE and (table[START] != ANYWHERE).any():
        raise TddError(f"clip.frames is {clip.frames}, and talking faces are cut into pieces of {PIECE}; lower it.")
    return table


def _window(row: Mapping[str, Any]) -> tuple[int, int]:
    """First frame and length of what a clip is drawn from: a piece, or the whole video."""
    return (0, int(row["frames"])) if row[START] == ANYWHERE else (int(row[START]), PIECE)


class PretrainingClips(Dataset[dict[str, Any]]):
    """Clips of real talking faces with audio, in two independent views: clean for teachers, noisy for students."""

    def __init__(
        self,
        store: ClipStore,
        table: pd.DataFrame,
        recipe: Recipe,
        train: bool,
        words: Mapping[str, int] | None = None,
        raw: bool = False,
    ) -> None:
        """Serve the videos of ``table`` (rows of the store's index); ``train`` switches every random draw on.

        ``words`` are the numbers of the words where they are those of other clips; a word that is not there is -1, as
        is a clip without a word. A row with ``start`` (first frame) is shown from there.
        ``raw``: stored clips and their draws, of which :func:`tdd.data.augment.views` makes the same on a device.
        """
        self.raw = raw
        self.store, self.table, self.recipe, self.train = store, usable(table, recipe), recipe, train
        self.table = _placed(self.table, recipe.clip)
        known = sorted(set(table["word"]) - {""})
        self.words = words if words is not None else {word: number for number, word in enumerate(known)}
        self._rows = _Rows(self.table, "video_id", "frames", "word", START)

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, draw: Draw) -> dict[str, Any]:
        """Shapes: video (3, T, H, W) uint8; log-mel (1, T_audio, n_mels); ``word`` and ``row`` are numbers; masks."""
        row, clip, noise = self._rows[draw.row], self.recipe.clip, self.recipe.noise
        rng = np.random.default_rng(draw.seed)
        first, length = _window(row)
        spare = length - clip.frames
        start = first + (int(rng.integers(0, spare + 1)) if self.train else spare // 2)
        frames = self.store.frames(row["video_id"], start, clip.frames)
        samples = self.store.audio(row["video_id"], start, clip.frames)
        if self.train:
            hidden = draw_noise(rng, noise, clip, N_MELS)
            noisy = draw_cut(rng, clip, noise.flip, hidden.grayscale)
            cuts = {"clean": draw_cut(rng, clip, noise.flip), "noisy": noisy}
        else:
            hidden, cuts = NO_NOISE, dict.fromkeys(("clean", "noisy"), central_cut(clip))
        if self.raw:
            sound: dict[str, Any] = {"samples": samples}
        else:
            sound = {"mel": log_mel(torch.from_numpy(samples.astype(np.float32) / 32768))}
        word = self.words.get(row["word"], UNKNOWN_WORD)
        return _seen(frames, cuts, clip, self.raw) | sound | {"word": word, "row": draw.row} | _masks(hidden)


class DetectionClips(Dataset[dict[str, Any]]):
    """Labelled clips in two views: clean for the frozen teacher, noisy for the student."""

    def __init__(
        self, store: ClipStore, table: pd.DataFrame, recipe: Recipe, clean: bool = True, raw: bool = False
    ) -> None:
        """Serve the videos of ``table`` (rows of the store's index, with a 0/1 ``label``).

        Without ``clean`` the teacher's view is left out; what else is drawn stays the same. ``raw`` as for
        :class:`PretrainingClips`.
        """
        self.raw = raw
        self.store, self.table, self.recipe, self.clean = store, usable(table, recipe), recipe, clean
        self.table = _placed(self.table, recipe.clip)
        self._rows = _Rows(self.table, "video_id", "frames", "label", START)

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, draw: Draw) -> dict[str, Any]:
        """Shapes: video (3, T, H, W) uint8; label, row: scalars; 0 is real, 1 fake; masks as in ``augment``."""
        row, clip, noise = self._rows[draw.row], self.recipe.clip, self.recipe.noise
        rng = np.random.default_rng(draw.seed)
        first, length = _window(row)
        length = length if draw.frames is None else draw.frames
        start = first + int(rng.integers(0, length - clip.frames + 1))
        frames = self.store.frames(row["video_id"], start, clip.frames)
        hidden = draw_noise(rng, noise, clip, N_MELS, noise.time_mask_stage2)
        cuts = {"noisy": draw_cut(rng, clip, noise.flip, hidden.grayscale)}
        if self.clean:
            cuts["clean"] = draw_cut(rng, clip, noise.flip)
        said = {"label": int(row["label"]), "row": draw.row}
        return _seen(frames, cuts, clip, self.raw) | said | _masks(hidden)


class ScoredClips(Dataset[dict[str, Any]]):
    """Every clip that the evaluation scores, in the eval view."""

    def __init__(
        self, store: ClipStore, clips: pd.DataFrame, recipe: Recipe, frame_step: int = 1, raw: bool = False
    ) -> None:
        """Serve ``clips``: one row a clip, with ``video_id`` and ``start``; every ``frame_step``-th frame is shown.

        ``raw`` as for :class:`PretrainingClips`.
        """
        self.raw = raw
        self.store, self.clips, self.recipe, self.frame_step = store, clips, recipe, frame_step
        self._rows = _Rows(clips, "video_id", "start", *(["label"] if "label" in clips else []))

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, number: int) -> dict[str, Any]:
        """Shapes: video (3, T, H, W) uint8; ``number`` is the row of the table; ``label`` where one is known."""
        row, clip = self._rows[number], self.recipe.clip
        span = frames_spanned(clip, self.frame_step)
        frames = self.store.frames(row["video_id"], int(row["start"]), span)[:: self.frame_step]
        said = {"number": number} | {k: int(row[k]) for k in row if k == "label"}
        return _seen(frames, {"video": central_cut(clip)}, clip, self.raw) | said


def _seen(frames: np.ndarray, cuts: Mapping[str, Cut], clip: ClipConfig, raw: bool) -> dict[str, np.ndarray]:
    """The views of a clip by their names, or the clip itself with the views' draws."""
    if raw:
        return {"frames": frames} | {f"{name}{CUT}": cut.numbers() for name, cut in cuts.items()}
    made = {cut: cut_view(frames, cut, clip) for cut in {*cuts.values()}}
    return {name: made[cut] for name, cut in cuts.items()}


def frames_spanned(clip: ClipConfig, frame_step: int = 1) -> int:
    """Frames from the first of a clip to its last, both counted, when it shows every ``frame_step``-th."""
    return (clip.frames - 1) * frame_step + 1


def usable(table: pd.DataFrame, recipe: Recipe, frame_step: int = 1) -> pd.DataFrame:
    """The videos that hold at least one clip of every ``frame_step``-th frame.

    Raises:
        TddError: none does, or the table is empty.
    """
    span = frames_spanned(recipe.clip, frame_step)
    kept = table[table["frames"] >= span]
    if kept.empty:
        raise TddError(f"None of the {len(table)} videos for this step has {span} frames; prepare more data.")
    return kept.reset_index(drop=True)


def _masks(noise: Noise) -> dict[str, np.ndarray]:
    return {"erase": np.array(noise.erase), "time": np.array(noise.time), "mel_bins": np.array(noise.mel)}


class _Batches(BatchSampler):
    """Batches of draws that follow from (seed, epoch): a resumed run sees what the unbroken one would have.

    A batch comes in ``parts`` of equal size, one after the other. Of each part every process of a run on several
    devices gets an equal share. With ``labels``, one a row, the clips of a label are shared out evenly, too.
    """

    group = 1
    """Clips that come into a batch together, of which its size counts one."""

    def __init__(
        self,
        n_rows: int,
        batch_size: int,
        steps: int,
        seed: tuple[int, ...],
        parts: int,
        labels: Sequence[int] | Mapping[int, int] | None = None,
    ) -> None:
        if self.group * batch_size // parts % world():
            raise TddError(
                f"{world()} devices cannot share {self.group * batch_size} clips in {parts} part(s) equally; "
                "take another number of devices, another batch size or other micro_batches."
            )
        self.n_rows, self.batch_size, self.steps, self.seed, self.parts = n_rows, batch_size, steps, seed, parts
        self.labels = labels
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch; the loop calls this before each."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.steps * self.parts

    def __iter__(self) -> Iterator[list[Draw]]:  # type: ignore[override]
        rng = np.random.default_rng((*self.seed, self.epoch))
        wanted = self.steps * self.batch_size
        rounds = -(-wanted // self.n_rows)
        rows = np.concatenate([rng.permutation(self.n_rows) for _ in range(rounds)])[:wanted]
        size = self.batch_size // self.parts
        for i in range(len(self)):
            chosen = rows[i * size : (i + 1) * size]
            # By the clip's place in the epoch: the same clips are drawn alike, in however many parts a batch comes.
            draws = (Draw(int(row), (*self.seed, self.epoch, i * size + slot)) for slot, row in enumerate(chosen))
            yield self._share([shown for draw in draws for shown in self.shown_with(draw)])

    def shown_with(self, draw: Draw) -> tuple[Draw, ...]:
        """A draw and what comes into the batch with it: ``group`` draws in all."""
        return (draw,)

    def _share(self, part: list[Draw]) -> list[Draw]:
        """What this process shows of a part; all of it, in its order, when it is alone."""
        if world() > 1 and self.labels is not None:
            labels = self.labels
            part = sorted(part, key=lambda draw: labels[draw.row])
        return list(my_share(part))


class EpochBatches(_Batches):
    """Each epoch shows every row once, in a new order.

    The last, smaller batch is dropped, so that batch norm always has the same company.
    """

    def __init__(
        self,
        n_rows: int,
        batch_size: int,
        seed: int,
        parts: int = 1,
        labels: Sequence[int] | Mapping[int, int] | None = None,
    ) -> None:
        """Sample rows 0 to ``n_rows``.

        Raises:
            TddError: fewer rows than one batch, or parts that the devices cannot share equally.
        """
        if n_rows < batch_size:
            raise TddError(f"{n_rows} training videos are fewer than one batch of {batch_size}; lower the batch size.")
        super().__init__(n_rows, batch_size, n_rows // batch_size, (seed,), parts, labels)


class PairBatches(EpochBatches):
    """Each epoch shows every fake once, in a new order, and beside each the real video that it was made from."""

    group = 2

    def __init__(
        self,
        own_real: Mapping[int, int],
        batch_size: int,
        seed: int,
        parts: int = 1,
        lengths: Sequence[int] | None = None,
    ) -> None:
        """Sample pairs, so many that they make up ``batch_size`` clips.

        Args:
            own_real: row of each fake to the row of its real.
            batch_size: clips, two a pair.
            seed: of every draw.
            parts: of a batch, one after the other.
            lengths: frames of each row, to show both by the same draws: frames of the shorter one, crop, flip and
                noise; ``None`` shows each by its own.

        Raises:
            TddError: fewer pairs than a batch wants.
        """
        if len(own_real) < batch_size // self.group:
            raise TddError(
                f"{len(own_real)} training fakes have the real video that they were made from beside them, and a batch "
                f"of {batch_size} wants {batch_size // self.group}; prepare those reals, or set stage2.pairs to none."
            )
        labels = dict.fromkeys(own_real, 1) | dict.fromkeys(own_real.values(), 0)
        super().__init__(len(own_real), batch_size // self.group, seed, parts, labels)
        self.pairs, self.lengths = list(own_real.items()), lengths

    def shown_with(self, draw: Draw) -> tuple[Draw, ...]:
        """The fake, and its real."""
        fake, real = self.pairs[draw.row]
        if self.lengths is None:
            return Draw(fake, draw.seed), Draw(real, (*draw.seed, 1))
        shorter = min(self.lengths[fake], self.lengths[real])
        return Draw(fake, draw.seed, shorter), Draw(real, draw.seed, shorter)


class CompanionBatches(_Batches):
    """Batches that keep another loader company: as many as it has, rows drawn anew once all were shown."""

    def __init__(self, n_rows: int, batch_size: int, leader: EpochBatches) -> None:
        """Sample rows 0 to ``n_rows`` beside ``leader``, with its seed, steps and parts.

        Raises:
            TddError: there are no rows, or the devices cannot share the parts equally.
        """
        if not n_rows:
            raise TddError("Stage 2 wants stage-1 clips beside the labelled ones, and there are none in the store.")
        super().__init__(n_rows, batch_size, leader.steps, (*leader.seed, 1), leader.parts)


def in_order(n_rows: int, batch_size: int) -> list[list[int]]:
    """Batches of all rows in order; the last may be smaller."""
    return [list(range(i, min(i + batch_size, n_rows))) for i in range(0, n_rows, batch_size)]


def fixed_batches(n_rows: int, batch_size: int) -> list[list[Draw]]:
    """Batches of all rows in order, for validation; nothing in them is random."""
    return [[Draw(row, (0, row)) for row in rows] for rows in in_order(n_rows, batch_size)]


def on_gpu(machine: MachineConfig) -> bool:
    """Whether a run has a CUDA device and its recipe allows it."""
    return machine.accelerator != "cpu" and torch.cuda.is_available()


def visible_gpus() -> list[str]:
    """Names of the CUDA devices that this process may use, as ``CUDA_VISIBLE_DEVICES`` names them."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    return named.split(",") if named else [str(number) for number in range(torch.cuda.device_count())]


def loader(dataset: Dataset[dict[str, Any]], batches: Any, recipe: Recipe) -> DataLoader[dict[str, Any]]:
    """A loader over ready-made batches."""
    machine = recipe.machine
    return Loader(dataset, batches, machine.workers, on_gpu(machine))


def pick_words(table: pd.DataFrame, clips: int) -> pd.DataFrame:
    """The first clips of each word, by name, as many of each as make up ``clips`` in all; 0 takes everything.

    With LRW's 500 words and 5,000 clips these are the first 10 training clips of each word: the subset ``lrw-5k``.
    Clips without a word are a group of their own: the first piece of each video, then the second ones, and so on.
    Beside clips with words they get their share of ``clips``, by their number, and what the words leave over.

    Raises:
        TddError: fewer clips wanted than there are words, and one more where some clips have none.
    """
    if not clips or clips >= len(table):
        return table
    worded, wordless = table[table["word"] != ""], table[table["word"] == ""]
    words, each = worded["word"].nunique(), 0
    if words:
        groups = words + (not wordless.empty)
        if clips < groups:
            beside = "" if wordless.empty else ", and one of those without a word"
            raise TddError(
                f"stage1.clips is {clips}, fewer than the {words} words{beside}; ask for at least one "
                f"clip a word{beside}."
            )
        each = max(1, round(clips * len(worded) / len(table)) // words)
    named = worded.sort_values("video_id").groupby("word", sort=True).head(each)
    return named if wordless.empty else pd.concat([named, _in_turn(wordless, clips - len(named))])


def _in_turn(pieces: pd.DataFrame, count: int) -> pd.DataFrame:
    """The first ``count`` pieces, where every video gives one before any gives a second."""
    ordered = pieces.sort_values(["video_id", START], ignore_index=True)
    turn = ordered.groupby("video_id").cumcount()
    return ordered.loc[turn.sort_values(kind="stable").index[:count]].sort_values(["video_id", START])


def spread_words(table: pd.DataFrame, clips: int, seed: int = 0) -> pd.DataFrame:
    """At most ``clips`` rows (0: all), as even over the words as they can be, in an order drawn from ``seed``.

    The store's index is sorted by word. Retrieval among neighbours there would ask for one clip of a word among others
    of the same word; in a drawn order the words are mixed.
    """
    word = table["word"].where(table["word"] != "", table["video_id"])  # pieces of one video are as alike
    turn = table.assign(word=word).sort_values("video_id", kind="stable").groupby("word").cumcount()
    chosen = table.loc[turn.sort_values(kind="stable").index[: clips or None]].sort_values("video_id")
    return chosen.iloc[np.random.default_rng(seed).permutation(len(chosen))].reset_index(drop=True)
