"""Video-level scores, what they are worth, and how far that can be trusted.

Everything here takes arrays or tables and returns arrays or tables; nothing reads a file or a recipe.
Labels are 0 for real and 1 for fake, and a higher score means "more likely fake".
"""

from tdd.metrics.calibration import (
    BINS,
    EQUAL_CLASSES,
    UNCALIBRATED,
    Calibration,
    brier_score,
    calibration_floor,
    expected_calibration_error,
    fit_calibration,
    reliability,
)
from tdd.metrics.comparison import Comparison, compare_areas, compare_systems, holm
from tdd.metrics.covariance import AreaCovariance, area_covariance, delong_covariance
from tdd.metrics.intervals import Interval, auc_interval, bootstrap_auc, newcombe_interval, roc_band
from tdd.metrics.ranking import (
    RocCurve,
    auc,
    average_precision,
    equal_error_rate,
    paired_share,
    partial_auc,
    roc_curve,
    tpr_at_fpr,
)
from tdd.metrics.scores import CLIP_COLUMNS, video_scores
from tdd.metrics.seeds import compare_mean_areas, mean_area_interval, paired_differences

__all__ = [
    "BINS",
    "CLIP_COLUMNS",
    "EQUAL_CLASSES",
    "UNCALIBRATED",
    "AreaCovariance",
    "Calibration",
    "Comparison",
    "Interval",
    "RocCurve",
    "area_covariance",
    "auc",
    "auc_interval",
    "average_precision",
    "bootstrap_auc",
    "brier_score",
    "calibration_floor",
    "compare_areas",
    "compare_mean_areas",
    "compare_systems",
    "delong_covariance",
    "equal_error_rate",
    "expected_calibration_error",
    "fit_calibration",
    "holm",
    "mean_area_interval",
    "newcombe_interval",
    "paired_differences",
    "paired_share",
    "partial_auc",
    "reliability",
    "roc_band",
    "roc_curve",
    "tpr_at_fpr",
    "video_scores",
]
