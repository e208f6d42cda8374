from fractions import Fraction

import cv2
import numpy as np
import pytest

from tdd.data.video import VideoFile, read_audio, read_video, write_video
from tdd.errors import TddError
from tests.videos import clicks, counting_frames, drifting_picture, encode, heard, levels, memory_filled


def moving_squares(n=12, height=96, width=128):
    rows, columns = np.mgrid[:height, :width]
    return [
        np.stack([(rows + 4 * t) // 16 % 2 * 200, columns // 16 % 2 * 200, rows * 0 + 80], -1).astype(np.uint8)
        for t in range(n)
    ]


def test_what_is_written_is_read_back(tmp_path):
    frames = moving_squares()
    write_video(tmp_path / "a.mp4", frames, crf=10)
    decoded, fps = read_video(tmp_path / "a.mp4")
    assert decoded.shape == (12, 96, 128, 3) and decoded.dtype == np.uint8 and fps == 25
    assert np.abs(decoded.astype(int) - np.stack(frames)).mean() < 6  # chroma is subsampled at hard edges


def test_sound_stays_at_its_frame(tmp_path):
    sound = np.zeros(12 * 640, np.float32)
    sound[3000:3020] = 0.9
    write_video(tmp_path / "a.mp4", moving_squares(), audio=sound)
    decoded = read_audio(tmp_path / "a.mp4")
    assert abs(int(np.abs(decoded).argmax()) - 3010) <= 16  # one millisecond


def test_the_same_input_gives_the_same_bytes(tmp_path):
    sound = np.sin(np.arange(12 * 640) / 9).astype(np.float32) * 0.3
    for name in ("a.mp4", "b.mp4"):
        write_video(tmp_path / name, moving_squares(), audio=sound)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


@pytest.mark.parametrize("width", [96, 128, 160])  # in macroblocks 6, 8 and 10
def test_the_bytes_do_not_depend_on_what_memory_held_before(tmp_path, width):
    made = set()
    for byte in (0, 1, 85, 170, 255):
        with memory_filled(byte):
            write_video(tmp_path / "a.mp4", drifting_picture(width=width), audio=np.zeros(16 * 640, np.float32))
        made.add((tmp_path / "a.mp4").read_bytes())
    assert len(made) == 1


def test_no_half_written_file_is_left(tmp_path):
    def frames():
        yield from moving_squares(3)
        raise RuntimeError("the source ended early")

    with pytest.raises(RuntimeError):
        write_video(tmp_path / "a.mp4", frames())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"not a video at all", bytes(4096)])
def test_unreadable_files_are_named(tmp_path, content):
    path = tmp_path / "bad file.mp4"
    path.write_bytes(content)
    with pytest.raises(TddError, match=r"bad file\.mp4"):
        read_video(path)
    with pytest.raises(TddError, match=r"bad file\.mp4"):
        read_audio(path)


def test_a_file_without_sound_gives_none(tmp_path):
    write_video(tmp_path / "a.mp4", moving_squares(3))
    assert read_audio(tmp_path / "a.mp4") is None


def read_clip(path, rule="timestamps"):
    """Frames of the clip, numbers of their source frames, samples."""
    video = VideoFile(path)
    frames = list(video.shown(rule))
    sound = list(video.sound(needed=False))
    samples = np.concatenate(sound) if sound else None
    return [frame.rgb() for frame in frames], [frame.source for frame in frames], samples


CODECS = [
    ("a.mp4", "libx264", "yuv420p", (96, 128)),
    ("a.mp4", "libx264", "yuv444p", (61, 97)),
    ("a.mp4", "libx265", "yuv420p", (96, 128)),
    ("a.mp4", "libx265", "yuv420p10le", (96, 128)),
    ("a.avi", "mpeg4", "yuv420p", (96, 128)),
    ("a.mp4", "mpeg4", "yuv420p", (61, 97)),
    ("a.avi", "mjpeg", "yuvj420p", (61, 97)),
    ("a.webm", "libvpx-vp9", "yuv420p", (61, 97)),
    ("a.mkv", "libx264", "yuv420p", (96, 128)),
]


