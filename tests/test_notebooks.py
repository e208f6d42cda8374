"""The committed notebooks: frame, budget of text and code, outputs. `make notebooks` executes them."""

import re
from pathlib import Path

import nbformat
import numpy as np
import pytest

from notebooks import links

ROOT = Path(__file__).parents[1]
PATHS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
OVERVIEW = "00_start_here.ipynb"
"""It defines nothing and holds the map of the kit: more is told in it than computed."""
LARGEST = 1_000_000
LARGEST_ALL = 5_000_000
"""Bytes of one notebook with its outputs, and of all."""

every = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)


def read(path):
    return nbformat.read(path, as_version=4)


def own_code(notebook):
    """Sources of the code cells, without the two that every notebook shares."""
    return [cell.source for cell in notebook.cells[3:] if cell.cell_type == "code"]


def text_to_code(notebook):
    """Words of text for a word of code: both as split at white space, shared cells left out."""
    text = sum(len(cell.source.split()) for cell in notebook.cells if cell.cell_type == "markdown")
    return text / sum(len(source.split()) for source in own_code(notebook))


@every
def test_it_was_executed_from_top_to_bottom_without_an_error(path):
    cells = [cell for cell in read(path).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert len(outputs) >= 5 and not [output for output in outputs if output.output_type == "error"]
    assert not [output.text for output in outputs if output.get("name") == "stderr"]


@every
def test_budget_of_text_and_code(path):
    notebook = read(path)
    lines = [len(source.splitlines()) for source in own_code(notebook)]
    most = 4 if path.name == OVERVIEW else 1.9
    assert 1.3 <= text_to_code(notebook) <= most, f"{text_to_code(notebook):.2f} words of text for one of code"
    assert np.median(lines) <= 9 and np.percentile(lines, 90) <= 20, sorted(lines)


@every
def test_frame(path):
    notebook = read(path)
    first, last = notebook.cells[0].source, notebook.cells[-1].source
    number = path.stem.partition("_")[0]
    assert re.match(rf"# {number} \w", first) and "**Question.**" in first and "**You will see.**" in first
    headings = re.findall(r"^## (.+)$", "\n".join(c.source for c in notebook.cells if c.cell_type == "markdown"), re.M)
    assert "What this does not show" in headings and headings[-1] == "Next", headings
    following = re.findall(r"\]\((\d\d_\w+\.ipynb)\)", last)
    assert following and all((path.parent / name).is_file() for name in following)


@every
def test_shared_cells_and_the_repository_address(path):
    notebook = read(path)
    assert links.LINK.findall(notebook.cells[0].source) == [path.name]
    assert links.relink(notebook.cells[0].source) == notebook.cells[0].source
    assert notebook.cells[1].source == links.colab_cell()
    assert notebook.cells[2].source == links.CHOICE_CELL


@every
def test_size_and_nothing_of_the_machine(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.encode()) <= LARGEST
    assert not re.search(r"/home/|/root/|/Users/|/tmp/|C:\\\\", text)


def test_all_notebooks_together_stay_small():
    assert sum(path.stat().st_size for path in PATHS) <= LARGEST_ALL


@pytest.mark.parametrize("name", links.READMES)
def test_colab_links_of_the_readmes(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    assert links.relink(text) == text
    assert all((ROOT / "notebooks" / found).is_file() for found in links.LINK.findall(text))


def test_one_changed_address_reaches_every_link(monkeypatch):
    text = f"[a]({links.colab_link('00_start_here.ipynb')}) [b]({links.colab_link('08_x.ipynb')})"
    monkeypatch.setattr(links, "repository", lambda: "https://github.com/someone/else")
    assert links.relink(text).count("/github/someone/else/blob/main/notebooks/") == 2
    assert "git clone -q --depth 1 https://github.com/someone/else /content/tdd" in links.colab_cell()


def test_a_pyproject_without_the_address_is_refused(monkeypatch):
    monkeypatch.setattr(links, "_read", lambda _name: "[project]\n")
    with pytest.raises(SystemExit, match="Repository"):
        links.repository()
