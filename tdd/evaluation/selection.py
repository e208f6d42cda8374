"""Which clips of which videos are scored: the paper's protocol, and what a user may change about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from tdd.config import Recipe
from tdd.data.clips import frames_spanned, usable
from tdd.data.clock import FPS
from tdd.data.store import MOST_FRAMES, ClipStore
from tdd.errors import TddError
from tdd.names import (
    CELEB_DF,
    FACEFORENSICS_FAMILY,
    FAKE_SOUND_ALONE,
    IDENTITIES,
    LRW,
    MADE_FROM,
    REALS_OF,
    SEEN_METHODS,
    SEGMENTS,
)

NOT_IN_SHORT_CELEB_LIST = (f"{CELEB_DF}/YouTube-real/00275", f"{CELEB_DF}/Celeb-real/id39_0005")
"""Reals of the official test list that RealForensics' own list omits (finding A7)."""

LOGIT_COLUMNS = ["video_id", "dataset", "method", "label", "split", IDENTITIES, MADE_FROM]
LEAST_VIDEOS = 2
"""Of each class: with fewer, an AUC has no interval."""


@dataclass(frozen=True)
class Protocol:
    """What is scored of a clip store. The defaults are the paper's protocol on all that the store holds."""

    datasets: tuple[str, ...] = ()
    """Names of data sets; empty: all but LRW."""
    methods: tuple[str, ...] = ()
    """Names of forgery methods, whose reals come with them; empty: all."""
    whole_video: bool = False
    """All frames of every video, those of FaceForensics++ too."""
    clip_stride: int = 0
    """Frames from the start of a clip to that of the next; 0: the length of a clip, so that clips lie end to end."""
    frame_step: int = 1
    """Every n-th frame is seen, so that a clip shows n times as long a time at 25 / n fps."""

    def __post_init__(self) -> None:
        """Refuse what no clip can have.

        Raises:
            TddError: a negative stride, or a step below 1.
        """
        if self.clip_stride < 0 or self.frame_step < 1:
            raise TddError(
                f"A clip stride is 1 frame at least (0: the clip's length) and a frame step 1, not {self.clip_stride} "
                f"and {self.frame_step}."
            )

    def to_text(self) -> str:
        """What differs from the paper's protocol, in words; empty where nothing does."""
        said = []
        if self.whole_video:
            said.append("all frames of every video")
        if self.clip_stride:
            said.append(f"a clip every {self.clip_stride} frames")
        if self.frame_step > 1:
            said.append(f"one frame in {self.frame_step} ({FPS / self.frame_step:.4g} fps)")
        return ", ".join(said)


PAPER_PROTOCOL = Protocol()


def clip_starts(n_frames: int, length: int, stride: int = 0) -> list[int]:
    """First frames of the clips of a video: ``stride`` apart, the last one moved back to end with the video.

    Args:
        n_frames: frames of the video.
        length: frames that a clip spans.
        stride: frames from start to start; 0: ``length``, so that clips lie end to end.

    Raises:
        TddError: the video is shorter than a clip.
    """
    if n_frames < length:
        raise TddError(f"A video of {n_frames} frames holds no clip of {length}.")
    starts = list(range(0, n_frames - length + 1, stride or length))
    return starts if starts[-1] + length == n_frames else [*starts, n_frames - length]


