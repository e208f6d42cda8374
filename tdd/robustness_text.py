"""The AUC by corruption and level as a table for a terminal, and what must be said with it."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

import numpy as np

from tdd.names import FACEFORENSICS
from tdd.perturb import BLOCK_UNIT, CORRUPTIONS
from tdd.results import SYNTHETIC_SENTENCE

WIDTH = 118
"""Columns of the text."""

REALFORENSICS = {"CS": 99.8, "CC": 99.6, "BW": 98.9, "GNC": 79.7, "GB": 95.3, "PIX": 98.4, "VC": 97.6}
"""Published mean over the levels on FaceForensics++, %, trained without such damage (arXiv 2201.07131)."""


def by_level(record: Mapping[str, Any], dataset: str) -> dict[str, dict[int, Mapping[str, Any]]]:
    """The metrics of a data set by corruption and level, level 0 being the undamaged videos."""
    found: dict[str, dict[int, Mapping[str, Any]]] = {}
    for name, values in record["metrics"].items():
        code, _, level = name.partition("-")
        found.setdefault(code, {})[int(level)] = values["datasets"][dataset]
    (clean,) = found.pop("none").values()
    return {code: {0: clean} | levels for code, levels in found.items()}


def datasets_of(record: Mapping[str, Any]) -> list[str]:
    """Names of the data sets in a record."""
    return list(record["metrics"]["none-0"]["datasets"])


def untouched(record: Mapping[str, Any]) -> set[str]:
    """Codes of corruptions that left every video as it is: grey blocks, where all frames are small."""
    blocks = [values for name, values in record["metrics"].items() if name.startswith("BW")]
    return {"BW"} if blocks and all(values["too_small_for_blocks"] == values["videos"] for values in blocks) else set()


def robustness_text(record: Mapping[str, Any]) -> str:
    """One table a data set: a row a corruption, a column a level; then notes."""
    blocks = [_table(record, dataset) for dataset in datasets_of(record)]
    lines = [line for sentence in notes(record) for line in textwrap.wrap(sentence, WIDTH, subsequent_indent="  ")]
    return "\n".join([*blocks, *lines])


def notes(record: Mapping[str, Any]) -> list[str]:
    """What a reader of the numbers must know."""
    said = [SYNTHETIC_SENTENCE] if record["synthetic"] else []
    methods = record["data"]["protocol"]["methods"]
    if methods:
        said.append(f"Forgery methods: {', '.join(methods)} alone.")
    drawn = record["data"]["videos"]
    if drawn:
        said.append(f"{drawn} videos of each method and of the reals, drawn with seed {record['data']['seed']}.")
    small = max(
        (values["too_small_for_blocks"] for name, values in record["metrics"].items() if name.startswith("BW")),
        default=0,
    )
    if small:
        of = record["metrics"]["none-0"]["videos"]
        said.append(
            f"Grey blocks (BW) left {small} of {of} videos as they are: their frames are below {BLOCK_UNIT} px, where "
            "the suite's definition gives none."
        )
    return [*said, "Mean: over the levels measured. Limits of every AUC are in levels.csv and in the record."]


def _table(record: Mapping[str, Any], dataset: str) -> str:
    found = by_level(record, dataset)
    levels = sorted({level for values in found.values() for level in values})
    published = dataset == FACEFORENSICS and not record["synthetic"]
    head = [f"{dataset}, AUC %", "clean", *(f"level {level}" for level in levels if level), "mean"]
    rows = []
    for code, values in found.items():
        shares = [f"{100 * values[level]['auc']:.1f}" if level in values else "" for level in levels]
        mean = np.mean([100 * entry["auc"] for level, entry in values.items() if level])
        rows.append([f"{code} {CORRUPTIONS[code].name}", *shares, f"{mean:.1f}"])
        rows[-1] += [f"{REALFORENSICS[code]:.1f}"] if published else []
    head += ["RealForensics"] if published else []
    if not rows:
        value = next(iter(record["metrics"].values()))["datasets"][dataset]["auc"]
        return f"{dataset}, undamaged: AUC {100 * value:.1f}%"
    widths = [max(len(line[i]) for line in (head, *rows)) for i in range(len(head))]
    table = [
        "  ".join([line[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(line[1:], widths[1:], strict=True))])
        for line in (head, *rows)
    ]
    return "\n".join([table[0], "─" * len(table[0]), *table[1:], ""])
