"""Variances over targets: against Obuchowski's formula written plainly, other estimators, and simulated test sets."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tdd.errors import TddError
from tdd.metrics import area_covariance, auc_interval, compare_areas, compare_mean_areas, delong_covariance, roc_band
from tdd.metrics.covariance import bootstrap_areas
from tdd.metrics.ranking import paired_share

ALIKE = 0.72
"""Correlation of a fake's score with that of its own real, as measured on FaceShifter."""


def pairs(rng, targets=40, systems=1, distance=0.9, fakes=1, alike=ALIKE):
    """A real and ``fakes`` fakes of each target: labels (N,), scores (systems, N), targets (N,)."""
    names = np.tile(np.arange(targets), fakes + 1)
    labels = np.repeat([0] + [1] * fakes, targets)
    common, own = rng.normal(size=(systems, targets)), rng.normal(size=(systems, len(names)))
    return labels, np.sqrt(alike) * common[:, names] + np.sqrt(1 - alike) * own + distance * labels, names


def uneven(seed=3, systems=3):
    """Targets with both classes, with one, and of several sizes; scores with ties."""
    rng = np.random.default_rng(seed)
    labels, scores, names = pairs(rng, 30, systems, fakes=3)
    kept = rng.random(len(labels)) < 0.6
    return labels[kept], np.round(scores[:, kept], 1), names[kept]


def obuchowski(labels, scores, names):
    """The paper's sums over all pairs and clusters, one after the other."""

    def kernel(x, y):
        return 1.0 if x > y else 0.5 if x == y else 0.0

    k, fakes, reals = len(scores), np.flatnonzero(labels == 1), np.flatnonzero(labels == 0)
    parts = []
    for row in scores:
        ten = {i: np.mean([kernel(row[i], row[j]) for j in reals]) for i in fakes}
        one = {j: np.mean([kernel(row[i], row[j]) for i in fakes]) for j in reals}
        parts.append((np.mean([*ten.values()]), ten, one))
    clusters = sorted(set(names))
    of_fakes, of_reals = np.zeros((k, len(clusters))), np.zeros((k, len(clusters)))
    for r, (area, ten, one) in enumerate(parts):
        for c, name in enumerate(clusters):
            of_fakes[r, c] = sum(ten[i] - area for i in fakes if names[i] == name)
            of_reals[r, c] = sum(one[j] - area for j in reals if names[j] == name)
    n, m = len(fakes), len(reals)
    with_fakes, with_reals = len({names[i] for i in fakes}), len({names[j] for j in reals})
    ten = with_fakes / ((with_fakes - 1) * n) * of_fakes @ of_fakes.T
    one = with_reals / ((with_reals - 1) * m) * of_reals @ of_reals.T
    cross = len(clusters) / (len(clusters) - 1) * of_fakes @ of_reals.T
    return ten / n + one / m + (cross + cross.T) / (n * m)


def test_it_is_obuchowskis_formula():
    labels, scores, names = uneven()
    found = area_covariance(labels, scores, names)
    np.testing.assert_allclose(found.covariance, obuchowski(labels, scores, names), rtol=1e-10)
    np.testing.assert_allclose(found.areas, [roc_auc_score(labels, row) for row in scores])


def test_targets_of_one_video_are_delongs():
    labels, scores, names = uneven()
    alone = area_covariance(labels, scores, np.arange(len(labels)))
    areas, covariance = delong_covariance(labels, scores)
    np.testing.assert_allclose(alone.areas, areas)
    np.testing.assert_allclose(alone.covariance, covariance, rtol=1e-12)
    iid = area_covariance(labels, scores, names, "delong")
    np.testing.assert_array_equal(iid.covariance, covariance)
    assert iid.freedom == np.inf and iid.method == "delong"


