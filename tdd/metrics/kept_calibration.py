"""A calibration as weights keep it: temperature and bias, found on validation videos, with the errors left.

With too few validation videos, or none, there is no calibration: a score is then a rank, which says of two videos
which one is more likely fake, and of one video alone nothing that could be called a chance.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import pandas as pd

from tdd.errors import TddError
from tdd.metrics.calibration import (
    EQUAL_CLASSES,
    UNCALIBRATED,
    Calibration,
    calibration_floor,
    expected_calibration_error,
    fit_calibration,
)
from tdd.names import FACEFORENSICS_FAMILY

NOT_CALIBRATED = "not calibrated"
"""What is said of weights that came without validation videos: imported ones, for instance."""

# A fit on 4 reals and 16 fakes left FaceShifter's error at 0.19, the plain sigmoid's being 0.11 (docs/LOG.md).
FEW = 50
"""Validation videos of a class below which there is no calibration."""

THRESHOLD = 0.5
"""Chance from which a video is called fake."""


def calibrate(videos: pd.DataFrame) -> dict[str, Any]:
    """Fit temperature and bias, with equal weight for both classes, as the detector is trained.

    Args:
        videos: of the validation split, as :func:`tdd.metrics.video_scores` gives them; never test videos.

    Returns:
        ``temperature``, ``bias``, ``datasets`` (names of those that they were found on), ``prior`` (the share of
        fakes for which the chances hold), ``reals`` and ``fakes``
        (numbers of videos), ``ece_before`` and ``ece_after`` (expected calibration error on these very videos) and
        ``ece_floor`` (that of a perfectly calibrated detector on as many); or ``reason`` alone, a sentence, where they
        cannot be calibrated on.
    """
    labels, logits = videos["label"], videos["logit"]
    try:
        found = fit_calibration(labels, logits, EQUAL_CLASSES)
    except TddError as error:  # the training is done by now, and must not be lost for this
        return {"reason": str(error)}
    fakes = int(labels.sum())
    if few := _too_few(len(labels) - fakes, fakes):
        return {"reason": few}
    before, after = (calibration_error(labels, logits, known) for known in (UNCALIBRATED, found))
    return {
        "temperature": found.temperature, "bias": found.bias, "datasets": sorted(set(videos["dataset"])),
        "prior": EQUAL_CLASSES, "reals": len(labels) - fakes, "fakes": fakes, "ece_before": before, "ece_after": after,
        "ece_floor": error_floor(labels, logits, found),
    }  # fmt: skip


def _too_few(reals: int, fakes: int) -> str:
    """Why so many validation videos are too few, or nothing."""
    if min(reals, fakes) >= FEW:
        return ""
    return (
        f"validation has {reals} real and {fakes} fake videos, and a calibration takes {FEW} of each; scores are ranks"
    )


def known_calibration(kept: Mapping[str, Any] | None) -> Calibration | None:
    """The calibration that :func:`calibrate` found, from what a weights' ``info["calibration"]`` holds, if anything.

    One that an older version found on too few videos is none.
    """
    if not kept or "temperature" not in kept or _too_few(kept["reals"], kept["fakes"]):
        return None
    return Calibration(kept["temperature"], kept["bias"])


def calibration_error(labels: pd.Series, logits: pd.Series, calibration: Calibration) -> float:
    """Expected calibration error of what ``calibration`` makes of logits: equal-mass bins, classes weighed equally."""
    return expected_calibration_error(labels, calibration.probability(logits), prior=EQUAL_CLASSES, equal_mass=True)


def error_floor(labels: pd.Series, logits: pd.Series, calibration: Calibration) -> float:
    """What :func:`calibration_error` would be, were these chances perfect: see :func:`calibration_floor`."""
    return calibration_floor(labels, calibration.probability(logits), prior=EQUAL_CLASSES, equal_mass=True)


def false_positive_rate(logits: pd.Series, calibration: Calibration) -> float:
    """Share of reals that are called fake at ``THRESHOLD``, from their logits."""
    return float((calibration.probability(logits) >= THRESHOLD).mean())


def with_false_positives(kept: Mapping[str, Any], videos: pd.DataFrame) -> dict[str, Any]:
    """``kept`` with ``false_positives``: by data set, the ``share`` of its ``reals`` that are called fake.

    A threshold that is right where it was found may be wrong elsewhere, and nobody should read a chance without this.

    Args:
        kept: as :func:`calibrate` gives it; returned as it is where it holds no calibration.
        videos: test videos, as :func:`tdd.metrics.video_scores` gives them.
    """
    calibration = known_calibration(kept)
    if calibration is None:
        return dict(kept)
    reals = videos[videos["label"] == 0]
    found = {
        str(dataset): {"share": false_positive_rate(group["logit"], calibration), "reals": len(group)}
        for dataset, group in reals.groupby("dataset")
    }
    return {**kept, "false_positives": found}


def false_positives_text(found: Mapping[str, Any], own: Collection[str] = FACEFORENSICS_FAMILY) -> str:
    """What ``false_positives`` hold, in one sentence; empty where they hold nothing.

    Args:
        found: as :func:`with_false_positives` gives them.
        own: the data sets that the calibration was found on; older weights keep none, and had no others.
    """
    if not found:
        return ""
    shares = [
        f"{values['share']:.0%} of the {values['reals']} reals of {name}"
        + ("" if name in own else " (another data set than it was calibrated on)")
        for name, values in found.items()
    ]
    return f"From {THRESHOLD} on it calls fake, of its test videos: {', '.join(shares)}."


def calibration_text(kept: Mapping[str, Any] | None) -> str:
    """What is known of a calibration, in one line without a full stop: a sentence or a list goes on around it."""
    if not kept or "temperature" not in kept:
        return NOT_CALIBRATED + (f": {kept['reason'].removesuffix('.')}" if kept else "")
    if few := _too_few(kept["reals"], kept["fakes"]):
        return f"{NOT_CALIBRATED}: {few}"
    floor = f", {kept['ece_floor']:.3f} for perfect chances" if "ece_floor" in kept else ""
    return (
        f"temperature {kept['temperature']:.4g}, bias {kept['bias']:.4g}, from {kept['reals']} real and "
        f"{kept['fakes']} fake validation videos (calibration error {kept['ece_before']:.3f} before, "
        f"{kept['ece_after']:.3f} after{floor})"
    )
