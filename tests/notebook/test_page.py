"""Pictures, sound and film for a page, decoded again by other programs."""

import re
from base64 import b64decode
from io import BytesIO

import ipywidgets
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image

from tdd.data.augment import normalise
from tdd.data.video import read_audio, read_video, write_video
from tdd.errors import TddError
from tdd.notebook.page import (
    as_frames,
    draw_face,
    draw_log_mel,
    drawn,
    play,
    play_audio,
    read_film,
    show_controls,
    show_frames,
)

FRAMES = np.stack([np.full((40, 60, 3), 10 * t, np.uint8) for t in range(25)])


def test_a_strip_holds_evenly_spaced_frames():
    shown = show_frames({"real": FRAMES, "fake": FRAMES[:3]}, count=5, side=32)
    picture = np.asarray(Image.open(BytesIO(shown.data)).convert("L")).astype(int)
    assert picture.shape[0] == 2 * 32 + 4
    right = picture[10, -20]  # the last frame is the clip's last
    assert abs(right - 240) <= 3


def test_a_film_decodes_to_its_frames_and_its_sound(tmp_path):
    tone = np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000).astype(np.float32) / 2
    page = play({"grey": FRAMES}, tone).data
    (data,) = re.findall(r"base64,([\w+/=]+)", page)
    path = tmp_path / "film.mp4"
    path.write_bytes(b64decode(data))
    frames, fps = read_video(path)
    assert fps == 25 and np.abs(frames.astype(int) - FRAMES).max() <= 4 and "grey" in page
    heard = read_audio(path)
    assert np.abs(np.fft.rfft(heard[2000:14_000])).argmax() == round(440 * 12_000 / 16_000)


def test_a_caption_is_text_and_no_markup():
    assert "<figcaption>a &lt;b&gt; &amp; c</figcaption>" in play({"a <b> & c": FRAMES}).data


def test_a_long_large_video_is_read_short_and_small(tmp_path):
    path = tmp_path / "large.mp4"
    write_video(path, [np.full((300, 410, 3), 4 * t, np.uint8) for t in range(60)], crf=10)
    frames = read_film(path)
    assert frames.shape == (48, 160, 218, 3) and abs(int(frames[47].mean()) - 4 * 47) <= 4
    with pytest.raises(TddError, match="cannot be decoded"):
        read_film(tmp_path / "absent.mp4")


def test_a_networks_video_comes_back_as_the_frames_it_was():
    frames = np.random.default_rng(0).integers(0, 256, (5, 6, 7, 3), dtype=np.uint8)
    video = torch.from_numpy(frames).permute(3, 0, 1, 2)
    assert np.array_equal(as_frames(video), frames)
    assert np.array_equal(as_frames(normalise(video[None])[0]), frames)


def test_a_log_mel_lies_on_the_clock_of_the_video():
    axes = Figure().subplots()
    draw_log_mel(axes, torch.arange(100 * 80).view(1, 100, 80) / 4000 - 1)
    (image,) = axes.images
    assert tuple(image.get_extent()) == (0, 1, 0, 80) and image.get_array().shape == (80, 100)


def test_landmarks_lie_on_their_frame():
    axes = Figure().subplots()
    draw_face(axes, FRAMES[0], np.array([[3.0, 4.0], [50.0, 30.0]]))
    assert axes.collections[0].get_offsets().tolist() == [[3, 4], [50, 30]] and axes.images


def test_sound_of_int16_is_scaled():
    wave = play_audio(np.array([0, 16384, -16384], np.int16)).data
    assert np.frombuffer(wave[44:], "<i2").tolist() == pytest.approx([0, 16384, -16384], abs=1)


def test_a_figure_is_shown_in_the_size_asked_for(monkeypatch):
    seen = []
    monkeypatch.setattr("tdd.notebook.page.display", seen.append)
    with drawn(4, 2) as figure:
        figure.subplots().plot([0, 1])
    assert seen[0].width == 4 * 96 and Image.open(BytesIO(seen[0].data)).size == (600, 300)


def test_a_figure_that_fails_shows_nothing(monkeypatch):
    seen = []
    monkeypatch.setattr("tdd.notebook.page.display", seen.append)
    with pytest.raises(ZeroDivisionError), drawn():
        1 / 0  # noqa: B018
    assert not seen


def test_controls_leave_a_sentence_where_no_kernel_runs(monkeypatch):
    seen = []
    monkeypatch.setattr("tdd.notebook.page.display", lambda data, raw: seen.append((data, raw)))
    slider = ipywidgets.IntSlider()
    show_controls(slider, "a slider")
    ((data, raw),) = seen
    assert raw and data["text/plain"] == "a slider"
    own = slider._repr_mimebundle_()  # what ipywidgets itself would show
    assert data["application/vnd.jupyter.widget-view+json"] == own["application/vnd.jupyter.widget-view+json"]
