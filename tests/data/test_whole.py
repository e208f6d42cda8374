"""Files that end too early are refused, and whole ones are not, in every container."""

import random
from pathlib import Path

import pytest

from tdd.data.video import VideoFile
from tdd.data.whole import is_cut_short
from tdd.errors import TddError
from tests.reference import ffmpeg, need_encoder, picture, tone
from tests.videos import counting_frames, encode

X264 = ["-c:v", "libx264", "-preset", "ultrafast", "-g", "12", "-bf", "2", "-pix_fmt", "yuv420p"]
AAC = [*X264, "-c:a", "aac"]
VP9 = ["-c:v", "libvpx-vp9", "-cpu-used", "8", "-deadline", "realtime", "-pix_fmt", "yuv420p"]
CONTAINERS = {
    "a.mp4": AAC,
    "faststart.mp4": [*AAC, "-movflags", "faststart"],
    "fragments.mp4": [*AAC, "-movflags", "frag_keyframe+empty_moov"],
    "a.mov": AAC,
    "a.mkv": AAC,
    "live.mkv": [*AAC, "-live", "1"],
    "a.webm": VP9,
    "a.ts": AAC,
    "a.mts": [*AAC, "-f", "mpegts", "-mpegts_m2ts_mode", "1"],
    "a.flv": AAC,
    "a.avi": ["-c:v", "mpeg4", "-bf", "2", "-c:a", "libmp3lame"],
    "a.wmv": ["-c:v", "wmv2", "-c:a", "wmav2"],
    "a.3gp": ["-c:v", "h263", "-s", "176x144", "-c:a", "aac"],
    "a.ogv": ["-c:v", "libtheora", "-q:v", "9", "-c:a", "libvorbis", "-pix_fmt", "yuv420p"],
    "a.mpg": ["-c:v", "mpeg2video", "-c:a", "mp2"],
    "a.vob": ["-c:v", "mpeg2video", "-c:a", "mp2"],
    "a.gif": ["-an"],
    "a.mxf": ["-c:v", "mpeg2video", "-c:a", "pcm_s16le", "-ar", "48000"],
}


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """One film of two seconds with sound of another length in each container, all made by one run of the program."""
    need_encoder("libx264")
    folder = tmp_path_factory.mktemp("films")
    arguments = [part for options in (picture(seconds=2), tone(2.5, 44_100)) for part in options]
    for name, options in CONTAINERS.items():
        arguments += ["-map", "0:v", "-map", "1:a", *options, folder / name]
    ffmpeg(*arguments)
    return folder


