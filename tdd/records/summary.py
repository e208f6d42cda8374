"""A copy of studies small enough to publish: plans, records and scores of videos, without weights and clip logits."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tdd.errors import TddError
from tdd.machine.files import check_writable, whole_file, write_atomically
from tdd.names import IDENTITIES, MADE_FROM
from tdd.records.record import FAILURE, RECORD, STUDY
from tdd.records.results import CHECKS, FACTS, OLDER_SCORES, SCORES, STEPS, find_studies, load_study


def write_summary(folder: Path, out: Path) -> list[Path]:
    """Copy the studies of a folder without their bulk; ``tdd report`` makes the same tables from the copy.

    Args:
        folder: one study, or the folder of several that share their runs.
        out: gets the same folders with ``study.json``, ``checks.json``, ``record.json`` and ``failure.json`` only, and
            ``scores.parquet`` with the logit of every video in every run that can be used, in ten-thousandths.

    Returns:
        the studies' folders in ``out``.

    Raises:
        TddError: no study there, one whose runs lie outside ``folder``, runs that do not agree on what a video is, or
            ``out`` cannot be written.
    """
    studies = {place: load_study(place) for place in find_studies(folder)}
    for place, study in studies.items():
        for run in study.runs:
            # Normalised, not resolved: a folder of links to runs is a good folder.
            if run.path and os.path.relpath(os.path.normpath(place / run.path), folder).startswith(".."):
                raise TddError(
                    f"The runs of {place} lie outside {folder}, so that a copy of it would have none; give the folder "
                    "that holds both."
                )
    check_writable(out)
    logits, facts = {}, {}
    written = []
    for place, study in studies.items():
        copy = out / place.relative_to(folder)
        for name in (STUDY, CHECKS):
            if (place / name).is_file():
                write_atomically(copy / name, (place / name).read_bytes())
        written.append(copy)
        for run in study.runs:
            for path in filter(None, (run.path, run.stage1)):
                for name in (RECORD, FAILURE):
                    if (place / path / name).is_file():
                        write_atomically(copy / path / name, (place / path / name).read_bytes())
            if run.videos is not None and not run.problem:
                # The name by which tdd.records.results finds the column again.
                column = "/".join(Path(run.path).parts[-2:])
                logits[column], facts[column] = run.videos["logit"], run.videos.reindex(columns=[*FACTS])
    _write_scores(out, _one_of_each(facts), logits)
    return written


def _one_of_each(facts: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """What all runs say of their videos, by run, as one line a video.

    Raises:
        TddError: two runs give a video another data set, method, label or split.
    """
    known = pd.concat(facts.values()) if facts else pd.DataFrame(columns=[*FACTS], index=pd.Index([], name="video_id"))
    table = known[~known.index.duplicated()].sort_index()
    sure = [name for name in FACTS if name not in (IDENTITIES, MADE_FROM)]
    for run, own in facts.items():
        other = own.index[(own[sure] != table.loc[own.index, sure]).any(axis=1)]
        if len(other):
            raise TddError(
                f"{run} has another data set, method, label or split of {len(other)} videos than other runs, such as "
                f"{other[0]!r}, and a summary keeps one; run it again on the same data, or summarise it by itself."
            )
    # Some run's record may be of an older version, which kept none of one.
    return table.drop(columns=[name for name in (IDENTITIES, MADE_FROM) if table[name].isna().any()])


def _write_scores(out: Path, facts: pd.DataFrame, logits: dict[str, pd.Series]) -> None:
    """Whole numbers of ten-thousandths: a third of the bytes of the same numbers as text."""
    whole = {name: (STEPS * logits[name]).round().astype("Int64") for name in sorted(logits)}
    table = pa.Table.from_pandas(facts.assign(**whole).reset_index(), preserve_index=False).replace_schema_metadata()
    encodings = {"video_id": "DELTA_BYTE_ARRAY", **dict.fromkeys(whole, "DELTA_BINARY_PACKED")}
    with whole_file(out / SCORES) as unfinished:
        pq.write_table(
            table, unfinished, compression="zstd", use_dictionary=list(facts.columns), column_encoding=encodings
        )
    (out / OLDER_SCORES).unlink(missing_ok=True)
