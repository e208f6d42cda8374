"""A store is held against its digests; what is damaged is named, and the next prepare makes it again."""

import json
import os
import shutil

import numpy as np
import pytest

from tdd.cli import main
from tdd.config import ClipConfig
from tdd.preprocess.check_store import check_store
from tdd.preprocess.prepare import prepare
from tests.preprocess.trees import add_video

CLIP = ClipConfig(canvas=72, crop=42, view_crop=40, input_size=32)
IDS = [f"LRW/train/WORD_{number:05d}" for number in range(4)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    for number in range(4):
        add_video(folder / "data", f"LRW/lipread_mp4/WORD/train/WORD_{number:05d}.mp4", audio=True, seed=number)
    add_video(folder / "data", "LRW/lipread_mp4/WORD/train/WORD_00009.mp4", 20, audio=True)
    return folder / "data", prepare(folder / "data", folder / "store", CLIP, workers=1).store


@pytest.fixture
def made(whole, tmp_path):
    shutil.copytree(whole[1].folder, tmp_path / "store")
    return whole[0], tmp_path / "store"


def rot(path, at, folder):
    """One byte of a file turns over, as on an old disk: no time shows it."""
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)
    for row in folder.rglob("*.json"):
        os.utime(row, (4e9, 4e9))


def test_a_whole_store_is_whole(made, capsys):
    _, store = made
    assert main(["data", "check", "--store", str(store), "--workers", "1"]) == 0
    said = capsys.readouterr().out
    assert "whole; 4 videos were read" in said and "LRW, train: 4 of 5 listed" in said and "left out: 1;" in said


@pytest.mark.parametrize("name", [f"clips/{IDS[1]}.npy", f"clips/{IDS[1]}.wav.npy"])
@pytest.mark.parametrize("at", [20, 128, -1])
def test_a_byte_that_turned_over_is_found_and_mended(made, whole, tmp_path, capsys, name, at):
    root, store = made
    rot(store / name, at, store)
    assert prepare(root, store, CLIP, workers=1).made == 0  # nothing shows
    before = (store / name).read_bytes()
    arguments = ["data", "check", "--store", str(store), "--json", str(tmp_path / "out.json"), "--workers", "1"]
    assert main(arguments) == 1
    said = capsys.readouterr().out
    assert "damaged: 1; run the same tdd prepare again" in said and f"{IDS[1]}: " in said
    assert [found[0] for found in json.loads((tmp_path / "out.json").read_text())["damaged"]] == [IDS[1]]
    assert (store / name).read_bytes() == before  # a check mends nothing itself
    assert prepare(root, store, CLIP, workers=1).made == 1
    assert main(arguments) == 0
    assert (store / name).read_bytes() == (whole[1].folder / name).read_bytes()


def removed(store):
    (store / f"clips/{IDS[0]}.npy").unlink()


def another_row(store):
    row = json.loads((store / f"clips/{IDS[0]}.json").read_text())
    (store / f"clips/{IDS[0]}.json").write_text(json.dumps(row | {"digest": "0" * 64}))


def no_row(store):
    (store / f"clips/{IDS[0]}.json").write_text("")


def exchanged(store):
    shutil.copyfile(store / f"clips/{IDS[1]}.npy", store / f"clips/{IDS[0]}.npy")


@pytest.mark.parametrize("harm", [removed, another_row, no_row, exchanged])
def test_other_harm_is_found_and_mended(made, harm):
    root, store = made
    harm(store)
    assert [video_id for video_id, _ in check_store(store, workers=1).damaged] == [IDS[0]]
    assert prepare(root, store, CLIP, workers=1).made == 1
    assert check_store(store, workers=1).exit_code == 0


def test_a_damaged_mean_face_makes_a_store_useless(made, capsys):
    _, store = made
    np.save(store / "mean_face.npy", np.full((68, 2), np.nan, np.float32))
    assert main(["data", "check", "--store", str(store), "--workers", "1"]) == 2
    assert "holds no 68 finite points" in capsys.readouterr().out


def test_a_root_or_a_store_is_asked_for(tmp_path, capsys):
    assert main(["data", "check"]) == 2 and main(["data", "check", str(tmp_path), "--store", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("Give a data root, or a clip store with --store: one of the two.") == 2
    assert main(["data", "check", "--store", str(tmp_path)]) == 2
    assert "holds no finished clip store" in capsys.readouterr().err
