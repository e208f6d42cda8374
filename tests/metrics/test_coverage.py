"""How often 95% intervals hold the truth, and how often the paired test errs: on simulated test sets of known areas."""

import numpy as np
import pytest

from benchmarks.coverage import REPLICATES, drawn, interval_coverage, paired_test, tail
from tdd.metrics import auc


def test_simulated_test_sets_have_the_areas_and_the_correlation_asked_for():
    labels, scores = drawn(np.random.default_rng(0), (0.7, 0.9), 40_000, 30_000)
    assert [auc(labels, row) for row in scores] == pytest.approx([0.7, 0.9], abs=0.005)
    assert np.corrcoef(scores[:, labels == 0])[0, 1] == pytest.approx(0.6, abs=0.02)


def test_delong_covers_the_true_area():
    # 400 trials: the standard error of a share of 0.95 is 0.011
    assert 0.92 <= interval_coverage(0.8, (60, 60), "delong", 400) <= 0.98


def test_the_paired_test_errs_about_as_often_as_it_says():
    wrong, held = paired_test((0.8, 0.8), (60, 60), 400)
    assert 0.02 <= wrong <= 0.085 and 0.915 <= held <= 0.98


def test_without_a_share_over_videos_the_test_is_students_and_exact():
    # 4,000 trials: the standard error of a share of 0.05 is 0.0034
    assert tail(3, 0.0, 4000)["below 0.05"] == pytest.approx(0.05, abs=0.011)


def test_tests_of_few_seeds_err_in_the_tail_and_of_ten_hardly():
    """What reports say of few seeds: seeds that agree by chance are taken for seeds that always agree."""
    few, many = tail(3, 0.1, 6000), tail(10, 0.1, 6000)
    assert few["below 0.001"] > 0.005 and few["below 0.05"] > 0.055
    assert many["below 0.05"] < 0.06 and many["below 0.001"] < 0.004


@pytest.mark.slow
@pytest.mark.parametrize("method", ["delong", "bootstrap"])
@pytest.mark.parametrize("size", [(40, 40), (140, 140)])
@pytest.mark.parametrize("area", [0.7, 0.87])
def test_coverage_over_two_thousand_data_sets(method, size, area):
    assert REPLICATES >= 1000
    assert 0.93 <= interval_coverage(area, size, method, 2000) <= 0.97


@pytest.mark.slow
@pytest.mark.parametrize("size", [(40, 40), (140, 140)])
@pytest.mark.parametrize("areas", [(0.75, 0.75), (0.9, 0.9), (0.85, 0.9)])
def test_the_paired_test_over_two_thousand_data_sets(areas, size):
    share, held = paired_test(areas, size, 2000)
    assert 0.93 <= held <= 0.97
    if areas[0] == areas[1]:
        assert 0.03 <= share <= 0.07
