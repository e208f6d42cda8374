import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from tdd.names import SYNTHETIC_METHODS
from tdd.synth.plan import plan_benchmark
from tdd.synth.trees import write_benchmark

PATH = Path(__file__).parents[2] / "benchmarks" / "shortcuts.py"
SPEC = importlib.util.spec_from_file_location("benchmark_shortcuts", PATH)
assert SPEC is not None and SPEC.loader is not None
shortcuts = importlib.util.module_from_spec(SPEC)
sys.modules[SPEC.name] = shortcuts
SPEC.loader.exec_module(shortcuts)


def made_up(shift, seed=0, n=200):
    """Feature rows of n pairs of real and fake; ``shift`` moves the file size of the fakes."""
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((2 * n, len(shortcuts.FEATURES)))
    fake = [bool(k % 2) for k in range(2 * n)]
    values[1::2, 0] += shift
    return shortcuts._row("made up", values, fake, [str(k // 4) for k in range(2 * n)])


def test_a_planted_shortcut_is_found():
    row = made_up(shift=3.0)
    assert row.auc > 0.95
    assert (row.best_feature, row.real, row.fake) == ("bytes", 200, 200)


def test_noise_is_no_shortcut():
    row = made_up(shift=0.0)
    assert abs(row.auc - 0.5) < 0.1
    assert row.error == pytest.approx(0.029, abs=0.002)  # sqrt((n + n + 1) / (12 n n)) at 0.5, n = 200


def test_videos_of_a_pair_share_a_fold():
    tasks = plan_benchmark(shortcuts.size_of(8, 96, (4, 4)), 0)
    groups = {}
    for task in tasks:
        groups.setdefault(shortcuts.group(task), set()).add(task.path.split("/")[-1])
    assert groups["pair 0"] == {"000.mp4", "001.mp4", "000_001.mp4", "001_000.mp4"}
    assert groups["Celeb-DF-v2/id0"] == {"id0_0000.mp4", "id0_id1_0000.mp4", "id0_id2_0000.mp4"}


@pytest.mark.slow
def test_no_method_is_told_without_looking_at_the_face(tmp_path):
    """A smaller and coarser copy of benchmarks/shortcuts.py: no AUC lies above the limit by more than chance."""
    size = shortcuts.size_of(40, 112, (16, 18))
    rows = shortcuts.measure(write_benchmark(tmp_path / "tree", size), plan_benchmark(size, 0))
    assert [row.method for row in rows] == list(SYNTHETIC_METHODS)
    assert all(row.real == row.fake == 40 for row in rows)
    assert all(row.auc - 1.64 * row.error <= shortcuts.LIMIT for row in rows), shortcuts.table(rows)
