"""The picture of one prediction: what it shows, that it fits, and that it carries the sentence about its score."""

import dataclasses

import matplotlib
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tdd.evaluation.prediction import DrivingClip, Prediction, mean_span
from tdd.metrics import Calibration
from tdd.plots.timeline import draw_timeline
from tests.plots.test_figures import figures, texts, written

__all__ = ["figures"]


def prediction(logits, **changes):
    """One clip a second, the last one moved back by 13 frames."""
    starts = np.arange(len(logits), dtype=float)
    starts[-1] -= 0.52 * (len(logits) > 1)
    table = pd.DataFrame({"start": starts, "end": starts + 1, "logit": logits})
    rng = np.random.default_rng(0)
    order = np.argsort(logits)[::-1][:3]
    driving = tuple(DrivingClip(int(n), rng.integers(0, 256, (25, 42, 42, 3), np.uint8)) for n in order)
    known = Prediction(
        video="talk.mp4", frames=round(25 * (starts[-1] + 1)), seconds=float(starts[-1] + 1),
        logit=float(np.mean(logits)), logit_span=mean_span(logits), calibration=None, clips=table,
        attention=rng.dirichlet(np.ones(25), len(logits)), driving=driving, points=np.zeros((1, 68, 2)),
        landmarks="given", detector={}, warnings=("The face is small.",),
    )  # fmt: skip
    known = dataclasses.replace(known, **changes)
    known.clips["score"] = known.scale.probability(table["logit"])
    return known


@pytest.mark.parametrize(
    ("logits", "changes"),
    [
        ([0.3, -0.2, 4.0, 1.0, -2.0], {}),
        ([-60.0, 61.0, 20.0, 30.0], {"attention": None}),
        ([1.5], {"video": "a_very_long_name_of_a_video_" * 4 + ".mp4"}),
        ([0.1] * 40, {"calibration": Calibration(0.05, 2.0)}),
    ],
)
def test_all_texts_fit_and_the_meaning_is_there(logits, changes, tmp_path, figures):
    known = prediction(logits, **changes)
    path = draw_timeline(known, tmp_path / "timeline.png")
    assert path.stat().st_size < 200_000 and min(Image.open(path).size) > 300
    small_print = " ".join(" ".join(texts(figures[0])).split())
    assert known.meaning in small_print and "The face is small." in small_print
    for text in written(figures[0]):
        extent, box = text.get_window_extent(), figures[0].bbox
        inside = extent.x0 >= -1 and extent.y0 >= -1 and extent.x1 <= box.x1 + 1 and extent.y1 <= box.y1 + 1
        assert inside, f"{text.get_text()!r} leaves the picture: {extent}"
        assert text.get_fontsize() >= 7


def test_the_scores_on_the_right_belong_to_the_logits_on_the_left(tmp_path, figures):
    known = prediction([0.3, -4.0, 7.0, 1.0], calibration=Calibration(2.0, -0.5))
    draw_timeline(known, tmp_path / "timeline.png")
    right = figures[0].axes[0].child_axes[0]
    labelled = {
        label.get_text(): place for label, place in zip(right.get_yticklabels(), right.get_yticks(), strict=True)
    }
    assert len(labelled) >= 3
    for score, logit in labelled.items():
        assert float(known.scale.probability(logit)) == pytest.approx(float(score))


def test_overlapping_clips_share_their_attention(tmp_path, figures):
    even = np.full((3, 25), 1 / 25)
    even[2, :13], even[2, 13:] = 1.5 / 25, 5.5 / 25 / 12  # the last clip lies over 13 frames of the one before
    draw_timeline(prediction([0.0, 1.0, 2.0], attention=even), tmp_path / "timeline.png")
    strip = next(image for axes in figures[0].axes for image in axes.images if image.get_array().ndim == 2).get_array()
    assert strip.shape == (1, 62)
    np.testing.assert_allclose(strip[0, :37], 1)
    np.testing.assert_allclose(strip[0, 37:50], 1.25)
    np.testing.assert_allclose(strip[0, 50:], 5.5 / 12)


def test_an_unwritable_place_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        draw_timeline(prediction([1.0]), tmp_path / "file" / "timeline.png")
    assert matplotlib.rcParams["font.size"] == matplotlib.rcParamsDefault["font.size"]