def test_neither_the_order_of_videos_nor_the_names_of_targets_matter():
    labels, scores, names = uneven()
    order = np.random.default_rng(0).permutation(len(labels))
    found, moved = (
        area_covariance(labels, scores, names),
        area_covariance(labels[order], scores[:, order], [f"id{7 * name % 31}" for name in names[order]]),
    )
    np.testing.assert_allclose(found.covariance, moved.covariance)
    assert found.freedom == pytest.approx(moved.freedom)


def test_it_agrees_with_a_jackknife_over_targets():
    labels, scores, names = pairs(np.random.default_rng(4), 60, fakes=2)
    left = [roc_auc_score(labels[names != name], scores[0][names != name]) for name in range(60)]
    jackknife = 59 / 60 * ((left - np.mean(left)) ** 2).sum()
    assert area_covariance(labels, scores, names).covariance[0, 0] == pytest.approx(jackknife, rel=0.1)


def test_it_agrees_with_drawing_targets_again():
    labels, scores, names = pairs(np.random.default_rng(5), 80, systems=2)
    rng, samples = np.random.default_rng(0), []
    members = [np.flatnonzero(names == name) for name in range(80)]
    for _ in range(500):
        drawn = np.concatenate([members[name] for name in rng.integers(80, size=80)])
        samples.append([roc_auc_score(labels[drawn], row[drawn]) for row in scores])
    plain = np.cov(np.transpose(samples))
    own = np.cov(bootstrap_areas(labels, scores, names, 4000).T)
    for found in (own, area_covariance(labels, scores, names, "clustered_bootstrap").covariance):
        np.testing.assert_allclose(np.diag(found), np.diag(plain), rtol=0.15)
        assert found[0, 1] == pytest.approx(plain[0, 1], abs=0.1 * plain[0, 0])
    np.testing.assert_allclose(np.diag(area_covariance(labels, scores, names).covariance), np.diag(plain), rtol=0.15)


