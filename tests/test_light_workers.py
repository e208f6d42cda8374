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
