"""Figures: what they show, that they fit, and that they leave no trace in matplotlib's state."""

import json
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image
from scipy.integrate import trapezoid

from tdd.data.video import write_video
from tdd.errors import TddError
from tdd.names import FACEFORENSICS_METHODS
from tdd.plots import (
    draw_contact_sheet,
    draw_differences,
    draw_figures,
    draw_learning_curve,
    draw_methods,
    draw_roc,
    draw_ssl_weight,
    draw_stage1,
    draw_stage2,
    draw_table,
)
from tdd.plots.curves import _look
from tdd.plots.training import Curve, _draw_panel
from tdd.records.plans import TABLE
from tdd.records.results import TEST_SETS, load_study
from tdd.report.write import make_report
from tests.fake_study import edit_json, write_stage1, write_study
from tests.report.test_report import named, unnamed

SYNTHETIC = "synthetic benchmark"


@pytest.fixture
def figures(monkeypatch):
    """Figures as they were drawn, to read their texts and lines."""
    seen: list[Figure] = []
    original = Figure.__init__

    def remember(self, *args, **keywords):
        original(self, *args, **keywords)
        seen.append(self)

    monkeypatch.setattr(Figure, "__init__", remember)
    return seen


def written(figure: Figure) -> list[matplotlib.text.Text]:
    """Every text but tick labels, of which matplotlib keeps some that it never draws."""
    ticks = {id(label) for axes in figure.axes for axis in (axes.xaxis, axes.yaxis) for label in axis.get_ticklabels()}
    found = figure.findobj(lambda artist: isinstance(artist, matplotlib.text.Text) and id(artist) not in ticks)
    return [text for text in found if text.get_visible() and text.get_text()]


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in written(figure)]


def write_data(study: Path) -> None:
    """A grey target whose fakes are brighter in the upper left quarter; pair 000/001 lacks a method."""
    root = study / "data" / "FaceForensics++"
    frames = np.full((12, 64, 64, 3), 90, np.uint8)
    forged = frames.copy()
    forged[:, 8:28, 8:28] += 100
    for target, source in (("000", "001"), ("002", "003")):
        folders = [("original_sequences/youtube", target, frames)]
        folders += [(f"manipulated_sequences/{m}", f"{target}_{source}", forged) for m in FACEFORENSICS_METHODS]
        for folder, name, shot in folders[: None if target == "002" else 3]:
            (root / folder / "c23/videos").mkdir(parents=True, exist_ok=True)
            write_video(root / folder / "c23/videos" / f"{name}.mp4", shot)
    (root / "splits").mkdir()
    (root / "splits/test.json").write_text(json.dumps([["000", "001"], ["002", "003"]]))
    celeb = study / "data" / "Celeb-DF-v2"
    for folder, name, shot in (("Celeb-real", "id0_0000", frames), ("Celeb-synthesis", "id0_id1_0000", forged)):
        (celeb / folder).mkdir(parents=True)
        write_video(celeb / folder / f"{name}.mp4", shot)


def test_all_figures_are_small_legible_and_name_their_source(tmp_path, figures):
    study = write_study(tmp_path)
    write_data(study)
    before = dict(matplotlib.rcParams), matplotlib.get_backend()
    files = draw_figures(study)
    assert [path.name for path in files] == [
        "table.png", "differences.png", "roc.png", "methods.png", "scores.png", "stage1.png", "stage2.png",
        "ssl_weight.png", "contact_sheet.png",
    ]  # fmt: skip
    assert (dict(matplotlib.rcParams), matplotlib.get_backend()) == before
    for path, figure in zip(files, figures, strict=True):
        assert path.stat().st_size < 200_000
        assert min(Image.open(path).size) > 300
        assert any(SYNTHETIC in text.lower() for text in texts(figure)), path.name
        for text in written(figure):
            extent, box = text.get_window_extent(), figure.bbox
            inside = extent.x0 >= -1 and extent.y0 >= -1 and extent.x1 <= box.x1 + 1 and extent.y1 <= box.y1 + 1
            assert inside, f"{path.name}: {text.get_text()!r} leaves the picture: {extent}"
            assert text.get_fontsize() >= 7, f"{path.name}: {text.get_text()!r} is too small to read"


