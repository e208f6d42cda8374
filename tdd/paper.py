"""The result table of the paper that this package reproduces, as data.

S. Kim, B. Son, H. Ahn, C. Jin, "Efficient Deep Learning-based Deepfake Detection with Local and Global Temporal
Information", IEIE Summer Conference 2024 (in Korean). One run per row; the paper gives neither seeds nor intervals.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tdd.names import CELEB_DF, FACESHIFTER
from tdd.rows import Row

CITATION = (
    'S. Kim, B. Son, H. Ahn, C. Jin, "Efficient Deep Learning-based Deepfake Detection with Local and Global '
    'Temporal Information", IEIE Summer Conference 2024'
)

TEST_SETS = (FACESHIFTER, CELEB_DF)
"""The columns of the paper's table: an unseen method, and an unseen data set."""

TEST_VIDEOS = {FACESHIFTER: (140, 140), CELEB_DF: (340, 178)}
"""Fake and real videos of each test set at full size."""


@dataclass(frozen=True)
class PaperRow(Row):
    """One row of the paper's table; ``auc`` is its video-level AUC in percent, by test set."""

    auc: dict[str, float] = field(default_factory=dict)


def _row(name: str, label: str, backbone: str, ssl_weight: float, face_shifter: float, celeb_df: float) -> PaperRow:
    return PaperRow(name, label, backbone, ssl_weight, auc={FACESHIFTER: face_shifter, CELEB_DF: celeb_df})


ROWS = (
    _row("csn", "CSN (baseline)", "csn", 1.0, 87.05, 67.11),
    _row("cnn_lstm", "CNN-LSTM", "cnn_lstm", 1.0, 84.52, 72.23),
    _row("cnn_gru_attention", "CNN-GRU + attention", "cnn_gru_attention", 1.0, 87.07, 71.98),
    _row("ssl_0.0", "ssl_weight 0.0", "cnn_gru_attention", 0.0, 87.20, 72.09),
    _row("ssl_0.3", "ssl_weight 0.3", "cnn_gru_attention", 0.3, 89.87, 74.10),
    _row("ssl_0.5", "ssl_weight 0.5", "cnn_gru_attention", 0.5, 87.98, 75.43),
    _row("ssl_0.7", "ssl_weight 0.7", "cnn_gru_attention", 0.7, 88.44, 72.74),
)
"""The seven rows, in the paper's order. The first three use ssl_weight 1; the last four use CNN-GRU + attention."""
