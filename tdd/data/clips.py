"""Which clips are shown when: data sets and samplers whose every draw follows from (seed, epoch, position)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch.utils.data import BatchSampler, DataLoader, Dataset

from tdd.config import Recipe
from tdd.data.audio import N_MELS, log_mel
from tdd.data.augment import NO_NOISE, Noise, draw_noise, eval_view, to_gray, train_view
from tdd.data.store import ClipStore
from tdd.errors import TddError


@dataclass(frozen=True)
class Draw:
    """One clip to load: a row of the table, and the seed of everything random about it."""

    row: int
    seed: tuple[int, ...]


class PretrainingClips(Dataset[dict[str, Any]]):
    """Clips of real talking faces with audio, in two independent views: clean for teachers, noisy for students."""

    def __init__(self, store: ClipStore, table: pd.DataFrame, recipe: Recipe, train: bool) -> None:
        """Serve the videos of ``table`` (rows of the store's index); ``train`` switches every random draw on."""
        self.store, self.table, self.recipe, self.train = store, usable(table, recipe), recipe, train
        self.words = {word: number for number, word in enumerate(sorted(set(table["word"])))}

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, draw: Draw) -> dict[str, Any]:
        """Shapes: video (3, T, H, W) uint8; log-mel (1, T_audio, n_mels); word: scalar; masks as in ``augment``."""
        row, clip, noise = self.table.iloc[draw.row], self.recipe.clip, self.recipe.noise
        rng = np.random.default_rng(draw.seed)
        spare = int(row["frames"]) - clip.frames
        start = int(rng.integers(0, spare + 1)) if self.train else spare // 2
        frames = self.store.frames(row["video_id"], start, clip.frames)
        samples = self.store.audio(row["video_id"], start, clip.frames)
        mel = log_mel(torch.from_numpy(samples.astype(np.float32) / 32768))
        if not self.train:
            view = eval_view(frames, clip)
            return {"clean": view, "noisy": view, "mel": mel, "word": self.words[row["word"]]} | _masks(NO_NOISE)
        hidden = draw_noise(rng, noise, clip, N_MELS)
        noisy = train_view(frames, rng, clip, noise.flip)
        return {
            "clean": train_view(frames, rng, clip, noise.flip),
            "noisy": to_gray(noisy) if hidden.grayscale else noisy,
            "mel": mel,
            "word": self.words[row["word"]],
        } | _masks(hidden)


class DetectionClips(Dataset[dict[str, Any]]):
    """Labelled clips in two views: clean for the frozen teacher, noisy for the student."""

    def __init__(self, store: ClipStore, table: pd.DataFrame, recipe: Recipe) -> None:
        """Serve the videos of ``table`` (rows of the store's index, with a 0/1 ``label``)."""
        self.store, self.table, self.recipe = store, usable(table, recipe), recipe

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, draw: Draw) -> dict[str, Any]:
        """Shapes: video (3, T, H, W) uint8; label: scalar, 0 real, 1 fake; masks as in ``augment``."""
        row, clip, noise = self.table.iloc[draw.row], self.recipe.clip, self.recipe.noise
        rng = np.random.default_rng(draw.seed)
        start = int(rng.integers(0, int(row["frames"]) - clip.frames + 1))
        frames = self.store.frames(row["video_id"], start, clip.frames)
        hidden = draw_noise(rng, noise, clip, N_MELS, noise.time_mask_stage2)
        noisy = train_view(frames, rng, clip, noise.flip)
        return {
            "clean": train_view(frames, rng, clip, noise.flip),
            "noisy": to_gray(noisy) if hidden.grayscale else noisy,
            "label": int(row["label"]),
        } | _masks(hidden)


class ScoredClips(Dataset[dict[str, Any]]):
    """Every clip that the evaluation scores, in the eval view."""

    def __init__(self, store: ClipStore, clips: pd.DataFrame, recipe: Recipe) -> None:
        """Serve ``clips``: one row a clip, with ``video_id`` and ``start``."""
        self.store, self.clips, self.recipe = store, clips, recipe

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, number: int) -> dict[str, Any]:
        """Shapes: video (3, T, H, W) uint8; ``number`` says which row of the table it is."""
        row, clip = self.clips.iloc[number], self.recipe.clip
        frames = self.store.frames(row["video_id"], int(row["start"]), clip.frames)
        return {"video": eval_view(frames, clip), "number": number}


