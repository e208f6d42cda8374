"""Intervals against the pair matrix, closed forms and plain resampling; their coverage is in test_coverage.py."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import norm
from sklearn import metrics as reference

from tdd.errors import TddError
from tdd.metrics import auc, auc_interval, bootstrap_auc, delong_covariance, newcombe_interval, roc_band, roc_curve
from tests.metrics.scored import binormal, tied_case


def structural_variance(fakes: np.ndarray, reals: np.ndarray) -> float:
    """DeLong's variance written out: sample variances of the row and column means of the pair matrix."""
    psi = (fakes[:, None] > reals) + 0.5 * (fakes[:, None] == reals)
    return psi.mean(1).var(ddof=1) / len(fakes) + psi.mean(0).var(ddof=1) / len(reals)


@pytest.mark.parametrize("seed", range(4))
def test_delong_variance_is_that_of_the_pair_matrix(seed):
    labels, scores = tied_case(seed)
    areas, covariance = delong_covariance(labels, scores)
    assert areas[0] == pytest.approx(auc(labels, scores), abs=1e-12)
    assert covariance[0, 0] == pytest.approx(structural_variance(scores[labels == 1], scores[labels == 0]), rel=1e-9)


def test_delong_by_hand():
    # fakes 1, 3 against reals 0, 2: psi = [[1, 0], [1, 1]]; row means .5, 1; column means 1, .5; variances .125 each
    areas, covariance = delong_covariance([1, 1, 0, 0], [1, 3, 0, 2])
    assert areas[0] == 0.75
    assert covariance[0, 0] == pytest.approx(0.125 / 2 + 0.125 / 2)


def test_delong_covariance_of_two_systems():
    labels, first = tied_case(1)
    second = first + np.random.default_rng(2).normal(size=len(first))
    areas, covariance = delong_covariance(labels, np.stack([first, second, first]))
    assert areas.shape == (3,)
    assert covariance[0, 2] == pytest.approx(covariance[0, 0])
    # a mirrored system mirrors its area, so that the variance of the sum is zero
    _, mirrored = delong_covariance(labels, np.stack([first, -first]))
    assert mirrored.sum() == pytest.approx(0, abs=1e-12)
    assert abs(covariance[0, 1]) < np.sqrt(covariance[0, 0] * covariance[1, 1])


def test_a_single_video_of_a_class_has_an_auc_but_no_variance():
    assert auc([1, 0, 0], [2, 1, 3]) == 0.5
    with pytest.raises(TddError, match="at least two"):
        auc_interval([1, 0, 0], [2, 1, 3])


@pytest.mark.parametrize("method", ["delong", "bootstrap"])
@pytest.mark.parametrize("size", [10, 40, 140])
def test_a_perfect_ranking_is_not_certain(method, size):
    labels = np.r_[np.ones(size), np.zeros(size)]
    interval = auc_interval(labels, np.arange(2 * size)[::-1], method=method)
    assert (interval.value, interval.high, interval.method) == (1.0, 1.0, "newcombe")
    assert 0.5 < interval.low < 1
    worst = auc_interval(labels, np.arange(2 * size), method=method)
    assert (worst.low, worst.high) == (0.0, pytest.approx(1 - interval.low))
    constant = auc_interval(labels, np.zeros(2 * size), method=method)
    assert constant.low < 0.5 < constant.high


def test_newcombe_limits_solve_their_equation():
    interval = newcombe_interval(0.87, 140, 120)
    for limit in (interval.low, interval.high):
        exceed = limit / (2 - limit) - limit**2, 2 * limit**2 / (1 + limit) - limit**2
        middle = (140 + 120) / 2 - 1
        variance = (limit * (1 - limit) + middle * sum(exceed)) / (140 * 120)
        assert (0.87 - limit) ** 2 == pytest.approx(norm.ppf(0.975) ** 2 * variance, rel=1e-6)
    assert interval.low < 0.87 < interval.high


def test_intervals_narrow_with_videos_and_widen_with_level():
    rng = np.random.default_rng(0)
    widths = []
    for size in (30, 120, 480):
        interval = auc_interval(*binormal(rng, 0.8, size, size))
        widths.append(interval.high - interval.low)
    assert all(wide > 1.5 * narrow for wide, narrow in pairwise(widths))
    labels, scores = binormal(rng, 0.8, 60, 60)
    limits = [auc_interval(labels, scores, level) for level in (0.5, 0.9, 0.99)]
    assert limits[0].low > limits[1].low > limits[2].low
    assert limits[0].high < limits[1].high < limits[2].high


def test_delong_is_symmetric_on_the_logit_scale():
    interval = auc_interval(*binormal(np.random.default_rng(3), 0.9, 50, 70))
    low, value, high = (np.log(x / (1 - x)) for x in (interval.low, interval.value, interval.high))
    assert high - value == pytest.approx(value - low)


@pytest.mark.parametrize("area", [0.6, 0.85])
def test_bootstrap_agrees_with_delong(area):
    labels, scores = binormal(np.random.default_rng(7), area, 140, 160)
    one, two = auc_interval(labels, scores), auc_interval(labels, scores, method="bootstrap", replicates=4000)
    assert (one.low, one.high) == (pytest.approx(two.low, abs=0.01), pytest.approx(two.high, abs=0.01))
    _, covariance = delong_covariance(labels, scores)
    assert bootstrap_auc(labels, scores, 4000).std() == pytest.approx(np.sqrt(covariance[0, 0]), rel=0.06)


def test_bootstrap_areas_are_those_of_resampled_videos():
    labels, scores = tied_case(3)
    fakes, reals = scores[labels == 1], scores[labels == 0]
    rng = np.random.default_rng(0)
    plain = [
        reference.roc_auc_score(labels[np.argsort(-labels)], np.r_[rng.choice(fakes, 31), rng.choice(reals, 23)])
        for _ in range(1500)
    ]
    quick = bootstrap_auc(labels, scores, 6000, seed=1)
    probabilities = [0.025, 0.25, 0.5, 0.75, 0.975]
    np.testing.assert_allclose(np.quantile(plain, probabilities), np.quantile(quick, probabilities), atol=0.012)


def test_bootstrap_repeats_with_its_seed():
    labels, scores = tied_case(3)
    np.testing.assert_array_equal(bootstrap_auc(labels, scores, 50, 4), bootstrap_auc(labels, scores, 50, 4))
    assert (bootstrap_auc(labels, scores, 50, 4) != bootstrap_auc(labels, scores, 50, 5)).any()


def test_roc_band_holds_the_curve_and_its_width_is_binomial():
    labels, scores = binormal(np.random.default_rng(2), 0.8, 200, 5000)
    low, high = roc_band(labels, scores, [0.1, 0.3, 0.5], replicates=1500)
    curve = roc_curve(labels, scores)
    middle = np.interp([0.1, 0.3, 0.5], curve.false_positive_rate, curve.true_positive_rate)
    assert (low < middle).all()
    assert (middle < high).all()
    # with very many reals the threshold is all but fixed, and the rate over 200 fakes is a binomial share
    np.testing.assert_allclose(high - low, 2 * 1.96 * np.sqrt(middle * (1 - middle) / 200), rtol=0.25)


@pytest.mark.parametrize(("keywords", "words"), [({"level": 95}, "0.95"), ({"method": "wald"}, "'wald'")])
def test_unknown_interval_settings_are_refused(keywords, words):
    with pytest.raises(TddError, match=words):
        auc_interval([0, 0, 1, 1], [1, 3, 2, 4], **keywords)
