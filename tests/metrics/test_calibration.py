"""Calibration against scikit-learn, sums by hand and laws with a known answer."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss

from tdd.errors import TddError
from tdd.metrics import (
    UNCALIBRATED,
    Calibration,
    auc,
    brier_score,
    calibration_floor,
    expected_calibration_error,
    fit_calibration,
    reliability,
)
from tests.metrics.scored import tied_case


def drawn(temperature: float, bias: float, count: int, seed: int = 0):
    """Logits, and labels that are fake with the chance sigmoid(logit / temperature + bias)."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=4, size=count)
    return (rng.uniform(size=count) < expit(logits / temperature + bias)).astype(int), logits


@pytest.mark.parametrize(("temperature", "bias"), [(1.0, 0.0), (3.0, -0.5), (0.5, 1.0)])
def test_the_fit_finds_what_the_labels_were_drawn_with(temperature, bias):
    found = fit_calibration(*drawn(temperature, bias, 60_000))
    assert (found.temperature, found.bias) == (pytest.approx(temperature, rel=0.05), pytest.approx(bias, abs=0.08))


@pytest.mark.parametrize("prior", [None, 0.5, 0.2])
def test_the_fit_is_that_of_a_logistic_regression_on_the_moved_labels(prior):
    labels, scores = tied_case(2, 50)
    fakes, reals = labels.sum(), (1 - labels).sum()
    share = labels.mean()
    weights = np.ones(len(labels)) if prior is None else np.where(labels, prior / share, (1 - prior) / (1 - share))
    target = np.where(labels, (fakes + 1) / (fakes + 2), 1 / (reals + 2))
    # a label of 0.9 is nine tenths of a fake and one tenth of a real
    doubled, both = np.r_[scores, scores][:, None], np.r_[np.ones(len(labels)), np.zeros(len(labels))]
    wanted = LogisticRegression(C=1e12, tol=1e-10, max_iter=1000).fit(
        doubled, both, np.r_[weights * target, weights * (1 - target)]
    )
    found = fit_calibration(labels, scores, prior)
    assert 1 / found.temperature == pytest.approx(wanted.coef_[0, 0], rel=1e-4)
    assert found.bias == pytest.approx(wanted.intercept_[0], abs=1e-4)


def test_a_prior_moves_the_bias_by_its_log_odds():
    labels, logits = drawn(2.0, 1.0, 60_000)
    odds = logit(labels.mean())
    found = fit_calibration(labels, logits, 0.5)
    assert found.temperature == pytest.approx(2, rel=0.1)
    assert found.bias == pytest.approx(1 - odds, abs=0.12)


def test_classes_that_the_logits_separate_still_have_a_temperature():
    labels, logits = np.r_[np.ones(7), np.zeros(7)], np.r_[np.full(7, 60.0), np.full(7, -60.0)]
    found = fit_calibration(labels, logits)
    assert 0 < found.temperature < 60
    # two values: the likelihood is greatest where each has the chance of its moved label
    np.testing.assert_allclose(found.probability([60.0, -60.0]), [8 / 9, 1 / 9], atol=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.floats(0.01, 100), st.floats(-50, 50))
@example(0.01, 47.0)
def test_the_chances_do_not_depend_on_the_unit_of_the_logits(unit, zero):
    labels, scores = tied_case(1, 50)
    plain = fit_calibration(labels, scores).probability(scores)
    moved = scores * unit + zero
    np.testing.assert_allclose(fit_calibration(labels, moved).probability(moved), plain, atol=1e-4)


def test_calibration_lowers_the_error_and_keeps_the_ranking():
    labels, logits = drawn(4.0, 0.8, 4000)
    found = fit_calibration(labels[::2], logits[::2])
    before, after = UNCALIBRATED.probability(logits[1::2]), found.probability(logits[1::2])
    errors = [expected_calibration_error(labels[1::2], chances) for chances in (before, after)]
    assert errors[0] > 0.1 and errors[1] < 0.04
    assert brier_score(labels[1::2], after) < brier_score(labels[1::2], before)
    assert auc(labels[1::2], after) == pytest.approx(auc(labels[1::2], logits[1::2]), abs=1e-9)


def test_expected_calibration_error_by_hand():
    # two bins: chances 0.1 and 0.3 with one fake, off by 0.3; 0.9 alone, real, off by 0.9
    labels, chances = [0, 1, 0], [0.1, 0.3, 0.9]
    assert expected_calibration_error(labels, chances, bins=2) == pytest.approx((2 * 0.3 + 0.9) / 3)
    table = reliability(labels, chances, bins=2)
    assert table["videos"].tolist() == [2, 1] and table["low"].tolist() == [0, 0.5]
    np.testing.assert_allclose(table["observed"], [0.5, 0])
    # to equal classes the one fake weighs 1.5 and each real 0.75
    weighed = reliability(labels, chances, bins=2, prior=0.5)
    np.testing.assert_allclose(weighed["weight"], [0.75, 0.25])
    np.testing.assert_allclose(weighed["predicted"], [(0.1 * 0.75 + 0.3 * 1.5) / 2.25, 0.9])
    np.testing.assert_allclose(weighed["observed"], [1.5 / 2.25, 0])