def read_whole(path):
    video = VideoFile(path)
    for _ in video._timed(strict=False):
        pass
    return video.decoded


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_whole_film_is_read_and_none_of_its_cuts(name, films, tmp_path):
    # Theora writes a picture that equals the one before as a packet without contents.
    frames = read_whole(films / name)
    assert frames == 50 or (name == "a.ogv" and 25 < frames < 50)
    data, cut = (films / name).read_bytes(), tmp_path / name
    rng = random.Random(name)
    # Past the header; where the film's end is told by its duration alone, more than the slack is missing.
    last = round(0.8 * len(data)) if name == "a.mxf" else len(data) - 1
    for end in [rng.randrange(len(data) // 8, last) for _ in range(8)] + [last]:
        cut.write_bytes(data[:end])
        with pytest.raises(TddError, match=r"cut off|cannot be decoded|damaged"):
            read_whole(cut)


@pytest.mark.parametrize("name", [name for name in CONTAINERS if name not in ("a.mxf",)])
def test_a_cut_is_seen_without_decoding(name, films, tmp_path):
    data, cut = (films / name).read_bytes(), tmp_path / name
    format_name = {
        "mp4": "mov,mp4", "mov": "mov,mp4", "3gp": "mov,mp4", "mkv": "matroska,webm", "webm": "matroska,webm",
        "ts": "mpegts", "mts": "mpegts", "flv": "flv", "avi": "avi", "wmv": "asf", "ogv": "ogg", "mpg": "mpeg",
        "vob": "mpeg", "gif": "gif",
    }[name.split(".")[1]]  # fmt: skip
    assert not is_cut_short(films / name, format_name)
    data = data[: -4 if name in ("a.mpg", "a.vob") else None]  # an end code may follow the last packet
    cut.write_bytes(data[:-1])
    # What remains of a box that is shorter than its head may be left over by a writer.
    assert is_cut_short(cut, format_name)


@pytest.mark.parametrize("unit", [188, 192])
def test_a_transport_stream_is_told_by_its_packets(unit, tmp_path):
    packets = (b"\0" * (unit - 188) + b"\x47" + bytes(187)) * 6
    for extra, cut in ((b"", False), (b"\0" * (unit - 1), True), (b"\x47", True)):
        (tmp_path / "a.ts").write_bytes(packets + extra)
        assert is_cut_short(tmp_path / "a.ts", "mpegts") == cut


def test_the_stated_duration_tells_a_cut_that_no_unit_tells(films, tmp_path):
    """A Matroska file whose segment is of unknown size (as a live one's), but with a duration, cut between elements."""
    data = bytearray((films / "a.mkv").read_bytes())
    at = data.index(b"\x18\x53\x80\x67") + 4
    data[at : at + 8] = b"\x01" + b"\xff" * 7
    ends, cluster = [], -1
    while (cluster := data.find(b"\x1f\x43\xb6\x75", cluster + 1)) > 0:
        ends.append(cluster)
    whole = tmp_path / "whole.mkv"
    whole.write_bytes(data)
    assert read_whole(whole) == 50
    for end in ends[1:]:
        (tmp_path / "cut.mkv").write_bytes(data[:end])
        with pytest.raises(TddError, match=r"it ends [\d.]+ s before the duration that it states"):
            read_whole(tmp_path / "cut.mkv")
    assert len(ends) > 2


SOUND = [("-itsoffset", "0.5"), ("-itsoffset", "-0.5"), ("-t", "0.5"), ("-stream_loop", "3")]


@pytest.mark.parametrize("ending", ["mp4", "mkv", "avi", "flv", "wmv"])
@pytest.mark.parametrize("sound", SOUND)
def test_whole_films_pass_whatever_their_sound(ending, sound, tmp_path):
    need_encoder("libx264")
    ffmpeg(*tone(1, 44_100), tmp_path / "a.wav")
    codec = ["-c:v", "wmv2"] if ending == "wmv" else X264
    path = tmp_path / f"a.{ending}"
    ffmpeg(*picture(seconds=1), *sound, "-i", tmp_path / "a.wav", "-map", "0:v", "-map", "1:a", *codec, path)
    assert read_whole(path) == 25


@pytest.mark.parametrize("ending", ["mp4", "mkv", "webm", "mov", "flv"])
def test_a_slow_film_passes(ending, tmp_path):
    """Its last picture stays for seconds, which not all formats write down."""
    need_encoder("libx264")
    codec = VP9 if ending == "webm" else X264
    path = tmp_path / f"a.{ending}"
    ffmpeg(*picture(seconds=1), "-vf", "setpts=N*3/TB", "-fps_mode", "vfr", *codec, "-t", "13", path)
    assert read_whole(path) == 5


def test_a_film_that_is_cut_is_refused_when_it_is_looked_at(films, tmp_path):
    for name in ("faststart.mp4", "a.mkv", "a.ts", "a.avi"):
        (tmp_path / name).write_bytes((films / name).read_bytes()[:-700])
        with pytest.raises(TddError, match="cut off"):
            VideoFile(tmp_path / name).look()
        header = VideoFile(films / name).look(first_frame=True)
        assert header.fps == 25 and header.sound


def test_a_codec_that_ffmpeg_does_not_know_is_a_sentence(tmp_path):
    path = encode(tmp_path / "a.mp4", counting_frames(5))
    path.write_bytes(path.read_bytes().replace(b"avc1", b"zzzz"))
    for use in (read_whole, lambda path: VideoFile(path).look(), lambda path: VideoFile(path).look(first_frame=True)):
        with pytest.raises(TddError, match="a codec that FFmpeg does not know"):
            use(path)


@pytest.mark.parametrize("title", ["한글 제목".encode("cp949"), b"\xff\xfe\x00", "ünïcode".encode("latin-1")])
@pytest.mark.parametrize("ending", ["mp4", "mkv", "avi"])
def test_tags_in_another_encoding_do_not_matter(ending, title, films, tmp_path):
    path: Path = tmp_path / f"a.{ending}"
    ffmpeg("-i", films / f"a.{ending}", "-c", "copy", "-metadata", "title=" + "x" * len(title), path)
    data = path.read_bytes()
    assert b"x" * len(title) in data
    path.write_bytes(data.replace(b"x" * len(title), title))
    assert read_whole(path) == 50 and VideoFile(path).look().fps == 25


@pytest.mark.parametrize("name", ["a:b.mp4", "data:,x.mp4", "http:x.mp4", "50%03d.mp4", "한글.mp4"])
def test_any_name_is_a_file(name, films, tmp_path, monkeypatch):
    (tmp_path / name).write_bytes((films / "a.mp4").read_bytes())
    monkeypatch.chdir(tmp_path)
    assert read_whole(name) == 50 and read_whole(Path(name)) == 50
