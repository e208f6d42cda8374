"""Localisation against worked cases, a plain version of the definition, and what is known of degenerate cases."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tdd.errors import TddError
from tdd.metrics.localisation import IOUS, Localisation, Proposals, clip_proposals, overlap


def ranked(*proposals):
    """Proposals of (score, start, end)."""
    table = np.array(sorted(proposals, key=lambda one: -one[0]), float).reshape(-1, 3)
    return Proposals(table[:, 1:], table[:, 0])


def by_hand(videos, level, count):
    """The owners' definition, in loops: (AP, recall of the first ``count``), for scores without ties."""
    pooled, parts, found = [], 0, 0
    for proposals, truth in videos:
        proposals = sorted(proposals, reverse=True)

        def iou(one, part):
            shared = max(0.0, min(one[2], part[1]) - max(one[1], part[0]))
            return shared / (one[2] - one[1] + part[1] - part[0] - shared)

        used = []
        for part in truth:
            good = [k for k, one in enumerate(proposals) if iou(one, part) > level + 1e-9 and k not in used]
            used += good[:1]
            found += any(iou(one, part) > level + 1e-9 for one in proposals[:count])
        parts += len(truth)
        pooled += [(one[0], k in used) for k, one in enumerate(proposals)]
    pooled.sort(key=lambda pair: -pair[0])
    points = []
    right = 0
    for rank, (_, true) in enumerate(pooled, 1):
        right += true
        points.append((right / parts, right / rank))
    area, before = 0.0, 0.0
    for recall, _ in points:
        best = max(precision for other, precision in points if other >= recall)
        area, before = area + (recall - before) * best, recall
    return area, found / parts


def measured(videos):
    return Localisation([ranked(*proposals) for proposals, _ in videos], [truth for _, truth in videos])


def test_a_worked_case():
    videos = [
        ([(0.9, 0, 2), (0.8, 0, 4), (0.3, 6, 7)], [(0, 4), (6, 8)]),  # 0-2 and 6-7 have an IoU of exactly 0.5
        ([(0.7, 1, 2)], []),
        ([(0.6, 0, 1.9)], [(0, 2)]),
    ]
    found = measured(videos).figures()
    # In order: false, true, false, true, false; three parts. Best precision 1/2 up to recall 2/3.
    assert found["ap_0.5"] == pytest.approx(2 / 3 * 1 / 2)
    assert found["ap_0.95"] == pytest.approx(1 / 3 * 1 / 2)  # 1.9 of 2 is 0.95, and not more
    # 0-4 at ten thresholds, 0-1.9 at the nine below 0.95, 6-7 at none.
    assert found["ar_100"] == found["ar_10"] == pytest.approx((10 + 9) / 30)


def test_each_part_takes_one_proposal_and_all_others_are_false():
    twice = [([(0.9, 0, 4), (0.8, 0, 4)], [(0, 4)]), ([(0.7, 2, 4)], [(2, 4)])]
    # true, false, true: 1/2 x 1 + 1/2 x 2/3
    assert measured(twice).figures()["ap_0.5"] == pytest.approx(1 / 2 + 1 / 2 * 2 / 3)


def test_one_proposal_may_recall_several_parts_but_is_true_once():
    # At IoU 0.5 a proposal cannot find two parts that do not overlap; two overlapping ones it can.
    videos = [([(0.9, 0, 4)], [(0, 4), (0.1, 4)])]
    found = measured(videos).figures()
    assert found["ap_0.5"] == pytest.approx(1 / 2) and found["ar_10"] == 1.0


def test_the_number_of_proposals_counts():
    false = [(1 - k / 100, 10 + k, 10.5 + k) for k in range(15)]
    found = measured([([*false, (0.1, 0, 2)], [(0, 2)])]).figures()
    assert (found["ar_10"], found["ar_20"]) == (0.0, 1.0)
    assert found["ap_0.5"] == pytest.approx(1 / 16)


proposals = st.lists(
    st.tuples(st.integers(0, 10_000), st.integers(0, 20), st.integers(1, 10)), max_size=14, unique_by=lambda one: one[0]
)
truths = st.lists(st.tuples(st.integers(0, 5), st.integers(1, 5)), max_size=3)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(proposals, truths), min_size=1, max_size=5))
def test_figures_are_those_of_the_definition(drawn):
    videos, seen = [], set()
    for number, (own, steps) in enumerate(drawn):
        truth, at = [], 0.0
        for gap, length in steps:
            truth.append((at + gap, at + gap + length))
            at += gap + length
        scores = [(score + number / 10, start / 2, start / 2 + length / 2) for score, start, length in own]
        videos.append((scores, truth))
        seen |= {one[0] for one in scores}
    if not any(truth for _, truth in videos) or len(seen) < sum(len(own) for own, _ in videos):
        return
    found = measured(videos).figures()
    areas = {level: by_hand(videos, level, 10) for level in IOUS}
    for level, (area, _) in areas.items():
        assert found[f"ap_{level:g}"] == pytest.approx(area)
    assert found["ar_10"] == pytest.approx(np.mean([recall for _, recall in areas.values()]))


