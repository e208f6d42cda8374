"""A copy of studies small enough to publish: plans, records and scores of videos, without weights and clip logits."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd

from tdd.errors import TddError
from tdd.machine.files import check_writable, whole_file, write_atomically
from tdd.names import IDENTITIES, MADE_FROM
from tdd.records.record import FAILURE, RECORD, STUDY
from tdd.records.results import SCORES, find_studies, load_study

DECIMALS = 4
"""Of a video's logit in a summary: ties that rounding makes move an AUC by far less than a thousandth."""

_FACTS = ["dataset", "method", "label", "split", IDENTITIES, MADE_FROM]


def write_summary(folder: Path, out: Path) -> list[Path]:
    """Copy the studies of a folder without their bulk; ``tdd report`` makes the same tables from the copy.

    Args:
        folder: one study, or the folder of several that share their runs.
        out: gets the same folders with ``study.json``, ``record.json`` and ``failure.json`` only, and ``scores.csv``
            with the logit of every video in every run that can be used.

    Returns:
        the studies' folders in ``out``.

    Raises:
        TddError: no study there, one whose runs lie outside ``folder``, or ``out`` cannot be written.
    """
    for place in find_studies(folder):
        for run in load_study(place).runs:
            # Normalised, not resolved: a folder of links to runs is a good folder.
            if run.path and os.path.relpath(os.path.normpath(place / run.path), folder).startswith(".."):
                raise TddError(
                    f"The runs of {place} lie outside {folder}, so that a copy of it would have none; give the folder "
                    "that holds both."
                )
    check_writable(out)
    logits: dict[str, pd.Series] = {}
    facts: list[pd.DataFrame] = []
    written = []
    for place in find_studies(folder):
        study = load_study(place)
        copy = out / place.relative_to(folder)
        write_atomically(copy / STUDY, (place / STUDY).read_bytes())
        written.append(copy)
        for run in study.runs:
            for path in filter(None, (run.path, run.stage1)):
                for name in (RECORD, FAILURE):
                    if (place / path / name).is_file():
                        write_atomically(copy / path / name, (place / path / name).read_bytes())
            if run.videos is not None and not run.problem:
                # The name by which tdd.records.results finds the column again.
                logits["/".join(Path(run.path).parts[-2:])] = run.videos["logit"].round(DECIMALS)
                facts.append(run.videos.reindex(columns=_FACTS))
    known = pd.concat(facts) if facts else pd.DataFrame(columns=_FACTS, index=pd.Index([], name="video_id"))
    table = known[~known.index.duplicated()].sort_index()
    # Some run's record may be of an older version, which kept none of one.
    table = table.drop(columns=[name for name in (IDENTITIES, MADE_FROM) if table[name].isna().any()])
    with whole_file(out / SCORES) as unfinished:
        table.assign(**{name: logits[name] for name in sorted(logits)}).to_csv(unfinished)
    return written
