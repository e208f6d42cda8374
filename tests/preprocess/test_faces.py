"""Landmarks of videos in which coloured discs play the faces; where they are is known."""

import dataclasses

import numpy as np
import pytest

from tdd.errors import TddError
from tdd.preprocess import faces
from tdd.preprocess.faces import FaceLandmarker, FaceSettings
from tdd.preprocess.landmarks import face_size
from tests.preprocess.discs import GREEN, RED, TEMPLATE, disc_finders, disc_points, film
from tests.videos import counting_frames, encode


def landmarker(**settings):
    return FaceLandmarker(FaceSettings(**settings), finders=disc_finders())


def errors(found, places, radius=24):
    """Mean distance of each frame's points from where its disc (x, y) is, px."""
    true = np.stack([disc_points(x, y, radius) for x, y in places])
    return np.linalg.norm(found.points - true, axis=-1).mean(-1)


def test_one_face_is_followed_with_few_looks_and_in_batches(tmp_path):
    places = [(60 + 2 * n, 70 + 10 * np.sin(n / 8)) for n in range(45)]
    path = film(tmp_path / "a.mp4", [[(RED, x, y, 24)] for x, y in places])
    finder = landmarker(every=8)
    finder.finders.points.most_crops = 16
    found = finder.video(path)
    assert found.points.shape == (45, 68, 2) and found.points.dtype == np.float32
    assert errors(found, places).max() < 1.2  # a cell of the heat maps is 1.5 px
    assert finder.finders.detector.looks == 1 + 6 and finder.finders.points.network.calls == [1, 8, 8, 8, 8, 8, 4]
    quality = dataclasses.asdict(found.quality)
    assert (
        quality.pop("face_px") == pytest.approx(24 * face_size(TEMPLATE[None]), abs=2)
        and quality.pop("confidence") > 0.7
    )
    assert quality.pop("detector_score") == pytest.approx(0.9)
    assert quality == {"found_share": 1.0, "interpolated": 0, "longest_gap": 0, "faces": 1}


def test_looking_at_every_frame_finds_the_same(tmp_path):
    path = film(tmp_path / "a.mp4", [[(RED, 60 + 2 * n, 70, 24)] for n in range(30)])
    often, seldom = landmarker(every=1).video(path), landmarker(every=10).video(path)
    assert np.abs(often.points - seldom.points).mean() < 0.6


@pytest.mark.parametrize("nearest", [RED, GREEN])
def test_two_faces_that_cross_stay_apart(tmp_path, nearest):
    red = [(40 + 3 * n, 80) for n in range(50)]
    shown = [[(RED, *place, 24), (GREEN, 200 - 3 * n, 76, 19)] for n, place in enumerate(red)]
    path = film(tmp_path / "a.mp4", [sorted(discs, key=lambda disc: disc[0] == nearest) for discs in shown])
    found = landmarker(longest_gap=0.6).video(path)
    own = errors(found, red)
    assert np.median(own) < 1.0 and own.max() < 15  # behind the other one it is guessed
    assert own[:18].max() < 1.5 and own[-14:].max() < 1.5 and found.quality.faces == 2


def test_the_largest_and_most_persistent_face_is_the_videos(tmp_path):
    stays, passes = [(RED, 60, 80, 24)], (GREEN, 170, 80, 30)
    path = film(tmp_path / "a.mp4", [stays + [passes] * (n < 20) for n in range(60)])
    assert errors(landmarker().video(path), [(60, 80)] * 60).max() < 1.0
    path = film(tmp_path / "b.mp4", [stays + [passes] * (n < 55) for n in range(60)])
    assert errors(landmarker().video(path), [(170, 80)] * 60, 30).max() < 1.5  # its last 5 frames are held


def test_a_short_dropout_is_interpolated_and_nobody_steps_in(tmp_path):
    away = range(21, 29)
    places = [(60 + n, 80) for n in range(50)]
    path = film(
        tmp_path / "a.mp4",
        [[(GREEN, 190, 80, 18)] + [(RED, *place, 24)] * (n not in away) for n, place in enumerate(places)],
    )
    found = landmarker().video(path)
    assert (found.quality.interpolated, found.quality.longest_gap, found.quality.found_share) == (8, 8, 42 / 50)
    assert errors(found, places).max() < 1.2
    steps = np.diff(found.points[20:30], axis=0)
    np.testing.assert_allclose(steps, np.broadcast_to(steps[:1], steps.shape), atol=1e-3)


