"""What the temporal attention of a trained detector reads, over the frames of a few test clips."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tdd.data.augment import eval_view, normalise
from tdd.data.store import ClipStore
from tdd.names import CELEB_DF, FACEFORENSICS, FACESHIFTER
from tdd.plots.style import BLUE, drawing, footnote, source_note
from tdd.records.results import Run, Study

FRAMES = 5
"""Frames of a clip that are shown."""

_CHOSEN = ((FACEFORENSICS, 0, "real"), (FACEFORENSICS, 1, FACESHIFTER), (CELEB_DF, 1, "Celeb-DF-v2 fake"))


def attentive_run(study: Study) -> Run | None:
    """The run whose attention is shown: the first with weights on disk among CNN-GRU + attention from stage 1."""
    for run in study.runs:
        row = run.record.get("row") or {}
        trained = (study.folder / run.path / "weights.json").is_file()
        # A row with settings of its own may have no attention, or steps that are not frames.
        if trained and row.get("backbone") == "cnn_gru_attention" and not row.get("overrides"):
            return run
    return None


def draw_attention(study: Study, run: Run, store: ClipStore, path: Path) -> Path:
    """Draw the maps (T, T) of three test clips: row t holds the weights with which step t reads every step.

    Above each, some frames of the clip; below, what a frame receives on average, beside 1 / T, every frame alike.

    Raises:
        TddError: weights or clips cannot be read.
    """
    import torch

    from tdd.weights.checkpoints import import_weights
    from tdd.weights.detector import load_detector

    detector, recipe = load_detector(import_weights(study.folder / run.path, "stage2"))
    clips = [(title, video) for dataset, label, title in _CHOSEN if (video := _video(store, dataset, label, title))]
    length = recipe.clip.frames
    with drawing(path, 8.0, 4.6) as figure, torch.inference_mode():
        grid = figure.add_gridspec(3, max(1, len(clips)), height_ratios=(0.45, 2, 0.8))
        for column, (title, video) in enumerate(clips):
            view = eval_view(store.frames(video, 0, length), recipe.clip)
            backbone: Any = detector.backbone
            weights = backbone.attention_map(normalise(torch.from_numpy(view)[None]))[0].numpy()
            strip = figure.add_subplot(grid[0, column])
            shown = np.linspace(0, length - 1, FRAMES).round().astype(int)
            strip.imshow(np.concatenate(view[:, shown].transpose(1, 2, 3, 0), axis=1))
            strip.set_title(title)
            strip.axis("off")
            read = figure.add_subplot(grid[1, column])
            read.imshow(weights, cmap="Blues", vmin=0, aspect="auto", origin="upper")
            read.grid(visible=False)
            read.tick_params(labelbottom=False)
            received = figure.add_subplot(grid[2, column], sharex=read)
            received.plot(weights.mean(0), color=BLUE)
            received.axhline(1 / length, color="#8a8a8a", linestyle=":", linewidth=1.2)
            # At least three even shares high, so that a nearly even curve looks even.
            received.set(xlabel="frame that is read", ylim=(0, max(3 / length, weights.mean(0).max() * 1.1)))
            if column == 0:
                read.set_ylabel("frame that reads")
                received.set_ylabel("mean weight")
        name = run.path.rsplit("/", 1)[-1]
        footnote(figure, f"{name}: first clip of a test video each; dotted: every frame alike. {source_note(study)}")
    return path


def _video(store: ClipStore, dataset: str, label: int, method: str) -> str | None:
    """The first test video of a data set by name: real, of the named method, or any fake where none is so called."""
    index: pd.DataFrame = store.index
    found = index[(index["dataset"] == dataset) & (index["split"] == "test") & (index["label"] == label)]
    named = found[found["method"] == method]
    names = (named if len(named) else found)["video_id"].sort_values()
    return None if names.empty else str(names.iloc[0])
