"""From clip logits to one score a video."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import expit

from tdd.errors import TddError
from tdd.names import IDENTITIES, MADE_FROM

CLIP_COLUMNS = ("video_id", "dataset", "method", "label", "split", "start", "logit")
"""What a table of clip logits holds, one row a clip; ``start`` is the clip's first frame."""

_FACTS = ["dataset", "method", "label", "split"]


def video_scores(clips: pd.DataFrame) -> pd.DataFrame:
    """Average the clip logits of each video (RealForensics: Haliassos et al., CVPR 2022, arXiv 2201.07131).

    Rank videos by ``logit``, not by ``score``: the sigmoid rounds to 1 beyond a logit of 37, and a cosine head scaled
    by 64 passes that, so that ``score`` may tie videos which the network tells apart.

    Args:
        clips: one row a clip, with the columns of ``CLIP_COLUMNS`` and, where records keep them, ``identities`` and
            ``made_from``; ``video_id`` names the method too, since one file name occurs in every method folder of
            FaceForensics++.

    Returns:
        One row a video, indexed by ``video_id`` in sorted order, with the columns dataset, method, label, split,
        identities and made_from (where given), ``logit`` (mean of its clips), ``score`` (sigmoid of that mean) and
        ``clips``.

    Raises:
        TddError: a column is absent, the table is empty, a logit is not finite, a label is neither 0 nor 1, a clip
            (video_id, start) occurs twice, or one video carries two labels, methods, data sets, splits or identities.
    """
    _check_clips(clips)
    by_video = clips.groupby("video_id", sort=True)
    # A fact that only some clips of a video lack is a difference too.
    facts = [*_FACTS, *(name for name in (IDENTITIES, MADE_FROM) if name in clips)]
    mixed = by_video[facts].nunique(dropna=False).gt(1)
    if mixed.to_numpy().any():
        video = mixed.index[mixed.any(axis=1)][0]
        columns = " and ".join(mixed.columns[mixed.loc[video]])
        raise TddError(f"Video {video!r} has clips that differ in {columns}; make its id name one video only.")
    videos = by_video[facts].first()
    videos["label"] = videos["label"].astype(int)
    videos["logit"] = by_video["logit"].mean()
    videos["score"] = expit(videos["logit"])
    videos["clips"] = by_video.size()
    return videos


def _check_clips(clips: pd.DataFrame) -> None:
    absent = [column for column in CLIP_COLUMNS if column not in clips.columns]
    if absent:
        raise TddError(f"The table of clip logits lacks {', '.join(absent)}; it must hold {', '.join(CLIP_COLUMNS)}.")
    if clips.empty:
        raise TddError("The table of clip logits holds no clip; evaluate the checkpoint on a test set first.")
    broken = ~np.isfinite(clips["logit"].to_numpy(float))
    if broken.any():
        first = clips.iloc[int(broken.argmax())]
        raise TddError(
            f"{int(broken.sum())} of {len(clips)} clip logits are not finite, the first in {first['video_id']!r} at "
            f"frame {first['start']}; the network diverged or its input was broken: train it again."
        )
    if not clips["label"].isin((0, 1)).all():
        raise TddError(f"Labels must be 0 (real) or 1 (fake), found {sorted(set(clips['label']) - {0, 1}, key=str)}.")
    again = clips.duplicated(["video_id", "start"])
    if again.any():
        first = clips[again].iloc[0]
        raise TddError(
            f"{int(again.sum())} clips are scored more than once, the first in {first['video_id']!r} at frame "
            f"{first['start']}; score every clip once."
        )
