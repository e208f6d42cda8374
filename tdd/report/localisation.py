"""When are videos forged, by row of a study: figures over seeds, from the records alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tdd.evaluation.localisation import CONSTANT, DETECTOR, HEADS, LABELS, PERFECT, SHOWN, SHUFFLED, WITHIN
from tdd.machine.files import whole_file
from tdd.records.results import Study

FILE = "localisation.csv"


def localisation_frame(study: Study, labels: Mapping[str, str] | None = None) -> pd.DataFrame:
    """One row a data set, row of the study and figure.

    Args:
        study: as :func:`tdd.records.results.load_study` reads it.
        labels: of its rows, by id; ``None``: their ids.

    Returns:
        columns ``dataset``, ``row`` (id, or the kind of score that a detector is held against), ``label``, ``figure``,
        ``percent`` (mean over seeds), ``sd`` (NaN for one seed) and ``seeds``; empty where no record names forged
        parts.
    """
    runs = [(row, run) for row in study.rows for run in study.usable(row)]
    datasets = dict.fromkeys(name for _, run in runs for name in run.record.get("localisation") or {})
    rows = []
    for dataset in datasets:
        known = [(row, found["scores"]) for row, run in runs if (found := _of(run.record, dataset))]
        for row in dict.fromkeys(row for row, _ in known):
            rows += _rows(
                dataset,
                row,
                (labels or {}).get(row, row),
                [scores[DETECTOR] for other, scores in known if other == row],
            )
        for kind in (CONSTANT, SHUFFLED, WITHIN, PERFECT):
            rows += _rows(dataset, kind, LABELS[kind], [scores[kind] for _, scores in known])
    return pd.DataFrame(rows, columns=["dataset", "row", "label", "figure", "percent", "sd", "seeds"])


def _of(record: dict[str, Any], dataset: str) -> dict[str, Any] | None:
    found: dict[str, Any] | None = (record.get("localisation") or {}).get(dataset)
    return found


def _rows(dataset: str, row: str, label: str, figures: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [
        (
            dataset, row, label, name, 100 * float(np.mean(values)),
            100 * float(np.std(values, ddof=1)) if len(values) > 1 else float("nan"), len(values),
        )
        for name in SHOWN
        if (values := [one[name] for one in figures])
    ]  # fmt: skip


def localisation_text(frame: pd.DataFrame) -> str:
    """The same for a terminal, in percent; empty where nothing is known."""
    lines = []
    for dataset, own in frame.groupby("dataset", sort=False):
        rows = [[f"{dataset}: when forged, %", *HEADS]]
        for _, group in own.groupby("row", sort=False):
            values = group.set_index("figure")
            sd = values["sd"]
            several = group["row"].iloc[0] not in (CONSTANT, SHUFFLED, WITHIN, PERFECT) and sd.notna().all()
            rows.append([
                str(group["label"].iloc[0]),
                *(f"{values['percent'][name]:.1f}" + (f" ± {sd[name]:.1f}" if several else "") for name in SHOWN),
            ])  # fmt: skip
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        table = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows]
        lines += [table[0], "─" * len(table[0]), *table[1:], ""]
    return "\n".join(lines)


def write_localisation(study: Study, folder: Path, labels: Mapping[str, str] | None = None) -> tuple[str, list[Path]]:
    """Write ``localisation.csv`` where records name forged parts; arguments as :func:`localisation_frame`.

    Returns:
        the text for a terminal, and the files written; both empty where nothing is known.

    Raises:
        OSError: ``folder`` cannot be written.
    """
    frame = localisation_frame(study, labels)
    if frame.empty:
        return "", []
    with whole_file(folder / FILE) as unfinished:
        frame.to_csv(unfinished, index=False)
    return localisation_text(frame), [folder / FILE]
