"""From clip logits to video scores."""

import numpy as np
import pandas as pd
import pytest

from tdd.errors import TddError
from tdd.metrics import auc, video_scores
from tests.metrics.scored import clip_table


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
        (lambda t: t.assign(label=["real", 2, 0]), "found .2, 'real'."),
        (lambda t: t.assign(label=[0, 1, 1]), "differ in label"),
        (lambda t: t.drop(columns="start"), "lacks start"),
        (lambda t: t.iloc[:0], "no clip"),
    ],
)
def test_broken_clip_tables_are_refused(spoil, words):
    clips = clip_table(("a", 1, [4.0, -1.0]), ("b", 0, [-2.0]))
    with pytest.raises(TddError, match=words):
        video_scores(spoil(clips))
