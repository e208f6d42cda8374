"""The paired test and Holm's correction, against formulas written out and other programs."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from tdd.errors import TddError
from tdd.metrics import auc, auc_interval, compare_areas, compare_systems, holm, video_scores
from tests.metrics.scored import clip_table, tied_case


def pair_matrix(scores, labels):
    fakes, reals = scores[labels == 1], scores[labels == 0]
    return (fakes[:, None] > reals) + 0.5 * (fakes[:, None] == reals)


@pytest.mark.parametrize("seed", range(4))
def test_the_variance_of_the_difference_is_that_of_the_difference_of_pair_matrices(seed):
    labels, first = tied_case(seed)
    second = first + np.random.default_rng(seed).normal(size=len(first))
    psi = pair_matrix(first, labels) - pair_matrix(second, labels)
    variance = psi.mean(1).var(ddof=1) / len(psi) + psi.mean(0).var(ddof=1) / psi.shape[1]
    found = compare_areas(labels, first, second)
    assert found.difference == pytest.approx(auc(labels, first) - auc(labels, second), abs=1e-12)
    assert found.high - found.difference == pytest.approx(norm.ppf(0.975) * np.sqrt(variance), rel=1e-9)
    assert found.p_value == pytest.approx(2 * norm.sf(abs(psi.mean()) / np.sqrt(variance)), rel=1e-9)
    assert found.method == "delong"


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.5, 0.99))
def test_the_interval_excludes_zero_when_the_p_value_is_below_its_level(seed, level):
    labels, first = tied_case(seed)
    found = compare_areas(labels, first, np.random.default_rng(seed).normal(size=len(first)), level)
    assert (found.low > 0 or found.high < 0) == (found.p_value < 1 - level)


def test_exchanging_the_systems_changes_the_sign_alone():
    labels, first = tied_case(1)
    second = np.random.default_rng(5).normal(size=len(first)) + labels
    one, other = compare_areas(labels, first, second), compare_areas(labels, second, first)
    assert (one.difference, one.low, one.high) == pytest.approx((-other.difference, -other.high, -other.low))
    assert one.p_value == pytest.approx(other.p_value)


def test_systems_that_agree_are_told_apart_better_than_ones_that_do_not():
    rng = np.random.default_rng(3)
    labels = np.r_[np.ones(100), np.zeros(100)]
    shared = rng.normal(size=200)
    alike = compare_areas(labels, shared + 1.2 * labels, shared + 0.8 * labels)
    strangers = compare_areas(labels, shared + 1.2 * labels, rng.normal(size=200) + 0.8 * labels)
    assert alike.p_value < 0.001
    assert alike.high - alike.low < (strangers.high - strangers.low) / 3


def test_without_variance_the_limits_come_from_newcombe_and_nothing_is_certain():
    labels, perfect = np.r_[np.ones(20), np.zeros(20)], np.arange(40.0, 0, -1)
    same = compare_areas(labels, perfect, perfect * 2)
    own = auc_interval(labels, perfect)
    assert (same.difference, same.p_value, same.method) == (0, 1, "newcombe")
    assert (same.low, same.high) == pytest.approx((own.low - 1, 1 - own.low))
    apart = compare_areas(labels, perfect, -perfect)
    assert apart.difference == 1 and 0 < apart.p_value < 0.001 and 0 < apart.low < 1
    half = compare_areas(labels, np.zeros(40), perfect)
    assert (half.difference, half.method) == (-0.5, "newcombe") and half.high < 0 < half.p_value


def videos(seed, count=20):
    rng = np.random.default_rng(seed)
    return video_scores(clip_table(*((f"v{i}", i % 2, [rng.normal() + i % 2]) for i in range(count))))


def test_systems_are_matched_by_video_not_by_row():
    first, second = videos(0), videos(1)
    assert compare_systems(first, second.iloc[::-1]) == compare_areas(first["label"], first["logit"], second["logit"])
    assert dataclasses.astuple(compare_systems(first, second, 0.9))[-2] == 0.9


def test_systems_are_compared_over_targets_where_these_are_given():
    first, second = videos(0), videos(1)
    targets = pd.Series([f"person {i // 4}" for i in range(len(first))], index=first.index)
    found = compare_systems(first, second, targets=targets.iloc[::-1])
    assert found == compare_areas(first["label"], first["logit"], second["logit"], targets=targets)
    assert found.method == "clustered" and found.p_value != compare_systems(first, second).p_value
    for wrong, words in ((targets.iloc[1:], "no target"), (pd.concat([targets, targets[:1]]), "more than one target")):
        with pytest.raises(TddError, match=words):
            compare_systems(first, second, targets=wrong)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda t: t.drop("v3"), "not scored on the same videos: 1 .*'v3'"),
        (lambda t: t.rename({"v3": "w3"}), "2 are scored by one of them only, such as 'v3'"),
        (lambda t: pd.concat([t, t.loc[["v4"]]]), "'v4' is scored more than once"),
        (lambda t: t.assign(label=t["label"].where(t.index != "v7", 0)), "1 videos are real for one.*'v7'"),
        (lambda t: t.assign(logit=t["logit"].where(t.index != "v7", np.nan)), "1 of 20 scores are not finite"),
    ],
)
def test_systems_on_other_videos_are_refused(spoil, words):
    for pair in ((videos(0), spoil(videos(1))), (spoil(videos(1)), videos(0))):
        with pytest.raises(TddError, match=words):
            compare_systems(*pair)


def test_too_little_to_compare_is_refused():
    with pytest.raises(TddError, match="both classes"):
        compare_areas([1, 1], [1, 2], [2, 1])
    with pytest.raises(TddError, match="at least two"):
        compare_areas([1, 0, 0], [1, 2, 3], [2, 1, 3])
    with pytest.raises(TddError, match="one length"):
        compare_areas([1, 0, 1, 0], [1, 2, 3, 4], [2, 1, 3])
    with pytest.raises(TddError, match=r"0\.95"):
        compare_areas([1, 0, 1, 0], [1, 2, 3, 4], [2, 1, 3, 4], 95)


# --- Holm


def holm_step_down(p_values, level):
    """Holm's rule as he gives it: go up from the smallest, stop at the first that is not small enough."""
    order, rejected = sorted(range(len(p_values)), key=lambda i: p_values[i]), set()
    for done, i in enumerate(order):
        if p_values[i] > level / (len(p_values) - done):
            break
        rejected.add(i)
    return rejected


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(0, 0.2), min_size=1, max_size=10), st.sampled_from([0.01, 0.05, 0.1]))
def test_adjusted_p_values_reject_what_the_step_down_rule_rejects(p_values, level):
    adjusted = holm(p_values)
    rejected = {i for i, value in enumerate(adjusted) if value <= level}
    assert rejected == holm_step_down(p_values, level) or np.isclose(adjusted, level, rtol=1e-9).any()


def test_holm_by_hand():
    # the p.adjust of R gives these
    np.testing.assert_allclose(holm([0.01, 0.02, 0.03, 0.04]), [0.04, 0.06, 0.06, 0.06])
    np.testing.assert_allclose(holm([0.5, 0.001, 0.04]), [0.5, 0.003, 0.08])
    np.testing.assert_allclose(holm([0.7, 0.9]), [1, 1])
    assert holm([]).shape == (0,)


@pytest.mark.parametrize("p_values", [[0.1, np.nan], [1.2], [-0.1], [[0.1], [0.2]]])
def test_what_is_no_list_of_p_values_is_refused(p_values):
    with pytest.raises(TddError, match="numbers in"):
        holm(p_values)
