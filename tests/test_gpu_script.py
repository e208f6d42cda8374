"""The script that measures a GPU, its logic on a CPU."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks import gpu
from tdd.config import load_recipe
from tdd.records.paper import ROWS

SCRIPT = Path(__file__).resolve().parents[1] / "benchmarks" / "gpu.py"


@pytest.mark.slow
def test_its_parts_run_on_a_cpu_and_leave_no_error(tmp_path):
    parts = ["machine", "store", "optimisers", "layouts", "depthwise", "switches", "one_card"]
    command = [sys.executable, str(SCRIPT), "--device", "cpu", "--small", "--out", str(tmp_path), "--parts", *parts]
    subprocess.run(command, check=True, timeout=600)
    found = json.loads((tmp_path / "gpu.json").read_text())
    assert set(found) == {*parts, "seconds"}
    assert not [name for name, value in found.items() if isinstance(value, dict) and {"error", "skipped"} & set(value)]


def test_without_a_gpu_it_says_so_in_one_sentence(tmp_path):
    done = subprocess.run([sys.executable, str(SCRIPT), "--out", str(tmp_path)], capture_output=True, text=True)
    if done.returncode == 0:
        pytest.skip("there is a CUDA device")
    assert done.stderr.strip() == "There is no CUDA device; its logic runs with --device cpu --small."


def test_the_whole_table_is_projected_from_the_steps_that_were_measured(tmp_path):
    steps = {"stage1": {"step_s": 0.36}, "stage2": {"step_s": 0.036}}
    measured = dict.fromkeys(gpu.BACKBONES, steps)
    bench = gpu.Bench(torch.device("cpu"), True, tmp_path, 0.0, 0, {"stages": measured})
    found = gpu.projection(bench)
    recipe = load_recipe("paper")
    first = recipe.stage1.epochs * (488_763 // recipe.stage1.batch_size) * 1e-4
    assert found["csn"]["stage1"] == pytest.approx(first, abs=0.01)
    second = recipe.stage2.epochs * (720 * (4 + recipe.stage2.real_repeats) // recipe.stage2.batch_size) * 1e-5
    assert found["hours"] == pytest.approx(3 * first + len(ROWS) * second, abs=0.1) and found["complete"]
    del measured["csn"]
    assert not gpu.projection(bench)["complete"]
