"""Frames that are kept compact come back as they were, from any place, and damage is told."""

import hashlib
import shutil

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tdd.data.clip_files import clip_damage, finished_row
from tdd.data.compact import SHARE, read_compact, write_compact
from tdd.data.store import ClipStore, write_clip, write_index
from tdd.errors import TddError
from tdd.machine.files import write_json


def smooth(length, height, width):
    """Waves that move, which have the slopes of a picture."""
    across, down, t = np.meshgrid(np.arange(width), np.arange(height), np.arange(length), indexing="xy")
    waves = [np.sin((across + 2 * t) / 9 + down / (5 + colour)) for colour in range(3)]
    return (127 + 100 * np.stack(waves, -1)).astype(np.uint8).transpose(2, 0, 1, 3)


@settings(deadline=None, max_examples=30)
@given(
    height=st.integers(4, 70), width=st.integers(4, 70), length=st.integers(1, 9), seed=st.integers(0, 2**32 - 1),
    data=st.data(),
)  # fmt: skip
def test_any_frames_come_back_from_any_place(tmp_path_factory, height, width, length, seed, data):
    rng = np.random.default_rng(seed)
    frames = rng.integers(0, 256, (length, height, width, 3), dtype=np.uint8)
    frames[::2] = smooth(length, height, width)[::2] // rng.integers(1, 200)
    path, digest = tmp_path_factory.mktemp("compact") / "a.utv", hashlib.sha256()
    assert write_compact(path, iter(frames), digest) == length
    assert digest.hexdigest() == hashlib.sha256(frames.tobytes()).hexdigest()
    start = data.draw(st.integers(0, length))
    count = data.draw(st.integers(0, length - start))
    np.testing.assert_array_equal(read_compact(path, start, count), frames[start : start + count])


def test_its_packets_are_ut_video_as_others_write_it(tmp_path):
    """Held against the same frames through a file that FFmpeg itself writes and reads."""
    frames = smooth(5, 42, 42)
    write_compact(tmp_path / "a.utv", iter(frames), hashlib.sha256())
    with av.open(str(tmp_path / "a.avi"), "w") as container:
        stream = container.add_stream("utvideo", rate=25, options={"pred": "median"})
        stream.width = stream.height = 42
        stream.pix_fmt = "gbrp"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
        container.mux(stream.encode())
    with av.open(str(tmp_path / "a.avi")) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    assert b"".join(packets) in (tmp_path / "a.utv").read_bytes()


def test_soft_grey_frames_take_a_third(tmp_path):
    grey = smooth(8, 150, 150)[..., :1].astype(int) // 8 + np.random.default_rng(0).integers(0, 4, (8, 150, 150, 1))
    frames = np.repeat(grey, 3, axis=3).astype(np.uint8)
    write_compact(tmp_path / "a.utv", iter(frames), hashlib.sha256())
    assert (tmp_path / "a.utv").stat().st_size < SHARE * frames.nbytes


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """A store of two videos, and the same one kept compact."""
    found = []
    frames, sound = smooth(40, 42, 42), np.linspace(-1, 1, 40 * 640, dtype=np.float32)
    for compact in (False, True):
        folder = tmp_path_factory.mktemp("store")
        rows = [
            write_clip(folder, {"video_id": "a"}, iter(frames), [sound], compact=compact),
            write_clip(folder, {"video_id": "b/a.wav"}, iter(frames[::-1]), compact=compact),
        ]
        write_json(folder / "plan.json", {"compact": "UT Video"} if compact else {})
        write_index(folder, rows)
        found.append(ClipStore(folder))
    return found


def test_a_compact_store_holds_the_same_clips(both):
    plain, compact = both
    assert compact.fingerprint == plain.fingerprint  # so that records of one speak of the other
    assert not [*compact.folder.rglob("clips/*.npy")][1:]  # the sound alone
    for video in plain.index["video_id"]:
        np.testing.assert_array_equal(compact.frames(video, 7, 25), plain.frames(video, 7, 25))
    np.testing.assert_array_equal(compact.audio("a", 7, 25), plain.audio("a", 7, 25))
    with pytest.raises(TddError, match=r"a\.utv has 40 entries; 30 to 55 were asked for"):
        compact.frames("a", 30, 25)


@pytest.fixture
def copied(both, tmp_path):
    return ClipStore(shutil.copytree(both[1].folder, tmp_path / "store"))


def test_whole_files_are_told_from_damaged_ones(copied):
    row = finished_row(copied.folder, "a", 42)
    assert row and clip_damage(copied.folder, row, 42) == ""
    assert "of shape (40, 42, 42, 3), not of (40, 64, 64, 3)" in clip_damage(copied.folder, row, 64)
    path = copied.folder / "clips/a.utv"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)
    assert clip_damage(copied.folder, row, 42)


@pytest.mark.parametrize("left", [0, 30, 60, 3000, -1])
def test_a_file_that_was_cut_short_is_said(copied, left):
    path = copied.folder / "clips/a.utv"
    path.write_bytes(path.read_bytes()[:left])
    assert finished_row(copied.folder, "a", 42) is None
    with pytest.raises(TddError, match=r"a\.utv cannot be read .*run tdd prepare again"):
        copied.frames("a", 5, 25)


def test_a_missing_file_and_an_unknown_form_are_said(copied):
    (copied.folder / "clips/a.utv").unlink()
    assert finished_row(copied.folder, "a", 42) is None
    with pytest.raises(TddError, match=r"a\.utv cannot be read .*run tdd prepare again"):
        copied.frames("a", 5, 25)
    write_json(copied.folder / "plan.json", {"compact": "zip"})
    with pytest.raises(TddError, match="keeps its frames as zip, which this version cannot read"):
        ClipStore(copied.folder)


@pytest.mark.parametrize("compact", [False, True])
def test_a_video_without_frames_is_refused_and_leaves_nothing(tmp_path, compact):
    with pytest.raises(TddError, match="gives no frame to store"):
        write_clip(tmp_path, {"video_id": "a"}, iter(()), compact=compact)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
