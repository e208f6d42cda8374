import hashlib
import os

import numpy as np
import pytest

from tdd.data.clip_files import finished_row
from tdd.data.store import ClipStore, write_clip, write_index
from tdd.errors import TddError
from tdd.machine.files import write_json


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (30, 8, 8, 3), dtype=np.uint8)


def test_a_video_is_stored_as_numpy_stores_arrays(tmp_path, pixels):
    sound = np.linspace(-1, 1, 30 * 640, dtype=np.float32)
    write_clip(tmp_path, {"video_id": "a"}, iter(pixels), iter(np.array_split(sound, 7)))
    np.save(tmp_path / "b.npy", pixels)
    np.save(tmp_path / "b.wav.npy", np.round(sound * 32767).astype(np.int16))
    for name in ("npy", "wav.npy"):
        assert (tmp_path / f"clips/a.{name}").read_bytes() == (tmp_path / f"b.{name}").read_bytes()


def publish(folder, rows):
    write_json(folder / "plan.json", {"synthetic": True})
    write_index(folder, rows)
    return ClipStore(folder)


def test_any_run_of_frames_and_its_sound_come_back(tmp_path, pixels):
    sound = np.linspace(-1, 1, 30 * 640, dtype=np.float32)
    store = publish(tmp_path, [write_clip(tmp_path, {"video_id": "a/b"}, pixels, [sound])])
    np.testing.assert_array_equal(store.frames("a/b", 3, 25), pixels[3:28])
    np.testing.assert_allclose(store.audio("a/b", 3, 25) / 32767, sound[3 * 640 : 28 * 640], atol=1 / 32767)


@pytest.mark.parametrize("length", [0, 1000, 30 * 640 + 999])
def test_sound_is_cut_or_padded_to_the_frames(tmp_path, pixels, length):
    store = publish(tmp_path, [write_clip(tmp_path, {"video_id": "a"}, pixels, [np.full(length, 0.5, np.float32)])])
    sound = store.audio("a", 0, 30)
    assert len(sound) == 30 * 640
    assert (sound != 0).sum() == min(length, 30 * 640)


def test_the_fingerprint_follows_the_contents_not_the_order(tmp_path, pixels):
    def rows(folder, first):
        return [write_clip(folder, {"video_id": "a"}, first), write_clip(folder, {"video_id": "b"}, pixels)]

    one = publish(tmp_path / "1", rows(tmp_path / "1", pixels))
    two = publish(tmp_path / "2", rows(tmp_path / "2", pixels)[::-1])
    other = publish(tmp_path / "3", rows(tmp_path / "3", 255 - pixels))
    assert one.fingerprint == two.fingerprint != other.fingerprint


def test_forged_parts_are_a_column_and_change_the_labels_only_where_there_are_some(tmp_path, pixels):
    def labels(folder, **more):
        facts = {"video_id": "a", "dataset": "D", "method": "m", "label": 1, "split": "test"}
        store = publish(folder, [write_clip(folder, facts | more, pixels)])
        return store.index["segments"].tolist(), store.labels

    old, empty, told = (
        labels(tmp_path / "1"),
        labels(tmp_path / "2", segments=""),
        labels(tmp_path / "3", segments="0-1"),
    )
    assert old == empty and old[0] == [""] and told[0] == ["0-1"]
    assert told[1] != old[1]
    # A fixed value: records of older versions hold the labels of stores without the column.
    said = "video_id,dataset,method,label,split\na,D,m,1,test\n"
    assert old[1] == hashlib.sha256(said.encode()).hexdigest()


def test_a_video_counts_as_finished_only_when_whole(tmp_path, pixels):
    write_clip(tmp_path, {"video_id": "a"}, pixels, [np.zeros(5, np.float32)])
    assert finished_row(tmp_path, "a", 8) is not None
    (tmp_path / "clips" / "a.wav.npy").unlink()
    assert finished_row(tmp_path, "a", 8) is None


def test_what_is_not_there_is_said(tmp_path, pixels):
    with pytest.raises(TddError, match="no finished clip store"):
        ClipStore(tmp_path)
    store = publish(tmp_path, [write_clip(tmp_path, {"video_id": "a"}, pixels)])
    with pytest.raises(TddError, match="30 entries"):
        store.frames("a", 10, 25)
    with pytest.raises(TddError, match="cannot be read"):
        store.audio("a", 0, 25)


@pytest.mark.parametrize("left", [0, 60])
def test_a_damaged_index_is_said(tmp_path, pixels, left):
    publish(tmp_path, [write_clip(tmp_path, {"video_id": "a"}, pixels)])
    os.truncate(tmp_path / "index.parquet", left)
    with pytest.raises(TddError, match=r"index\.parquet cannot be read as a table .*delete it and run"):
        ClipStore(tmp_path)


@pytest.mark.parametrize("left", [0, 60, 128 + 29 * 192])
def test_a_file_that_was_cut_short_is_said(tmp_path, pixels, left):
    store = publish(tmp_path, [write_clip(tmp_path, {"video_id": "a"}, pixels)])
    os.truncate(tmp_path / "clips/a.npy", left)
    with pytest.raises(TddError, match=r"a\.npy cannot be read .*run tdd prepare again"):
        store.frames("a", 5, 25)
