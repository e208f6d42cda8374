"""Logistic regression: the plainest classifier, for the row of a table that any detector has to beat."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from tdd.errors import TddError


@dataclass(frozen=True)
class Logistic:
    """A fitted model; a logit is ``(x - middle) / scale @ weights + bias``."""

    middle: np.ndarray
    scale: np.ndarray
    weights: np.ndarray
    bias: float

    def logits(self, features: np.ndarray) -> np.ndarray:
        """Log-odds of a fake, shape (N,), of features of shape (N, F)."""
        return (features - self.middle) / self.scale @ self.weights + self.bias


def fit_logistic(features: np.ndarray, labels: np.ndarray, penalty: float = 1.0) -> Logistic:
    """Fit by maximum likelihood with a squared penalty on the weights of standardised features; classes count alike.

    Args:
        features: shape (N, F); a feature that never changes gets no weight.
        labels: 0 real, 1 fake, shape (N,).
        penalty: half of this times the sum of squared weights is added to the loss (no unit); the inverse of
            scikit-learn's ``C``.

    Raises:
        TddError: a class is missing, or a feature is not finite.
    """
    kinds = np.asarray(labels).astype(float)
    if not 0 < kinds.sum() < len(kinds):
        raise TddError("A logistic regression needs videos of both classes; prepare reals and fakes.")
    if not np.isfinite(features).all():
        raise TddError("A logistic regression takes finite features only; look for damaged clips.")
    middle, spread = features.mean(0), features.std(0)
    scale = np.where(spread > 0, spread, 1.0)
    standard = (features - middle) / scale
    share = kinds.mean()
    weights = np.where(kinds == 1, 0.5 / share, 0.5 / (1 - share))

    def loss(free: np.ndarray) -> tuple[float, np.ndarray]:
        logits = standard @ free[:-1] + free[-1]
        error = weights * (expit(logits) - kinds)
        value = weights @ (np.logaddexp(0, logits) - kinds * logits) + penalty / 2 * free[:-1] @ free[:-1]
        return float(value), np.append(error @ standard + penalty * free[:-1], error.sum())

    start = np.zeros(features.shape[1] + 1)
    best = minimize(loss, start, jac=True, method="L-BFGS-B", options={"gtol": 1e-8, "ftol": 1e-14}).x
    return Logistic(middle, scale, best[:-1], float(best[-1]))
