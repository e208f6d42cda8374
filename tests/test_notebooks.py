"""The committed notebooks: frame, budget of text and code, outputs, numbers in the text.

`make notebooks` executes them. The solutions of their exercises run here, in this process.
"""

import re
from pathlib import Path
from types import SimpleNamespace

import nbformat
import numpy as np
import pandas as pd
import pytest
import torch
from nbclient import NotebookClient
from nbconvert import HTMLExporter

from notebooks import links
from tdd.notebook.page import WIDEST, drawn

ROOT = Path(__file__).parents[1]
PATHS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
SOLUTIONS = sorted((ROOT / links.SOLUTIONS).glob("*.ipynb"))
OVERVIEW = "00_start_here.ipynb"
"""It defines nothing and holds the map of the kit: more is told in it than computed."""
LARGEST = 1_000_000
LARGEST_ALL = 5_000_000
"""Bytes of one notebook with its outputs, and of all."""

FORMULA = re.compile(r"\$\$.*?\$\$|\$[^$\n]+\$", re.DOTALL)
APPARATUS = ("## Summary", "## Exercises")
QUOTED = {
    *("0.2", "0.3", "0.5", "1.0", "0.7"),  # values of ssl_weight
    *("87.1", "0.9", "0.95"),  # a number for instance; levels
    "0.999",  # RealForensics' momentum at a batch of 96
}
"""Decimals that a text may hold though no cell prints them: settings and round figures, nothing measured."""

every = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
solved = pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)
executed = pytest.mark.parametrize("path", PATHS + SOLUTIONS, ids=lambda path: f"{path.parent.name}-{path.stem}")


def read(path):
    return nbformat.read(path, as_version=4)


def own_code(notebook):
    """Sources of the code cells, without the two that every notebook shares."""
    return [cell.source for cell in notebook.cells[3:] if cell.cell_type == "code"]


def text_to_code(notebook, all_of_it=True):
    """Words of text for a word of code, split at white space; shared cells left out.

    Not ``all_of_it``: without formulas, summary and exercises.
    """
    texts = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    if not all_of_it:
        texts = [FORMULA.sub("", text) for text in texts if not text.startswith(APPARATUS)]
    return sum(len(text.split()) for text in texts) / sum(len(source.split()) for source in own_code(notebook))


def section(notebook, heading):
    """The one cell that begins with that heading."""
    (found,) = [cell.source for cell in notebook.cells if cell.source.startswith(f"## {heading}\n")]
    return found


def items(text):
    """The entries of a numbered list."""
    return re.findall(r"^\d+\. (.+)$", text, re.MULTILINE)


def printed(notebook):
    """All text that the code cells hold or show."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    shown = [output.get("text") or output.get("data", {}) for cell in cells for output in cell.outputs]
    texts = [
        out if isinstance(out, str) else "".join(v for k, v in out.items() if k.startswith("text/")) for out in shown
    ]
    return "\n".join([*(cell.source for cell in cells), *texts])


@executed
def test_it_was_executed_from_top_to_bottom_without_an_error(path):
    cells = [cell for cell in read(path).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert len(outputs) >= (5 if path in PATHS else len(cells) - 1) and not [
        output for output in outputs if output.output_type == "error"
    ]
    assert not [output.text for output in outputs if output.get("name") == "stderr"]


def pictures(outputs):
    """(kind, facts) of every picture among outputs."""
    data = [(output.get("data", {}), output.get("metadata", {})) for output in outputs]
    return [(kind, facts.get(kind, {})) for shown, facts in data for kind in shown if kind.startswith("image/")]


@executed
def test_every_picture_says_what_it_shows_and_fits_a_page(path):
    notebook = read(path)
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    for _, facts in pictures(outputs):
        assert len(facts.get("alt", "").split()) >= 2, facts
        assert facts.get("width", 0) <= WIDEST
    html = "".join(output.get("data", {}).get("text/html", "") for output in outputs)
    assert not [
        tag for tag in re.findall(r"<(?:img|video)\b[^>]*>", html) if not re.search(r'(alt|aria-label)="\w', tag)
    ]
    text = "".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    assert "![](" not in text


@every
def test_a_page_without_kernel_or_film_still_shows_what_they_show(path):
    for cell in read(path).cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            assert "<video" not in data.get("text/html", "") or pictures(cell.outputs)
            assert "application/vnd.jupyter.widget-view+json" not in data or "image/png" in data


@pytest.mark.parametrize("name", ["05_ssl_weight_sweep", "08_try_your_own_video"])
def test_nbconvert_shows_the_still_of_a_widget_and_its_words(name):
    notebook = read(ROOT / "notebooks" / f"{name}.ipynb")
    notebook.cells = [cell for cell in notebook.cells if "show_controls(" in cell.source]
    (output,) = notebook.cells[0].outputs
    for template in ("lab", "classic"):
        html, _ = HTMLExporter(template_name=template).from_notebook_node(notebook)
        assert output.data["image/png"][:100] in html
    assert f'alt="{output.metadata["image/png"]["alt"]}"' in html, "the lab template leaves it out"


@every
def test_budget_of_text_and_code(path):
    notebook = read(path)
    lines = [len(source.splitlines()) for source in own_code(notebook)]
    least, most = 1.3, 4 if path.name == OVERVIEW else 1.9
    assert text_to_code(notebook) >= least
    assert text_to_code(notebook, all_of_it=False) <= most
    assert np.median(lines) <= 9 and np.percentile(lines, 90) <= 20, sorted(lines)


@every
def test_frame(path):
    notebook = read(path)
    first, last = notebook.cells[0].source, notebook.cells[-1].source
    number = path.stem.partition("_")[0]
    assert re.match(rf"# {number} \w", first) and "**Question.**" in first and "**You will see.**" in first
    headings = re.findall(r"^## (.+)$", "\n".join(c.source for c in notebook.cells if c.cell_type == "markdown"), re.M)
    assert headings[-4:] == ["What this does not show", "Summary", "Exercises", "Next"]
    assert len(items(section(notebook, "Summary"))) == 5
    following = re.findall(r"\]\((\d\d_\w+\.ipynb)\)", last)
    assert following and all((path.parent / name).is_file() for name in following)


@every
def test_every_exercise_has_its_solution(path):
    exercises = items(section(read(path), "Exercises"))
    assert 3 <= len(exercises) <= 5
    solutions = read(path.parent / "solutions" / path.name)
    assert f"](solutions/{path.name})" in section(read(path), "Exercises")
    assert f"](../{path.name})" in solutions.cells[0].source
    asked = [
        re.findall(r"^## Exercise (\d+)\n\n(.+)\n", c.source) for c in solutions.cells if c.cell_type == "markdown"
    ]
    assert [found for cell in asked for found in cell] == [(str(n), text) for n, text in enumerate(exercises, 1)]


@solved
def test_solutions_run_and_check_themselves(path, monkeypatch):
    code = [cell.source for cell in read(path).cells if cell.cell_type == "code"][1:]
    assert all("assert " in source for source in code)
    names, threads = {}, torch.get_num_threads()
    monkeypatch.chdir(path.parent)
    try:
        for n, source in enumerate(code, 1):
            exec(compile(source, f"{path.name}, exercise {n}", "exec"), names)
    finally:
        torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def copied_kit(tmp_path_factory):
    """A folder that holds what a notebook reads of the kit; the notebooks' runs go there too."""
    kit = tmp_path_factory.mktemp("kit")
    (kit / "notebooks").mkdir()
    for name in ("benchmarks", "figures"):
        (kit / name).symlink_to(ROOT / name)
    return kit


