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


def made_up(view, shift, seed=0, n=200):
    """Rows of numbers of n pairs of real and fake; ``shift`` moves the first number of the fakes."""
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((2 * n, len(shortcuts.VIEWS[view])))
    fake = [bool(k % 2) for k in range(2 * n)]
    values[1::2, 0] += shift
    return shortcuts._row("made up", view, values, fake, [str(k // 4) for k in range(2 * n)])


@pytest.mark.parametrize("shift", [3.0, -3.0])
@pytest.mark.parametrize(("view", "first"), [("file", "bytes"), ("frame", "change"), ("face", "change")])
def test_a_planted_shortcut_is_found(view, first, shift):
    row = made_up(view, shift)
    assert row.together > 0.95 and row.worst_area > 0.95
    assert (row.worst, row.real, row.fake) == (first, 200, 200)
    assert (row.alone[first] > 0.5) == (shift > 0)
    assert not row.held
    assert f"BROKEN by made up ({view})" in shortcuts.verdict([row])


def test_noise_is_no_shortcut():
    row = made_up("face", 0.0)
    assert abs(row.together - 0.5) < 0.1 and row.held
    assert row.error == pytest.approx(0.029, abs=0.002)  # sqrt((n + n + 1) / (12 n n)) at 0.5, n = 200
    assert shortcuts.verdict([row]).endswith("held.")
    assert f"| made up | face | 200 | 200 | {row.together:.3f} |" in shortcuts.table([row])


def test_crops_are_what_an_evaluation_view_shows():
    """The mean face itself, moved by whole pixels, comes out as the canvas's middle."""
    clip = shortcuts.load_recipe("demo").clip
    rng = np.random.default_rng(0)
    target = clip.canvas / 2 + rng.uniform(-25, 25, (68, 2))
    target += clip.canvas / 2 - target[15:68].mean(0)
    canvas = rng.integers(0, 256, (clip.canvas, clip.canvas, 3), np.uint8)
    frames = np.zeros((13, 160, 160, 3), np.uint8)
    frames[:, 20 : 20 + clip.canvas, 30 : 30 + clip.canvas] = canvas
    seen = shortcuts.crops(frames, np.tile(target + np.array((30, 20)), (13, 1, 1)), target, clip)
    low = (clip.canvas - clip.view_crop) // 2
    middle = canvas[low : low + clip.view_crop, low : low + clip.view_crop]
    assert seen.shape == (13, *middle.shape)
    assert np.abs(seen[5].astype(int) - middle).mean() < 6  # the transform is fitted, not known to be a whole shift


def test_videos_of_a_pair_share_a_fold():
    tasks = plan_benchmark(shortcuts.size_of(8, 96, (4, 4)), 0)
    groups = {}
    for task in tasks:
        groups.setdefault(shortcuts.group(task), set()).add(task.path.split("/")[-1])
    assert groups["pair 0"] == {"000.mp4", "001.mp4", "000_001.mp4", "001_000.mp4"}
    assert groups["Celeb-DF-v2/id0"] == {"id0_0000.mp4", "id0_id1_0000.mp4", "id0_id2_0000.mp4"}


@pytest.mark.slow
def test_no_method_is_told_without_looking_at_how_the_face_moves(tmp_path):
    """A smaller and coarser copy of benchmarks/shortcuts.py: no area lies above its limit by more than chance.

    Two standard errors, for it looks at 29 numbers of each of six methods.
    """
    size = shortcuts.size_of(40, 112, (16, 18))
    rows = shortcuts.measure(write_benchmark(tmp_path / "tree", size), plan_benchmark(size, 0))
    assert [row.method for row in rows[::3]] == list(SYNTHETIC_METHODS)
    assert [row.view for row in rows[:3]] == list(shortcuts.VIEWS)
    assert all(row.real == row.fake == 40 for row in rows)
    assert all(row.together - 2 * row.error <= shortcuts.TOGETHER for row in rows), shortcuts.table(rows)
    assert all(row.worst_area - 2 * row.error <= shortcuts.ALONE for row in rows), shortcuts.table(rows)
