"""When a video is forged, from clip logits and a store that names the parts: floors, ceilings, and what is left out."""

import copy

import numpy as np
import pandas as pd
import pytest

from tdd.config import load_recipe
from tdd.errors import TddError
from tdd.evaluation.localisation import (
    CONSTANT,
    DETECTOR,
    PERFECT,
    SHUFFLED,
    WITHIN,
    clip_times,
    localisation_lines,
    localisation_notes,
    localise,
)
from tdd.evaluation.selection import Protocol, clip_starts, evaluation_clips
from tests.stores import random_store

RECIPE = load_recipe("tiny")
FRAMES = 200


@pytest.fixture(autouse=True)
def few_draws(monkeypatch):
    monkeypatch.setattr("tdd.evaluation.localisation.SHUFFLES", 4)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return random_store(tmp_path_factory.mktemp("store"), faces=1, videos=2)


def video(name, segments, logit, label=1, method="LAV-DF-video", dataset="LAV-DF", stride=0):
    """The clips of a video of 8 s; ``logit`` of the clip's first frame."""
    starts = clip_starts(FRAMES, 25, stride)
    row = {"video_id": name, "dataset": dataset, "method": method, "label": label, "split": "test"}
    return [row | {"start": start, "segments": segments, "logit": float(logit(start))} for start in starts]


