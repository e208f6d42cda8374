"""The notebooks' first cell on Colab: what it decides, and, marked ``colab``, all of it on an imitation of Colab.

The imitation: Python 3.13 with Colab's versions (``tests/colab.txt``), ``google.colab`` imported in every kernel, and a
folder ``/content``. The cell runs as it is written, with this checkout's last commit in place of the repository.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import nbformat
import pytest

from notebooks import colab, links

ROOT = Path(__file__).resolve().parents[1]
HERE = {
    "torch": "2.11.0+cu128", "numpy": "2.1.3", "opencv-python": "5.0.0.93", "opencv-python-headless": "5.0.0.93",
}  # fmt: skip
KERNEL_SECONDS = 3600
NOTEBOOKS = ("00_start_here", "06_results_and_auc", "08_try_your_own_video")
CONTENT = Path("/content")
PYTHON = "3.13"

needs = pytest.mark.skipif(sys.version_info < (3, 11), reason="Colab has Python 3.13, the kit's cell needs 3.11")


@pytest.fixture
def installed(monkeypatch):
    """What is installed, as the cell sees it."""
    there = dict(HERE)

    def version(name):
        if name not in there:
            raise PackageNotFoundError(name)
        return there[name]

    monkeypatch.setattr(colab, "version", version)
    return there


@pytest.mark.usefixtures("installed")
def test_what_is_there_and_fits_is_kept_and_what_lacks_is_asked_for():
    assert colab.split(["torch>=2.6,<2.12", "numpy>=1.26", "av>=17.1,<18", "face-alignment>=1.5,<2"]) == (
        ["av>=17.1,<18", "face-alignment>=1.5,<2"], [],
    )  # fmt: skip


def test_a_torchaudio_that_colab_has_dropped_is_that_of_its_torch(installed):
    installed["torch"] = "2.10.1+cu128"
    assert colab.split(["torch>=2.6,<2.12", "torchaudio>=2.6,<2.12"]) == (["torchaudio==2.10.*"], [])


@pytest.mark.parametrize("found", ["4.8.1.78", "5.0.0.93", "5.1.0"])
def test_another_opencv_is_left_alone_and_the_kit_gets_its_own_beside_it(found, installed):
    installed["opencv-python-headless"] = installed["opencv-python"] = found
    wanted = ["opencv-python-headless>=4.9,<5", "opencv-python>=4.9,<5"]
    assert colab.split(wanted) == ([], ["opencv-python-headless>=4.9,<5"])
    installed["opencv-python-headless"] = "4.13.0.92"
    assert colab.split(wanted) == ([], [])


def test_a_runtime_that_does_not_fit_is_one_sentence(installed):
    installed["torch"] = "2.12.0+cu130"
    with pytest.raises(SystemExit, match=r"torch>=2\.6,<2\.12 \(here: 2\.12\.0\+cu130\).*Change runtime version"):
        colab.split(["torch>=2.6,<2.12"])


@needs
def test_the_cell_installs_what_pyproject_asks_for_and_face_alignment():
    names = {text.split(">")[0] for text in colab.requirements()}
    assert {"torch", "av", "lightning", "adamp", "opencv-python-headless", "face-alignment", "espeakng-loader"} <= names
    assert not names & {"ray", "jupyterlab", "dlib-bin"}


def test_every_installed_package_is_a_constraint(monkeypatch):
    lines = colab.frozen().splitlines()
    assert f"numpy=={__import__('numpy').__version__}" in lines
    assert not [line for line in lines if line.startswith("tdd-deepfake")] and len(lines) == len(set(lines)) > 20

    def named(name, number):
        return type("One", (), {"metadata": {"Name": name}, "version": number})

    twice = [named("a", "2"), named("a", "1"), named("old", "1.0-not-a-version"), named("t", "2.11.0+cu128")]
    monkeypatch.setattr(colab, "distributions", lambda: twice)
    assert colab.frozen() == "a==2\nt==2.11.0+cu128\n"


def test_the_own_folder_comes_first_here_and_in_what_is_started(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", ["", "/site"])
    monkeypatch.setenv("PYTHONPATH", "/env/python")
    monkeypatch.delitem(sys.modules, "cv2", raising=False)
    (tmp_path / "cv2.py").write_text("__version__ = 'own'\n")
    for _ in range(2):
        colab.put_first(tmp_path)
    assert sys.path == [str(tmp_path), "", "/site"]
    assert os.environ["PYTHONPATH"] == os.pathsep.join([str(tmp_path), "/env/python"])
    asked = subprocess.run([sys.executable, "-c", "import cv2; print(cv2.__version__)"], capture_output=True, text=True)
    assert asked.stdout == "own\n"


def test_another_opencv_that_is_loaded_already_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("PYTHONPATH", "")
    monkeypatch.setitem(sys.modules, "cv2", type("Cv2", (), {"__file__": "/site/cv2/__init__.py"}))
    with pytest.raises(SystemExit, match="Restart session"):
        colab.put_first(tmp_path)
    monkeypatch.setitem(sys.modules, "cv2", type("Cv2", (), {"__file__": str(tmp_path / "cv2/__init__.py")}))
    colab.put_first(tmp_path)


def uv(*arguments):
    """Python's fastest installer; its wheels lie in one cache."""
    found = shutil.which("uv", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    assert found, "uv is needed: pip install uv"
    subprocess.run([found, *map(str, arguments)], check=True)


def rewritten(path, text):
    """A new file: what uv installs is linked to its cache."""
    path.unlink()
    path.write_text(text, encoding="utf-8")


def imitate(folder):
    """Colab's Python with what it has; returns its ``site-packages``."""
    uv("venv", "-q", "--python", PYTHON, "--seed", folder)
    uv(
        "pip",
        "install",
        "-q",
        "--python",
        folder / "bin/python",
        "--only-binary",
        ":all:",
        "-r",
        ROOT / "tests/colab.txt",
    )
    (site,) = (folder / "lib").glob("python3*/site-packages")
    for name in ("torch", "torchvision", "torchaudio"):
        (about,) = site.glob(f"{name}-*.dist-info/METADATA")
        first, *rest = about.read_text(encoding="utf-8").split("\nVersion: ", 1)
        number, rest = rest[0].split("\n", 1)
        rewritten(about, f"{first}\nVersion: {number.partition('+')[0]}+cu128\n{rest}")
    (site / "google/colab").mkdir(parents=True)
    (site / "google/colab/__init__.py").write_text("")
    startup = folder / "ipython/profile_default/startup"
    startup.mkdir(parents=True)
    (startup / "00.py").write_text("import google.colab\n")
    return site


def contents(site):
    """Every file of every package: its size and the time of its last change."""
    return {
        path.relative_to(site).as_posix(): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in site.rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }


LAST_CELL = """
import json, subprocess, sys
from importlib.metadata import version
import cv2, face_alignment, numpy, torch
asked = lambda *command: subprocess.run(command, capture_output=True, text=True).stdout.strip()
print(json.dumps({
    "cv2": cv2.__version__, "started": asked(sys.executable, "-c", "import cv2; print(cv2.__version__)"),
    "numpy": numpy.__version__, "torch": version("torch"), "widgets": version("ipywidgets"),
    "kit": asked("tdd", "--version"),
}))
"""

LARGE_FILE_CELL = """
import numpy as np
# 3 MB: the example, with an empty box at its end, as film editors leave them.
large = video.with_name("large.mp4")
large.write_bytes(video.read_bytes() + (3_000_000).to_bytes(4, "big") + b"free" + bytes(2_999_992))
points_given = landmarks.read_bytes()
panel.landmarks.set_trait("value", {"large.npy": {"content": points_given, "metadata": {"name": "large.npy"}}})
panel.path.value = str(large)
panel.button.click()
same = panel.prediction.logit == scorer.score(video, landmarks).logit
print(json.dumps({"video_upload": panel.video.layout.display, "note": panel.note.value, "same": bool(same)}))
"""


def run_notebook(name, venv, out):
    """Execute a notebook of Colab's: outside the kit's folder, in a new kernel; returns what its last cells print."""
    notebook = nbformat.read(ROOT / f"notebooks/{name}.ipynb", as_version=4)
    cell = links.colab_cell("notebooks", f"file://{ROOT}")
    assert notebook.cells[1].source == links.colab_cell("notebooks", links.repository())
    notebook.cells[1].source = cell
    checks = [LAST_CELL, LARGE_FILE_CELL] if name.startswith("08") else [LAST_CELL]
    notebook.cells += [nbformat.v4.new_code_cell(source) for source in checks]
    (out / f"{name}.ipynb").write_text(nbformat.writes(notebook), encoding="utf-8")
    runner = (
        "import nbformat, sys; from nbclient import NotebookClient; path = sys.argv[1]; nb = nbformat.read(path, 4); "
        f"NotebookClient(nb, timeout={KERNEL_SECONDS}, kernel_name='python3').execute(cwd={str(CONTENT)!r}); "
        "nbformat.write(nb, path)"
    )
    path = f"{venv / 'bin'}{os.pathsep}{os.environ['PATH']}"
    kept = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
    subprocess.run(
        [venv / "bin/python", "-c", runner, out / f"{name}.ipynb"],
        check=True, env=kept | {"IPYTHONDIR": str(venv / "ipython"), "PATH": path}, cwd=CONTENT,
    )  # fmt: skip
    done = nbformat.read(out / f"{name}.ipynb", as_version=4)
    assert not done.cells[1].outputs, done.cells[1].outputs
    last = [output.text for cell in done.cells[-len(checks) :] for output in cell.outputs if "text" in output]
    return {key: value for text in last for key, value in json.loads(text.splitlines()[-1]).items()}


@pytest.mark.colab
def test_the_first_cell_and_three_notebooks_run_on_colab_and_replace_nothing(tmp_path):
    made = not CONTENT.exists()
    assert os.access(CONTENT.parent if made else CONTENT, os.W_OK), f"{CONTENT}, Colab's folder, cannot be made"
    assert made or not any(CONTENT.iterdir()), f"{CONTENT} has to be empty"
    venv = tmp_path / "colab"
    site = imitate(venv)
    before = contents(site)
    head = subprocess.run(["git", "-C", ROOT, "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip()
    CONTENT.mkdir(exist_ok=True)
    try:
        said = {name: run_notebook(name, venv, tmp_path) for name in NOTEBOOKS}
    finally:
        shutil.rmtree(CONTENT / "tdd", ignore_errors=True)
        if made:
            shutil.rmtree(CONTENT)
    after = contents(site)
    assert not {name for name, what in before.items() if after.get(name) != what}
    for one in said.values():
        assert one["cv2"].startswith("4.") and one["started"] == one["cv2"], one
        assert (one["numpy"], one["torch"], one["widgets"]) == ("2.1.3", "2.11.0+cu128", "7.7.1")
        assert one["kit"].endswith(f", commit {head}")
    last = said["08_try_your_own_video"]
    assert last["video_upload"] == "none" and last["same"] and "1 MB" in last["note"]