def evaluation_clips(store: ClipStore, recipe: Recipe, protocol: Protocol = PAPER_PROTOCOL) -> pd.DataFrame:
    """The clips of the test videos that a protocol asks for; videos too short for one are left out.

    Returns:
        one row a clip: ``video_id``, ``dataset``, ``method``, ``label``, ``split``, ``identities`` (who is seen, then
        whose face or motion was put in), ``made_from`` (the real of a fake, where lists name it), ``start`` (frame);
        and ``segments`` where the store names forged parts.

    Raises:
        TddError: the store has no test video of a data set or method that is asked for, none that is long enough, or
            too few of a class; or it keeps fewer frames of each than are to be scored.
    """
    table = _test_videos(store.index, recipe, protocol)
    _require_kept(store, table, recipe, protocol)
    clips = _clips(table, recipe, protocol)
    # Refused here, before a training whose scores would have no interval.
    for (dataset, method), fakes in clips[clips["label"] == 1].groupby(["dataset", "method"]):
        counts = real_class(clips, str(dataset))["video_id"].nunique(), fakes["video_id"].nunique()
        if min(counts) < LEAST_VIDEOS:
            raise TddError(
                f"{method} has {counts[0]} real and {counts[1]} fake test videos in {store.folder}, and an AUC with "
                f"its interval needs {LEAST_VIDEOS} of each; prepare more, or choose others with --methods."
            )
    return _without_partial_batches(clips, recipe) if recipe.findings.drop_last_clips else clips


def _test_videos(table: pd.DataFrame, recipe: Recipe, protocol: Protocol) -> pd.DataFrame:
    chosen = _chosen(table[(table["split"] == "test") & (table["dataset"] != LRW)], protocol)
    return chosen[~chosen["video_id"].isin(NOT_IN_SHORT_CELEB_LIST)] if recipe.findings.short_celeb_list else chosen


def listed_test_videos(store: ClipStore, recipe: Recipe, protocol: Protocol = PAPER_PROTOCOL) -> dict[str, Any]:
    """How many test videos the data sets' lists name, whether or not they are in the store.

    Returns:
        ``methods`` and ``datasets``, each by name the number of ``reals`` and ``fakes``, as a record keeps it. A data
        set's fakes are without those that no detector can see. Empty where an older version made the store.
    """
    if store.listed is None:
        return {}
    videos = _test_videos(store.listed, recipe, protocol)
    fakes = videos[videos["label"] == 1]
    seen = fakes[~fakes["method"].str.startswith(FAKE_SOUND_ALONE)]

    def counts(groups: Iterable[tuple[Any, pd.DataFrame]]) -> dict[str, dict[str, int]]:
        return {
            str(key[-1]): {"reals": len(real_class(videos, str(key[0]))), "fakes": len(group)} for key, group in groups
        }

    return {
        "methods": counts(fakes.groupby(["dataset", "method"])),
        "datasets": counts(seen.groupby(["dataset"])),
    }


def validation_clips(store: ClipStore, recipe: Recipe) -> pd.DataFrame:
    """The clips of the validation videos of :func:`seen_videos`, by the same protocol.

    Returns:
        as :func:`evaluation_clips`; empty where the store has no such video.
    """
    index = seen_videos(store.index, recipe)
    # Too short ones go here: usable() would refuse a store without others, and here that only means no calibration.
    table = index[(index["split"] == "val") & (index["frames"] >= recipe.clip.frames)]
    return _clips(table, recipe, PAPER_PROTOCOL) if len(table) else table.assign(start=0)


def real_class(table: pd.DataFrame, dataset: str) -> pd.DataFrame:
    """The rows of the reals that forgeries of a data set are held against.

    Those of the data set itself, or of the one that it was made from (``REALS_OF``).
    """
    return table[(table["dataset"] == REALS_OF.get(dataset, dataset)) & (table["label"] == 0)]


def seen_videos(table: pd.DataFrame, recipe: Recipe) -> pd.DataFrame:
    """What stage 2 may train on, of every split: fakes of ``stage2.methods``, and the reals of their data sets.

    A list equal to the paper's may be the default, and a partial download has not all of its methods: those that are
    there are trained on. Any other list was written by somebody, and each of its names is meant.

    Raises:
        TddError: the table has training fakes of none of these methods, or not of all that such a list names.
    """
    methods, fakes = recipe.stage2.methods, table[table["label"] == 1]
    known = sorted(set(fakes.loc[fakes["split"] == "train", "method"]))
    absent = [name for name in methods if name not in known]
    if len(absent) == len(methods) or (absent and set(methods) != set(SEEN_METHODS)):
        raise TddError(
            f"The store has no training fake of {', '.join(absent) or 'any method'}, which stage2.methods names; it "
            f"has training fakes of: {', '.join(known) or 'none'}. Name those to train on, as "
            "--set 'stage2.methods=[A, B]'."
        )
    fakes = fakes[fakes["method"].isin(methods)]
    reals = [real_class(table, str(name)) for name in dict.fromkeys(fakes["dataset"])]
    return table.loc[table.index.isin(pd.concat([fakes, *reals]).index)]


