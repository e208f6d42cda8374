"""The metrics of an evaluation as a table for a terminal, and what must be said with them."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

from tdd.calibrate import calibration_text
from tdd.evaluate import FPR, LOW_FPR
from tdd.names import FAKE_SOUND_ALONE
from tdd.selection import Protocol

WIDTH = 118
"""Columns of the text."""

COLUMNS = {
    "AUC": "auc", "AP": "average_precision", "EER": "eer", f"pAUC {LOW_FPR:.0%}": f"partial_auc_fpr_{LOW_FPR}",
    f"TPR {FPR:.0%}": f"tpr_at_fpr_{FPR}", "ECE": "ece", "calib.": "ece_calibrated",
}  # fmt: skip
"""Heads of the columns, and the metrics below them."""


def evaluation_text(record: Mapping[str, Any]) -> str:
    """The record of :func:`tdd.evaluate.evaluate_checkpoint` in words: a row a method, a row a data set, notes."""
    methods, datasets = record["metrics"], record["datasets"]
    rows = [_row(name, values) for name, values in methods.items()]
    rows += [_row(f"all of {name}", values) for name, values in datasets.items()]
    head = ["video level, %", "AUC", "95% interval", *list(COLUMNS)[1:], "real", "fake"]
    if not any("ece_calibrated" in values for values in methods.values()):
        place = head.index("calib.")
        head, rows = head[:place] + head[place + 1 :], [row[:place] + row[place + 1 :] for row in rows]
    widths = [max(len(line[i]) for line in (head, *rows)) for i in range(len(head))]

    def line(cells: list[str]) -> str:
        return "  ".join([cells[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(cells[1:], widths[1:], strict=True))])

    rule = "─" * len(line(head))
    body = [line(row) for row in rows]
    lines = [line(head), rule, *body[: len(methods)], rule, *body[len(methods) :], ""]
    for sentence in notes(record):
        lines += textwrap.wrap(sentence, WIDTH, subsequent_indent="  ")
    return "\n".join(lines)


def notes(record: Mapping[str, Any]) -> list[str]:
    """What a reader of the numbers must know."""
    said = []
    if record["synthetic"]:
        said.append("These videos are the synthetic benchmark; the numbers say nothing about real ones.")
    unseen = [name for name in record["metrics"] if name.startswith(FAKE_SOUND_ALONE)]
    if unseen:
        said.append(
            f"{', '.join(unseen)}: labelled fake for their sound alone. The picture is real, so a detector that only "
            "sees should be at 50; they are not in the row of the whole data set."
        )
    protocol = Protocol(**{**record["data"]["protocol"], "datasets": (), "methods": ()}).to_text()
    said.append(f"Clips: {protocol or 'the protocol of the paper'}.")
    said.append(
        f"AP depends on the share of fakes. pAUC: area up to a false positive rate of {LOW_FPR:.0%}, standardised. "
        f"TPR: at {FPR:.0%}. ECE: classes weighed equally; calib.: after temperature and bias."
    )
    return [*said, f"Calibration: {calibration_text(record['calibration'])}."]


def _row(name: str, values: Mapping[str, Any]) -> list[str]:
    shares = [f"{100 * values[key]:.1f}" if key in values else "" for key in COLUMNS.values()]
    interval = f"{100 * values['low']:.1f} to {100 * values['high']:.1f}"
    return [name, shares[0], interval, *shares[1:], str(values["reals"]), str(values["fakes"])]
