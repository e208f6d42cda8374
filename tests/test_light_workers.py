"""What processes load that only decode, crop, film or check: nothing of the training stack."""

import subprocess
import sys

import pytest

from tdd.config import ClipConfig
from tdd.machine.parallel import ProcessPool
from tdd.preprocess.check import check_root
from tdd.preprocess.prepare import prepare
from tests.preprocess.trees import write_root

HEAVY = ("torch", "torchvision", "torchaudio", "lightning")


def loaded():
    return [name for name in HEAVY if name in sys.modules]


class Watched(ProcessPool):
    """A pool that asks its process after its last piece what it has loaded."""

    found: list  # of lists of names

    def shutdown(self, wait=True, *, cancel_futures=False):
        Watched.found.append(self.submit(loaded).result())
        super().shutdown(wait, cancel_futures=cancel_futures)


@pytest.fixture
def watched(monkeypatch):
    Watched.found = []
    monkeypatch.setattr("tdd.machine.parallel.ProcessPool", Watched)
    return Watched.found


def test_crop_workers_and_checkers_load_no_torch(tmp_path, watched):
    clip = ClipConfig(canvas=72, crop=42, view_crop=40, input_size=32)
    root = write_root(tmp_path / "data")
    assert prepare(root, tmp_path / "store", clip).made > 9
    check_root(root, workers=2)
    assert len(watched) >= 2 and not any(watched)


@pytest.mark.parametrize("module", ["tdd.preprocess.prepare", "tdd.preprocess.finding", "tdd.synth.trees", "tdd.study"])
def test_importing_what_begins_the_work_loads_no_torch(module):
    asked = f"import sys, {module}; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


SLOW_TO_LOAD = (*HEAVY, "pandas", "pyarrow", "scipy", "cv2", "av")

AT_FIRST_LINE = f"""
import sys, time
from tdd.cli import main

class Watched:
    encoding, said = "utf-8", False
    def isatty(self): return False
    def flush(self): pass
    def write(self, text):
        if text.strip() and not self.said:
            self.said = True
            loaded = [name for name in {SLOW_TO_LOAD} if name in sys.modules]
            print(loaded, round(time.process_time(), 2), text.strip(), sep="|", file=sys.stderr)

sys.stdout = Watched()
main(sys.argv[1:])
"""


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["prepare", "--root", "{root}", "--out", "{out}"], "Looking for videos in"),
        (["data", "check", "{root}"], "Opening every video in"),
        (["data", "check", "--store", "{out}"], "Reading every array in"),
        (["predict", "{root}", "--checkpoint", "{out}", "--csv", "{out}/a.csv"], "Looking for videos in"),
        (["predict", "{root}/a.mp4", "--checkpoint", "{out}"], "Loading the detector"),
    ],
)
def test_the_first_line_comes_before_anything_that_takes_long_to_load(tmp_path, command, said):
    given = [part.format(root=tmp_path, out=tmp_path / "out") for part in command]
    done = subprocess.run([sys.executable, "-c", AT_FIRST_LINE, *given], capture_output=True, text=True)
    loaded, seconds, line = done.stderr.splitlines()[0].split("|")
    assert line.startswith(said) and loaded == "[]", done.stderr
    assert float(seconds) < 1  # of a core; a busy machine takes longer
