"""A calibration as weights keep it: temperature and bias, found on validation videos, with the errors left."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from tdd.errors import TddError
from tdd.metrics.calibration import (
    EQUAL_CLASSES,
    UNCALIBRATED,
    Calibration,
    expected_calibration_error,
    fit_calibration,
)

NOT_CALIBRATED = "not calibrated"
"""What is said of weights that came without validation videos: imported ones, for instance."""

# A fit on 4 reals and 16 fakes left FaceShifter's error at 0.19, the plain sigmoid's being 0.11 (docs/LOG.md).
FEW = 50
"""Videos of a class below which temperature and bias are rough: chances may then be worse than the plain sigmoid's."""


def calibrate(videos: pd.DataFrame) -> dict[str, Any]:
    """Fit temperature and bias, with equal weight for both classes, as the detector is trained.

    Args:
        videos: of the validation split, as :func:`tdd.metrics.video_scores` gives them; never test videos.

    Returns:
        ``temperature``, ``bias``, ``prior`` (the share of fakes for which the chances hold), ``reals`` and ``fakes``
        (numbers of videos), ``ece_before`` and ``ece_after`` (expected calibration error on these very videos); or
        ``reason`` alone, a sentence, where they cannot be calibrated on.
    """
    labels, logits = videos["label"], videos["logit"]
    try:
        found = fit_calibration(labels, logits, EQUAL_CLASSES)
    except TddError as error:  # the training is done by now, and must not be lost for this
        return {"reason": str(error)}
    before, after = (calibration_error(labels, logits, known) for known in (UNCALIBRATED, found))
    fakes = int(labels.sum())
    return {
        "temperature": found.temperature, "bias": found.bias, "prior": EQUAL_CLASSES,
        "reals": len(labels) - fakes, "fakes": fakes, "ece_before": before, "ece_after": after,
    }  # fmt: skip


def known_calibration(kept: Mapping[str, Any] | None) -> Calibration | None:
    """The calibration that :func:`calibrate` found, from what a weights' ``info["calibration"]`` holds, if anything."""
    return Calibration(kept["temperature"], kept["bias"]) if kept and "temperature" in kept else None


def calibration_error(labels: pd.Series, logits: pd.Series, calibration: Calibration) -> float:
    """Expected calibration error of the chances that ``calibration`` gives, classes weighed equally."""
    return expected_calibration_error(labels, calibration.probability(logits), prior=EQUAL_CLASSES)


def calibration_text(kept: Mapping[str, Any] | None) -> str:
    """What is known of a calibration, in one line."""
    if not kept or "temperature" not in kept:
        return NOT_CALIBRATED + (f": {kept['reason']}" if kept else "")
    rough = f"; rough, from fewer than {FEW} of a class" if min(kept["reals"], kept["fakes"]) < FEW else ""
    return (
        f"temperature {kept['temperature']:.4g}, bias {kept['bias']:.4g}, from {kept['reals']} real and "
        f"{kept['fakes']} fake validation videos (calibration error {kept['ece_before']:.3f} before, "
        f"{kept['ece_after']:.3f} after){rough}"
    )