def _chosen(table: pd.DataFrame, protocol: Protocol) -> pd.DataFrame:
    fakes = table[table["label"] == 1]
    _require_present(protocol.datasets, table["dataset"], "data set")
    fakes = fakes[fakes["dataset"].isin(protocol.datasets)] if protocol.datasets else fakes
    _require_present(protocol.methods, fakes["method"], "method")
    fakes = fakes[fakes["method"].isin(protocol.methods)] if protocol.methods else fakes
    if not (protocol.datasets or protocol.methods):
        return table
    if fakes.empty:
        raise TddError(f"The test videos of {', '.join(protocol.datasets)} are all real, and an AUC needs fakes too.")
    reals = pd.concat([real_class(table, name) for name in dict.fromkeys(fakes["dataset"])])
    return table.loc[table.index.isin([*reals.index, *fakes.index])]  # data sets may share their reals


def _require_present(wanted: Iterable[str], present: Iterable[str], what: str) -> None:
    known = sorted(set(present))
    for name in wanted:
        if name not in known:
            raise TddError(f"No test video is of the {what} '{name}'; the store has: {', '.join(known) or 'none'}.")


def _require_kept(store: ClipStore, table: pd.DataFrame, recipe: Recipe, protocol: Protocol) -> None:
    kept, scored = store.plan.get(MOST_FRAMES), recipe.evaluation.faceforensics_frames
    if kept and table["dataset"].isin(FACEFORENSICS_FAMILY).any() and (protocol.whole_video or scored > kept):
        wanted = "all" if protocol.whole_video else f"{scored}"
        raise TddError(
            f"{store.folder} keeps the first {kept} frames of its FaceForensics++ videos, and {wanted} are to be "
            "scored; prepare a store without --frames."
        )


def _clips(table: pd.DataFrame, recipe: Recipe, protocol: Protocol) -> pd.DataFrame:
    used = table["frames"]
    if not protocol.whole_video:
        limit = recipe.evaluation.faceforensics_frames
        used = used.mask(table["dataset"].isin(FACEFORENSICS_FAMILY), used.clip(upper=limit))
    table = usable(table.assign(frames=used), recipe, protocol.frame_step)
    span = frames_spanned(recipe.clip, protocol.frame_step)
    starts = table["frames"].map(lambda n: clip_starts(int(n), span, protocol.clip_stride))
    known = SEGMENTS in table and table[SEGMENTS].fillna("").ne("").any()
    chosen = table[[*LOGIT_COLUMNS, *([SEGMENTS] if known else [])]].assign(start=starts)
    # explode leaves Python objects, hence astype.
    return chosen.explode("start", ignore_index=True).astype({"start": int})


def _without_partial_batches(clips: pd.DataFrame, recipe: Recipe) -> pd.DataFrame:
    """Finding A6: each method's clips in random order (seed 0), as many as fill whole batches."""
    size = recipe.evaluation.batch_size
    # Which clips the released loaders lost is not known; one fixed draw stands for it.
    groups = clips.sample(frac=1, random_state=0).groupby(["dataset", "method"])
    kept = groups.cumcount() < groups["start"].transform("size") // size * size
    if not kept.any():
        raise TddError(f"Finding A6 drops every clip, since no method has {size}; lower evaluation.batch_size.")
    return clips.loc[kept[kept].index.sort_values()].reset_index(drop=True)
