"""Which streams of a file are taken, and what becomes of sound that is not as it should be."""

import io
import struct
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from tdd.data.video import VideoFile, read_audio, write_video
from tdd.errors import TddError
from tests.reference import ffmpeg, need_encoder, tone
from tests.videos import clicks, counting_frames, heard

X264 = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"]


def grey(level, seconds=1.0):
    return ["-f", "lavfi", "-i", f"color=0x{level:02x}{level:02x}{level:02x}:s=64x48:r=25:d={seconds},format=yuv444p"]


def level(path):
    """Which grey a file shows."""
    return float(np.mean(next(VideoFile(path).shown("timestamps")).rgb()))


def hertz(samples, rate=16_000):
    """The loudest tone, Hz."""
    return float(np.abs(np.fft.rfft(samples * np.hanning(len(samples)))).argmax() * rate / len(samples))


def read(path, needed=False):
    """Frames of the clip, samples, and what is wrong with these."""
    video = VideoFile(path)
    frames = list(video.shown("timestamps"))
    pieces = list(video.sound(needed=needed))
    return frames, np.concatenate(pieces) if pieces else np.zeros(0, np.float32), video.sound_fault


def box(kind, body):
    return struct.pack(">I", len(body) + 8) + kind + body


def with_cover_first(path):
    """Put a cover into an mp4, in a box before the tracks: FFmpeg then lists the picture as video stream 0."""
    data = path.read_bytes()
    at = data.index(b"moov") - 4
    jpg = cv2.imencode(".jpg", np.zeros((90, 160, 3), np.uint8))[1].tobytes()
    handler = box(b"hdlr", struct.pack(">II4s4sIIB", 0, 0, b"mdir", b"appl", 0, 0, 0))
    cover = box(b"covr", box(b"data", struct.pack(">II", 13, 0) + jpg))
    user = box(b"udta", box(b"meta", bytes(4) + handler + box(b"ilst", cover)))
    movie = data[at + 8 :]
    first = int.from_bytes(movie[:4], "big")
    path.write_bytes(data[:at] + box(b"moov", movie[:first] + user + movie[first:]))


def test_a_cover_is_no_video(tmp_path):
    path = tmp_path / "a.mp4"
    write_video(path, counting_frames(30))
    with_cover_first(path)
    with av.open(str(path)) as container:
        assert len(container.streams.video) == 2 and container.streams.video[0].name == "mjpeg"
    frames, *_ = read(path)
    assert len(frames) == 30 and frames[0].rgb().shape == (96, 128, 3)


def test_a_song_with_a_cover_holds_no_video(tmp_path):
    jpg, path = tmp_path / "a.jpg", tmp_path / "a.mp4"
    cv2.imwrite(str(jpg), np.zeros((90, 160, 3), np.uint8))
    ffmpeg(
        *tone(1),
        "-i",
        jpg,
        "-map",
        "0",
        "-map",
        "1",
        "-c:a",
        "aac",
        "-c:v",
        "copy",
        "-disposition:v",
        "attached_pic",
        path,
    )
    for use in (lambda: read(path), lambda: VideoFile(path).look()):
        with pytest.raises(TddError, match="holds no video stream"):
            use()


@pytest.mark.parametrize(("flags", "expected"), [(("0", "default"), 200), (("default", "0"), 50), (("0", "0"), 50)])
@pytest.mark.parametrize("size", ["64x48", "128x96"])
def test_of_several_videos_the_default_or_the_first_is_shown(flags, expected, size, tmp_path):
    need_encoder("libx264")
    path = tmp_path / "a.mkv"
    shape = ["-filter:v:1", f"scale={size}"]
    flagged = ["-disposition:v:0", flags[0], "-disposition:v:1", flags[1]]
    ffmpeg(*grey(50), *grey(200), "-map", "0", "-map", "1", *shape, *X264, *flagged, path)
    assert abs(level(path) - expected) < 3


@pytest.mark.parametrize(
    ("flags", "expected"),
    [(("0", "default"), 880), (("default", "0"), 440), (("0", "0"), 440), (("default+comment", "0"), 880)],
)
def test_of_several_sounds_the_default_or_the_first_is_heard(flags, expected, tmp_path):
    need_encoder("libx264")
    path = tmp_path / "a.mkv"
    flagged = ["-disposition:a:0", flags[0], "-disposition:a:1", flags[1]]
    ffmpeg(*grey(50), *tone(1), *tone(1, hertz=880), "-map", "0", "-map", "1", "-map", "2", *X264, *flagged, path)
    assert abs(hertz(read(path)[1]) - expected) < 5


def test_the_sound_of_the_programme_that_is_shown_is_heard(tmp_path):
    need_encoder("libx264")
    path = tmp_path / "a.ts"
    # The sound of the second programme is listed first.
    programmes = ["-program", "st=1:st=2", "-program", "st=0:st=3"]
    maps = ["-map", "3", "-map", "0", "-map", "2", "-map", "1"]
    ffmpeg(*grey(50), *grey(200), *tone(1), *tone(1, hertz=880), *maps, *X264, *programmes, path)
    assert abs(level(path) - 50) < 3 and abs(hertz(read(path)[1]) - 440) < 5


KINDS = [("stereo", 44_100), ("mono", 44_100), ("mono", 48_000), ("stereo", 32_000)]


