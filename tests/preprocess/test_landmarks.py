"""Files of landmarks, whatever is in them: they are read, or one sentence says why not."""

import errno
import io
import os
import pickle
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tdd.config import ClipConfig
from tdd.errors import TddError
from tdd.preprocess.landmarks import (
    FARTHEST,
    count_frames,
    given_landmarks,
    landmark_path,
    read_landmarks,
    read_mean_face,
    read_points,
)
from tdd.preprocess.prepare import prepare
from tests.preprocess.trees import add_video, face_points

POINTS = face_points(30)


def saved(array, version=None):
    file = io.BytesIO()
    np.lib.format.write_array(file, array, version)
    return file.getvalue()


GOOD = saved(POINTS)


def with_header(text, version=1, body=GOOD[128:]):
    """A file of ``numpy.save`` with that text for its header."""
    return b"\x93NUMPY" + bytes((version, 0)) + len(text).to_bytes(2 if version == 1 else 4, "little") + text + body


def stating(shape="(30, 68, 2)", descr="'<f4'", order="False"):
    return with_header(f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n".encode())


def zipped():
    file = io.BytesIO()
    np.savez(file, POINTS)
    return file.getvalue()


DAMAGED = {
    "zip": zipped(),
    "begins as zip": b"PK\3\4junk",
    "pickle": pickle.dumps(POINTS),
    "text": b"not an array" * 99,
    "empty": b"",
    "magic alone": b"\x93NUMPY",
    "version of the future": b"\x93NUMPY\x09\x00" + GOOD[8:],
    "unbalanced": GOOD.replace(b"68, 2)", b"68, 2 "),
    "open quote": GOOD.replace(b"'shape'", b"'shape "),
    "negative": stating("(-1, 68, 2)"),
    "a trillion": stating("(1000000000000, 68, 2)"),
    "beyond 64 bits": stating("(99999999999999999999999, 68, 2)"),
    "overflows to the right size": stating(f"({2**61 + 30}, 68, 2)"),
    "true": stating("(True, 68, 2)"),
    "fractional": stating("(30.0, 68, 2)"),
    "no shape": stating("None"),
    "a number for a shape": stating("30"),
    "one number": stating("()"),
    "objects": stating(descr="'|O'"),
    "fields": stating(descr="[('x', '<f4')]"),
    "no kind": stating(descr="'spam'"),
    "complex": stating("(15, 68, 2)", descr="'<c8'"),
    "letters": stating(descr="'<U1'"),
    "dates": stating("(15, 68, 2)", descr="'<M8[s]'"),
    "nothings": stating(descr="'V0'"),
    "order": stating(order="'maybe'"),
    "nested": with_header(b"(" * 9000),
    "long sum": with_header(b"1+" * 4000 + b"1"),
    "longer than any": with_header(b" " * 60_000),
    "zeros": with_header(b"\0" * 200, version=2),
    "header of 4 GB": b"\x93NUMPY\2\0\xff\xff\xff\xff" + GOOD[10:],
    "flat": saved(POINTS[:, :, 0]),
    "points last": saved(POINTS.transpose(0, 2, 1)),
    "51 points": saved(POINTS[:, :51]),
    "no frames": saved(POINTS[:0]),
    "cut off": GOOD[:-1],
    "not a number": saved(np.where(np.arange(30)[:, None, None] == 7, np.nan, POINTS)),
    "infinite": saved(np.where(np.arange(30)[:, None, None] == 7, np.inf, POINTS)),
    "far away": saved(np.where(np.arange(30)[:, None, None] == 7, -1e39, POINTS.astype(float))),
    "far away in halves": saved(np.full((3, 68, 2), np.inf, np.float16)),
    "least of 64 bits": saved(np.full((3, 68, 2), -(2**63))),
}


def read(content, path):
    path.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return read_points(path)


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_damaged_file_is_one_sentence(kind, tmp_path):
    with pytest.raises(TddError) as raised:
        read(DAMAGED[kind], tmp_path / "a.npy")
    said = str(raised.value)
    assert said.startswith(str(tmp_path / "a.npy")) and said.endswith(".") and len(said.splitlines()) == 1
    assert len(said) < 500 + len(str(tmp_path))
    count_frames(tmp_path / "a.npy")
    with pytest.raises(TddError):
        read_mean_face(tmp_path / "a.npy", 72)


def test_what_is_wrong_is_named(tmp_path):
    sentences = {
        "zip": "numpy.savez", "negative": "its shape is (-1, 68, 2)", "a trillion": "states 544000000000000 bytes",
        "objects": "object", "not a number": "not finite, first in frame 7", "far away": "-1e+39, first in frame 7",
        "letters": "real numbers", "flat": "shape (30, 68)",
    }  # fmt: skip
    for kind, sentence in sentences.items():
        with pytest.raises(TddError) as raised:
            read(DAMAGED[kind], tmp_path / "a.npy")
        assert sentence in str(raised.value), kind


@pytest.mark.parametrize("dtype", ["<f2", "<f4", ">f4", "<f8", "longdouble", "<i2", "<u2", "<i8", "u1"])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_every_kind_of_number_is_read_as_numpy_does(dtype, order, version, tmp_path):
    array = np.asarray(POINTS, dtype=dtype, order=order)
    np.testing.assert_array_equal(read(saved(array, version), tmp_path / "a.npy"), array)
    assert count_frames(tmp_path / "a.npy") == 30


def test_the_farthest_place_is_still_read(tmp_path):
    assert read(saved(np.full((3, 68, 2), -FARTHEST, float)), tmp_path / "a.npy").min() == -FARTHEST


@given(
    changes=st.lists(st.tuples(st.integers(0, 127), st.integers(0, 255)), min_size=1, max_size=6),
    length=st.one_of(st.just(len(GOOD)), st.integers(0, len(GOOD))),
)
def test_no_change_of_a_header_ends_in_another_error(tmp_path_factory, changes, length):
    path = tmp_path_factory.getbasetemp() / "changed.npy"
    content = bytearray(GOOD)
    for place, byte in changes:
        content[place] = byte
    try:
        points = read(bytes(content[:length]), path)
        assert points.shape[1:] == (68, 2) and np.isfinite(points).all()
    except TddError as error:
        assert len(str(error).splitlines()) == 1


@pytest.mark.parametrize("kind", ["header of 4 GB", "a trillion"])
def test_memory_is_not_taken_by_what_a_header_claims(kind, tmp_path):
    with (tmp_path / "a.npy").open("wb") as file:
        file.write(DAMAGED[kind])
        file.truncate(300_000_000)  # a hole, which takes no room
    tracemalloc.start()
    with pytest.raises(TddError):
        read_points(tmp_path / "a.npy")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5_000_000


def test_one_bad_file_sets_one_video_aside(tmp_path):
    """Neither the estimate of space nor the mean face ends with an error of numpy's."""
    root, kinds = (
        tmp_path / "data",
        ("zip", "begins as zip", "unbalanced", "negative", "a trillion", "nested", "far away"),
    )
    add_video(root, "LRW/lipread_mp4/WORD/train/WORD_good.mp4")
    video = (root / "LRW/lipread_mp4/WORD/train/WORD_good.mp4").read_bytes()
    for kind in kinds:
        name = f"LRW/lipread_mp4/WORD/train/WORD_{kind}.mp4"
        (root / name).write_bytes(video)
        landmark_path(root, name).write_bytes(DAMAGED[kind])
    done = prepare(root, tmp_path / "store", ClipConfig(canvas=72, crop=42, view_crop=40, input_size=32), workers=1)
    assert done.store.index["video_id"].tolist() == ["LRW/train/WORD_good"]
    assert done.failed["video_id"].tolist() == sorted(f"LRW/train/WORD_{kind}" for kind in kinds)


def test_landmarks_that_may_not_be_seen_are_not_taken_for_missing(tmp_path, monkeypatch):
    def refuse(path, *_, **__):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    add_video(tmp_path, "LRW/a.mp4")
    monkeypatch.setattr(Path, "lstat", refuse)
    monkeypatch.setattr(Path, "open", refuse)
    assert given_landmarks(tmp_path, "LRW/a.mp4")
    with pytest.raises(TddError, match="Permission denied"):
        read_landmarks(tmp_path, "LRW/a.mp4")


def test_a_link_that_leads_nowhere_is_not_taken_for_missing_landmarks(tmp_path):
    landmark_path(tmp_path, "LRW/a.mp4").parent.mkdir(parents=True)
    landmark_path(tmp_path, "LRW/a.mp4").symlink_to("gone.npy")
    assert given_landmarks(tmp_path, "LRW/a.mp4") and not given_landmarks(tmp_path, "LRW/b.mp4")
    with pytest.raises(TddError, match="No such file"):
        read_points(tmp_path / "landmarks/LRW/a.npy")
