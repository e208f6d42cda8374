"""Pictures of a clip store: every data set gets its sheet, landmarks lie where they should, and bad data is named."""

import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tdd.cli import main
from tdd.config import ClipConfig
from tdd.data.store import write_index
from tdd.errors import TddError
from tdd.plots import store as plots
from tdd.plots.store import chosen_videos, draw_faces, inspect_store
from tdd.preprocess.catalog import catalog_rows
from tdd.preprocess.finding import find_landmarks
from tdd.preprocess.prepare import prepare
from tests.preprocess.discs import RED, film
from tests.preprocess.test_finding import DiscFinder
from tests.preprocess.trees import add_video

CLIP = ClipConfig(canvas=72, crop=42, view_crop=40, input_size=32)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A data root and its store: two LRW words with given landmarks, one whose landmarks are found."""
    folder = tmp_path_factory.mktemp("made")
    root, out = folder / "data", folder / "store"
    for number in (1, 2):
        add_video(root, f"LRW/lipread_mp4/WORD/train/WORD_{number:05d}.mp4", seed=number)
    film(root / "LRW/lipread_mp4/WORD/train/WORD_00003.mp4", [[(RED, 100, 80, 24)]] * 30)
    find_landmarks(root, out, DiscFinder(), workers=1)
    return root, prepare(root, out, CLIP, workers=1).store


def test_a_sheet_for_each_data_set_and_a_figure_of_quality(made, tmp_path):
    root, store = made
    files = inspect_store(store, tmp_path, root)
    assert [path.name for path in files] == ["faces-LRW.png", "quality.png"]
    with_frames, alone = Image.open(files[0]).size, Image.open(inspect_store(store, tmp_path / "b")[0]).size
    assert with_frames[0] > 2 * alone[0] and with_frames[1] == alone[1]
    arguments = ["inspect", str(store.folder), "--out", str(tmp_path / "c")]
    assert main(arguments) == 0 and (tmp_path / "c/quality.png").is_file()


def test_landmarks_are_drawn_on_the_face(made, tmp_path):
    root, store = made
    rows = store.index[store.index["landmarks"] == "found"]
    sheet = np.asarray(Image.open(draw_faces(store, rows, tmp_path / "a.png", root)).convert("RGB")).astype(int)
    red, green, blue = np.moveaxis(sheet, -1, 0)
    marks = np.argwhere((green > red + 60) & (green > blue + 40))
    scale = min(plots._TILE / 160, plots._WIDE / 240)
    y, x = (marks.min(0) + marks.max(0)) / 2 - (plots._TEXT, 0)
    assert x / scale == pytest.approx(100, abs=6) and abs(y / scale - 80) < 12


def test_videos_are_spread_over_methods_and_over_each_list():
    table = pd.DataFrame({"method": ["real"] * 50 + ["A"] * 20 + ["B"] * 2, "label": [0] * 50 + [1] * 22})
    chosen = chosen_videos(table, 9)
    assert chosen["method"].value_counts().to_dict() == {"real": 3, "A": 3, "B": 2}
    assert chosen.index.is_unique and chosen.index[:3].tolist() == [0, 24, 49]


def test_another_root_is_named(made, tmp_path):
    root, store = made
    shutil.copytree(root, tmp_path / "other")
    film(tmp_path / "other/LRW/lipread_mp4/WORD/train/WORD_00003.mp4", [[(RED, 100, 80, 24)]] * 5)
    with pytest.raises(TddError, match="is not the video that the store was made from"):
        inspect_store(store, tmp_path / "out", tmp_path / "other")


def test_crops_that_may_be_wrong_are_named(made, tmp_path, capsys):
    _, store = made
    rows = catalog_rows(store.index)
    rows[1]["stretch"] = 0.4
    shutil.copytree(store.folder, tmp_path / "store")
    write_index(tmp_path / "store", rows)
    assert main(["inspect", str(tmp_path / "store"), "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert f"Warning: The face is stretched or squeezed in 1 video: {rows[1]['video_id']} (0.40 times as wide" in said
