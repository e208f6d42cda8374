"""AUC by level of corruption: test videos decoded again, damaged as full frames, aligned as in the store, scored."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from tdd.config import ClipConfig
from tdd.data.augment import eval_view, normalise
from tdd.data.clips import frames_spanned
from tdd.data.store import SIZES, ClipStore
from tdd.errors import TddError
from tdd.evaluation.evaluate import dataset_metrics, method_metrics, to_scoring_device
from tdd.evaluation.perturb import BLOCK_UNIT, CORRUPTIONS, LEVELS, CorruptedVideo, strength, video_seed
from tdd.evaluation.selection import LOGIT_COLUMNS, PAPER_PROTOCOL, Protocol, evaluation_clips
from tdd.machine.files import as_json, check_plan, disk_errors_told, held_alone, remove_partials, sha256, whole_file
from tdd.machine.parallel import Progress, parallel_map
from tdd.metrics import Calibration, video_scores
from tdd.metrics.kept_calibration import known_calibration
from tdd.preprocess.crops import face_crops
from tdd.preprocess.finding import landmarks_of
from tdd.preprocess.folders import is_there
from tdd.records.record import Clock, Record, machine_of, read_record
from tdd.weights.checkpoints import import_weights, weights_files
from tdd.weights.detector import load_detector

PLAN = "robustness.json"
LOGITS = "clip_logits"
CLEAN = "none"
"""In place of a corruption's code, at level 0."""

RECORD_KIND = "robustness"


@dataclass(frozen=True)
class Condition:
    """One way in which all test videos are damaged."""

    code: str
    level: int

    @property
    def name(self) -> str:
        """Also that of its file of clip logits."""
        return f"{self.code}-{self.level}"


def conditions(corruptions: Sequence[str] = (), levels: Sequence[int] = ()) -> list[Condition]:
    """The undamaged videos, then every corruption at every level; all of them where none is named.

    Raises:
        TddError: a corruption or level that the suite has not.
    """
    chosen = [Condition(code, level) for code in corruptions or CORRUPTIONS for level in levels or LEVELS]
    for condition in chosen:
        strength(condition.code, condition.level)  # refuses what the suite does not have
    return [Condition(CLEAN, 0), *dict.fromkeys(chosen)]


