"""Numbers read off the ROC curve, against scikit-learn, pair counting and closed forms."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import trapezoid
from scipy.stats import norm
from sklearn import metrics as reference

from tdd.errors import TddError
from tdd.metrics import (
    auc,
    auc_interval,
    average_precision,
    bootstrap_auc,
    equal_error_rate,
    partial_auc,
    roc_curve,
    tpr_at_fpr,
)
from tests.metrics.scored import binormal, tied_case


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(-3, 3), min_size=1, max_size=12),
    st.lists(st.integers(-3, 3), min_size=1, max_size=12),
)
def test_auc_counts_pairs_with_ties_as_one_half(fakes, reals):
    pairs = [(x > y) + (x == y) / 2 for x in fakes for y in reals]
    labels = [1] * len(fakes) + [0] * len(reals)
    assert auc(labels, fakes + reals) == pytest.approx(np.mean(pairs), abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("levels", [7, 50])
def test_auc_and_curve_agree_with_scikit_learn(seed, levels):
    labels, scores = tied_case(seed, levels)
    assert auc(labels, scores) == pytest.approx(reference.roc_auc_score(labels, scores), abs=1e-12)
    false_rate, true_rate, thresholds = reference.roc_curve(labels, scores, drop_intermediate=False)
    curve = roc_curve(labels, scores)
    np.testing.assert_allclose(curve.false_positive_rate, false_rate, atol=1e-12)
    np.testing.assert_allclose(curve.true_positive_rate, true_rate, atol=1e-12)
    np.testing.assert_array_equal(curve.thresholds, thresholds)


def test_auc_is_the_area_under_the_curve_and_flips_with_the_sign():
    labels, scores = tied_case(5)
    curve = roc_curve(labels, scores)
    area = trapezoid(curve.true_positive_rate, curve.false_positive_rate)
    assert auc(labels, scores) == pytest.approx(area, abs=1e-12)
    assert auc(labels, -scores) == pytest.approx(1 - area, abs=1e-12)
    assert auc(labels, np.exp(scores / 3)) == pytest.approx(area, abs=1e-12)


@pytest.mark.parametrize(
    ("labels", "scores", "words"),
    [
        ([1, 1], [0.1, 0.2], "both classes, got 0 real and 2 fake"),
        ([0, 1], [0.1, np.inf], "1 of 2 scores are not finite"),
        ([0, 2], [0.1, 0.2], "0 .real. or 1 .fake."),
        ([0, 1, 1], [0.1, 0.2], "one length"),
    ],
)
def test_scores_that_have_no_auc_are_refused(labels, scores, words):
    numbers = (average_precision, equal_error_rate, partial_auc, tpr_at_fpr)
    for function in (auc, roc_curve, auc_interval, bootstrap_auc, *numbers):
        with pytest.raises(TddError, match=words):
            function(labels, scores)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("levels", [7, 50])
def test_average_precision_and_partial_areas_agree_with_scikit_learn(seed, levels):
    labels, scores = tied_case(seed, levels)
    assert average_precision(labels, scores) == pytest.approx(
        reference.average_precision_score(labels, scores), abs=1e-12
    )
    for limit in (0.02, 0.1, 2 / 23, 0.5, 1.0):  # 2 of 23 reals: a corner of the curve
        wanted = reference.roc_auc_score(labels, scores, max_fpr=limit)
        assert partial_auc(labels, scores, limit) == pytest.approx(wanted, abs=1e-12)
        false_rate, true_rate, _ = reference.roc_curve(labels, scores, drop_intermediate=False)
        assert tpr_at_fpr(labels, scores, limit) == true_rate[false_rate <= limit].max()


def test_perfect_and_useless_scores():
    labels, perfect = np.r_[np.ones(30), np.zeros(20)], np.arange(50.0, 0, -1)
    for function in (average_precision, partial_auc, tpr_at_fpr):
        assert function(labels, perfect) == 1
    assert equal_error_rate(labels, perfect) == 0
    assert equal_error_rate(labels, -perfect) == 1
    constant = np.zeros(50)
    assert average_precision(labels, constant) == pytest.approx(0.6)  # the share of fakes
    assert partial_auc(labels, constant) == pytest.approx(0.5)
    assert equal_error_rate(labels, constant) == pytest.approx(0.5)
    assert tpr_at_fpr(labels, constant) == 0


def test_rates_of_normal_scores_are_those_of_the_normal_law():
    # classes d apart: the error rates are equal halfway, at 1 - F(d / 2); 5% of reals lie above F^-1(0.95)
    labels, scores = binormal(np.random.default_rng(0), 0.85, 40_000, 40_000)
    apart = np.sqrt(2) * norm.ppf(0.85)
    assert equal_error_rate(labels, scores) == pytest.approx(norm.sf(apart / 2), abs=0.005)
    assert tpr_at_fpr(labels, scores, 0.05) == pytest.approx(norm.sf(norm.ppf(0.95) - apart), abs=0.01)


def test_equal_error_rate_by_hand():
    # at threshold 3: 1 of 4 reals above, 1 of 4 fakes below; between corners the curve is straight
    assert equal_error_rate([1, 1, 1, 1, 0, 0, 0, 0], [2, 3, 5, 6, 0, 1, 1.5, 4]) == 0.25
    # corners (0, 0), (0, 1/2), (1, 1): the last piece crosses 1 - x at x = 1/3
    assert equal_error_rate([1, 1, 0], [2, 1, 1]) == pytest.approx(1 / 3)


def test_a_rate_that_rounding_moved_below_the_limit_still_counts():
    labels, scores = np.r_[np.ones(10), np.zeros(10)], np.r_[np.full(10, 5.0), 6.0, np.zeros(9)]
    assert tpr_at_fpr(labels, scores, 1 - 0.9) == 1.0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-3, 3), min_size=1, max_size=12), st.lists(st.integers(-3, 3), min_size=1, max_size=12))
def test_turning_the_problem_round_keeps_the_equal_error_rate(fakes, reals):
    labels, scores = [1] * len(fakes) + [0] * len(reals), np.array(fakes + reals, float)
    turned = equal_error_rate([1 - label for label in labels], -scores)
    assert equal_error_rate(labels, scores) == pytest.approx(turned, abs=1e-12)
    assert equal_error_rate(labels, np.exp(scores)) == pytest.approx(turned, abs=1e-12)


@pytest.mark.parametrize("rate", [0.0, -0.1, 5])
def test_rates_outside_their_range_are_refused(rate):
    for function in (partial_auc, tpr_at_fpr):
        with pytest.raises(TddError, match=r"0\.05 for 5%"):
            function([0, 0, 1, 1], [1, 3, 2, 4], rate)
