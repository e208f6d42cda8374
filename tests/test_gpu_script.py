"""The script that measures a GPU, its logic on a CPU."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from benchmarks import gpu, gpu_runs
from tdd.config import load_recipe
from tdd.records.paper import ROWS

SCRIPT = Path(__file__).resolve().parents[1] / "benchmarks" / "gpu.py"


@pytest.mark.slow
def test_its_parts_run_on_a_cpu_and_leave_no_error(tmp_path):
    parts = ["machine", "ceilings", "stages", "projection", "golden", "optimisers", "depthwise", "one_card"]
    command = [sys.executable, str(SCRIPT), "--device", "cpu", "--small", "--out", str(tmp_path), "--parts", *parts]
    subprocess.run(command, check=True, timeout=600)
    assert set(written(tmp_path)) == {*parts, "seconds"}
    assert '"error"' not in (tmp_path / "gpu.json").read_text()


def test_without_a_gpu_it_says_so_in_one_sentence(tmp_path):
    done = subprocess.run([sys.executable, str(SCRIPT), "--out", str(tmp_path)], capture_output=True, text=True)
    if done.returncode == 0:
        pytest.skip("there is a CUDA device")
    assert done.stderr.strip() == "There is no CUDA device; its logic runs with --device cpu --small."


def bench(out, results=None, seconds=3600.0, longest=3600.0):
    return gpu.Bench(torch.device("cpu"), True, out, time.monotonic() + seconds, 0, longest, results or {})


def written(out):
    return json.loads((out / "gpu.json").read_text())


def test_a_piece_that_fails_or_takes_too_long_stops_no_other_and_all_is_written_at_once(tmp_path):
    one, seen = bench(tmp_path, longest=1.0), []

    def without_memory():
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    def parts(_):
        yield "csn/stage1", lambda: {"step_s": 1.5}
        yield "csn/stage2", without_memory
        yield "hangs", lambda: time.sleep(60)
        yield "last", lambda: seen.append(written(tmp_path)) or 3.0
        raise ZeroDivisionError("between two pieces")

    one.part("first", parts)
    one.part("second", lambda _: iter([("", lambda: {"gpu": "none"})]))
    told = {"csn": {"stage1": {"step_s": 1.5}, "stage2": {"error": seen[0]["first"]["csn"]["stage2"]["error"]}}}
    told |= {"hangs": {"error": "TimeoutError: stopped after 1 s"}}
    assert seen[0]["first"] == told and "out of memory" in told["csn"]["stage2"]["error"]
    found = written(tmp_path)
    assert found["first"] == told | {"last": 3.0, "error": "ZeroDivisionError: between two pieces"}
    assert found["second"] == {"gpu": "none"} and set(found["seconds"]) == {"first", "second"}


def test_a_device_that_fails_altogether_leaves_what_was_found(tmp_path, monkeypatch):
    def broken():
        raise RuntimeError("CUDA error: device-side assert triggered")

    monkeypatch.setattr(torch.cuda, "empty_cache", broken)
    one = gpu.Bench(torch.device("cuda"), True, tmp_path, time.monotonic() + 60, 0)
    one.part("part", lambda _: iter([("sound", lambda: 1.0), ("broken", broken), ("next", broken)]))
    assert written(tmp_path)["part"]["sound"] == 1.0 and set(written(tmp_path)["part"]) == {"sound", "broken", "next"}


def test_when_time_is_over_what_is_left_says_so(tmp_path):
    one = bench(tmp_path, seconds=5)
    one.part("part", lambda _: iter([("long", lambda: 1.0)]), least=30)
    assert written(tmp_path)["part"]["long"]["skipped"].endswith("s left, 30 needed")


def test_what_matters_most_comes_first(tmp_path):
    names = list(gpu.all_parts(tmp_path, small=False))
    wanted = ["machine", "ceilings", "stages", "projection", "golden", "views", "curves", "colab"]
    assert names[: len(wanted)] == wanted


@pytest.mark.slow
def test_losses_stand_beside_those_of_the_cpu_and_a_stopped_run_beside_an_unbroken_one(tmp_path):
    one = bench(tmp_path / "out")
    one.part("curves", lambda b: gpu_runs.curves(b, tmp_path / "runs"))
    found = written(tmp_path / "out")["curves"]
    assert set(found) == {"cpu", "device, 32-true", "device, resumed"}
    for name, beside in (("device, 32-true", "cpu"), ("device, resumed", "device, 32-true")):
        assert found[name][f"apart_from_{beside}"] == {"first": 0.0, "most": 0.0}  # here all is the CPU
        assert len(found[name]["stage1_loss"]) == len(found[name]["stage2_bce"]) == 2


def test_views_of_a_device_are_held_against_the_cpus(tmp_path):
    one = bench(tmp_path)
    one.part("views", gpu_runs.view_parts)
    found = written(tmp_path)["views"]
    assert 0 <= found["views"]["grey_levels_apart"] <= 1 and found["log_mel"]["apart"] < 1e-4


class Passes(torch.nn.Module):
    """A stage whose loss is its weight times its batch."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))

    def training_step(self, batch, _index):
        return (self.weight * batch["frames"]).mean()

    def configure_optimisers(self):
        return torch.optim.SGD(self.parameters(), 0.1), None


def test_a_step_is_timed_with_all_its_parts_and_its_waiting(tmp_path):
    def batches():
        while True:
            time.sleep(0.02)
            yield {"frames": torch.ones(2)}

    stage = Passes()
    row = gpu_runs.timed_steps(bench(tmp_path), stage, batches(), 3, 4, 2, "fp32")
    assert row["finite"] and row["step_s"] >= 0.06 and row["data_wait"] > 0.8 and len(row["first_steps_s"]) == 2
    assert row["steps_s"] == pytest.approx(1 / row["step_s"], rel=0.01)
    assert stage.weight.item() == pytest.approx(1 - 6 * 0.1)  # six steps of the mean of three parts
    share = gpu_runs.utilisation(bench(tmp_path, {"ceilings": {"gemm_bf16_tflops": 800}}), 100e12, {"step_s": 0.5})
    assert share == {"tflops": 200.0, "mfu": 0.25}


def test_the_whole_table_is_projected_from_the_steps_that_were_measured(tmp_path):
    taken = {"stage1": {"step_s": 0.36}, "stage2": {"step_s": 0.036}}
    measured = {backbone: dict(taken) for backbone in gpu.BACKBONES}
    one = bench(tmp_path, {"stages": measured})
    one.part("projection", gpu_runs.projection)
    found, recipe = written(tmp_path)["projection"], load_recipe("paper")
    first = recipe.stage1.epochs * (5_000 // recipe.stage1.batch_size) * 1e-4
    second = recipe.stage2.epochs * (720 * (4 + recipe.stage2.real_repeats) // recipe.stage2.batch_size) * 1e-5
    assert found["csn"]["stage1"] == pytest.approx(first, abs=0.01)
    whole = recipe.stage1.epochs * (488_763 // recipe.stage1.batch_size) * 1e-4
    assert found["csn"]["whole_lrw"] == pytest.approx(whole, abs=0.01)
    assert found["hours"] == pytest.approx(3 * first + len(ROWS) * second, abs=0.1) and found["complete"]
    measured["csn"]["stage2"] = {"error": "OutOfMemoryError"}
    one.part("projection", gpu_runs.projection)
    assert not written(tmp_path)["projection"]["complete"]