@pytest.mark.parametrize(("name", "codec", "pixels", "size"), CODECS)
@pytest.mark.parametrize("rate", [Fraction(24), Fraction(30_000, 1001)])
def test_every_codec_and_rate_becomes_25_fps(name, codec, pixels, size, rate, tmp_path):
    options = {"x265-params": "log-level=none:crf=5"} if codec == "libx265" else {"b": "4M"}
    path = encode(tmp_path / name, counting_frames(48, *size), codec, rate, pixels=pixels, options=options)
    frames, sources, _ = read_clip(path)
    assert len(frames) == round(48 * 25 / rate) and frames[0].shape == (*size, 3)
    found = np.array(levels(frames))
    assert np.abs(found - found[0] - sources).max() < 0.45  # the picture is the one that the number says
    for k, source in enumerate(sources):
        assert abs(source / rate - Fraction(k, 25)) <= Fraction(1, 2) / rate + Fraction(1, 1000)  # mkv: whole ms
    frames, sources, _ = read_clip(path, "relabelled")
    assert sources == list(range(48))


def test_variable_times_are_followed(tmp_path):
    times = [Fraction(n, 25) for n in range(10)] + [Fraction(1) + Fraction(n, 50) for n in range(20)]
    path = encode(tmp_path / "a.mp4", counting_frames(30), times=times)
    _, sources, _ = read_clip(path)
    assert sources[:10] == list(range(10)) and set(sources[10:17]) == {9} and sources[25:] == list(range(10, 30, 2))


@pytest.mark.parametrize("rotation", [0, 90, 180, -90])
def test_rotation_is_honoured_as_opencv_does(rotation, tmp_path):
    picture = np.zeros((64, 96, 3), np.uint8)
    picture[:32, :48, 0] = 250
    picture[32:, 48:, 2] = 250
    path = encode(tmp_path / "a.mp4", [picture] * 3, options={"crf": "5"}, rotation=rotation)
    (frame, *_), _, _ = read_clip(path)
    capture = cv2.VideoCapture(str(path))
    capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
    other = capture.read()[1][:, :, ::-1]
    capture.release()
    assert frame.shape == other.shape == ((96, 64, 3) if rotation in (90, -90) else (64, 96, 3))
    assert np.abs(frame.astype(int) - other).mean() < 6


@pytest.mark.parametrize("audio_rate", [16_000, 44_100, 48_000])
@pytest.mark.parametrize(("video_start", "audio_start"), [(0.0, 0.0), (0.0, 0.3), (0.5, 0.0), (0.5, 0.6)])
@pytest.mark.parametrize(("name", "audio_codec"), [("a.mp4", "aac"), ("a.mkv", "pcm_s16le")])
def test_sound_is_heard_at_the_frame_it_was_made_for(name, audio_codec, video_start, audio_start, audio_rate, tmp_path):
    times = [Fraction(video_start) + Fraction(n, 25) for n in range(50)]
    instants = [0.9, 1.4]  # on the common clock
    sound = clicks([t - audio_start for t in instants], 2.5, audio_rate)
    path = encode(
        tmp_path / name, counting_frames(50), times=times, audio=sound, audio_rate=audio_rate,
        audio_codec=audio_codec, audio_start=audio_start,
    )  # fmt: skip
    _, sources, samples = read_clip(path)
    assert sources == list(range(50))
    np.testing.assert_allclose(heard(samples), [t - video_start for t in instants], atol=0.0015)


def test_a_gap_in_the_sound_is_silent_and_moves_nothing(tmp_path):
    sound = clicks([0.2, 0.8], 1.5, 16_000)
    path = encode(tmp_path / "a.mkv", counting_frames(75), audio=sound, audio_codec="pcm_s16le", audio_gap=(8192, 0.75))
    np.testing.assert_allclose(heard(read_clip(path)[2]), [0.2, 1.55], atol=0.002)


def test_sound_that_ends_early_is_given_as_far_as_it_goes(tmp_path):
    path = encode(tmp_path / "a.mp4", counting_frames(50), audio=clicks([0.5], 0.8, 16_000))
    samples = read_clip(path)[2]
    assert 0.75 < len(samples) / 16_000 < 0.95  # AAC comes in blocks of 64 ms


@pytest.mark.parametrize(
    ("times", "sentence"), [([0, 0.04, 36_000], "comes at 36000.00 s"), ([0, 0.04, 12, 12.04], "comes at 12.00 s")]
)
def test_leaping_times_are_refused_unless_relabelled(times, sentence, tmp_path):
    path = encode(tmp_path / "a.mkv", counting_frames(len(times)), times=[Fraction(str(time)) for time in times])
    with pytest.raises(TddError, match=sentence):
        read_clip(path)
    assert len(read_clip(path, "relabelled")[0]) == len(times)
