"""Stage 2 with few labels: a share of the labelled videos, shown so often that an epoch is as long as with all."""

from __future__ import annotations

import pandas as pd

from tdd.errors import TddError
from tdd.records.targets import targets_of


def with_few_labels(labelled: pd.DataFrame, share: float) -> tuple[pd.DataFrame, int]:
    """The training videos that keep their label, and how often an epoch shows each.

    Whole targets are kept, with all their fakes, the first ones by name; so a detector learns from fewer people, as
    who labels fewer videos would have it.

    Args:
        labelled: videos, with ``video_id``, ``dataset``, ``label`` and ``identities``.
        share: of the targets, above 0 and up to 1.

    Returns:
        their rows, renumbered, and 1 / ``share`` rounded.

    Raises:
        TddError: less than all is asked for, and the targets are not known.
    """
    if share == 1:
        return labelled.reset_index(drop=True), 1
    targets = targets_of(labelled.set_index("video_id"))
    if targets is None:
        raise TddError(
            f"stage2.labelled_share is {share:g}, a share of the people in the training videos, and who is seen in "
            "them is not known; prepare the videos again with this version, or set it to 1."
        )
    names = sorted(targets.unique())
    kept = set(names[: max(1, round(share * len(names)))])
    return labelled[labelled["video_id"].map(targets).isin(kept)].reset_index(drop=True), round(1 / share)