@pytest.mark.slow
@every
def test_they_run_at_the_smallest_recipe_too(path, copied_kit):
    notebook = read(path)
    for cell in notebook.cells:
        cell.source = cell.source.replace('RECIPE = "demo"', 'RECIPE = "tiny"')
    where = {"metadata": {"path": str(copied_kit / "notebooks")}}
    NotebookClient(notebook, timeout=1200, kernel_name="python3", resources=where).execute()
    assert 'RECIPE = "tiny"' in notebook.cells[2].source


def cell_with(path, text):
    """The one code cell that holds ``text``."""
    (found,) = [cell.source for cell in read(path).cells if cell.cell_type == "code" and text in cell.source]
    return found


@pytest.mark.parametrize("length", [16, 29, 46, 250])
def test_notebook_01_shows_four_frames_of_a_video_of_any_length(length):
    shown = []
    source = cell_with(PATHS[1], "draw_face(axes, frames[t]").replace("draw_face(axes", "shown.append((axes")
    frames, points = np.zeros((length, 8, 8, 3), np.uint8), np.zeros((length, 68, 2))
    exec(source + ")", {"frames": frames, "points": points, "shown": shown})
    titles = [title for *_, title in shown]
    assert len(set(titles)) == 4
    assert length != 46 or titles == ["frame 0", "frame 12", "frame 24", "frame 36"]  # as its output shows


@pytest.mark.parametrize("steps", [1, 3, 60])
def test_notebook_04_sums_up_a_training_of_any_length(steps):
    losses = np.random.default_rng(0).normal(size=(steps, 2))
    names = {
        "pd": pd,
        "drawn": drawn,
        "history": losses.tolist(),
        "recipe": SimpleNamespace(stage2=SimpleNamespace(epochs=2)),
        "clips": SimpleNamespace(steps=30),
    }
    exec(cell_with(PATHS[4], "smooth.iloc"), names)
    assert names["bce"] == pytest.approx(losses[:8, 0].mean())
    assert names["bce_end"] == pytest.approx(losses[-8:, 0].mean())


@every
def test_decimals_in_the_text_are_those_of_the_cells(path):
    notebook = read(path)
    there = set(re.findall(r"\d+\.\d+", printed(notebook))) | QUOTED
    text = "\n".join(
        c.source for c in notebook.cells if c.cell_type == "markdown" and not c.source.startswith(APPARATUS)
    )
    text = re.sub(r"arXiv [\d., and]+|\]\([^)]*\)|`[^`]*`", "", FORMULA.sub("", text))
    assert set(re.findall(r"(?<![\d.])\d+\.\d+(?![\d.])", text)) <= there


@solved
def test_frame_of_solutions(path):
    notebook = read(path)
    assert (ROOT / "notebooks" / path.name).is_file()
    assert notebook.cells[0].source.startswith(f"# {path.stem[:2]} Solutions: ")
    assert notebook.cells[1].source == links.colab_cell(links.SOLUTIONS, links.repository())


@every
def test_shared_cells(path):
    notebook = read(path)
    assert notebook.cells[1].source == links.colab_cell(links.NOTEBOOKS, links.repository())
    assert notebook.cells[2].source == links.CHOICE_CELL


@executed
def test_size_and_nothing_of_the_machine(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.encode()) <= LARGEST
    assert not re.search(r"/home/|/root/|/Users/|/tmp/|C:\\\\", text)


def test_all_notebooks_together_stay_small():
    assert sum(path.stat().st_size for path in PATHS + SOLUTIONS) <= LARGEST_ALL
