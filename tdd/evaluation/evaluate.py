"""Score every test clip once; video scores and all metrics follow from the clip logits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from tdd.config import Recipe
from tdd.data.augment import normalise, views
from tdd.data.clips import ScoredClips, in_order, loader, on_gpu
from tdd.data.loading import on_device
from tdd.data.store import LABELS, SIZES, ClipStore
from tdd.errors import TddError
from tdd.evaluation.localisation import localise
from tdd.evaluation.sanity import sanity_checks
from tdd.evaluation.selection import (
    PAPER_PROTOCOL,
    Protocol,
    clip_starts,
    evaluation_clips,
    listed_test_videos,
    real_class,
)
from tdd.machine.files import as_json, check_writable, sha256, whole_file
from tdd.machine.parallel import Progress
from tdd.machine.ranks import in_turn, leads, my_share, world
from tdd.metrics import (
    UNCALIBRATED,
    Calibration,
    auc_interval,
    average_precision,
    equal_error_rate,
    paired_share,
    partial_auc,
    tpr_at_fpr,
    video_scores,
)
from tdd.metrics.kept_calibration import (
    calibration_error,
    error_floor,
    false_positive_rate,
    known_calibration,
    with_false_positives,
)
from tdd.names import FAKE_SOUND_ALONE
from tdd.records.record import CLIP_LOGITS, Clock, Record, machine_of, read_record
from tdd.records.targets import own_reals, targets_of
from tdd.weights.checkpoints import import_weights, weights_files
from tdd.weights.detector import load_detector

__all__ = [
    "CLIP_LOGITS",
    "clip_starts",
    "evaluate_checkpoint",
    "evaluation_clips",
    "score_clips",
    "score_test_videos",
    "write_scores",
]

LOW_FPR = 0.1
"""False positive rate at which the partial area ends."""

FPR = 0.05
"""False positive rate at which the true positive rate is read off."""


@dataclass(frozen=True)
class Scored:
    """What a record keeps of scores: metrics by method, calibration, and localisation by data set."""

    metrics: dict[str, Any]
    calibration: dict[str, Any]
    """With its false positives on each test set."""
    localisation: dict[str, Any]
    """See :func:`tdd.evaluation.localisation.localise`; empty where no video names its forged parts."""


@torch.inference_mode()
def score_clips(
    detector: nn.Module,
    store: ClipStore,
    clips: pd.DataFrame,
    recipe: Recipe,
    frame_step: int = 1,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Add a ``logit`` to every row of ``clips``; nothing is dropped, whatever the batch size.

    Of a run on several devices each scores its share of the batches, and all get all logits.

    Args:
        detector: takes normalised video, shape (B, 3, T, H, W), and gives logits, shape (B,).
        store: holds the clips.
        clips: one row a clip, with ``video_id`` and ``start``.
        recipe: gives the view and the batch size.
        frame_step: every n-th frame is seen.
        progress: called with (clips done, clips in all).

    Raises:
        TddError: a clip was not scored exactly once (a fault of this program, never passed over).
    """
    size = recipe.evaluation.batch_size
    device = next(detector.parameters()).device
    scored: list[tuple[Tensor, Tensor]] = []
    detector.eval()  # batch norm must not make a score depend on the other clips of its batch
    shown = ScoredClips(store, clips, recipe, frame_step, raw=device.type != "cpu")
    for batch in on_device(loader(shown, my_share(in_order(len(clips), size)), recipe), device):
        # Read when all are scored: to read each batch here is to leave the device without work till the next one.
        scored.append((batch["number"], detector(normalise(views(batch, recipe.clip)["video"]))))
        if progress:
            progress(min(len(clips), len(scored) * size * world()), len(clips))
    scored = in_turn([(numbers, logits.float().cpu()) for numbers, logits in scored])  # numpy has no bfloat16
    order = torch.cat([numbers for numbers, _ in scored]) if scored else torch.empty(0)
    # The released loaders drop their last, partial batches (finding A6); here that cannot pass unseen.
    if order.tolist() != list(range(len(clips))):
        raise TddError(f"{len(clips)} clips were to be scored once each, and {len(order)} scores came back.")
    return clips.assign(logit=torch.cat([torch.empty(0), *(logits for _, logits in scored)]).numpy())