def test_ties_enter_together_in_whatever_order_the_videos_are():
    videos = [([(0.5, 0, 2)], [(0, 2)]), ([(0.5, 5, 6)], []), ([(0.5, 1, 3)], [(1, 3)])]
    figures = [measured([videos[k] for k in order]).figures() for order in ((0, 1, 2), (1, 0, 2), (2, 0, 1))]
    assert figures[0] == figures[1] == figures[2]
    assert figures[0]["ap_0.5"] == pytest.approx(2 / 3)


def test_without_proposals_nothing_is_found():
    found = measured([([], [(0, 1)]), ([], [])]).figures()
    assert set(found.values()) == {0.0}


def test_videos_without_a_part_only_add_false_proposals():
    one = ([(0.5, 0, 2)], [(0, 2)])
    assert measured([one]).figures()["ap_0.5"] == 1.0
    assert measured([one, ([(0.9, 0, 1)], [])]).figures()["ap_0.5"] == pytest.approx(1 / 2)
    assert measured([one, ([(0.1, 0, 1)], [])]).figures()["ap_0.5"] == 1.0


def test_what_cannot_be_measured_is_refused():
    with pytest.raises(TddError, match="No video has a known forged part"):
        measured([([(0.5, 0, 1)], [])])
    with pytest.raises(TddError, match="ends after it begins"):
        measured([([(0.5, 0, 1)], [(2, 2)])])
    with pytest.raises(TddError, match="1 videos have proposals and 0 have parts"):
        Localisation([ranked()], [])


def test_weights_are_repetitions():
    rng = np.random.default_rng(1)
    videos = []
    for _ in range(6):
        scores = rng.uniform(size=5)
        starts = rng.uniform(0, 4, 5)
        videos.append((list(zip(scores, starts, starts + rng.uniform(0.5, 3, 5), strict=True)), [(1, 3)]))
    weights = np.array([0, 1, 2, 0, 1, 3])
    repeated = [video for video, times in zip(videos, weights, strict=True) for _ in range(times)]
    assert measured(videos).figures(weights.astype(float)) == pytest.approx(measured(repeated).figures())


def test_intervals_hold_the_figure_and_shrink_with_more_videos():
    rng = np.random.default_rng(0)

    def some(count):
        # Half of the videos are found, in random order among false proposals.
        hits = rng.random(count) < 0.5
        return [([(rng.random(), 0, 2 if hit else 0.5)], [(0, 2)]) for hit in hits]

    few, many = (measured(some(count)) for count in (20, 320))
    widths = []
    for found in (few, many):
        low, high = found.intervals(draws=200)["ar_100"]
        assert low <= found.figures()["ar_100"] <= high
        widths.append(high - low)
    # The interval of a share: 2 x 1.96 sqrt(p (1 - p) / n).
    assert widths[0] == pytest.approx(3.92 * 0.5 / np.sqrt(20), rel=0.25)
    assert widths[1] == pytest.approx(3.92 * 0.5 / np.sqrt(320), rel=0.25)


def test_videos_of_one_target_are_drawn_together():
    rng = np.random.default_rng(0)
    hits = rng.random(40) < 0.5
    # Each target has four videos that are all found or all missed: 160 videos say no more than 40.
    alike = [([(0.5, 0, 2 if hit else 0.5)], [(0, 2)]) for hit in np.repeat(hits, 4)]
    low, high = measured(alike).intervals(targets=np.repeat(np.arange(40), 4))["ar_100"]
    assert high - low == pytest.approx(3.92 * np.sqrt(hits.mean() * (1 - hits.mean()) / 40), rel=0.1)
    own = measured(alike)
    assert own.intervals(draws=50, targets=[f"{n:03}" for n in range(160)]) == own.intervals(draws=50)
    with pytest.raises(TddError, match="Each video needs one target"):
        own.intervals(targets=range(4))


def test_overlap_is_that_of_intervals():
    assert overlap([(0, 2), (2, 3)], [(1, 3), (5, 6)]).tolist() == [[pytest.approx(1 / 3), 0], [0.5, 0]]
    assert overlap([], [(0, 1)]).shape == (0, 1) and overlap([(0, 1)], []).shape == (1, 0)


