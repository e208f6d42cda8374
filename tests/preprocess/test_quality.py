"""Crops that may be wrong are told by numbers: drawn faces turned, squeezed, mirrored, or half out of sight."""

import numpy as np
import pandas as pd
import pytest

from tdd.config import ClipConfig
from tdd.data.video import VideoFile, write_video
from tdd.preprocess.crops import face_crops, mean_face
from tdd.preprocess.prepare import prepare
from tdd.preprocess.quality import LIMITS, CropWatch, crop_warnings, doubts
from tests.preprocess.trees import SIZE, add_video, face_points

CLIP = ClipConfig(canvas=72, crop=42, view_crop=40, input_size=32)
TARGET = mean_face(face_points(1), CLIP.canvas)
NAME = "LRW/lipread_mp4/WORD/train/WORD_00001.mp4"


def measured(tmp_path, points):
    add_video(tmp_path, "v.mp4", len(points))
    watch = CropWatch(TARGET, CLIP.crop)
    crops = list(face_crops(VideoFile(tmp_path / "v.mp4"), points, TARGET, CLIP, watch.see))
    assert len(crops) == len(points)
    return watch.columns()


def about_middle(change, count=30):
    """Landmarks with ``change`` done to them about their mean point."""
    points = face_points(count).astype(float)
    middle = points.mean(1, keepdims=True)
    return change(points - middle) + middle


def turned(degrees):
    angle = np.radians(degrees)
    return lambda points: points @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


@pytest.mark.parametrize(
    "change",
    [
        lambda points: points,
        turned(40),
        turned(-75),
        lambda points: points * 0.4,
        lambda points: points * [0.75, 1],  # as a head turned by 41 degrees
        lambda points: points * [1, 0.75],  # as one that nods by 41 degrees
        lambda points: points + np.array([14, 0]),
    ],
)
def test_faces_as_people_show_them_give_no_warning(tmp_path, change):
    columns = measured(tmp_path, about_middle(change))
    assert set(columns) == set(LIMITS) and doubts(columns) == []


@pytest.mark.parametrize(
    ("change", "column", "value"),
    [
        (turned(180), "upside_down", 1.0),
        (lambda points: points * [1, -1], "upside_down", 1.0),
        (lambda points: points * [0.5, 1], "stretch", 0.5),
        (lambda points: points * [1, 0.5], "stretch", 2.0),
        (lambda points: points[:, np.random.default_rng(0).permutation(68)], "align_residual", None),
        (lambda points: points * [-1, 1], "align_residual", None),
        (lambda points: points * 0.9 + [38, 0], "outside_share", None),
    ],
)
def test_what_is_wrong_is_said_with_its_number(tmp_path, change, column, value):
    columns = measured(tmp_path, about_middle(change))
    assert value is None or columns[column] == pytest.approx(value, abs=0.02)
    said = [sentence for sentence in doubts(columns) if LIMITS[column].warning in sentence]
    assert said and LIMITS[column].unit.format(columns[column]) in said[0]


def test_the_share_outside_is_the_black_share_of_the_crop(tmp_path):
    points = about_middle(lambda points: points + np.array([30, -20]))
    frames = np.full((30, SIZE, SIZE, 3), 255, np.uint8)
    write_video(tmp_path / "v.mp4", frames)
    watch = CropWatch(TARGET, CLIP.crop)
    crops = np.stack(list(face_crops(VideoFile(tmp_path / "v.mp4"), points, TARGET, CLIP, watch.see)))
    assert watch.columns()["outside_share"] == pytest.approx((crops < 128).mean(), abs=0.03)
    assert watch.columns()["outside_share"] > 0.1


def test_half_of_the_frames_is_said_as_half(tmp_path):
    points = face_points(30).astype(float)
    points[15:] = about_middle(turned(170))[15:]
    # Steadied over 12 frames, so that the change takes some.
    assert measured(tmp_path, points)["upside_down"] == pytest.approx(0.5, abs=0.25)


def test_the_store_keeps_the_numbers_and_prepare_names_the_videos(tmp_path):
    root = tmp_path / "data"
    add_video(root, NAME)
    for number in range(2, 7):
        name = NAME.replace("1.mp4", f"{number}.mp4")
        add_video(root, name, seed=number)
        np.save(root / "landmarks" / name.replace(".mp4", ".npy"), about_middle(turned(180)).astype(np.float32))
    np.save(tmp_path / "mean.npy", TARGET)
    done = prepare(root, tmp_path / "store", CLIP, workers=1, mean_face_file=tmp_path / "mean.npy")
    assert done.store.index["upside_down"].tolist() == [0, 1, 1, 1, 1, 1]
    (said,) = done.notes
    assert said.startswith("The face stands on its head in 5 videos: LRW/train/WORD_00002 (in 100% of the frames), ")
    assert said.endswith(", and 2 more.")
    assert prepare(root, tmp_path / "store", CLIP, workers=1, mean_face_file=tmp_path / "mean.npy").notes == (said,)


def test_an_older_index_has_nothing_to_say():
    assert crop_warnings(pd.DataFrame({"video_id": ["a"]})) == []
    table = pd.DataFrame({"video_id": ["a", "b"], "stretch": [np.nan, 0.2]})
    (said,) = crop_warnings(table)
    assert "1 video: b (0.20 times as wide for its height as the mean)" in said
