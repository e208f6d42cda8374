"""Which files of a folder are taken for videos, and which landmarks for theirs."""

import os
import shutil
import sys
from fractions import Fraction
from pathlib import Path, PurePath
from unicodedata import normalize

import av
import numpy as np
import pytest
from PIL import Image

from tdd.errors import TddError
from tdd.evaluation.listing import find_videos, pair_landmarks
from tests.preprocess.test_layouts import closed


def encode(path, muxer, codec, pixels="yuv420p", size=(64, 48)):
    """Ten frames by FFmpeg, in any of its formats."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", format=muxer) as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = *size, pixels
        for number in range(10):
            picture = np.full((size[1], size[0], 3), 20 * number, np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=pixels)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


FORMATS = {
    "phone.3gp": ("3gp", "mpeg4"), "cam.mts": ("mpegts", "libx264"), "CAM.M2TS": ("mpegts", "libx264"),
    "tv.ts": ("mpegts", "mpeg2video"), "reel.ogv": ("ogg", "libtheora"), "clip.mpg": ("mpeg", "mpeg1video"),
    "disc.vob": ("vob", "mpeg2video"), "old.nut": ("nut", "mpeg4"), "raw.h264": ("h264", "libx264"),
    "without_ending": ("mp4", "libx264"), "wrong.txt": ("mp4", "libx264"), "film.mxf": ("mxf", "mpeg2video"),
    "moves.GIF": ("gif", "gif"), "moves.apng": ("apng", "apng"), "small.webm": ("webm", "libvpx-vp9"),
}  # fmt: skip
PIXELS = {"gif": "rgb8", "apng": "rgb24"}


def write_formats(folder, names):
    written = []
    for name in names:
        muxer, codec = FORMATS[name]
        try:
            encode(folder / name, muxer, codec, PIXELS.get(codec, "yuv420p"), (352, 288))
        except (av.FFmpegError, ValueError):  # this build of FFmpeg cannot write it
            (folder / name).unlink(missing_ok=True)
            continue
        written.append(name)
    return written


def write_others(folder):
    """Files that FFmpeg opens or may take for something, and that are no videos."""
    folder.mkdir(parents=True, exist_ok=True)
    picture = Image.new("RGB", (64, 48))
    for name in ("photo.jpg", "photo.png", "photo.bmp", "photo.tiff", "photo.webp"):
        picture.save(folder / name)
    (folder / "notes.txt").write_text("hello\n" * 50)
    (folder / "about.nfo").write_text("hello\n" * 50)
    (folder / "list.m3u8").write_text("#EXTM3U\n#EXTINF:1,\nphone.3gp\n#EXT-X-ENDLIST\n")
    (folder / "list.ffconcat").write_text("ffconcat version 1.0\nfile phone.3gp\n")
    (folder / "table.csv").write_text("a,b\n1,2\n")
    (folder / "empty").write_bytes(b"")
    (folder / "random.bin").write_bytes(np.random.default_rng(0).bytes(20_000))
    np.save(folder / "points.npy", np.zeros((30, 68, 2)))
    (folder / "code.ts").write_text("export const answer: number = 42;\n" * 20)
    with av.open(str(folder / "sound.wav"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=16_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1600), np.int16), format="s16", layout="mono")
        frame.sample_rate = 16_000
        container.mux(stream.encode(frame))
    return 15


def names(listing, folder):
    return [path.relative_to(folder).as_posix() for path in listing.videos]


def test_every_file_that_ffmpeg_opens_as_a_video_is_one(tmp_path):
    written = write_formats(tmp_path, FORMATS)
    assert len(written) >= 12 and {"phone.3gp", "cam.mts", "tv.ts", "moves.GIF"} <= set(written)
    others = write_others(tmp_path)
    listing = find_videos(tmp_path)
    assert names(listing, tmp_path) == sorted(written)
    assert listing.notes[0].startswith(f"{others} files are no videos")


def test_sound_with_a_cover_is_no_video(tmp_path):
    with av.open(str(tmp_path / "song.m4a"), "w", format="mp4") as container:
        sound = container.add_stream("aac", rate=16_000, layout="mono")
        cover = container.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 48, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 16_000
        picture = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8)).reformat(format="yuvj420p")
        for stream, one in ((sound, frame), (cover, picture)):
            container.mux([*stream.encode(one), *stream.encode(None)])
    assert not find_videos(tmp_path).videos


def test_what_is_passed_over_is_counted_and_said(tmp_path, monkeypatch):
    write_formats(tmp_path / "v", ["phone.3gp"])
    (tmp_path / "v/broken.mkv").write_text("no video")
    for name in ("._phone.3gp", ".ipynb_checkpoints/phone.3gp"):
        (tmp_path / "v" / name).parent.mkdir(exist_ok=True)
        shutil.copy(tmp_path / "v/phone.3gp", tmp_path / "v" / name)
    (tmp_path / "v/a.npy").write_text("")
    (tmp_path / "v/gone.mp4").symlink_to("nowhere.mp4")
    (tmp_path / "v/closed").mkdir()
    closed(monkeypatch, tmp_path / "v/closed")
    listing = find_videos(tmp_path / "v")
    assert names(listing, tmp_path / "v") == ["broken.mkv", "phone.3gp"]
    said = " ".join(listing.notes)
    assert "2 files are no videos" in said and "1 .npy" in said and "lead nowhere" in said
    assert "2 hidden files" in said and "closed cannot be read (Permission denied)" in said


def test_many_kinds_of_files_are_told_in_a_sentence_that_ends_once(tmp_path):
    for ending in ("npy", "txt", "csv", "srt", "md", "log"):
        (tmp_path / f"a.{ending}").write_text("")
    (tmp_path / "one").mkdir()
    (tmp_path / "one/a.npy").write_text("")
    assert find_videos(tmp_path / "one").notes == ("1 file is no video and was passed over: 1 .npy.",)
    (tmp_path / "one/a.npy").unlink()
    (said,) = find_videos(tmp_path).notes
    assert said.startswith("6 files are no videos") and said.endswith(" and others.")


def test_linked_folders_are_looked_through_once(tmp_path):
    write_formats(tmp_path / "disk", ["phone.3gp"])
    write_formats(tmp_path / "v/own", ["cam.mts"])
    (tmp_path / "v/linked").symlink_to(tmp_path / "disk")
    (tmp_path / "disk/back").symlink_to(tmp_path / "v")
    listing = find_videos(tmp_path / "v")
    assert names(listing, tmp_path / "v") == ["linked/phone.3gp", "own/cam.mts"]
    assert "back is a link to a folder that is read already" in listing.notes[-1]


@pytest.mark.skipif(sys.platform == "win32" or not hasattr(os, "mkfifo"), reason="no such files there")
def test_what_is_no_file_is_never_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp4")  # to open it would wait for ever
    assert not find_videos(tmp_path).videos


def paired(names, folder):
    found = pair_landmarks([PurePath(name) for name in names], folder)
    return {str(name): path.name if isinstance(path, Path) else path for name, path in found.items()}


def test_landmarks_lie_under_the_videos_names(tmp_path):
    for name in ("a.npy", "b.mkv.npy", "b.npy", "c.npy"):
        (tmp_path / name).write_text("")
    found = paired(["a.mp4", "b.mkv", "b.mp4", "c.mp4", "c.mkv", "d.mp4", "d.mkv", "e.f.mp4"], tmp_path)
    assert [found[name] for name in ("a.mp4", "b.mkv", "b.mp4")] == ["a.npy", "b.mkv.npy", "b.npy"]
    assert [found[name] for name in ("d.mp4", "d.mkv", "e.f.mp4")] == ["d.npy", "d.npy", "e.f.npy"]
    for name in ("c.mp4", "c.mkv"):
        assert isinstance(found[name], TddError)
        assert "could be of c.mp4 or of c.mkv" in str(found[name]) and f"{name}.npy" in str(found[name])


def test_names_of_a_mac_meet_those_of_others(tmp_path):
    for number, (video, given) in enumerate((("NFD", "NFC"), ("NFC", "NFD"))):
        folder = tmp_path / str(number) / normalize(given, "가")
        folder.mkdir(parents=True)
        (folder / normalize(given, "한글.npy")).write_text("")
        (folder / normalize(given, "é.mp4.npy")).write_text("")
        videos = [normalize(video, "가/한글.mp4"), normalize(video, "가/é.mp4")]
        found = pair_landmarks([PurePath(name) for name in videos], tmp_path / str(number))
        assert all(path.is_file() for path in found.values())


def test_two_videos_of_one_name_do_not_share_landmarks(tmp_path):
    (tmp_path / normalize("NFC", "é.npy")).write_text("")
    names = [normalize(form, "é.mp4") for form in ("NFC", "NFD")]
    if (tmp_path / normalize("NFD", "é.npy")).exists():
        pytest.skip("this disk takes both spellings for one name")
    assert all(isinstance(found, TddError) for found in paired(names, tmp_path).values())