def drawn(seed=0, videos=20, sharp=5.0):
    """Half of the videos forged from 2 to 6 s; logits higher there by ``sharp``, in noise and with a level a video."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(videos):
        fake, level = number % 2, rng.normal(0, 3)
        rows += video(
            f"v{number}", "2.000-6.000" if fake else "",
            lambda start, fake=fake, level=level: level + rng.normal() + sharp * fake * (50 <= start < 150),
            fake, "LAV-DF-video" if fake else "real",
        )  # fmt: skip
    return pd.DataFrame(rows)


def found(clips, store, protocol=None):
    protocol = protocol or Protocol()
    return localise(clips, store, RECIPE, protocol)


def with_videos(store, clips, **columns):
    """A store whose index names the videos of ``clips``."""
    other = copy.copy(store)
    other.index = clips[["video_id"]].drop_duplicates().assign(**columns)
    return other


def test_a_detector_that_knows_when_lies_between_floor_and_ceiling(store):
    clips = drawn()
    (known,) = found(clips, with_videos(store, clips)).values()
    assert (known["videos"], known["fakes"], known["parts"]) == (20, 10, 10)
    assert (known["part_seconds"], known["clip_seconds"]) == (4.0, 1.0)
    scores = known["scores"]
    assert scores[PERFECT]["ap_0.95"] == 1 and scores[PERFECT]["ar_10"] == 1  # the part begins and ends with clips
    floor = max(scores[SHUFFLED]["ap_0.75"], scores[WITHIN]["ap_0.75"])
    assert floor < 0.25 < scores[DETECTOR]["ap_0.75"] < 1
    # The whole video is proposed, which overlaps 4 of 8 s: exactly 0.5, and more is asked for.
    assert set(scores[CONSTANT].values()) == {0.0}
    assert scores[DETECTOR]["low"]["ap_0.5"] <= scores[DETECTOR]["ap_0.5"] <= scores[DETECTOR]["high"]["ap_0.5"]


def test_videos_of_one_target_count_as_one_in_the_limits(store):
    """Every video four times under other names, as fakes of one scene: the figures stay, and so does the doubt."""
    once = drawn(videos=16, sharp=1.5)
    copies = [once.assign(video_id=once["video_id"] + f"-{copy}", identities=once["video_id"]) for copy in range(4)]
    clips = pd.concat(copies, ignore_index=True)
    widths = {}
    for name, table in (("once", once), ("known", clips), ("unknown", clips.drop(columns="identities"))):
        known = found(table, with_videos(store, table))["LAV-DF"]
        low, high = (known["scores"][DETECTOR][side]["ap_0.5"] for side in ("low", "high"))
        widths[name] = high - low
        assert known["targets"] == (16 if name == "known" else 0)
        (note, _) = localisation_notes({"LAV-DF": known})
        assert ("over 16 targets" in note) == (name == "known")
    assert widths["known"] == pytest.approx(widths["once"], rel=0.25) and widths["unknown"] < 0.75 * widths["known"]


def test_a_detector_that_knows_which_and_not_when_is_no_better_than_its_floor(store):
    rng = np.random.default_rng(1)
    clips = drawn(sharp=0)
    clips["logit"] = rng.normal(size=len(clips)) + 10 * clips["label"]
    (known,) = found(clips, with_videos(store, clips)).values()
    own, floor = (known["scores"][kind] for kind in (DETECTOR, WITHIN))
    assert abs(own["ap_0.5"] - floor["ap_0.5"]) < 0.12 and abs(own["ar_100"] - floor["ar_100"]) < 0.15


def test_what_says_nothing_of_when_is_left_out(store):
    clips = drawn(videos=8)
    base = found(clips, with_videos(store, clips))
    more = [
        *video("unknown", "", lambda _: 9.0),  # a fake of which nobody wrote down the parts
        *video("sound", "1.0-2.0", lambda _: 9.0, method="FakeAVCeleb-RVFA-x"),
        *video("other", "", lambda _: 9.0, dataset="Celeb-DF-v2", method="Celeb-DF"),
    ]
    both = pd.concat([clips, pd.DataFrame(more)], ignore_index=True)
    assert found(both, with_videos(store, both)) == base


def test_a_store_without_parts_gives_nothing(store):
    clips = evaluation_clips(store, RECIPE)
    assert "segments" not in clips
    assert found(clips.assign(logit=0.0), store) == {}
    assert found(drawn(videos=4).assign(segments=np.nan), store) == {}


def test_the_parts_come_with_the_clips_of_the_store(store):
    named = copy.copy(store)
    fake = (named.index["method"] == "Celeb-DF") & (named.index["split"] == "test")
    named.index = named.index.assign(segments=np.where(fake, "0.500-1.000", ""))
    clips = evaluation_clips(named, RECIPE)
    assert set(clips.loc[clips["method"] == "Celeb-DF", "segments"]) == {"0.500-1.000"}
    assert set(found(clips.assign(logit=1.0 * np.arange(len(clips))), named)) == {"Celeb-DF-v2"}


def test_times_are_those_of_the_video(store):
    clips = pd.DataFrame(video("a", "1-2", lambda start: start))
    known = with_videos(store, clips, fps=50.0)
    timed = clip_times(clips, known, RECIPE, Protocol())
    assert timed["start_s"].iloc[1] == 1.0 and timed["end_s"].iloc[1] == 2.0
    # A store that takes every frame of a 50 Hz file for 1/25 s shows it in slow motion.
    known.plan = known.plan | {"frame_rate": "relabelled"}
    timed = clip_times(clips, known, RECIPE, Protocol())
    assert timed["start_s"].iloc[1] == 0.5 and timed["end_s"].iloc[1] == 1.0
    stepped = clip_times(clips, with_videos(store, clips), RECIPE, Protocol(frame_step=2))
    assert stepped["end_s"].iloc[0] == 49 / 25


def test_clips_that_overlap_find_what_clips_end_to_end_cannot(store):
    """A part of 0.6 s, from 3.2 to 3.8 s, within one clip of 1 s."""
    ends = {}
    for stride in (0, 5):
        rows = []
        for number in range(4):
            share = lambda s: max(0, min(s + 25, 95) - max(s, 80)) / 25  # noqa: E731
            rows += video(f"v{number}", "3.200-3.800" * (number % 2), share if number % 2 else lambda _: 0, number % 2,
                          "x" if number % 2 else "real", stride=stride)  # fmt: skip
        clips = pd.DataFrame(rows)
        (ends[stride],) = found(clips, with_videos(store, clips), Protocol(clip_stride=stride)).values()
    # An overlap of 0.6 at the best: of ten thresholds, 0.5 and 0.55.
    assert ends[0]["scores"][PERFECT]["ar_100"] == pytest.approx(0.2) and ends[0]["scores"][PERFECT]["ap_0.75"] == 0
    assert ends[5]["scores"][PERFECT]["ar_100"] >= 0.5 and ends[5]["scores"][PERFECT]["ap_0.75"] > 0


def test_a_wrong_text_is_refused(store):
    clips = drawn(videos=4).assign(segments="2 to 6")
    with pytest.raises(TddError, match="'2' is no part of a video"):
        found(clips, with_videos(store, clips))


def test_tables_and_notes_hold_the_figures(store):
    clips = drawn(videos=12)
    known = found(clips, with_videos(store, clips))
    lines = localisation_lines(known)
    assert lines[0].split()[-7:] == ["AP@0.5", "AP@0.75", "AP@0.95", "AR@100", "AR@50", "AR@20", "AR@10"]
    own = known["LAV-DF"]["scores"][DETECTOR]
    assert lines[2].startswith("the detector's clip scores") and f"{100 * own['ap_0.75']:.1f} [" in lines[2]
    assert [line.split("  ")[0] for line in lines[3:7]] == [
        "one constant score", "scores shuffled over all clips", "scores shuffled within each video",
        "perfect clip scores",
    ]  # fmt: skip
    assert "LAV-DF: 6 forged parts, 4.00 s long in the middle, in 6 of 12 videos" in localisation_notes(known)[0]
    assert localisation_lines({}) == localisation_notes({}) == []


def test_the_same_seed_gives_the_same_figures(store):
    clips = drawn(videos=6)
    known = with_videos(store, clips)
    first = found(clips, known)
    assert found(clips, known) == first != localise(clips, known, RECIPE, Protocol(), seed=1)
