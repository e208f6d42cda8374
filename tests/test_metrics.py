"""Metrics against scikit-learn, pair counting, closed forms and simulation."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn import metrics as reference

from tdd.errors import TddError
from tdd.metrics import (
    auc,
    auc_interval,
    bootstrap_auc,
    delong_covariance,
    newcombe_interval,
    roc_band,
    roc_curve,
    video_scores,
)


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


# --- video scores


def test_video_score_is_the_sigmoid_of_the_mean_logit_not_the_mean_of_sigmoids():
    videos = video_scores(clip_table(("a", 1, [4.0, -1.0]), ("b", 0, [-2.0])))
    assert videos.loc["a", "logit"] == 1.5
    assert videos.loc["a", "score"] == pytest.approx(1 / (1 + np.exp(-1.5)))
    assert videos["clips"].to_dict() == {"a": 2, "b": 1}
    assert videos["label"].to_dict() == {"a": 1, "b": 0}


def test_one_file_name_in_two_method_folders_stays_two_videos():
    videos = video_scores(clip_table(("Deepfakes/000_001", 1, [1.0]), ("FaceSwap/000_001", 1, [3.0])))
    assert list(videos.index) == ["Deepfakes/000_001", "FaceSwap/000_001"]


def test_order_of_clips_does_not_matter():
    clips = clip_table(("a", 1, [4.0, -1.0, 2.0]), ("b", 0, [-2.0, 0.5]))
    pd.testing.assert_frame_equal(video_scores(clips), video_scores(clips.iloc[::-1]))


def test_logits_beyond_the_sigmoid_still_rank():
    videos = video_scores(clip_table(("fake", 1, [60.0]), ("real", 0, [50.0])))
    assert videos["score"].nunique() == 1
    assert auc(videos["label"], videos["logit"]) == 1.0


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda t: t.assign(logit=[np.nan, 1.0, 2.0]), "not finite"),
        (lambda t: pd.concat([t, t.iloc[:1]]), "more than once.*'a' at frame 0"),
        (lambda t: t.assign(label=2), "0 .real. or 1 .fake."),
        (lambda t: t.assign(label=[0, 1, 1]), "differ in label"),
        (lambda t: t.drop(columns="start"), "lacks start"),
        (lambda t: t.iloc[:0], "no clip"),
    ],
)
def test_broken_clip_tables_are_refused(spoil, words):
    clips = clip_table(("a", 1, [4.0, -1.0]), ("b", 0, [-2.0]))
    with pytest.raises(TddError, match=words):
        video_scores(spoil(clips))


# --- AUC and ROC


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
    area = np.trapezoid(curve.true_positive_rate, curve.false_positive_rate)
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
    for function in (auc, roc_curve, auc_interval, bootstrap_auc):
        with pytest.raises(TddError, match=words):
            function(labels, scores)


# --- DeLong


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


# --- intervals


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


def coverage(area: float, size: int, trials: int, method: str, replicates: int = 0) -> float:
    rng, hits = np.random.default_rng(11), 0
    for trial in range(trials):
        labels, scores = binormal(rng, area, size, size)
        interval = auc_interval(labels, scores, method=method, seed=trial, replicates=replicates)
        hits += interval.low <= area <= interval.high
    return hits / trials


def test_delong_covers_the_true_area():
    # 400 trials: the standard error of a share of 0.95 is 0.011
    assert 0.92 <= coverage(0.8, 60, 400, "delong") <= 0.98


@pytest.mark.slow
@pytest.mark.parametrize("method", ["delong", "bootstrap"])
@pytest.mark.parametrize("area", [0.7, 0.87])
def test_coverage_over_two_thousand_data_sets(method, area):
    assert 0.93 <= coverage(area, 140, 2000, method, 1000) <= 0.97
