import numpy as np
import pytest

from tdd.data.video import read_audio, read_video, write_video
from tdd.errors import TddError


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
