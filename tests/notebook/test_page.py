"""Pictures, sound and film for a page, decoded again by other programs."""

from base64 import b64decode
from contextlib import nullcontext
from io import BytesIO
from types import SimpleNamespace

import ipywidgets
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from nbclient import NotebookClient
from nbconvert import HTMLExporter
from nbformat.v4 import new_code_cell, new_notebook
from PIL import Image

from tdd.data.augment import normalise
from tdd.data.video import write_video
from tdd.errors import TddError
from tdd.notebook import page
from tdd.notebook.page import (
    INCH,
    WIDEST,
    as_frames,
    draw_face,
    draw_log_mel,
    drawn,
    play,
    play_audio,
    read_film,
    show_controls,
    show_frames,
    show_picture,
)
from tdd.plots.style import drawing

FRAMES = np.stack([np.full((40, 60, 3), 10 * t, np.uint8) for t in range(25)])


def test_a_strip_holds_evenly_spaced_frames():
    shown = show_frames({"real": FRAMES, "fake": FRAMES[:3]}, count=5, side=32)
    picture = np.asarray(Image.open(BytesIO(shown.data)).convert("L")).astype(int)
    assert picture.shape[0] == 2 * 32 + 4
    right = picture[10, -20]  # the last frame is the clip's last
    assert abs(right - 240) <= 3


def test_a_strip_names_its_rows_and_fits_a_page():
    wide = show_frames({"a name that takes much room": FRAMES, "b": FRAMES}, count=9, side=96)
    assert Image.open(BytesIO(wide.data)).width <= WIDEST
    assert wide.metadata["alt"] == "9 frames in order of time, of each: a name that takes much room; b."
    assert show_frames({"a": FRAMES}, count=3).metadata["alt"] == "3 frames in order of time: a."


def test_films_leave_a_strip_of_frames_where_none_is_played(monkeypatch):
    seen = []
    monkeypatch.setattr("tdd.notebook.page.display", seen.append)
    square = FRAMES[:, :, :40]
    assert play({"real": square, "fake": square}, np.zeros(16_000, np.int16)) is None
    film, still = seen
    assert film.data.count("<video") == 2
    height, width = np.asarray(Image.open(BytesIO(still.data))).shape[:2]
    assert height == 2 * 96 + 4 and width > 8 * 96 and "real; fake" in still.metadata["alt"]


def test_a_long_large_video_is_read_short_and_small(tmp_path):
    path = tmp_path / "large.mp4"
    write_video(path, [np.full((300, 410, 3), 4 * t, np.uint8) for t in range(60)], crf=10)
    frames = read_film(path)
    assert frames.shape == (48, 256, 350, 3) and abs(int(frames[47].mean()) - 4 * 47) <= 4
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
    assert seen[0].width == 4 * INCH and Image.open(BytesIO(seen[0].data)).size == (600, 300)
    assert seen[0].metadata["alt"] == "Figure. lines."


def test_a_large_figure_fits_a_page(tmp_path):
    with drawing(tmp_path / "wide.png", 12, 2, words="wide"):
        pass
    shown = show_picture(tmp_path / "wide.png")
    assert (shown.width, shown.metadata) == (WIDEST, {"alt": "wide"})


def test_pictures_ask_for_nothing_that_colabs_ipython_7_does_not_take(tmp_path, monkeypatch):
    made = []
    as_in_7_34 = ["data", "url", "filename", "format", "embed", "width", "height", "retina", "unconfined", "metadata"]

    class Older(page.Image):
        def __init__(self, *given, **named):
            made.append(set(named))
            super().__init__(*given, **named)

    monkeypatch.setattr(page, "Image", Older)
    with drawing(tmp_path / "wide.png", 2, 2, words="small"):
        pass
    for shown in (show_picture(tmp_path / "wide.png"), show_frames({"a": FRAMES})):
        _, facts = shown._repr_mimebundle_()
        assert next(iter(facts.values()))["alt"]
    assert made and set().union(*made) <= set(as_in_7_34)


def test_a_figure_that_fails_shows_nothing(monkeypatch):
    seen = []
    monkeypatch.setattr("tdd.notebook.page.display", seen.append)
    with pytest.raises(ZeroDivisionError), drawn():
        1 / 0  # noqa: B018
    assert not seen


@pytest.fixture
def bundles(monkeypatch):
    """What is displayed raw."""
    seen = []
    monkeypatch.setattr("tdd.notebook.page.display", lambda data, metadata, raw: seen.append((data, metadata, raw)))
    return seen


def test_controls_leave_a_sentence_where_no_kernel_runs(bundles):
    slider = ipywidgets.IntSlider()
    show_controls(slider, "a slider")
    ((data, metadata, raw),) = bundles
    assert raw and data["text/plain"] == "a slider" and not metadata
    own = slider._repr_mimebundle_()  # what ipywidgets itself would show
    assert data["application/vnd.jupyter.widget-view+json"] == own["application/vnd.jupyter.widget-view+json"]


def test_controls_leave_a_picture_where_no_kernel_runs(tmp_path, bundles):
    with drawing(tmp_path / "still.png", 4, 2, words="a slider at 3"):
        pass
    show_controls(ipywidgets.IntSlider(), "a slider", show_picture(tmp_path / "still.png"))
    ((data, metadata, _),) = bundles
    assert b64decode(data["image/png"]) == (tmp_path / "still.png").read_bytes()
    assert metadata == {"image/png": {"width": 4 * INCH, "alt": "a slider at 3"}}


def look(height):
    """What an ``interactive`` calls."""


@pytest.mark.parametrize("shown", [[], [SimpleNamespace(data={"text/plain": "2.0"}, metadata={})]])
def test_interactive_controls_without_a_picture_are_refused(monkeypatch, shown):
    monkeypatch.setattr("tdd.notebook.page.capture_output", lambda: nullcontext(SimpleNamespace(outputs=shown)))
    with pytest.raises(TddError, match="shows no picture"):
        show_controls(ipywidgets.interactive(look, height=(1.0, 3.0)), "a slider")


@pytest.mark.slow
def test_interactive_controls_leave_their_first_picture():
    """In a kernel, for nothing else collects what a function displays; and nbconvert shows it, in words too."""
    source = """
from ipywidgets import interactive
from tdd.notebook.page import drawn, show_controls

def look(height):
    with drawn(4, height) as figure:
        figure.subplots().set_title(f"height {height}")

show_controls(interactive(look, height=(1.0, 3.0)), "a slider")
"""
    notebook = new_notebook(cells=[new_code_cell(source)])
    NotebookClient(notebook, kernel_name="python3").execute()
    (output,) = notebook.cells[0].outputs
    assert output.data["text/plain"] == "a slider"
    assert output.metadata["image/png"] == {"width": 4 * INCH, "alt": "Figure. height 2.0."}
    del notebook.metadata["widgets"]  # as in the notebooks that are committed
    html, _ = HTMLExporter(template_name="classic").from_notebook_node(notebook)
    assert 'alt="Figure. height 2.0."' in html and output.data["image/png"][:80] in html
