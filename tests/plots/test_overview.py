"""The two drawings of the method: their shapes are the networks' own, and the committed pictures are these."""

import dataclasses
from contextlib import contextmanager
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from PIL import Image

from tdd.config import Recipe, load_recipe
from tdd.data.audio import log_mel
from tdd.errors import TddError
from tdd.models import Projector
from tdd.models.build import video_backbone
from tdd.plots import overview

FIGURES = Path(__file__).parents[2] / "figures"


def drawn(monkeypatch, draw, recipe):
    """The figure that ``draw`` makes, unwritten."""
    figures = []

    @contextmanager
    def keep(_path, width, height, dpi=100, **_words):
        figures.append(Figure((width, height), dpi))
        yield figures[0]

    monkeypatch.setattr(overview, "drawing", keep)
    draw(Path("unwritten.png"), recipe)
    return figures[0]


def words(figure):
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def as_text(tensor):
    return "×".join(f"{n}" for n in tensor.shape[1:])


@torch.no_grad()
def test_the_backbones_shapes_are_the_networks(monkeypatch):
    recipe = load_recipe("tiny")
    network, seen = video_backbone("cnn_gru_attention", recipe), []
    for part in (network.stem, network.gru, network.attention):
        part.register_forward_hook(lambda _part, _in, out: seen.append(out if torch.is_tensor(out) else out[0]))
    video = torch.zeros(1, 3, recipe.clip.frames, recipe.clip.input_size, recipe.clip.input_size)
    features = network(video)
    maps, steps, attended = seen
    shown = words(drawn(monkeypatch, overview.draw_backbone, recipe))
    for tensor in (video, maps, maps.flatten(3).movedim(2, 1).flatten(2), steps, attended.mT, features):
        assert as_text(tensor) in shown, as_text(tensor)


@torch.no_grad()
def test_the_stages_shapes_are_those_of_log_mel_and_projector(monkeypatch):
    recipe = load_recipe("demo")
    shown = words(drawn(monkeypatch, overview.draw_stages, recipe))
    projected = Projector(8, recipe.model.projection).eval()(torch.zeros(1, 8, recipe.clip.frames))
    assert shown.count(as_text(projected)) == 2 and shown.count("3×25×40×40") == 4
    assert shown.count(as_text(log_mel(torch.zeros(25 * 640))[None])) == 2


@pytest.mark.parametrize("draw", [overview.draw_stages, overview.draw_backbone])
def test_words_stay_inside_their_boxes_and_the_picture(monkeypatch, draw):
    figure = drawn(monkeypatch, draw, Recipe())
    renderer = FigureCanvasAgg(figure).get_renderer()
    boxes = [
        p.get_window_extent(renderer) for axes in figure.axes for p in axes.patches if isinstance(p, FancyBboxPatch)
    ]
    for text in (text for axes in figure.axes for text in axes.texts if text.get_text()):
        extent = text.get_window_extent(renderer)
        assert figure.bbox.containsx(extent.x0) and figure.bbox.containsx(extent.x1), text.get_text()
        assert figure.bbox.containsy(extent.y0) and figure.bbox.containsy(extent.y1), text.get_text()
        inside = [box for box in boxes if box.contains(*extent.get_points().mean(0))]
        assert all(box.x0 <= extent.x0 and extent.x1 <= box.x1 for box in inside), text.get_text()


@pytest.mark.skipif(matplotlib.__version_info__ >= (3, 11), reason="Matplotlib 3.11 draws letters in another way")
def test_the_committed_pictures_are_what_the_code_draws(tmp_path):
    for path in overview.draw_overview(tmp_path):
        fresh, committed = (np.asarray(Image.open(p).convert("L"), int) for p in (path, FIGURES / path.name))
        assert fresh.shape == committed.shape and np.abs(fresh - committed).mean() < 1, path.name


def test_arguments_that_the_network_does_not_take_are_refused(tmp_path):
    recipe = load_recipe("tiny")
    model = dataclasses.replace(recipe.model, backbones={"cnn_gru_attention": {"depth": 3}})
    with pytest.raises(TddError, match="takes no argument depth"):
        overview.draw_backbone(tmp_path / "x.png", dataclasses.replace(recipe, model=model))