def test_table_picture_colours_best_and_second_best(tmp_path, figures):
    report = make_report(load_study(write_study(tmp_path)))
    draw_table(report, tmp_path / "table.png")
    inks = {text.get_text(): text.get_color() for text in figures[0].findobj(matplotlib.text.Text)}
    assert inks["89.87"] == inks["75.43"] == inks["best"]
    assert inks["88.44"] == inks["74.10"] == inks["second best"]
    ranked = sorted((row for row in report.rows if not row.control), key=lambda row: -row.cells["FaceShifter"].value)
    assert inks[ranked[0].cells["FaceShifter"].text()] == inks["best"]
    assert inks[ranked[1].cells["FaceShifter"].text()] == inks["second best"]
    assert inks["best"] != inks["second best"] != inks["87.05"]


def test_the_band_says_over_what_it_is_on_each_test_set(tmp_path, figures):
    study = named(write_study(tmp_path, seeds=(0, 1), rows=("csn", "cnn_gru_attention")))
    unnamed(study, "cnn_gru_attention-seed0")
    draw_roc(load_study(study), tmp_path / "roc.png", replicates=20)
    unnamed(study, "cnn_gru_attention-*", "Celeb")
    draw_roc(load_study(study), tmp_path / "roc.png", replicates=20)
    both, one = (" ".join(text.get_text() for text in figure.texts).replace("\n", " ") for figure in figures)
    assert "bootstrap over targets, CNN" in both, "the second run knows them"
    assert "bootstrap over targets (FaceShifter), videos (Celeb-DF-v2), CNN" in one


def test_roc_curves_carry_their_own_area(tmp_path, figures):
    study = load_study(write_study(tmp_path))
    draw_roc(study, tmp_path / "roc.png", replicates=50)
    for axes in figures[0].axes[:4]:
        labelled = [line for line in axes.lines if not line.get_label().startswith("_")]
        assert len(labelled) == 8
        for line in labelled if axes.get_xscale() == "linear" else ():
            area = trapezoid(line.get_ydata(), line.get_xdata())
            assert float(line.get_label().split()[0]) == pytest.approx(100 * area, abs=0.051)
        assert len(axes.collections) == 1, "one band"
    linear, logarithmic = (figures[0].axes[i].lines[1] for i in (0, 2))
    for rate in (0.02, 0.1, 0.5):
        heights = [line.get_ydata()[line.get_xdata() <= rate].max() for line in (linear, logarithmic)]
        assert heights[0] == heights[1], "both axes show one curve"