def score_test_videos(
    detector: nn.Module,
    store: ClipStore,
    recipe: Recipe,
    protocol: Protocol = PAPER_PROTOCOL,
    calibration: Calibration | None = None,
    progress: Progress | None = None,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Clip logits of all test videos that a protocol asks for, and the metrics of every forgery method.

    Returns:
        the clips with their ``logit``, and the metrics by method as :func:`method_metrics` gives them.

    Raises:
        TddError: as :func:`tdd.evaluation.selection.evaluation_clips`, or a logit is not finite.
    """
    chosen = evaluation_clips(store, recipe, protocol)
    clips = score_clips(detector, store, chosen, recipe, protocol.frame_step, progress)
    return clips, method_metrics(video_scores(clips), calibration)


def method_metrics(videos: pd.DataFrame, calibration: Calibration | None = None) -> dict[str, Any]:
    """The metrics of every forgery method against the reals of its data set: see :func:`video_metrics`.

    Args:
        videos: as :func:`tdd.metrics.video_scores` gives them.
        calibration: of the detector, if it has one.
    """
    fakes = videos[videos["label"] == 1]
    return {
        # A method's name is enough: it is unique over all data sets.
        str(method): video_metrics(real_class(videos, str(dataset)), group, calibration)
        for (dataset, method), group in fakes.groupby(["dataset", "method"])
    }


def dataset_metrics(videos: pd.DataFrame, calibration: Calibration | None = None) -> dict[str, Any]:
    """The same for every data set with all its forgeries but those that no detector can see (FakeAVCeleb's RVFA)."""
    fakes = videos[(videos["label"] == 1) & ~videos["method"].str.startswith(FAKE_SOUND_ALONE)]
    return {
        str(dataset): video_metrics(real_class(videos, str(dataset)), group, calibration)
        for dataset, group in fakes.groupby("dataset")
    }


def video_metrics(reals: pd.DataFrame, fakes: pd.DataFrame, calibration: Calibration | None) -> dict[str, Any]:
    """How well the logits of videos tell fakes from reals.

    Returns:
        ``auc`` with its 95% limits ``low`` and ``high``, ``reals`` and ``fakes`` (numbers of videos),
        ``average_precision``, ``eer`` (equal error rate), ``partial_auc_fpr_0.1`` (standardised), ``tpr_at_fpr_0.05``,
        ``ece`` (expected calibration error of the plain sigmoid, classes weighed equally) with ``ece_floor`` (that of a
        perfectly calibrated detector on these videos) and, where there is a calibration, ``ece_calibrated``,
        ``ece_calibrated_floor`` and ``false_positive_rate`` (of the reals, at a chance of 0.5). Where records say who
        is seen, the limits are over ``targets`` (their number), and ``own_real`` is the share of ``pairs`` in which the
        fake scores above the real that it was made from.
    """
    both = pd.concat([reals, fakes])
    labels, logits = both["label"], both["logit"]  # the sigmoid may tie what the logits tell apart
    targets, own = targets_of(both), own_reals(both)
    interval = auc_interval(labels, logits, targets=targets)
    metrics = {
        "auc": interval.value, "low": interval.low, "high": interval.high, "reals": len(reals), "fakes": len(fakes),
        "average_precision": average_precision(labels, logits), "eer": equal_error_rate(labels, logits),
        f"partial_auc_fpr_{LOW_FPR}": partial_auc(labels, logits, LOW_FPR),
        f"tpr_at_fpr_{FPR}": tpr_at_fpr(labels, logits, FPR), "ece": calibration_error(labels, logits, UNCALIBRATED),
        "ece_floor": error_floor(labels, logits, UNCALIBRATED),
    }  # fmt: skip
    if targets is not None:
        metrics["targets"] = int(targets.nunique())
    if len(own):
        metrics |= {"own_real": paired_share(logits[own.index], logits[own]), "pairs": len(own)}
    if calibration:
        metrics |= {
            "ece_calibrated": calibration_error(labels, logits, calibration),
            "ece_calibrated_floor": error_floor(labels, logits, calibration),
            "false_positive_rate": false_positive_rate(reals["logit"], calibration),
        }
    return metrics


def to_scoring_device(detector: nn.Module, recipe: Recipe) -> nn.Module:
    """A detector, moved to a GPU where the recipe allows one and there is one, else to the CPU."""
    return detector.to("cuda" if on_gpu(recipe.machine) else "cpu")


def write_scores(detector: nn.Module, store: ClipStore, recipe: Recipe, run: Path, kept: Mapping[str, Any]) -> Scored:
    """Score all test videos by the paper's protocol and write ``clip_logits.csv``.

    Args:
        detector: takes normalised video, shape (B, 3, T, H, W).
        store: holds the test sets.
        recipe: of the detector.
        run: folder for the clip logits.
        kept: the detector's calibration, as :func:`tdd.metrics.kept_calibration.calibrate` gives it.
    """
    detector = to_scoring_device(detector, recipe)
    logits, metrics = score_test_videos(detector, store, recipe, calibration=known_calibration(kept))
    if leads():
        write_logits(logits, run)
    calibration = with_false_positives(kept, video_scores(logits))
    return Scored(metrics, calibration, localise(logits, store, recipe, PAPER_PROTOCOL))


def write_logits(logits: pd.DataFrame, run: Path) -> None:
    """Write a table of clip logits as ``clip_logits.csv``."""
    with whole_file(run / CLIP_LOGITS) as unfinished:
        logits.to_csv(unfinished, index=False)


def evaluate_checkpoint(
    checkpoint: Path,
    store: ClipStore,
    out: Path,
    protocol: Protocol = PAPER_PROTOCOL,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Score test clips with stage-2 weights, by the recipe stored with them, or read the record of doing so.

    Args:
        checkpoint: folder of stage-2 weights, trained here or imported.
        store: holds the test sets, at the recipe's crop.
        out: folder for clip logits and record.
        protocol: which clips of which videos.
        progress: called with (clips done, clips in all).

    Returns:
        the record; its ``metrics`` are those of a stage-2 run, its ``datasets`` the same by data set.

    Raises:
        TddError: no such weights, a store of another crop or without such test videos, or a folder with other results.
    """
    weights = import_weights(checkpoint, "stage2")
    data = store.identity() | {"weights": sha256(weights_files(checkpoint)[1]), "protocol": asdict(protocol)}
    finished = read_finished(out, data)
    if finished:
        return finished
    detector, recipe = load_detector(weights)
    store.require(recipe.clip, *SIZES)
    evaluation_clips(store, recipe, protocol)  # refuses a store without such videos before anything is written
    check_writable(out)
    clock, kept = Clock(), weights.info.get("calibration") or {}
    calibration = known_calibration(kept)
    logits, metrics = score_test_videos(
        to_scoring_device(detector, recipe), store, recipe, protocol, calibration, progress
    )
    write_logits(logits, out)
    videos = video_scores(logits)
    datasets = dataset_metrics(videos, calibration)
    Record(
        kind="evaluation", name=out.name, seed=weights.info.get("seed"), synthetic=bool(store.plan["synthetic"]),
        recipe=recipe.to_dict(), data=data, history=[], metrics=metrics, row={"backbone": weights.backbone},
        datasets=datasets, calibration=with_false_positives(kept, videos),
        listed=listed_test_videos(store, recipe, protocol), localisation=localise(logits, store, recipe, protocol),
        checks=sanity_checks(weights, store, videos, datasets, str(checkpoint)), crops=weights.info.get("crops") or {},
        machine=machine_of(recipe.machine), **clock.read(),
    ).write(out)  # fmt: skip
    return read_record(out) or {}


def read_finished(out: Path, data: dict[str, Any]) -> dict[str, Any] | None:
    """The record in ``out``, ``None`` where there is none.

    Raises:
        TddError: there is one of other ``data``: weights, videos or protocol.
    """
    finished = read_record(out)
    # A record of an older version says nothing of labels; its tuples come back as lists.
    if finished and {LABELS: data[LABELS]} | finished["data"] != as_json(data):
        raise TddError(
            f"{out} holds results of other weights or data, or of another protocol; choose another folder or delete "
            "that one."
        )
    return finished