def usable(table: pd.DataFrame, recipe: Recipe) -> pd.DataFrame:
    """The videos that hold at least one clip.

    Raises:
        TddError: none does, or the table is empty.
    """
    kept = table[table["frames"] >= recipe.clip.frames]
    if kept.empty:
        raise TddError(
            f"None of the {len(table)} videos for this step has {recipe.clip.frames} frames; prepare more data."
        )
    return kept.reset_index(drop=True)


def _masks(noise: Noise) -> dict[str, np.ndarray]:
    return {"erase": np.array(noise.erase), "time": np.array(noise.time), "mel_bins": np.array(noise.mel)}


class EpochBatches(BatchSampler):
    """Batches of draws, reshuffled each epoch from (seed, epoch): a resumed run sees what the unbroken one would have.

    Each epoch shows every main row once (the last, smaller batch is dropped, so that batch norm always has the same
    company). ``extra`` rows are drawn without replacement, reshuffled when used up, and join each batch.
    """

    def __init__(self, n_rows: int, batch_size: int, seed: int, *, n_extra: int = 0, extra_per_batch: int = 0) -> None:
        """Sample rows 0 to ``n_rows`` in batches, with ``extra_per_batch`` of the ``n_extra`` rows that follow them.

        Raises:
            TddError: fewer rows than one batch, or extra rows wanted where there are none.
        """
        if n_rows < batch_size:
            raise TddError(f"{n_rows} training videos are fewer than one batch of {batch_size}; lower the batch size.")
        if extra_per_batch and not n_extra:
            raise TddError("Stage 2 wants stage-1 clips beside the labelled ones, and there are none in the store.")
        self.n_rows, self.batch_size, self.seed = n_rows, batch_size, seed
        self.n_extra, self.extra_per_batch, self.epoch = n_extra, extra_per_batch, 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch; the trainer calls this."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.n_rows // self.batch_size

    def __iter__(self) -> Iterator[list[Draw]]:  # type: ignore[override]
        rng = np.random.default_rng((self.seed, self.epoch))
        main = rng.permutation(self.n_rows)[: len(self) * self.batch_size].reshape(len(self), self.batch_size)
        rounds = -(-len(self) * self.extra_per_batch // max(1, self.n_extra))
        extra = (
            np.concatenate([rng.permutation(self.n_extra) for _ in range(rounds)] or [np.empty(0, int)]) + self.n_rows
        )
        extra = extra[: len(self) * self.extra_per_batch].reshape(len(self), self.extra_per_batch)
        for batch, rows in enumerate(np.concatenate([main, extra], axis=1)):
            yield [Draw(int(row), (self.seed, self.epoch, batch, slot)) for slot, row in enumerate(rows)]


def fixed_batches(n_rows: int, batch_size: int) -> list[list[Draw]]:
    """Batches of all rows in order, for validation; nothing in them is random."""
    return [
        [Draw(row, (0, row)) for row in range(i, min(i + batch_size, n_rows))] for i in range(0, n_rows, batch_size)
    ]


def loader(dataset: Dataset[dict[str, Any]], batches: Any, recipe: Recipe) -> DataLoader[dict[str, Any]]:
    """A loader over ready-made batches."""
    machine = recipe.machine
    return DataLoader(
        dataset,
        batch_sampler=batches,
        num_workers=machine.workers,
        persistent_workers=machine.workers > 0,
        pin_memory=machine.accelerator != "cpu" and torch.cuda.is_available(),
    )


def pick_words(table: pd.DataFrame, clips: int) -> pd.DataFrame:
    """The first clips of each word, by name, as many of each as make up ``clips`` in all; 0 takes everything.

    With LRW's 500 words and 5,000 clips these are the first 10 training clips of each word: the subset ``lrw-5k``.

    Raises:
        TddError: fewer clips wanted than there are words.
    """
    if not clips or clips >= len(table):
        return table
    words = table["word"].nunique()
    if clips < words:
        raise TddError(f"stage1.clips is {clips}, fewer than the {words} words; ask for at least one clip a word.")
    return table.sort_values("video_id").groupby("word", sort=True).head(clips // words)
