"""Scores drawn from known laws, and tables of clip logits."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import norm


def clip_table(*videos: tuple[str, int, list[float]]) -> pd.DataFrame:
    rows = [
        {"video_id": name, "dataset": "D", "method": "M", "label": label, "split": "test", "start": 25 * i, "logit": x}
        for name, label, logits in videos
        for i, x in enumerate(logits)
    ]
    return pd.DataFrame(rows)


def binormal(rng: np.random.Generator, area: float, fakes: int, reals: int) -> tuple[np.ndarray, np.ndarray]:
    """Normal scores of unit variance whose true AUC is ``area``: the classes lie sqrt(2) * z(area) apart."""
    labels = np.r_[np.ones(fakes, int), np.zeros(reals, int)]
    return labels, rng.normal(size=fakes + reals) + labels * np.sqrt(2) * norm.ppf(area)


def tied_case(seed: int, levels: int = 7) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.r_[np.ones(31, int), np.zeros(23, int)])
    return labels, np.round(rng.normal(size=54) + labels, 0 if levels < 10 else 3)