def test_one_draw_serves_all_systems_beyond_one_block(monkeypatch):
    """Two systems that are the same but for ties have areas that rise and fall together."""
    monkeypatch.setattr("tdd.metrics.covariance._CHUNK", 2000)
    labels, scores, names = pairs(np.random.default_rng(5), 60)
    both = np.stack([scores[0], np.round(scores[0], 1)])
    assert len(np.unique(both[1])) < 60, "fewer scores than targets and than the other system's"
    # Targets of one class: fakes and reals are drawn one after the other in each block.
    areas = bootstrap_areas(labels, both, names // 2 + 100 * labels, 400)
    assert np.corrcoef(areas.T)[0, 1] > 0.99


@pytest.mark.parametrize(("fakes", "wrong"), [(1, 1.4), (4, 0.9)])
def test_the_standard_error_is_how_far_areas_of_other_targets_lie_apart(fakes, wrong):
    """Pairs make an area surer than as many unrelated videos, several fakes of one target less sure."""
    rng, drawn = np.random.default_rng(6), []
    alike = ALIKE if fakes == 1 else 0.95
    for _ in range(300):
        labels, scores, names = pairs(rng, fakes=fakes, alike=alike, distance=0.82)
        if fakes > 1:  # reals of other targets: only the fakes belong together
            names = np.where(labels == 0, names + 1000, names)
            scores = np.where(labels == 0, rng.normal(size=scores.shape), scores)
        errors = [np.sqrt(area_covariance(labels, scores, names, how).covariance[0, 0]) for how in (None, "delong")]
        drawn.append([roc_auc_score(labels, scores[0]), *errors])
    spread, (over_targets, over_videos) = np.std([row[0] for row in drawn]), np.mean(drawn, axis=0)[1:]
    assert over_targets == pytest.approx(spread, rel=0.12)
    assert over_videos / spread > wrong if wrong > 1 else over_videos / spread < wrong


def test_degrees_of_freedom_are_one_less_than_the_effective_number_of_targets():
    labels, scores, names = pairs(np.random.default_rng(7), 12)
    assert area_covariance(labels, scores, names).freedom == pytest.approx(11)
    # Targets with 3, 2 and 1 of six videos of each class: shares 1, 2/3 and 1/3.
    sizes = np.tile([0, 0, 0, 1, 1, 2], 2)
    wanted = (1 + 4 / 9 + 1 / 9) ** 2 / (1 + 16 / 81 + 1 / 81) - 1
    assert area_covariance(labels[6:18], scores[:, 6:18], sizes).freedom == pytest.approx(wanted)
    # One target with all but two of the fakes counts for little more than one.
    names = np.where(labels == 1, np.minimum(np.cumsum(labels), 3) + 100, names)
    assert area_covariance(labels, scores, names).freedom < 3


def test_intervals_and_tests_take_targets():
    labels, scores, names = pairs(np.random.default_rng(8), 40, systems=4)
    iid, over_targets, drawn = (
        auc_interval(labels, scores[0], method=method, targets=names)
        for method in ("delong", None, "clustered_bootstrap")
    )
    assert over_targets.method == "clustered" and over_targets.high - over_targets.low < 0.8 * (iid.high - iid.low)
    assert (drawn.low, drawn.high) == pytest.approx((over_targets.low, over_targets.high), abs=0.02)
    assert compare_areas(labels, *scores[:2], targets=names).method == "clustered"
    assert compare_mean_areas(labels, scores[:2], scores[2:], targets=names).method == "clustered+seeds"
    assert compare_mean_areas(labels, scores[:2], scores[2:]).method == "delong+seeds"


def test_percentiles_are_over_targets_where_these_are_given():
    labels, scores, names = pairs(np.random.default_rng(8), 60)
    over_videos, over_targets = (auc_interval(labels, scores[0], method="bootstrap", targets=t) for t in (None, names))
    formula = auc_interval(labels, scores[0], targets=names)
    assert (over_targets.low, over_targets.high) == pytest.approx((formula.low, formula.high), abs=0.02)
    assert over_targets.high - over_targets.low < 0.8 * (over_videos.high - over_videos.low)


def test_a_perfect_ranking_counts_targets_and_not_videos():
    labels = np.repeat([0, 1], 40)
    few, many = (auc_interval(labels, labels, targets=np.arange(80) % count) for count in (5, 40))
    assert few.method == many.method == "newcombe" and few.low < many.low < 1


def test_a_band_over_targets_differs_from_one_over_videos_as_their_errors_do():
    labels, scores, names = pairs(np.random.default_rng(9), 60, fakes=4)
    high = scores[0] * (1 - labels) + labels * (3 * np.random.default_rng(1).normal(size=60)[names] + scores[0])
    alone = np.where(labels == 0, names + 1000, names)  # fakes of one target are alike, reals have no part in it
    bands = [roc_band(labels, high, [0.3, 0.5], targets=t, replicates=500) for t in (None, alone)]
    over_videos, over_targets = (band[1] - band[0] for band in bands)
    assert (over_targets > 1.25 * over_videos).all()


def test_pairs_are_counted_with_ties_as_one_half():
    assert paired_share([1, 2, 3, 0], [0, 2, 4, -1]) == pytest.approx((1 + 0.5 + 0 + 1) / 4)
    for wrong in (([], []), ([1], [1, 2]), ([np.nan], [1])):
        with pytest.raises(TddError):
            paired_share(*wrong)


@pytest.mark.parametrize(
    ("targets", "method", "words"),
    [
        ([0, 1, 2], None, "one target"),
        ([0, 1, None, 1], None, "no target"),
        (["a", "", "b", "a"], None, "no target"),
        ([0, 0, 0, 1], None, "two targets"),
        (None, "clustered", "over targets"),
        ([0, 1, 0, 1], "jackknife", "unknown"),
    ],
)
def test_what_cannot_be_a_variance_over_targets_is_said(targets, method, words):
    with pytest.raises(TddError, match=words):
        area_covariance([0, 0, 1, 1], [1.0, 2.0, 3.0, 4.0], targets, method)
