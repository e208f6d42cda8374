"""The script that measures a GPU, its logic on a CPU."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "benchmarks" / "gpu.py"


@pytest.mark.slow
def test_its_parts_run_on_a_cpu_and_leave_no_error(tmp_path):
    parts = ["machine", "store", "optimisers", "layouts", "depthwise"]
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