def test_proposals_of_clips_end_to_end():
    found = clip_proposals([0, 1, 2, 3], [1, 2, 3, 4], [-2, -1.5, 2, 1])
    spans = [tuple(map(float, span)) for span in found.spans]
    assert spans == [(2, 4), (2, 3), (1, 4), (0, 4)]
    # Contrasts 3.25, 2.83, 2.5 and 0; each less by its overlap with those before it: 1/2, then 2/3 and 1/3.
    assert found.scores == pytest.approx([3.25, (2 + 2.5 / 3) / 2, 2.5 * (1 - 2 / 3) * (1 - 1 / 3), 0], abs=1e-6)


def test_two_parts_apart_both_stand_out():
    """Each is held against what lies below both, not against the other."""
    found = clip_proposals(range(5), range(1, 6), [0, 4, 0, 4, 0])
    assert found.spans.tolist()[:2] == [[1, 2], [3, 4]] and found.scores.tolist()[:2] == [4, 4]


def test_a_constant_score_proposes_the_whole_video_alone():
    found = clip_proposals([0, 1, 1.4], [1, 2, 2.4], [0.1 + 0.2, 0.3, 0.3])
    assert found.spans.tolist() == [[0, 2.4]] and found.scores.tolist() == [0]


def test_overlapping_clips_share_their_instants():
    # 0-1: 0; 1-2: mean of 0 and 4; 2-3: 4
    found = clip_proposals([0, 1], [2, 3], [0, 4])
    assert {tuple(map(float, span)) for span in found.spans} == {(2, 3), (1, 3), (0, 3)}
    # 4 - 1 and 3 - 0 of contrast: tied, so the earlier comes first, and the other overlaps it by a half.
    assert found.spans.tolist() == [[1, 3], [2, 3], [0, 3]] and found.scores.tolist() == [3, 1.5, 0]


def test_one_instant_is_one_edge_however_it_was_computed():
    """Clips that meet up to rounding leave no interval between them."""
    third = 1 / 3
    found = clip_proposals([0.0, third + 1e-15, 2 * third], [third, 2 * third - 1e-15, 1.0], [0, 2, 1])
    assert len(found.spans) == 3 and (found.spans[:, 1] - found.spans[:, 0] > 0.3).all()


def test_time_that_no_clip_covers_ends_a_run():
    found = clip_proposals([0, 2], [1, 3], [1, 1])
    assert sorted(map(tuple, found.spans.tolist())) == [(0, 1), (2, 3)]


def test_a_part_shorter_than_a_clip_is_out_of_reach_of_clips_end_to_end():
    """A forged part of 0.4 s within a clip of 1 s: the best IoU is 0.4, whatever the scores."""
    found = clip_proposals(range(5), range(1, 6), [0, 0, 1, 0, 0])
    ious = overlap(found.spans, [(2.3, 2.7)])
    assert ious.max() == pytest.approx(0.4)
    assert Localisation([found], [[(2.3, 2.7)]]).figures()["ar_100"] == 0
    starts = np.arange(0, 4.01, 0.04)  # a clip every frame narrows it down
    logits = np.clip(np.minimum(starts + 1, 2.7) - np.maximum(starts, 2.3), 0, None)
    assert overlap(clip_proposals(starts, starts + 1, logits).spans, [(2.3, 2.7)]).max() > 0.8


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-3, 3), min_size=1, max_size=12))
def test_proposals_are_runs_and_none_is_left_out(logits):
    clips = np.arange(len(logits))
    found = clip_proposals(clips, clips + 1, logits)
    wanted = set()
    for low in range(len(logits)):
        for high in range(low + 1, len(logits) + 1):
            inner = min(logits[low:high])
            around = [*logits[max(0, low - 1) : low], *logits[high : high + 1]]
            if all(beside < inner for beside in around):
                wanted.add((low, high))
    assert {tuple(map(int, span)) for span in found.spans} == wanted
    assert (found.scores >= 0).all()
    assert (np.diff(found.scores) <= 0).all() and len(wanted) <= len(logits)


def test_no_clips_propose_nothing_and_broken_ones_are_refused():
    assert clip_proposals([], [], []).spans.shape == (0, 2)
    for clips in (([0], [0], [1.0]), ([0], [1], [np.nan])):
        with pytest.raises(TddError, match="finite numbers"):
            clip_proposals(*clips)
    with pytest.raises(TddError, match="a start, an end and a logit"):
        clip_proposals([0, 1], [1], [1])