def blocks(layout, rate, hertz=400, seconds=0.5):
    """MP3 packets of a tone, without the first, which is the encoder's priming."""
    samples = 0.3 * np.sin(2 * np.pi * hertz / rate * np.arange(round(seconds * rate))).astype(np.float32)
    with av.open(io.BytesIO(), "w", format="mp3") as container:
        stream = container.add_stream("mp3", rate=rate, layout=layout)
        block = av.AudioFrame.from_ndarray(np.tile(samples, (2 if layout == "stereo" else 1, 1)), "fltp", layout)
        block.sample_rate = rate
        return [bytes(packet) for packet in [*stream.encode(block), *stream.encode()]][1:]


@pytest.mark.parametrize("second", KINDS[1:])
def test_sound_that_changes_its_kind_goes_on_in_the_new_one(second, tmp_path):
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=25, options={"threads": "1"})
        video.height, video.width, video.pix_fmt = 96, 128, "yuv420p"
        sound = out.add_stream("mp3", rate=44_100, layout="stereo")
        for picture in counting_frames(25):
            out.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(video.encode())
        time = 0.0
        for (layout, rate), pitch in zip((KINDS[0], second), (400, 1000), strict=True):
            for data in blocks(layout, rate, pitch):
                packet = av.Packet(data)
                packet.stream, packet.time_base = sound, Fraction(1, 90_000)
                packet.pts = packet.dts = round(time * 90_000)
                time += 1152 / rate
                out.mux(packet)
    frames, samples, fault = read(path, needed=True)
    assert len(frames) == 25 and not fault
    assert abs(len(samples) / 16_000 - time) < 0.03
    assert abs(hertz(samples[1600:6400]) - 400) < 10 and abs(hertz(samples[-6400:-1600]) - 1000) < 10


@pytest.mark.parametrize("layout", ["5.1", "quad", "7.1"])
def test_sound_of_many_channels_is_mixed_down(layout, tmp_path):
    need_encoder("libx264")
    path = tmp_path / "a.mkv"
    ffmpeg(*grey(50), *tone(1), "-af", f"aformat=channel_layouts={layout}", "-c:a", "pcm_s16le", *X264, path)
    _, samples, fault = read(path, needed=True)
    assert not fault and abs(hertz(samples) - 440) < 5


@pytest.mark.parametrize(("channels", "sentence"), [(5, ""), (11, "cannot be mixed down")])
def test_channels_in_no_known_order_are_mixed_down_or_told(channels, sentence, tmp_path):
    need_encoder("libx264")
    path = tmp_path / "a.mkv"
    merged = "[1:a]" * channels + f"amerge={channels},aformat=channel_layouts={channels}C[a]"
    options = ["-filter_complex", merged, "-map", "0", "-map", "[a]", "-c:a", "pcm_s16le"]
    ffmpeg(*grey(50), *tone(1), *options, *X264, path)
    frames, samples, fault = read(path)
    assert len(frames) == 25 and fault.startswith(sentence)
    assert fault or abs(hertz(samples) - 440) < 5


def with_damaged_sound(path, which):
    """Overwrite a packet of the sound; every frame stays whole. Returns when the packet is heard, s."""
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(audio=0) if packet.size]
        packet = packets[which]
        at, size, time = packet.pos, packet.size, float(packet.pts * packet.time_base)
    data[at : at + size] = b"\xff" * size
    path.write_bytes(data)
    return time


@pytest.mark.parametrize("which", [-1, 10, 0])
def test_damaged_sound_costs_no_frame(which, tmp_path):
    path = tmp_path / "a.mp4"
    sound = np.concatenate([clicks([0.2], 1, 16_000), clicks([0.8], 1, 16_000)])
    write_video(path, counting_frames(50), audio=sound)
    time = with_damaged_sound(path, which)
    frames, samples, fault = read(path)
    assert len(frames) == 50 and fault == f"is damaged {max(0, time):.2f} s after the first frame"
    np.testing.assert_allclose(heard(samples), [0.2, 1.8], atol=0.002)  # what is whole stays at its place
    with pytest.raises(TddError, match=r"The sound of .*a\.mp4 is damaged"):
        read(path, needed=True)
    with pytest.raises(TddError, match=r"The sound of .*a\.mp4 is damaged"):
        read_audio(path)


def test_sound_that_is_absent_or_ends_early_is_told(tmp_path):
    path = tmp_path / "a.mp4"
    write_video(path, counting_frames(50))
    frames, samples, fault = read(path)
    assert len(frames) == 50 and not len(samples) and fault == "is missing: the file holds none"
    with pytest.raises(TddError, match=r"The sound of .*a\.mp4 is missing"):
        read(path, needed=True)
    write_video(path, counting_frames(50), audio=clicks([0.5], 1.0, 16_000))
    frames, samples, fault = read(path)
    assert len(frames) == 50 and fault.startswith("ends 0.9") and heard(samples) == pytest.approx([0.5], abs=0.002)
    with pytest.raises(TddError, match=r"The sound of .*a\.mp4 ends 0\.9"):
        read(path, needed=True)
    write_video(path, counting_frames(50), audio=clicks([0.5], 1.9, 16_000))  # AAC comes in blocks of 64 ms
    assert not read(path, needed=True)[2]


def test_sound_in_an_unknown_codec_is_told(tmp_path):
    path = tmp_path / "a.mp4"
    write_video(path, counting_frames(20), audio=clicks([0.5], 0.8, 16_000))
    path.write_bytes(path.read_bytes().replace(b"mp4a", b"zzzz").replace(b"esds", b"free"))
    frames, samples, fault = read(path)
    assert len(frames) == 20 and not len(samples) and fault == "is in a codec that FFmpeg does not know"
    assert not VideoFile(path).look().sound
