"""The result table of the paper that this package reproduces, as data.

S. Kim, B. Son, H. Ahn, C. Jin, "Efficient Deep Learning-based Deepfake Detection with Local and Global Temporal
Information", IEIE Summer Conference 2024 (in Korean). One run per row; the paper gives neither seeds nor intervals.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tdd.names import CELEB_DF, DEEPERFORENSICS, DFDC, FACESHIFTER
from tdd.records.rows import Row

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
    _row("csn", "CSN (baseline), ssl_weight 1.0", "csn", 1.0, 87.05, 67.11),
    _row("cnn_lstm", "CNN-LSTM, ssl_weight 1.0", "cnn_lstm", 1.0, 84.52, 72.23),
    _row("cnn_gru_attention", "CNN-GRU + attention, ssl_weight 1.0", "cnn_gru_attention", 1.0, 87.07, 71.98),
    _row("ssl_0.0", "ssl_weight 0.0", "cnn_gru_attention", 0.0, 87.20, 72.09),
    _row("ssl_0.3", "ssl_weight 0.3", "cnn_gru_attention", 0.3, 89.87, 74.10),
    _row("ssl_0.5", "ssl_weight 0.5", "cnn_gru_attention", 0.5, 87.98, 75.43),
    _row("ssl_0.7", "ssl_weight 0.7", "cnn_gru_attention", 0.7, 88.44, 72.74),
)
"""The seven rows, in the paper's order. The first three use ssl_weight 1; the last four use CNN-GRU + attention."""


CONTROL = "scratch"
"""Id of the row, not in the paper, of the same detector without stage 1."""

CONTRASTS = (
    ("ssl_0.3", "cnn_gru_attention"), ("ssl_0.5", "cnn_gru_attention"), ("ssl_0.3", "ssl_0.0"),
    ("cnn_gru_attention", "cnn_lstm"),
    *((row.id, "csn") for row in ROWS if row.id != "csn"),
    ("ssl_0.0", CONTROL),
)  # fmt: skip
"""What the paper's table is about, as ``benchmarks/studies/table.md`` states it: the weight of the auxiliary loss, GRU
with attention against LSTM, all against CSN, and what stage 1 adds to the very same stage 2. Ids, first less second."""

PUBLISHED_SETS = (FACESHIFTER, CELEB_DF, DFDC, DEEPERFORENSICS)
"""The test sets of the papers below."""


@dataclass(frozen=True)
class Published:
    """What another paper reports for a detector trained on FaceForensics++.

    ``auc`` is video-level AUC in percent, by test set.
    """

    system: str
    source: str
    auc: dict[str, float]


def _published(system: str, source: str, *auc: float | None) -> Published:
    known = zip(PUBLISHED_SETS, auc, strict=True)
    return Published(system, source, {name: value for name, value in known if value is not None})


PUBLISHED = (
    _published("RealForensics (CSN, all of LRW)", "Haliassos et al., CVPR 2022", 99.7, 86.9, 75.9, 99.3),
    _published("LipForensics", "Haliassos et al., CVPR 2021", 97.1, 82.4, 73.5, 97.6),
    _published("FTCN", "Zheng et al., ICCV 2021", 98.8, 86.9, 74.0, 98.8),
    _published("AltFreezing", "Wang et al., CVPR 2023", None, 89.5, None, None),
    _published("SBI (c23)", "Shiohara and Yamasaki, CVPR 2022", None, 92.9, 72.0, None),
    _published("ForensicsAdapter", "Cui et al., CVPR 2025", None, 95.7, 87.2, None),
)
"""Other systems, as their papers report them: other training data and protocols in part, so no row of a ranking."""
