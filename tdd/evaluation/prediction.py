"""The score of one video, with everything a reader needs to judge it: interval, clips, attention, warnings."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import t as student_t

from tdd.metrics import UNCALIBRATED, Calibration
from tdd.metrics.kept_calibration import false_positives_text
from tdd.names import FACEFORENSICS_FAMILY

SCHEMA = 1
LEVEL = 0.95

RANK, CHANCE_KIND = "rank", "chance"
"""What a score is."""

SIGMOID = (
    "The score is a rank: of two videos the one of higher score is more likely fake. It is not calibrated (it is the "
    "sigmoid of the mean clip logit), so that 0.8 does not mean that 8 of 10 such videos are fake, and no value of it "
    "parts fakes from reals."
)
CHANCE = (
    "The score is a calibrated chance, right on average for videos like those behind it, half of them fake, and for no "
    "others."
)
ABOUT_INTERVAL = "The interval says how far other clips of this footage would move the score, not whether it is right."


@dataclass(frozen=True)
class Span:
    """Confidence limits, of the unit of what they belong to."""

    low: float
    high: float


def mean_span(values: Sequence[float] | np.ndarray, level: float = LEVEL) -> Span | None:
    """Student's interval of a mean, which holds for few values too; ``None`` for one value, which tells no spread.

    Args:
        values: shape (N,), taken as independent. Neighbouring clips are alike, so for clip logits the limits are rather
            too narrow.
        level: share of such intervals that hold the mean.
    """
    if len(values) < 2:
        return None
    half = student_t.ppf((1 + level) / 2, len(values) - 1) * np.std(values, ddof=1) / math.sqrt(len(values))
    return Span(float(np.mean(values) - half), float(np.mean(values) + half))


@dataclass(frozen=True)
class DrivingClip:
    """A clip that speaks for a fake more than others."""

    clip: int
    """Row of the table of clips."""
    faces: np.ndarray
    """The aligned faces that were scored, RGB uint8, shape (T, crop, crop, 3)."""


@dataclass(frozen=True)
class Prediction:
    """What a detector says about one video."""

    video: str
    frames: int
    """At 25 fps."""
    seconds: float
    logit: float
    """Mean of the clip logits."""
    logit_span: Span | None
    """95% interval of that mean over the clips; ``None`` where there is one clip alone."""
    calibration: Calibration | None
    """What makes chances of logits, where the weights hold it; else scores are plain sigmoids."""
    clips: pd.DataFrame
    """One row a clip in order of time: ``start`` and ``end`` (s), ``logit``, ``score``."""
    attention: np.ndarray | None
    """Share of the attention that each frame of each clip receives, shape (clips, T), rows sum to one; ``None`` where
    the network has no attention over frames."""
    driving: tuple[DrivingClip, ...]
    """The clips of highest logit, highest first."""
    points: np.ndarray
    """Landmarks of each frame of the file, by which the faces were aligned, px, shape (frames of the file, 68, 2)."""
    landmarks: str
    """Where the landmarks come from: given, or by what they were found and in how many of the frames."""
    detector: dict[str, Any]
    """``backbone``, ``recipe`` (its name) and ``weights`` (SHA-256 of the file)."""
    warnings: tuple[str, ...]
    false_positives: Mapping[str, Any] = field(default_factory=dict)
    """What the weights say of reals that are called fake, by data set: see
    :func:`tdd.metrics.kept_calibration.with_false_positives`; empty without calibration."""
    calibrated_on: tuple[str, ...] = FACEFORENSICS_FAMILY
    """The data sets whose validation videos the calibration was found on."""

    @property
    def calibrated(self) -> bool:
        """Whether the score is a calibrated chance."""
        return self.calibration is not None

    @property
    def scale(self) -> Calibration:
        """From logits to scores."""
        return self.calibration or UNCALIBRATED

    @property
    def score(self) -> float:
        """In [0, 1]; larger is more fake."""
        return float(self.scale.probability(self.logit))

    @property
    def score_span(self) -> Span | None:
        """The same limits as of the logit, as scores."""
        span = self.logit_span
        # The scale rises with the logit, so that limits remain limits.
        return span and Span(*map(float, self.scale.probability([span.low, span.high])))

    @property
    def meaning(self) -> str:
        """What the score is and is not."""
        return " ".join(self._notes())

    def _notes(self) -> list[str]:
        errors = false_positives_text(self.false_positives, self.calibrated_on) if self.calibrated else ""
        said = [CHANCE if self.calibrated else SIGMOID, errors, ABOUT_INTERVAL if self.score_span else ""]
        return [sentence for sentence in said if sentence]

    def to_text(self) -> str:
        """For a terminal: score, interval, the driving clips, what it means, and every warning."""
        span = self.score_span
        between = f", 95% interval over its clips {span.low:.3f} to {span.high:.3f}" if span else ""
        length = f"{self.seconds:.1f} s, {len(self.clips)} clip{'s' * (len(self.clips) != 1)}"
        tops = self.clips.iloc[[clip.clip for clip in self.driving]]
        highest = ", ".join(f"{row.start:.1f} to {row.end:.1f} s ({row.score:.3f})" for row in tops.itertuples())
        return "\n".join([
            f"{self.video}: score {self.score:.3f}{between} (mean logit {self.logit:.2f}; {length})",
            f"Clips of highest score: {highest}.",
            f"Landmarks: {self.landmarks}.",
            *self._notes(),
            *(f"Warning: {warning}" for warning in self.warnings),
        ])  # fmt: skip

    def to_row(self) -> dict[str, Any]:
        """As one row of the table of a folder."""
        span = self.score_span
        return {
            "video": self.video, "score": self.score, "low": span.low if span else None,
            "high": span.high if span else None, "calibrated": self.calibrated, "logit": self.logit,
            "clips": len(self.clips), "seconds": self.seconds,
            "highest_clip": float(self.clips["start"].iloc[self.driving[0].clip]), "warnings": " ".join(self.warnings),
        }  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as ``tdd predict --json`` writes them.

        The keys stay; ``schema`` rises when one changes its meaning. ``score_is`` is ``chance`` or ``rank``;
        ``false_positives`` gives, by data set, the ``share`` of its ``reals`` called fake from a chance of 0.5 on.
        Times are in s from the first frame. ``interval`` is ``null`` for one clip alone, ``attention`` (one list a
        clip, one share a frame) where the network has none over frames; ``driving`` holds numbers of clips, from 0,
        highest logit first.
        """
        interval = None
        if self.logit_span and self.score_span:
            interval = {
                "level": LEVEL,
                "logit": [self.logit_span.low, self.logit_span.high],
                "score": [self.score_span.low, self.score_span.high],
            }
        return {
            "schema": SCHEMA,
            "video": self.video,
            "seconds": self.seconds,
            "frames": self.frames,
            "score": self.score,
            "calibrated": self.calibrated,
            "score_is": CHANCE_KIND if self.calibrated else RANK,
            "false_positives": dict(self.false_positives) if self.calibrated else None,
            "logit": self.logit,
            "interval": interval,
            "meaning": self.meaning,
            "clips": self.clips.to_dict("records"),
            "driving": [clip.clip for clip in self.driving],
            "attention": None if self.attention is None else self.attention.round(6).tolist(),
            "landmarks": self.landmarks,
            "detector": self.detector,
            "warnings": list(self.warnings),
        }