def test_a_dropout_that_is_too_long_or_a_face_seen_too_rarely_is_refused(tmp_path):
    path = film(tmp_path / "a.mp4", [[(RED, 60, 80, 24)] * (n not in range(20, 35)) for n in range(60)])
    with pytest.raises(TddError, match=r"missing for 0\.60 s \(frames 20 to 34\), and 0\.4 s"):
        landmarker().video(path)
    assert landmarker(longest_gap=0.6).video(path).quality.interpolated == 15
    path = film(tmp_path / "b.mp4", [[(RED, 60, 80, 24)] * (n % 10 < 5) for n in range(60)])
    with pytest.raises(TddError, match="found in 30 of 60 frames, and 60% are needed"):
        landmarker().video(path)
    with pytest.raises(TddError, match="no face was found in any of its 30 frames"):
        landmarker().video(film(tmp_path / "c.mp4", [[]] * 30))


def test_the_gap_is_counted_in_the_files_own_frames(tmp_path):
    shown = [[(RED, 60, 80, 24)] * (n not in range(20, 35)) for n in range(90)]
    assert landmarker(longest_gap=0.3).video(film(tmp_path / "a.mp4", shown, fps=50)).quality.longest_gap == 15


def test_a_sudden_move_is_looked_at_again(tmp_path):
    places = [(60, 80)] * 18 + [(150, 110)] * 5 + [(60, 80)] * 20
    path = film(tmp_path / "a.mp4", [[(RED, x, y, 24)] for x, y in places])
    finder = landmarker(every=8)
    found = finder.video(path)
    assert finder.finders.detector.looks == 1 + 6 + 5  # the five frames away from the straight way
    assert found.quality.interpolated == 5  # too far off to be taken for the same face
    near = [(60, 80)] * 18 + [(86, 80)] * 5 + [(60, 80)] * 20
    finder = landmarker(every=8)
    found = finder.video(film(tmp_path / "b.mp4", [[(RED, x, y, 24)] for x, y in near]))
    assert finder.finders.detector.looks == 1 + 6 + 5 and found.quality.interpolated == 0
    assert errors(found, near).max() < 1.2


def test_large_frames_are_held_a_few_at_a_time(tmp_path, monkeypatch):
    path = film(tmp_path / "a.mp4", [[(RED, 60 + n, 80, 24)] for n in range(30)])
    whole = landmarker().video(path)
    monkeypatch.setattr(faces, "BLOCK_BYTES", 3 * 160 * 240 * 3)
    finder = landmarker()
    found = finder.video(path)
    assert finder.finders.detector.looks == 1 + 10 and np.abs(found.points - whole.points).mean() < 0.6


def test_a_turned_video_is_found_as_it_is_shown(tmp_path):
    frames = counting_frames(12, 96, 128)
    for frame in frames:
        frame[:] = 90
        frame[20:60, 30:70] = RED
    path = encode(tmp_path / "a.mp4", frames, rotation=90, options={"crf": "8"})
    found = landmarker().video(path)
    low, high = found.points.min((0, 1)), found.points.max((0, 1))
    assert high[0] < 96 and (low + high) / 2 == pytest.approx([40, 78], abs=6)


@pytest.mark.parametrize(("width", "height"), [(30, 300), (300, 30), (2, 700), (2000, 40)])
def test_frames_too_small_or_too_long_to_look_at_are_refused(tmp_path, width, height):
    path = film(tmp_path / "a.mp4", [[(RED, 5, 5, 4)]] * 3, height, width)
    with pytest.raises(TddError, match=f"frame 0 is {width} x {height} px, and faces can be looked for"):
        landmarker().video(path)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"detector": "hog"}, "of sfd, blazeface, retinaface, yunet, dlib"),
        ({"every": 0}, "every is 0"),
        ({"least_found": 2.0}, "least_found 2"),
        ({"longest_gap": float("nan")}, r"^longest_gap \(--longest-gap\) is nan; it is seconds, 0 or more\.$"),
    ],
)
def test_settings_that_make_no_sense_are_refused(values, sentence):
    with pytest.raises(TddError, match=sentence):
        FaceSettings(**values)