def test_certain_chances_fall_into_the_outer_bins():
    assert expected_calibration_error([0, 1], [0.0, 1.0]) == 0
    assert expected_calibration_error([1, 0], [0.0, 1.0]) == 1
    assert reliability([0, 1], [0.0, 1.0])["high"].tolist() == [pytest.approx(1 / 15), 1]


def test_brier_score_agrees_with_scikit_learn():
    labels, scores = tied_case(4)
    chances = expit(scores)
    assert brier_score(labels, chances) == pytest.approx(brier_score_loss(labels, chances), abs=1e-12)
    weights = np.where(labels, 0.5 / labels.mean(), 0.5 / (1 - labels.mean()))
    weighed = brier_score_loss(labels, chances, sample_weight=weights)
    assert brier_score(labels, chances, prior=0.5) == pytest.approx(weighed, abs=1e-12)


def test_chances_of_large_logits_stay_finite():
    np.testing.assert_array_equal(Calibration(0.01, 0.0).probability([-1e6, 0, 1e6]), [0, 0.5, 1])


def test_logits_without_use_have_no_temperature():
    labels = np.r_[np.ones(20), np.zeros(20)]
    for logits in (-labels, np.zeros(40)):
        with pytest.raises(TddError, match="do not rise from real to fake"):
            fit_calibration(labels, logits)


@pytest.mark.parametrize(
    ("labels", "values", "words"),
    [
        ([1, 1], [0.1, 0.2], "both classes"),
        ([0, 1], [0.1, np.nan], "not finite"),
        ([0, 2], [0.1, 0.2], "0 .real. or 1 .fake."),
        ([0, 1, 1], [0.1, 0.2], "one length"),
    ],
)
def test_what_cannot_be_calibrated_is_refused(labels, values, words):
    for function in (fit_calibration, reliability, expected_calibration_error, brier_score):
        with pytest.raises(TddError, match=words):
            function(labels, values)


def test_chances_bins_and_priors_outside_their_range_are_refused():
    for function in (reliability, expected_calibration_error, brier_score):
        with pytest.raises(TddError, match="scores, not logits"):
            function([0, 1], [0.5, 1.5])
        with pytest.raises(TddError, match=r"0\.5 for equal classes"):
            function([0, 1], [0.5, 0.6], prior=1.0)
    with pytest.raises(TddError, match="one bin at least, not 0"):
        reliability([0, 1], [0.5, 0.6], bins=0)


def test_bins_of_equal_mass_hold_as_many_videos_and_equal_chances_share_one():
    rng = np.random.default_rng(7)
    chances = rng.beta(1, 9, 300)
    labels = (rng.random(300) < chances).astype(int)
    table = reliability(labels, chances, bins=10, equal_mass=True)
    assert table["videos"].tolist() == pytest.approx([30] * 10, abs=1) and table["videos"].sum() == 300
    order = np.argsort(chances)
    by_hand = (
        sum(abs((chances - labels)[part].sum()) for part in np.split(order, np.cumsum(table["videos"])[:-1])) / 300
    )
    assert expected_calibration_error(labels, chances, 10, equal_mass=True) == pytest.approx(by_hand)
    tied = reliability(labels, np.round(chances, 1), bins=10, equal_mass=True)
    assert len(tied) <= len(np.unique(np.round(chances, 1)))
    shuffled = rng.permutation(300)
    again = expected_calibration_error(labels[shuffled], np.round(chances, 1)[shuffled], 10, equal_mass=True)
    assert again == pytest.approx(expected_calibration_error(labels, np.round(chances, 1), 10, equal_mass=True))


@pytest.mark.parametrize("prior", [None, 0.5])
def test_the_floor_is_the_error_of_perfect_chances(prior):
    """Test sets of perfect chances, drawn one after the other, have the floor of any of them as their mean error."""
    rng, errors, floors = np.random.default_rng(8), [], []
    for _ in range(200):
        labels = (rng.random(80) < 0.3).astype(int)
        logits = rng.normal(size=80) + 2 * labels - 1  # the log odds at equal classes are twice that
        odds = 2 * logits + (0 if prior else np.log(labels.mean() / (1 - labels.mean())))
        chances = 1 / (1 + np.exp(-odds))
        errors.append(expected_calibration_error(labels, chances, 10, prior, equal_mass=True))
        floors.append(calibration_floor(labels, chances, 10, prior, equal_mass=True, draws=20))
    assert np.mean(floors) == pytest.approx(np.mean(errors), rel=0.06)
    assert np.mean(floors) > 0.05
    more = np.tile([0, 1], 4000), np.tile([0.3, 0.7], 4000)
    assert calibration_floor(*more, prior=0.5, draws=20) < 0.02 and calibration_floor([0, 1], [0.0, 1.0]) == 0
