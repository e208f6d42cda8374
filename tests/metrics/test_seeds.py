"""Intervals and tests over several seeds: against one-seed results, a direct formula, and by simulation."""

import numpy as np
import pytest
from scipy.special import expit, logit
from scipy.stats import norm, t

from tdd.errors import TddError
from tdd.metrics import auc, auc_interval, compare_areas, compare_mean_areas, delong_covariance, mean_area_interval

FAKES = REALS = 40
LABELS = np.repeat([1, 0], [FAKES, REALS])


def drawn(rng, means, shared=0.6):
    """Scores of one run a mean: fakes lie that far above reals, and the runs agree on the videos to some degree."""
    videos = np.sqrt(shared) * rng.normal(size=len(LABELS))
    noise = np.sqrt(1 - shared) * rng.normal(size=(len(means), len(LABELS)))
    return videos + noise + np.outer(means, LABELS)


def test_one_seed_is_the_interval_and_the_test_of_one_run():
    one, two = drawn(np.random.default_rng(0), [1.0, 0.7])
    assert mean_area_interval(LABELS, [one]) == auc_interval(LABELS, one)
    assert compare_mean_areas(LABELS, [one], [two]) == compare_areas(LABELS, one, two)


def test_the_interval_by_its_formula():
    """Sample variance over seeds by S, and the mean covariance of two different seeds; t by Satterthwaite."""
    runs = drawn(np.random.default_rng(1), [0.5, 1.0, 1.6])
    areas = np.array([auc(LABELS, run) for run in runs])
    covariance, over_seeds = delong_covariance(LABELS, runs)[1], areas.var(ddof=1) / 3
    over_videos = np.mean([covariance[i, j] for i in range(3) for j in range(3) if i != j])
    freedom = (over_videos + over_seeds) ** 2 / (over_seeds**2 / 2)
    half = t.ppf(0.975, freedom) * np.sqrt(over_videos + over_seeds) / (areas.mean() * (1 - areas.mean()))
    found = mean_area_interval(LABELS, runs)
    assert found.value == pytest.approx(areas.mean())
    assert (found.low, found.high) == pytest.approx(expit(logit(areas.mean()) + np.array([-half, half])))


def test_two_seeds_square_and_add_their_half_widths_and_the_p_value_follows():
    first, second = (drawn(np.random.default_rng(seed), means) for seed, means in ((1, [0.5, 1.0]), (2, [0.9, 1.1])))
    areas, covariance = delong_covariance(LABELS, [*first, *second])
    shared = sum(covariance[i, j] - covariance[i, j + 2] for i, j in ((0, 1), (1, 0)))
    shared += sum(covariance[i + 2, j + 2] - covariance[i + 2, j] for i, j in ((0, 1), (1, 0)))
    differences = areas[:2] - areas[2:]
    half = np.hypot(norm.ppf(0.975) * np.sqrt(max(0, shared / 2)), t.ppf(0.975, 1) * differences.std(ddof=1) / 2**0.5)
    found = compare_mean_areas(LABELS, first, second)
    assert (found.low, found.high) == pytest.approx(differences.mean() + np.array([-half, half]))
    edge = compare_mean_areas(LABELS, first, second, 1 - found.p_value)
    assert min(abs(edge.low), abs(edge.high)) == pytest.approx(0, abs=1e-7)


def test_equal_runs_are_no_wider_than_one():
    (run,) = drawn(np.random.default_rng(2), [1.0])
    three, one = mean_area_interval(LABELS, [run] * 3), auc_interval(LABELS, run)
    assert (three.value, three.low, three.high) == pytest.approx((one.value, one.low, one.high))
    assert compare_mean_areas(LABELS, [run] * 3, [run] * 3).p_value == 1


def test_runs_that_each_rank_alike_differ_by_nothing_though_their_sums_do():
    """Logits have another scale in each seed: their sum may rank videos as no seed does."""
    runs = np.random.default_rng(5).normal(size=(2, len(LABELS))) + LABELS
    found = compare_mean_areas(LABELS, runs, runs * [[1.0], [100.0]])
    assert found.difference == 0 and found.p_value == 1


@pytest.mark.parametrize("count", [7, 40, 333])
def test_methods_that_rank_alike_with_other_scores_differ_by_nothing(count):
    rng = np.random.default_rng(count)
    labels = np.repeat([0, 1], count)
    runs = rng.normal(size=(3, 2 * count)) + labels
    found = compare_mean_areas(labels, runs, 5 * runs + rng.normal(size=(3, 1)))
    assert found.difference == pytest.approx(0, abs=1e-9) and found.p_value == pytest.approx(1)
    assert abs(found.low) < 0.5 and abs(found.high) < 0.5


def test_a_perfect_method_is_not_certain():
    found = mean_area_interval(LABELS, np.tile(LABELS * 1.0, (3, 1)))
    assert found.value == found.high == 1 and 0.8 < found.low < 1 and found.method == "newcombe"


def test_pairs_of_seeds_cancel_what_both_share():
    rng = np.random.default_rng(3)
    means = np.array([0.4, 1.0, 1.8])
    first = drawn(rng, means + 0.5)
    second = first - 0.5 * LABELS
    paired = compare_mean_areas(LABELS, first, second)
    crossed = compare_mean_areas(LABELS, first, second[[1, 2, 0]])
    assert paired.difference == pytest.approx(crossed.difference)
    assert paired.high - paired.low < 0.5 * (crossed.high - crossed.low)
    assert compare_mean_areas(LABELS, second, first).difference == pytest.approx(-paired.difference)


@pytest.mark.parametrize("spread", [0.0, 0.4])
def test_three_seeds_cover_the_mean_over_seeds_and_reject_as_often_as_they_say(spread):
    """The mean of Phi(m / sqrt 2) over m ~ N(mu, spread^2) is Phi(mu / sqrt(2 + spread^2)), in closed form."""
    rng, covered, rejected, times = np.random.default_rng(4), 0, 0, 400
    truth = norm.cdf(1 / np.sqrt(2 + spread**2))
    for _ in range(times):
        runs = drawn(rng, 1 + spread * rng.normal(size=6))
        found = mean_area_interval(LABELS, runs[:3])
        covered += found.low <= truth <= found.high
        rejected += compare_mean_areas(LABELS, runs[:3], runs[3:]).p_value < 0.05
    assert covered / times > 0.92
    assert rejected / times < 0.09  # 0.05 and three standard errors of 400 trials


def test_other_shapes_are_refused():
    runs = drawn(np.random.default_rng(5), [1.0, 1.0, 1.0])
    with pytest.raises(TddError, match="same seeds and videos"):
        compare_mean_areas(LABELS, runs, runs[:2])
    with pytest.raises(TddError, match="both classes"):
        mean_area_interval(np.ones(len(LABELS), int), runs)
