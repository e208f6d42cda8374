"""Metrics as tables for a terminal, and what must be said with them: of an evaluation, and by level of damage."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

import numpy as np

from tdd.evaluation.evaluate import FPR, LOW_FPR
from tdd.evaluation.localisation import localisation_lines, localisation_notes
from tdd.evaluation.perturb import BLOCK_UNIT, CORRUPTIONS
from tdd.evaluation.sanity import sanity_lines
from tdd.evaluation.selection import Protocol
from tdd.metrics.kept_calibration import THRESHOLD, calibration_text, false_positives_text, known_calibration
from tdd.names import FACEFORENSICS, FACEFORENSICS_FAMILY, FAKE_SOUND_ALONE, LEADING_SILENCE, silence_warning
from tdd.records.results import COUNTED, LOST, SYNTHETIC_SENTENCE, of_listed

WIDTH = 118
"""Columns of the text."""

COLUMNS = {
    "AUC": "auc", "AP": "average_precision", "EER": "eer", f"pAUC {LOW_FPR:.0%}": f"partial_auc_fpr_{LOW_FPR}",
    f"TPR {FPR:.0%}": f"tpr_at_fpr_{FPR}", "own": "own_real", "ECE": "ece", "floor": "ece_floor",
    "calib.": "ece_calibrated", "FP": "false_positive_rate",
}  # fmt: skip
"""Heads of the columns, and the metrics below them."""


def evaluation_text(record: Mapping[str, Any]) -> str:
    """The record of :mod:`tdd.evaluation.evaluate` in words: a row a method, a row a data set, notes."""
    methods, datasets, listed = record["metrics"], record["datasets"], record.get("listed") or {}
    rows = [_method_row(name, values, listed.get("methods", {}).get(name)) for name, values in methods.items()]
    rows += [
        _method_row(f"all of {name}", values, listed.get("datasets", {}).get(name)) for name, values in datasets.items()
    ]
    head = ["video level, %", "AUC", "95% interval", *list(COLUMNS)[1:], "real", "fake"]
    for name in ("own", "calib.", "FP"):  # what no row has gets no column
        if not any(COLUMNS[name] in values for values in methods.values()):
            place = head.index(name)
            head, rows = head[:place] + head[place + 1 :], [row[:place] + row[place + 1 :] for row in rows]
    widths = [max(len(line[i]) for line in (head, *rows)) for i in range(len(head))]

    def line(cells: list[str]) -> str:
        return "  ".join([cells[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(cells[1:], widths[1:], strict=True))])

    rule = "─" * len(line(head))
    body = [line(row) for row in rows]
    lines = [line(head), rule, *body[: len(methods)], rule, *body[len(methods) :], ""]
    lines += localisation_lines(record.get("localisation") or {})
    for sentence in (*sanity_lines(record), *evaluation_notes(record)):
        lines += textwrap.wrap(sentence, WIDTH, subsequent_indent="  ")
    return "\n".join(lines)


def evaluation_notes(record: Mapping[str, Any]) -> list[str]:
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
    silent = [name for name in LEADING_SILENCE if any(method.startswith(f"{name}-") for method in record["metrics"])]
    said += [silence_warning(silent)] if silent else []
    said += _lost(record)
    # Which sets were chosen is seen from the rows.
    protocol = Protocol(**{**record["data"]["protocol"], "datasets": (), "methods": ()}).to_text()
    said.append(f"Clips: {protocol or 'the protocol of the paper'}.")
    said.append(
        f"AP depends on the share of fakes. pAUC: area up to a false positive rate of {LOW_FPR:.0%}, standardised. "
        f"TPR: at {FPR:.0%}. ECE: of the plain sigmoid, bins of equally many videos, classes weighed equally; floor: "
        "that of perfect chances on as few videos; calib.: after temperature and bias; FP: reals called fake from a "
        f"chance of {THRESHOLD} on."
    )
    if any("own_real" in values for values in record["metrics"].values()):
        said.append("Own: how often a fake scores above the very real that it was made from; a tie counts one half.")
    said.append(_over(record))
    said += localisation_notes(record.get("localisation") or {})
    kept = record["calibration"]
    said.append(f"Calibration: {calibration_text(kept)}.")
    # A threshold is right, if at all, where it was found.
    own = kept.get("datasets", FACEFORENSICS_FAMILY)
    told = false_positives_text(kept.get("false_positives", {}), own) if known_calibration(kept) else ""
    return [*said, *([told] if told else [])]


def _over(record: Mapping[str, Any]) -> str:
    """Over what the intervals are."""
    unknown = [name for name, values in record["metrics"].items() if "targets" not in values]
    known = [name for name in record["metrics"] if name not in unknown]
    if not unknown:
        return "Intervals are over targets: videos of one pair, or of one person, count as one."
    videos = "take videos for independent (DeLong): who is seen is not known, or too few people are"
    if not known:
        return f"Intervals {videos}."
    return f"Intervals of {', '.join(known)} are over targets; those of {', '.join(unknown)} {videos}."


def _lost(record: Mapping[str, Any]) -> list[str]:
    """What is said where test videos that the lists name were not scored."""
    methods = (record.get("listed") or {}).get("methods", {})
    none = [name for name in methods if name not in record["metrics"]]
    said = [f"Not scored, since none of their listed test videos is in the store: {', '.join(none)}."] if none else []
    scored = record["metrics"].items()
    if none or any(found[kind] < methods.get(name, found)[kind] for name, found in scored for kind in COUNTED):
        said.append(LOST)
    return said


def _method_row(name: str, values: Mapping[str, Any], listed: Mapping[str, int] | None) -> list[str]:
    shares = [f"{100 * values[key]:.1f}" if key in values else "" for key in COLUMNS.values()]
    interval = f"{100 * values['low']:.1f} to {100 * values['high']:.1f}"
    counts = [of_listed(values[kind], (listed or values)[kind]) for kind in COUNTED]
    return [name, shares[0], interval, *shares[1:], *counts]


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
    blocks = [_level_table(record, dataset) for dataset in datasets_of(record)]
    lines = [
        line for sentence in robustness_notes(record) for line in textwrap.wrap(sentence, WIDTH, subsequent_indent="  ")
    ]
    return "\n".join([*blocks, *lines])


def robustness_notes(record: Mapping[str, Any]) -> list[str]:
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


def _level_table(record: Mapping[str, Any], dataset: str) -> str:
    found = by_level(record, dataset)
    levels = sorted({level for values in found.values() for level in values})
    published = dataset == FACEFORENSICS and not record["synthetic"]  # their numbers are of its real videos alone
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