SIGHT = {
    "full": np.eye(3),
    "no long": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "no medium": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "no short": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
"""How eyes without one kind of cones see linear RGB (Machado et al., IEEE TVCG 15 (2009) 1291-1298)."""


def seen(ink: str, sight: str) -> np.ndarray:
    """An ink in CIELAB, in which 2 can just be told apart side by side."""
    srgb = np.array(to_rgb(ink))
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    rows = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
    xyz = np.array(rows) @ np.clip(np.array(SIGHT[sight]) @ linear, 0, 1) / [0.95047, 1, 1.08883]
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def looks_of_the_table(tmp_path) -> dict[str, dict]:
    rows = (*(row.id for row in TABLE.rows),)
    study = replace(load_study(write_study(tmp_path)), rows=rows)
    known = {row.id: row for row in make_report(study).rows}
    return {name: _look(study, known[name], "cnn_gru_attention") for name in rows}


def test_no_two_rows_of_a_table_look_alike(tmp_path):
    looks = looks_of_the_table(tmp_path)
    assert len({look["color"] for look in looks.values()}) == len(looks)
    assert len({look["marker"] for look in looks.values()}) == len(looks)


@pytest.mark.parametrize(("sight", "least"), [("full", 25), ("no long", 15), ("no medium", 15), ("no short", 15)])
def test_the_papers_rows_are_told_apart_with_any_eyes(tmp_path, sight, least):
    inks = {name: look["color"] for name, look in looks_of_the_table(tmp_path).items() if look["linestyle"] == "-"}
    assert len(inks) == 7
    for one, other in combinations(inks, 2):
        apart = np.linalg.norm(seen(inks[one], sight) - seen(inks[other], sight))
        assert apart >= least, f"{one} and {other} are {apart:.0f} apart"


def with_losses(study: Path, val_auc: float | None = None) -> Path:
    """Gives the runs of a study losses of three epochs, and by default no AUC on validation clips, as older records."""
    for path in study.glob("stage2/*/record.json"):
        losses = [{"epoch": n, "bce": 0.9 - n / 5, "auxiliary": -n / 3, "val_auc": val_auc} for n in range(3)]
        edit_json(path, history=losses)
    return study


def test_legends_lie_over_no_curve(tmp_path, figures):
    folder = with_losses(write_study(tmp_path), val_auc=0.7)
    described = {
        row: facts | {"label": f"{row}, a row of a long name"} for row, facts in load_study(folder).described.items()
    }
    study = replace(load_study(folder), described=described)
    for draw in (draw_roc, draw_stage1, draw_stage2):
        draw(study, tmp_path / f"{draw.__name__}.png")
        figure = figures[-1]
        legends = [*figure.legends, *(axes.get_legend() for axes in figure.axes if axes.get_legend())]
        panels = [axes.get_window_extent() for axes in figure.axes if axes.axison]
        assert legends and panels
        assert not any(legend.get_window_extent().overlaps(panel) for legend in legends for panel in panels)
        for extent in (artist.get_window_extent() for artist in (*legends, *written(figure))):
            assert extent.x0 >= -1 and extent.x1 <= figure.bbox.x1 + 1 and extent.y1 <= figure.bbox.y1 + 1


def test_bce_stands_beside_what_a_guess_costs(tmp_path, figures):
    study = load_study(with_losses(write_study(tmp_path)))
    draw_stage2(study, tmp_path / "stage2.png")
    (panel,) = (axes for axes in figures[0].axes if "BCE" in axes.get_title(loc="left"))
    assert any(np.allclose(line.get_ydata(), -np.log(0.5)) for line in panel.lines)
    assert [text.get_text() for text in panel.texts] == ["ln 2"]


def test_what_no_record_holds_gets_no_panel(tmp_path, figures):
    draw_stage2(load_study(with_losses(write_study(tmp_path))), tmp_path / "stage2.png")
    assert [bool(axes.lines) for axes in figures[0].axes] == [True, True]
    assert "AUC" not in " ".join(texts(figures[0]))


def test_differences_stand_where_the_table_says(tmp_path, figures):
    study = load_study(write_study(tmp_path, seeds=(0, 1)))
    draw_differences(study, tmp_path / "differences.png")
    rows = make_report(study).contrasts
    for axes, name in zip(figures[0].axes, ("FaceShifter", "Celeb-DF-v2", "seen"), strict=True):
        drawn = {float(line.get_ydata()[0]): line for line in axes.lines if line.get_marker() == "o"}
        for place, row in enumerate(rows):
            assert drawn[place].get_xdata()[0] == row.differences[name].value
            filled = drawn[place].get_markerfacecolor() != "white"
            assert filled == (row.differences[name].p_holm < 0.05)


def test_the_heat_map_holds_the_areas_of_all_methods(tmp_path, figures):
    study = load_study(write_study(tmp_path))
    draw_methods(study, tmp_path / "methods.png")
    shown = figures[0].axes[0].images[0].get_array()
    wanted = [[row.cells[name].value for name in TEST_SETS] for row in make_report(study).rows]
    np.testing.assert_allclose(shown, wanted)


def test_the_learning_curve_has_a_point_for_each_number_of_clips(tmp_path, figures):
    described = {
        name: {"label": name, "backbone": "cnn_gru_attention", "ssl_weight": 0.3, "overrides": changes}
        for name, changes in (("ssl_0.3", {}), ("ssl_0.5", {"stage1.clips": 60}), ("ssl_0.7", {"stage2.epochs": 3}))
    }
    folder = write_study(
        tmp_path, rows=list(described), study="ablation", reference="ssl_0.3", described=described,
        stage1={f"{name}/seed0": f"stage1/{name}-seed0" for name in described},
    )  # fmt: skip
    for name, clips in (("ssl_0.3", 600), ("ssl_0.5", 60), ("ssl_0.7", 600)):
        write_stage1(folder, "cnn_gru_attention", 0, name=name)
        edit_json(folder / f"stage1/{name}-seed0/record.json", data={"clips": clips})
    study = load_study(folder)
    draw_learning_curve(study, tmp_path / "learning_curve.png")
    (line, *_) = figures[0].axes[0].lines
    cells = {row.id: row.cells["FaceShifter"].value for row in make_report(study).rows}
    assert line.get_xdata().tolist() == [60, 600]
    assert line.get_ydata().tolist() == [cells["ssl_0.5"], cells["ssl_0.3"]]


def test_the_papers_points_stand_on_their_own_axes(tmp_path, figures):
    study = load_study(write_study(tmp_path))
    draw_ssl_weight(study, tmp_path / "ssl_weight.png")
    paper_axes = [axes for axes in figures[0].axes if "paper" in axes.get_title(loc="left")]
    np.testing.assert_array_equal(paper_axes[0].lines[0].get_xdata(), [0, 0.3, 0.5, 0.7, 1])
    np.testing.assert_array_equal(paper_axes[0].lines[0].get_ydata(), [87.20, 89.87, 87.98, 88.44, 87.07])
    own = [axes for axes in figures[0].axes if "this study" in axes.get_title(loc="left")]
    assert len(own) == len(paper_axes) == 2
    assert not any(89.87 in line.get_ydata() for axes in own for line in axes.lines)


def test_stage1_shows_each_backbone_and_its_chance(tmp_path, figures):
    study = load_study(write_study(tmp_path))
    draw_stage1(study, tmp_path / "stage1.png")
    panels = {axes.get_title(loc="left"): axes for axes in figures[0].axes if axes.lines}
    assert len(panels) == 5
    levels = {title: axes.lines[-1].get_ydata()[0] for title, axes in panels.items() if len(axes.lines) == 4}
    assert sorted(levels.values()) == pytest.approx([1 / 60, 1 / 32, 1 / 25])


def test_an_incomplete_study_still_draws(tmp_path):
    study = write_study(tmp_path, rows=("csn",))
    (study / "stage2/csn-seed0/record.json").unlink()
    for path in (study / "stage1").glob("*/record.json"):
        path.unlink()
    assert len(draw_figures(study)) == 8


def test_contact_sheet_takes_the_target_that_all_methods_forge(tmp_path, figures):
    write_data(tmp_path)
    sheet = np.asarray(Image.open(draw_contact_sheet(tmp_path, tmp_path / "sheet.png")).convert("L")).astype(int)
    labels = texts(figures[0])
    assert [label for label in labels if label in FACEFORENSICS_METHODS] == list(FACEFORENSICS_METHODS)
    # the last column is blank for the real row, and shows the altered square for the first fake
    column = sheet[:, -110:]
    assert column[40:145].min() > 230
    assert column[160:260].min() < 40


def test_a_tree_without_a_forged_target_is_refused(tmp_path):
    with pytest.raises(TddError, match="no real video with a forgery"):
        draw_contact_sheet(tmp_path, tmp_path / "sheet.png")


def test_pictures_repeat_byte_for_byte(tmp_path):
    study = load_study(write_study(tmp_path, rows=("csn",)))
    one = draw_ssl_weight(study, tmp_path / "one.png").read_bytes()
    assert one == draw_ssl_weight(study, tmp_path / "two.png").read_bytes()


@pytest.mark.parametrize("seeds", [4, 6])
def test_many_runs_of_a_row_are_faint_beside_their_mean_while_all_are_trained(seeds):
    rng, axes = np.random.default_rng(0), Figure().subplots()
    lengths = [3 + seed % 3 for seed in range(seeds)]
    losses = [rng.random(length).tolist() for length in lengths]
    curves = [
        Curve("a row", "#222222", "o", [{"epoch": epoch, "bce": value} for epoch, value in enumerate(loss)], {})
        for loss in losses
    ]
    _draw_panel(axes, curves, "bce")
    drawn = [line.get_xydata() for line in axes.lines]
    assert [line[:, 1].tolist() for line in drawn[:seeds]] == losses
    assert len(drawn) == seeds + (seeds > 4)
    if seeds > 4:
        assert drawn[-1][:, 0].tolist() == [1, 2, 3]
        assert drawn[-1][:, 1] == pytest.approx(np.mean([loss[:3] for loss in losses], axis=0))
        assert all(line.get_alpha() == 0.3 for line in axes.lines[:seeds])
