"""Stage 2 with few labels: a share of the labelled videos, shown so often that an epoch is as long as with all."""

from __future__ import annotations

import pandas as pd

from tdd.errors import TddError
from tdd.names import REALS_OF
from tdd.records.targets import targets_of


def with_few_labels(labelled: pd.DataFrame, share: float) -> tuple[pd.DataFrame, int]:
    """The training videos that keep their label, and how often an epoch shows each.

    Of each data set whole targets are kept, with all their fakes, the first ones by name; so a detector learns from
    fewer people, as who labels fewer videos would have it.

    Args:
        labelled: videos, with ``video_id``, ``dataset``, ``label`` and ``identities``.
        share: of the targets, 1 divided by a whole number.

    Returns:
        their rows, renumbered, and 1 / ``share``.

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
    own = labelled["video_id"].map(targets)
    kept: set[str] = set()
    for _, names in own.groupby(labelled["dataset"].replace(REALS_OF)):
        known = sorted(names.unique())
        kept.update(known[: max(1, round(share * len(known)))])
    return labelled[own.isin(kept)].reset_index(drop=True), round(1 / share)
