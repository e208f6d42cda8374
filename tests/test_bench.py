"""The benchmark: a stand-in for the published code that computes the same, ratios taken in turns, and a comparison."""

import copy
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks import bench
from benchmarks.compare import draw, read_results, worse
from benchmarks.measure import LIMIT, OURS, PUBLISHED, Case, copied, in_turns, matrix_product, recurrent_flop, step_flop
from benchmarks.published_way import PlainViews, plain, plain_average
from tdd.config import load_recipe, override
from tdd.data.augment import normalise, train_view
from tdd.models import build_backbone
from tdd.models.build import video_backbone
from tdd.training.optimiser import ema_

SCRIPT = Path(__file__).resolve().parents[1] / "benchmarks" / "bench.py"
TINY = load_recipe("tiny")


def gradients(network, video):
    network(video).square().mean().backward()
    return torch.cat([p.grad.flatten() for _, p in sorted(network.named_parameters()) if p.grad is not None])


@pytest.mark.parametrize("name", ["csn", "cnn_lstm", "cnn_gru_attention", "vivit"])
def test_the_plain_networks_compute_what_ours_do(name):
    torch.manual_seed(0)
    small = {"dim": 32, "depth": 2, "input_size": 32, "patch": 8}
    network = build_backbone(name, **small) if name == "vivit" else video_backbone(name, TINY)
    if name == "csn":
        for block in network.blocks:  # drawn as zero, which would hide what stands before it
            nn.init.ones_(block.expand_norm.weight)
    simple = plain(copy.deepcopy(network))
    assert [type(part).__name__ for part in simple.modules() if type(part).__name__.startswith("Plain")]
    video = torch.randn(2, 3, 25, 32, 32)
    torch.testing.assert_close(simple.train()(video), network.train()(video), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(gradients(simple, video), gradients(network, video), rtol=1e-3, atol=1e-6)


def test_the_plain_views_are_ours_but_for_rounding():
    recipe = override(TINY, {"clip.crop": 40, "clip.view_crop": 36, "clip.input_size": 24})
    simple = PlainViews(recipe)
    frames = np.random.default_rng(0).integers(0, 256, (3, 40, 40, 3), dtype=np.uint8)
    for seed in range(6):
        ours = train_view(frames, np.random.default_rng(seed), recipe.clip, recipe.noise.flip)
        plainly = simple.view(torch.from_numpy(frames).permute(3, 0, 1, 2) / 255, np.random.default_rng(seed))
        grey = plainly.mul(simple.std).add(simple.mean).mul(255)
        assert (grey - torch.from_numpy(ours)).abs().max() <= 1.01
        torch.testing.assert_close(plainly, normalise(torch.from_numpy(ours)[None])[0], atol=0.02, rtol=0)


def test_the_plain_average_is_ours():
    slow, fast = nn.Linear(5, 3), nn.Linear(5, 3)
    other = copy.deepcopy(slow)
    plain_average(slow, fast, 0.9)
    ema_(list(other.parameters()), list(fast.parameters()), 0.9)
    torch.testing.assert_close(list(slow.parameters()), list(other.parameters()))


def test_ratios_are_taken_in_turns():
    seen = []

    def sleeper(name, seconds):
        return lambda: (seen.append(name), time.sleep(seconds))

    ways = {OURS: sleeper(OURS, 0.01), PUBLISHED: sleeper(PUBLISHED, 0.03), LIMIT: sleeper(LIMIT, 0.01)}
    found = in_turns(Case("", ways, share=0.5, clock=time.perf_counter), 0.0, least=4)
    assert found["rounds"] == 4 and {name: seen.count(name) for name in ways} == dict.fromkeys(ways, 5)
    assert seen[3:9] == [*seen[3:6], *seen[5:2:-1]]  # each round the other way round
    assert found["speedup"]["low"] <= found["speedup"]["median"] <= found["speedup"]["high"]
    assert found["speedup"]["median"] == pytest.approx(3, rel=0.4)
    assert found["of_limit"]["median"] == pytest.approx(0.5, rel=0.4)


def test_work_is_counted_as_by_hand():
    network, x = nn.Linear(64, 32, bias=False), torch.randn(8, 64, requires_grad=True)
    assert step_flop(lambda: network(x).sum().backward()) == 3 * 2 * 8 * 64 * 32
    # A gate is a product with the input and one with the state; a GRU has three gates a direction.
    assert recurrent_flop(nn.GRU(7, 5, bidirectional=True), 11) == 2 * 11 * 3 * 2 * 5 * (7 + 5)
    product, share = matrix_product(1e9, 1, size=64)
    assert step_flop(product) * share == pytest.approx(1e9)
    copy_, share = copied(3 << 20, megabytes=1)
    assert copy_().nbytes == 1 << 20 and share == 1.5


def results(**ratios):
    row = {"seconds": {"ours": 0.1}, "speedup": {"median": 2.0, "low": 1.8, "high": 2.2}}
    return {
        "machine": {"cores": 2, "torch": "2", "capability": "AVX2", "gemm_gflops": 100, "copy_gb_s": 10.0},
        "cases": {"step": row, "other": row | {"speedup": {"median": 3.0, "low": 2.9, "high": 3.1}}} | ratios,
        "scaling": {"batch, tiny": {"1": 3.0, "2": 5.0}},
    }


def test_a_ratio_is_worse_when_its_spread_lies_below_the_baselines():
    before = results()
    slower = {"step": {"seconds": {"ours": 9.0}, "speedup": {"median": 1.7, "low": 1.6, "high": 1.79}}}
    (sentence,) = worse(before, results(**slower))
    assert sentence.startswith("step: 1.70 times as fast") and "before 2.00 [1.80, 2.20]" in sentence
    slower["step"]["speedup"]["high"] = 1.81
    assert worse(before, results(**slower)) == []
    assert worse(results(**slower), before) == []  # better
    assert worse(before, {"cases": {"new": slower["step"]}}) == []


def test_the_figure_shows_what_was_measured(tmp_path):
    draw(results(), tmp_path / "bench.png")
    assert 2_000 < (tmp_path / "bench.png").stat().st_size < 200_000


def test_a_run_is_written_and_held_against_a_baseline(tmp_path, capsys):
    arguments = ["--small", "--parts", "views", "--out", str(tmp_path)]
    bench.main(arguments)
    found = json.loads((tmp_path / "bench.json").read_text())
    assert list(found["cases"]) == ["two views, tiny", "log-mel, tiny"]
    assert all(row["speedup"]["median"] > 0 for row in found["cases"].values())
    assert (tmp_path / "bench.png").is_file() and found["machine"]["gemm_gflops"] > 1

    found["cases"]["two views, tiny"]["speedup"] = {"median": 1e6, "low": 1e6, "high": 1e6}
    (tmp_path / "before.json").write_text(json.dumps(found))
    with pytest.raises(SystemExit) as ended:
        bench.main([*arguments, "--compare", str(tmp_path / "before.json")])
    assert ended.value.code == 1 and "\ntwo views, tiny: " in capsys.readouterr().out


def test_what_is_no_baseline_is_refused_in_a_sentence(tmp_path):
    (tmp_path / "other.json").write_text('{"cases": [1]}')
    for name in ("other.json", "none.json"):
        with pytest.raises(SystemExit, match=r"holds no results of benchmarks/bench\.py"):
            read_results(tmp_path / name)


@pytest.mark.slow
def test_every_part_runs_at_the_smallest_size(tmp_path):
    command = [sys.executable, str(SCRIPT), "--small", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "bench.json").read_text())
    assert len(found["cases"]) == 16 and len(found["scaling"]) == 4
