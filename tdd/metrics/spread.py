"""What an interval is made of: variance over videos and over seeds, each with its degrees of freedom.

The mean of S seeds' numbers on the same videos varies over seeds and over videos. The sample variance of the S numbers,
by S, holds what differs between seeds, noise of the videos included that is each seed's own; what the seeds share over
videos is the mean covariance of two of them. The sum of both is the variance of the mean, without a part counted twice.

From three seeds on the quantile is Student's t with the degrees of freedom of Satterthwaite (Biometrics Bulletin 2
(1946) 110-114). Two seeds know too little of their variance for that, and cover 87 to 93% where seeds matter: the two
parts' own half widths are then squared and added (Howe, Journal of the American Statistical Association 69 (1974)
789-794). Measured (benchmarks/results/coverage.md): intervals of differences cover 94 to 97% and their tests err 3 to
6% with any number of seeds, where runs of both methods have the same in common; intervals of one method's mean 93 to
97%, but up to 99% with two seeds, and 92 to 95% with three that differ widely. Satterthwaite's degrees of freedom fail
where the few seeds happen to agree: what is left is then the variance over videos with its many. Where that is a
twentieth to a third of the whole, tests over three seeds find 7 to 8% at 0.05 and up to 1.5% at 0.001, over five 6% and
0.3 to 0.5%, over ten 5% and 0.1 to 0.2%.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.stats import t as student

NO_SPREAD = 1e-8
"""Standard error, in areas, that is rounding: what should be zero comes out as up to some 1e-10, and any real one is
far above this."""

_LEAST_P = 1e-12
"""Below this a p-value of two seeds is not sought."""


@dataclass(frozen=True)
class Spread:
    """Variance of an estimate over videos and over seeds; ``seeds`` is 1 where the seed has no part."""

    over_videos: float
    videos: float
    """Degrees of freedom, may be infinite."""
    over_seeds: float = 0.0
    seeds: int = 1

    @property
    def error(self) -> float:
        """Standard error."""
        return float(np.sqrt(self.over_videos + self.over_seeds))

    @property
    def freedom(self) -> float:
        """Degrees of freedom of the sum (Satterthwaite)."""
        parts = self.over_videos**2 / self.videos
        if self.seeds > 1:
            parts += self.over_seeds**2 / (self.seeds - 1)
        # Of equal seeds over independent videos nothing is left: the normal law.
        return float(self.error**4 / max(parts, 1e-30))

    def half_width(self, level: float) -> float:
        """Distance from the estimate to each of its limits."""
        share = (1 + level) / 2
        if self.seeds == 2 and self.over_seeds > 0:
            parts = (
                student.ppf(share, self.videos) ** 2 * self.over_videos + student.ppf(share, 1) ** 2 * self.over_seeds
            )
            return float(np.sqrt(parts))
        return float(student.ppf(share, self.freedom) * self.error)

    def p_value(self, distance: float) -> float:
        """Two-sided p-value of a distance from zero: one less the level at which the limit just reaches zero."""
        if self.seeds != 2 or not self.over_seeds > 0:
            return float(2 * student.sf(abs(distance) / self.error, self.freedom))
        if distance == 0:
            return 1.0
        if self.half_width(1 - _LEAST_P) <= abs(distance):
            return _LEAST_P
        found = brentq(lambda p: self.half_width(1 - np.exp(p)) - abs(distance), np.log(_LEAST_P), 0.0)
        return float(np.exp(found))


def spread_of_mean(values: np.ndarray, covariance: np.ndarray, videos: float) -> Spread:
    """Spread of the mean of one number a seed.

    Args:
        values: one a seed, shape (S,).
        covariance: of these numbers over videos, shape (S, S).
        videos: degrees of freedom of that.
    """
    seeds = len(values)
    if seeds == 1:
        return Spread(max(0.0, float(covariance[0, 0])), videos)
    shared = (covariance.sum() - np.trace(covariance)) / (seeds * (seeds - 1))
    # A covariance that is zero may come out below it.
    return Spread(max(0.0, float(shared)), videos, float(values.var(ddof=1)) / seeds, seeds)