def measure_robustness(
    root: Path,
    store: ClipStore,
    checkpoint: Path,
    out: Path,
    *,
    corruptions: Sequence[str] = (),
    levels: Sequence[int] = (),
    videos: int = 0,
    protocol: Protocol = PAPER_PROTOCOL,
    seed: int = 0,
    workers: int | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Score test videos under every corruption and level with stage-2 weights; resumable, condition by condition.

    Args:
        root: data root with the videos and landmarks that the store was made from.
        store: says which videos and clips, and holds the mean face.
        checkpoint: folder of stage-2 weights, trained here or imported.
        out: folder for clip logits, ``levels.csv`` and record.
        corruptions: codes of ``tdd.evaluation.perturb.CORRUPTIONS``; empty: all.
        levels: 1 to 5; empty: all.
        videos: of each class (the reals and each method of a data set), drawn by ``seed``; 0: all.
        protocol: which data sets, methods and clips; the paper's by default.
        seed: of all draws.
        workers: processes that decode and align; all cores when ``None``.
        progress: called with (videos done, videos in all), over all conditions that are still to do.

    Returns:
        the record; its ``metrics`` are by condition (``CS-3``), each with ``methods`` and ``datasets``.

    Raises:
        TddError: weights, store, videos or landmarks that cannot be used, an unknown corruption or level, or a folder
            with results of other weights, videos or draws.
    """
    wanted = conditions(corruptions, levels)
    weights = import_weights(checkpoint, "stage2")
    detector, recipe = load_detector(weights)
    store.require(recipe.clip, *SIZES)
    target = store.mean_face()
    if target is None:
        raise TddError(f"{store.folder} does not hold the mean face that its faces were aligned to; prepare it again.")
    clips = draw_videos(evaluation_clips(store, recipe, protocol), videos, seed)
    paths = store.index.set_index("video_id")["path"].to_dict()
    _require_videos(root, [paths[video_id] for video_id in dict.fromkeys(clips["video_id"])])
    data = {
        "fingerprint": store.fingerprint, "weights": sha256(weights_files(checkpoint)[1]), "videos": videos,
        "seed": seed, "protocol": as_json(dataclasses.asdict(protocol)),
    }  # fmt: skip
    check_plan(out / PLAN, data)  # the first to write, after all that can be refused
    clock, kept = Clock(), weights.info.get("calibration") or {}
    calibration = known_calibration(kept)
    # The store's clock, not the recipe's: its clips are numbered by it.
    geometry = dataclasses.replace(recipe.clip, frame_rate=store.plan["frame_rate"])
    chosen = [
        _Video(str(video_id), paths[str(video_id)], tuple(group["start"]))
        for video_id, group in clips.groupby("video_id")
    ]
    views_of = partial(_views, root, store.folder, geometry, target, protocol.frame_step, seed)
    with held_alone(out, "tdd robustness"), disk_errors_told(out):
        remove_partials(out)
        missing = [condition for condition in wanted if not _file(out, condition).is_file()]
        work = [(condition, video) for condition in missing for video in chosen]
        views = parallel_map(views_of, work, workers, progress)
        network = to_scoring_device(detector, recipe).eval()
        for condition, scored in _scored(network, views, clips, recipe.evaluation.batch_size):
            with whole_file(_file(out, condition)) as unfinished:
                scored.to_csv(unfinished, index=False)
        # Read back: what an earlier call finished is in its files alone.
        metrics = {c.name: _metrics(_read_logits(_file(out, c)), calibration) for c in wanted}
        with whole_file(out / "levels.csv") as unfinished:
            level_table(metrics).to_csv(unfinished, index=False)
        Record(
            kind=RECORD_KIND, name=out.name, seed=weights.info.get("seed"), synthetic=bool(store.plan["synthetic"]),
            recipe=recipe.to_dict(), data=data, history=[], metrics=metrics, row={"backbone": weights.backbone},
            calibration=kept, machine=machine_of(recipe.machine), **clock.read(),
        ).write(out)  # fmt: skip
    return read_record(out) or {}


def draw_videos(clips: pd.DataFrame, videos: int, seed: int) -> pd.DataFrame:
    """The clips of so many videos of each method and of the reals of each data set, drawn by ``seed``; 0: of all."""
    if not videos:
        return clips
    if videos < 2:
        raise TddError(f"An interval of an AUC needs 2 videos of each class at least, not {videos}.")
    named = clips[["dataset", "method", "video_id"]].drop_duplicates()
    drawn = named.sample(frac=1, random_state=seed).groupby(["dataset", "method"]).head(videos)
    return clips[clips["video_id"].isin(drawn["video_id"])].reset_index(drop=True)


def level_table(metrics: dict[str, Any]) -> pd.DataFrame:
    """One row a condition and test set: the AUC with its limits, in percent; what ``levels.csv`` holds.

    ``kind`` says whether ``test_set`` is a ``method`` or a whole ``dataset``; ``strength`` is that of the suite.
    """
    rows = []
    for name, values in metrics.items():
        code, _, level = name.partition("-")
        for kind in ("methods", "datasets"):
            for test_set, found in values[kind].items():
                row = {"corruption": code, "level": int(level), "kind": kind[:-1], "test_set": test_set}
                row |= {"strength": strength(code, int(level)) if int(level) else None}
                row |= {f"{key}_percent": round(100 * found[key], 3) for key in ("auc", "low", "high")}
                rows.append(row | {"reals": found["reals"], "fakes": found["fakes"]})
    return pd.DataFrame(rows)


@dataclass(frozen=True)
class _Video:
    video_id: str
    path: str
    """Relative to the data root."""
    starts: tuple[int, ...]
    """First frames of its clips."""


@dataclass(frozen=True)
class _Views:
    condition: Condition
    video_id: str
    clips: np.ndarray
    """uint8, shape (clips, 3, T, input_size, input_size)."""
    shorter_side: int


def _views(
    root: Path, store: Path, clip: ClipConfig, target: np.ndarray, step: int, seed: int, piece: tuple[Condition, _Video]
) -> _Views:
    """One video, damaged and aligned by the landmarks of the store, as the clips that the network sees."""
    condition, video = piece
    points, _ = landmarks_of(root, store, {"video_id": video.video_id, "path": video.path})
    file = CorruptedVideo(root / video.path, condition.code, condition.level, video_seed(seed, video.video_id))
    span = frames_spanned(clip, step)
    needed = max(video.starts) + span
    # islice, for a FaceForensics++ video goes on long after frame 110, where its last clip ends.
    crops = list(islice(face_crops(file, points, target, clip), needed))
    if len(crops) < needed:
        raise TddError(
            f"{file.path} has {len(crops)} frames and {needed} are needed; it is not the video that the store was made "
            "from: prepare the store again."
        )
    frames = np.stack(crops)
    views = [eval_view(frames[start : start + span : step], clip) for start in video.starts]
    return _Views(condition, video.video_id, np.stack(views), file.shorter_side)


@torch.inference_mode()
def _scored(
    detector: nn.Module, views: Iterable[_Views], clips: pd.DataFrame, batch_size: int
) -> Iterator[tuple[Condition, pd.DataFrame]]:
    """Each condition as soon as all its videos are there, in whatever order they come.

    Yields:
        the condition, and ``clips`` with their ``logit`` and the ``shorter_side`` of their frames, px.
    """
    device = next(detector.parameters()).device
    rows = {str(video_id): group for video_id, group in clips.groupby("video_id")}
    begun: dict[Condition, list[pd.DataFrame]] = {}
    for video in views:
        parts = torch.from_numpy(video.clips).split(batch_size)
        logits = torch.cat([detector(normalise(part.to(device))).float().cpu() for part in parts])
        tables = begun.setdefault(video.condition, [])
        tables.append(rows[video.video_id].assign(logit=logits.numpy(), shorter_side=video.shorter_side))
        if len(tables) == len(rows):
            # Sorted, for workers finish in any order, and the file is to be the same.
            yield video.condition, pd.concat(begun.pop(video.condition)).sort_index()


def _read_logits(path: Path) -> pd.DataFrame:
    # A method may be called "None", which pandas would take for an empty cell.
    return pd.read_csv(path, dtype=dict.fromkeys(LOGIT_COLUMNS, str) | {"label": int}, keep_default_na=False)


def _file(out: Path, condition: Condition) -> Path:
    return out / LOGITS / f"{condition.name}.csv"


def _metrics(clips: pd.DataFrame, calibration: Calibration | None) -> dict[str, Any]:
    videos = video_scores(clips)
    small = clips.loc[clips["shorter_side"] < BLOCK_UNIT, "video_id"].nunique()
    return {
        "methods": method_metrics(videos, calibration), "datasets": dataset_metrics(videos, calibration),
        "videos": len(videos), "too_small_for_blocks": small,
    }  # fmt: skip


def _require_videos(root: Path, paths: list[str]) -> None:
    absent = [path for path in paths if not is_there(root / path)]
    if absent:
        raise TddError(
            f"{root} lacks {len(absent)} of the {len(paths)} test videos, such as {absent[0]}; give the data root that "
            "the store was made from."
        )
