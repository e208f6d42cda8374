"""What does a CUDA GPU make of the kit? One script, a few minutes, nothing but the repository and its packages.

Measures the card's own ceilings, holds every network against the published outputs in each precision, times forward
and backward of each backbone at the paper's size, whole steps of both stages behind the real loader, memory a clip, and
ways to compute what the networks are made of; then runs both stages through the product's own functions. Random clips
stand in for data: time does not depend on what they show.

    python benchmarks/gpu.py --out benchmarks/results/gpu --minutes 7
    python benchmarks/gpu.py --device cpu --small --out /tmp/gpu     # its logic, without a GPU
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import platform
import statistics
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the repository's tests hold the published outputs

from benchmarks.measure import endless, forward_flop, random_store, together
from tdd.config import Recipe, load_recipe, override
from tdd.data.clips import EpochBatches, PretrainingClips, loader
from tdd.data.loading import on_device
from tdd.data.store import ClipStore
from tdd.detect import Detection, detect, training_clips
from tdd.errors import TddError
from tdd.machine.files import write_json
from tdd.machine.launch import require_devices
from tdd.models import build_backbone
from tdd.models.backbones.csn import grouped, three_taps
from tdd.pretrain import Pretraining, pretrain
from tdd.records.paper import ROWS
from tdd.training.optimiser import AdamP as OwnAdamP
from tdd.weights.published import to_own
from tests.models.test_network_golden import CASES
from tests.published import GOLDEN, published_state

BACKBONES = ("cnn_gru_attention", "cnn_lstm", "csn")
PRECISIONS = {"fp32": None, "tf32": None, "bf16": torch.bfloat16, "fp16": torch.float16}
"""Name -> what autocast computes in; ``tf32`` lets matrix products and convolutions round their operands."""


@dataclass
class Bench:
    """The device, how much work is wanted, and what was measured so far."""

    device: torch.device
    small: bool
    out: Path
    deadline: float
    workers: int
    results: dict[str, Any] = field(default_factory=dict)

    @property
    def cuda(self) -> bool:
        """Whether there is a GPU to wait for."""
        return self.device.type == "cuda"

    def sync(self) -> None:
        """Wait until the device has done what it was given."""
        if self.cuda:
            torch.cuda.synchronize()

    def seconds(self, work: Callable[[], Any], repeats: int = 5, warm: int = 2) -> float:
        """Median time of a piece of work, after ``warm`` that are not counted."""
        for _ in range(warm):
            work()
        self.sync()
        times = []
        for _ in range(repeats):
            start = time.perf_counter()
            work()
            self.sync()
            times.append(time.perf_counter() - start)
        return statistics.median(times)

    def peak_gb(self, work: Callable[[], Any]) -> float | None:
        """Most device memory that tensors took during ``work``, GB of 1e9 bytes; ``None`` on a CPU."""
        if not self.cuda:
            work()
            return None
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        work()
        self.sync()
        return torch.cuda.max_memory_allocated() / 1e9

    def part(self, name: str, work: Callable[[Bench], Any], least: float = 0) -> None:
        """Run one part where at least ``least`` seconds are left; a part that fails leaves its error, not the run."""
        left = self.deadline - time.monotonic()
        start = time.monotonic()
        if left < least:
            self.results[name] = {"skipped": f"{left:.0f} s left, {least:.0f} needed"}
        else:
            try:
                self.results[name] = work(self)
            except Exception as error:
                self.results[name] = {"error": f"{type(error).__name__}: {error}"[:600]}
                traceback.print_exc()
        if self.cuda:
            torch.cuda.empty_cache()
        self.results.setdefault("seconds", {})[name] = round(time.monotonic() - start, 1)
        self.out.mkdir(parents=True, exist_ok=True)
        write_json(self.out / "gpu.json", self.results)
        print(f"== {name} ({self.results['seconds'][name]} s)", json.dumps(self.results[name])[:1500], flush=True)  # noqa: T201


@contextlib.contextmanager
def precision(name: str, device: torch.device) -> Iterator[None]:
    """Compute in one of ``PRECISIONS``."""
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    tf32 = name != "fp32"
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    torch.backends.cudnn.allow_tf32 = tf32
    try:
        with torch.autocast(device.type, PRECISIONS[name] or torch.bfloat16, enabled=PRECISIONS[name] is not None):
            yield
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.allow_tf32 = before[1]


def machine(bench: Bench) -> dict[str, Any]:
    """What was measured on."""
    found: dict[str, Any] = {"autotune": torch.backends.cudnn.benchmark, "workers": bench.workers}
    found |= {"python": platform.python_version(), "torch": torch.__version__, "cores": os.cpu_count()}
    if bench.cuda:
        card = torch.cuda.get_device_properties(0)
        found |= {
            "gpu": card.name, "memory_gb": round(card.total_memory / 1e9, 1), "processors": card.multi_processor_count,
            "cuda": torch.version.cuda, "cudnn": torch.backends.cudnn.version(),
        }  # fmt: skip
    return found


def ceilings(bench: Bench) -> dict[str, Any]:
    """Matrix products in each precision, TFLOP/s, and a copy, GB/s of bytes read and written: the card's own limits."""
    size = 512 if bench.small else 8192
    found = {}
    for name, dtype in PRECISIONS.items():
        a, b = (torch.randn(size, size, device=bench.device, dtype=dtype or torch.float32) for _ in range(2))
        with precision(name, bench.device):
            found[f"gemm_{name}_tflops"] = round(2e-12 * size**3 / bench.seconds(lambda a=a, b=b: a @ b, 10, 3), 1)
    source = torch.empty(size * size * 4, device=bench.device)
    target = torch.empty_like(source)
    found["copy_gb_s"] = round(2e-9 * source.nbytes / bench.seconds(lambda: target.copy_(source), 10, 3))
    return found


def golden(bench: Bench) -> dict[str, Any]:
    """Largest error of each network against the published outputs, relative to the largest output, by precision."""
    found: dict[str, Any] = {}
    for module, case in CASES.items():
        with torch.device("meta"):
            network = case.build().eval()
        network.load_state_dict(to_own(case.name, published_state(module)), strict=True, assign=True)
        network, given = network.to(bench.device), case.draw_input().to(bench.device)
        for name in PRECISIONS:
            with torch.inference_mode(), precision(name, bench.device):
                output = case.as_published(network(given)).float().cpu().contiguous().numpy()
            ours, wanted = output.ravel()[:: max(1, output.size // 512)][:512], GOLDEN[f"{module}.flat_every"]
            found.setdefault(module, {})[name] = float(f"{np.abs(ours - wanted).max() / np.abs(wanted).max():.2e}")
    return found


def clips_of(bench: Bench, count: int, size: int = 112) -> Tensor:
    """Random normalised clips, shape (count, 3, 25, size, size)."""
    return torch.randn(count, 3, 25, size, size, device=bench.device)


def networks(bench: Bench) -> dict[str, Any]:
    """Forward and backward of each backbone at the paper's size: clips/s, TFLOP/s, and memory a clip and fixed."""
    found: dict[str, Any] = {}
    for backbone in (*BACKBONES, "vivit"):
        network = build_backbone(backbone).to(bench.device).train()
        half, whole = (1, 2) if bench.small else ((12, 24) if backbone == "csn" else (32, 64))
        half = max(half, 2)
        video = clips_of(bench, max(whole, half))
        flop = forward_flop(network, video)
        found[backbone] = {"gflop_forward": round(flop / 1e9, 1)}

        def step(count: int, network: nn.Module = network, video: Tensor = video) -> None:
            network.zero_grad(set_to_none=True)
            network(video[:count]).float().square().mean().backward()

        for name in ("bf16",) if bench.small else ("bf16", "tf32", "fp16"):
            with precision(name, bench.device):
                seconds = bench.seconds(lambda: step(whole), 1 if bench.small else 4)  # noqa: B023
                low, high = bench.peak_gb(lambda: step(half)), bench.peak_gb(lambda: step(whole))  # noqa: B023
            row: dict[str, Any] = {
                "clips_s": round(whole / seconds, 1),
                "tflops": round(3e-12 * flop * whole / seconds, 1),
            }
            if low is not None and high is not None:
                row |= {"gb_a_clip": round((high - low) / (whole - half), 3), "peak_gb": round(high, 2), "batch": whole}
            found[backbone][name] = row
        del network, video
    return found


def depthwise(bench: Bench) -> dict[str, Any]:
    """CSN's depthwise convolution in five ways, ms forward and backward, at its four sizes."""
    batch, found = (2 if bench.small else 16), {}
    for channels, size in ((64, 56), (128, 28), (256, 14), (512, 7)):
        if bench.small:
            channels //= 16
        for name in ("fp32", "bf16"):
            dtype = torch.bfloat16 if name == "bf16" else torch.float32
            clips = torch.randn(batch, channels, 25, size, size, device=bench.device, dtype=dtype)
            frames = clips.permute(2, 0, 1, 3, 4).flatten(0, 1)
            weight = torch.randn(channels, 1, 3, 3, 3, device=bench.device, dtype=dtype, requires_grad=True)
            last = frames.contiguous(memory_format=torch.channels_last)
            ways: dict[str, tuple[Tensor, Callable[[Tensor], Tensor]]] = {
                "3-D": (clips.contiguous(), lambda x, w=weight: F.conv3d(x, w, padding=1, groups=len(w))),
                "3-D channels last": (
                    clips.contiguous(memory_format=torch.channels_last_3d),
                    lambda x, w=weight: F.conv3d(x, w, padding=1, groups=len(w)),
                ),
                "taps": (frames.contiguous(), lambda x, w=weight: three_taps(x, w, 1, batch)),
                "taps channels last": (last, lambda x, w=weight: three_taps(x, w, 1, batch)),
                "as the network does it": (last, lambda x, w=weight: grouped(x, w, 1, batch)),
            }  # fmt: skip
            for way, (given, compute) in ways.items():
                given = given.detach().requires_grad_()
                grad = torch.randn_like(compute(given))

                def once(
                    given: Tensor = given, compute: Callable[[Tensor], Tensor] = compute, grad: Tensor = grad
                ) -> None:
                    given.grad = None
                    compute(given).backward(grad)

                with precision(name, bench.device):
                    row = found.setdefault(f"{channels} x {size} px, {name}", {})
                    row[way] = round(1e3 * bench.seconds(once, 4, 2), 2)
    return found


def layouts(bench: Bench) -> dict[str, Any]:
    """The stem of CNN-GRU, 32 clips, ms forward and backward: plain and channels-last, pooled in 2-D and in 3-D."""
    network = build_backbone("cnn_gru_attention").to(bench.device)
    convs, count = network.stem.convs, 2 if bench.small else 32
    video = clips_of(bench, count)

    def stem(x: Tensor, last: bool, pool2d: bool) -> Tensor:
        if last:
            x = x.contiguous(memory_format=torch.channels_last_3d)
        for conv in convs:
            x = conv(x)
            if pool2d:
                batch = len(x)
                x = F.relu(F.max_pool2d(x.transpose(1, 2).flatten(0, 1), 2)).unflatten(0, (batch, -1)).transpose(1, 2)
            else:
                x = F.relu(F.max_pool3d(x, (1, 2, 2)))
        return x

    found: dict[str, Any] = {}
    for name in ("tf32", "bf16", "fp16"):
        for last in (False, True):
            for pool2d in (False, True):
                with precision(name, bench.device):
                    seconds = bench.seconds(lambda: stem(video, last, pool2d).float().mean().backward(), 4, 2)  # noqa: B023
                found[f"{name}, {'channels last' if last else 'plain'}, pool {'2-D' if pool2d else '3-D'}"] = round(
                    1e3 * seconds, 2
                )
    return found


def optimisers(bench: Bench) -> dict[str, Any]:
    """One step of AdamP (the adamp package's and ours) and of torch's fused AdamW, ms, by backbone."""
    from adamp import AdamP

    found: dict[str, Any] = {}
    for backbone in BACKBONES:
        parameters = list(build_backbone(backbone).to(bench.device).parameters())
        for parameter in parameters:
            parameter.grad = torch.randn_like(parameter) * 1e-3
        row = {"tensors": len(parameters)}
        ways: dict[str, torch.optim.Optimizer] = {"adamp": AdamP(parameters, lr=1e-4, weight_decay=1e-2)}
        ways["ours"] = OwnAdamP(parameters, lr=1e-4, weight_decay=1e-2)
        ways["fused_adamw"] = torch.optim.AdamW(parameters, lr=1e-4, fused=True)
        for name, optimiser in ways.items():
            row[f"{name}_ms"] = round(1e3 * bench.seconds(optimiser.step, 5, 2), 2)
        found[backbone] = row
        del ways, parameters
    return found


def timed_steps(bench: Bench, stage: Any, batches: Iterator[Any], parts: int, steps: int) -> dict[str, Any]:
    """Median seconds of whole optimiser steps behind a loader, the share that waits for data, and peak memory."""
    optimiser, _ = stage.configure_optimisers()
    batches = on_device(batches, bench.device)
    waits, times = [], []
    if bench.cuda:
        torch.cuda.reset_peak_memory_stats()
    for number in range(steps + 1):
        bench.sync()
        start, waited = time.perf_counter(), 0.0
        optimiser.zero_grad(set_to_none=True)
        for part in range(parts):
            asked = time.perf_counter()
            batch = next(batches)
            waited += time.perf_counter() - asked
            with precision("bf16", bench.device):
                loss = stage.training_step(batch, number * parts + part) / parts
            loss.backward()
        optimiser.step()
        bench.sync()
        if number:  # the first chooses algorithms and fills the loader
            waits.append(waited)
            times.append(time.perf_counter() - start)
    seconds = statistics.median(times)
    row = {"step_s": round(seconds, 3), "data_wait": round(statistics.median(waits) / seconds, 3)}
    row["finite"] = bool(torch.isfinite(loss))
    if bench.cuda:
        row["peak_gb"] = round(torch.cuda.max_memory_allocated() / 1e9, 1)
    return row


def paper_recipe(bench: Bench, backbone: str) -> Recipe:
    """The paper's recipe, split so that a GPU of 80 GB holds it, or a stand-in of a few clips."""
    changes: dict[str, Any] = {"machine.workers": 0 if bench.small else bench.workers}
    changes |= {"machine.accelerator": "gpu" if bench.cuda else "cpu", "stage1.clips": 0}
    if bench.small:
        changes |= {"stage1.batch_size": 2, "stage2.batch_size": 2, "stage2.real_per_labelled": 1.0}
    elif backbone == "csn":
        changes |= {"stage1.micro_batches": 4, "stage2.micro_batches": 4}
    else:
        changes |= {"stage1.micro_batches": 2, "stage2.micro_batches": 2}
    return override(load_recipe("paper"), changes)


def stages(bench: Bench, store: ClipStore) -> dict[str, Any]:
    """Whole steps of both stages at the paper's batch sizes in bf16, through the real loader."""
    found: dict[str, Any] = {}
    rows = {row.backbone: row for row in ROWS}
    for backbone in BACKBONES if not bench.small else BACKBONES[:1]:
        recipe = paper_recipe(bench, backbone)
        steps = 1 if bench.small else (3 if backbone == "csn" else 5)
        faces = store.index[(store.index["dataset"] == "LRW") & (store.index["split"] == "train")]
        clips = PretrainingClips(store, faces, recipe, train=True, raw=bench.cuda)
        batches = EpochBatches(len(clips), recipe.stage1.batch_size, 0, recipe.stage1.micro_batches)
        stage = Pretraining(backbone, recipe, len(clips.words), batches.steps).to(bench.device).train()
        source = endless(loader(clips, batches, recipe))
        first = timed_steps(bench, stage, source, recipe.stage1.micro_batches, steps)
        first["clips_s"] = round(recipe.stage1.batch_size / first["step_s"], 1)
        parts = {name: {k: v.clone() for k, v in state.items()} for name, state in stage.parts().items()}
        del source, stage

        from tdd.weights.checkpoints import Weights

        labelled = training_clips(store, recipe, 0, raw=bench.cuda)
        weights = Weights("stage1", backbone, parts, {}, None)
        row = dataclasses.replace(rows[backbone], ssl_weight=0.3)
        detection = Detection(row, recipe, labelled.shift, labelled.steps, weights).to(bench.device).train()
        pairs = together(labelled.loaders)
        second = timed_steps(bench, detection, pairs, recipe.stage2.micro_batches, steps)
        joined = recipe.stage2.batch_size * (1 + recipe.stage2.real_per_labelled)
        second["clips_s"] = round(joined / second["step_s"], 1)
        found[backbone] = {"stage1": first, "stage2": second}
        del pairs, detection, weights, parts
        if bench.cuda:
            torch.cuda.empty_cache()
    return found


def end_to_end(bench: Bench, store: ClipStore, folder: Path) -> dict[str, Any]:
    """Both stages by the product's own functions, two epochs each, in each precision that a recipe names."""
    found: dict[str, Any] = {}
    row = next(row for row in ROWS if row.id == "ssl_0.3")
    for name in ("32-true",) if bench.small else ("bf16-mixed", "16-mixed", "32-true"):
        size = 2 if bench.small else 64
        changes = {"machine.precision": name, "stage1.epochs": 2, "stage1.warmup_epochs": 1, "stage1.batch_size": size}
        changes |= {"stage2.epochs": 2, "stage2.warmup_epochs": 1, "stage2.batch_size": max(2, size // 4)}
        changes |= {"stage2.real_per_labelled": 1.0, "stage1.micro_batches": 1, "stage2.micro_batches": 1}
        recipe = override(paper_recipe(bench, row.backbone), changes)
        start = time.monotonic()
        one = pretrain(store, row.backbone, recipe, folder / name / "one")
        two = detect(store, row, recipe, folder / name / "two", folder / name / "one")
        found[name] = {
            "seconds": round(time.monotonic() - start, 1),
            "stage1_loss": [round(entry["loss"], 4) for entry in one["history"]],
            "stage2_bce": [round(entry["bce"], 4) for entry in two["history"]],
            "auc_celeb": two["metrics"]["Celeb-DF"]["auc"],
        }
    return found


def compiled(bench: Bench) -> dict[str, Any]:
    """torch.compile of whole backbones in bf16: ms a step before and after, and the seconds that compiling takes."""
    found: dict[str, Any] = {}
    for backbone, count in (("cnn_gru_attention", 32), ("csn", 16)):
        if seconds_left(bench) < 70:
            found[backbone] = "skipped: too little time left"
            continue
        network, count = build_backbone(backbone).to(bench.device).train(), 2 if bench.small else count
        video = clips_of(bench, count)

        def step(network: nn.Module = network, video: Tensor = video) -> None:
            network.zero_grad(set_to_none=True)
            network(video).float().square().mean().backward()

        with precision("bf16", bench.device):
            plain = bench.seconds(step, 4)
            network.compile()
            start = time.monotonic()
            step()
            bench.sync()
            taken = time.monotonic() - start
            quick = bench.seconds(step, 4)
        row = {"plain_ms": 1e3 * plain, "compiled_ms": 1e3 * quick, "compiling_s": taken}
        found[backbone] = {name: round(value, 1) for name, value in row.items()}
    return found


def switches(bench: Bench) -> dict[str, Any]:
    """A step of each backbone with one switch at a time, ms: TF32, cuDNN's autotuning, channels last in 3-D."""
    found: dict[str, Any] = {}
    for backbone, count in (("cnn_gru_attention", 32), ("csn", 16))[: 1 if bench.small else 2]:
        if seconds_left(bench) < 20 and not bench.small:
            found[backbone] = "skipped: too little time left"
            continue
        video = clips_of(bench, 2 if bench.small else count)
        last = video.contiguous(memory_format=torch.channels_last_3d)
        network, row = build_backbone(backbone).to(bench.device).train(), {}
        for way, name, autotune, given in (
            ("fp32", "fp32", False, video), ("TF32", "tf32", False, video), ("bf16", "bf16", False, video),
            ("bf16, autotuned", "bf16", True, video), ("bf16, channels last", "bf16", False, last),
        ):  # fmt: skip

            def step(network: nn.Module = network, given: Tensor = given) -> None:
                network.zero_grad(set_to_none=True)
                network(given).float().square().mean().backward()

            before, torch.backends.cudnn.benchmark = torch.backends.cudnn.benchmark, autotune
            try:
                with precision(name, bench.device):
                    row[way] = round(1e3 * bench.seconds(step, 1 if bench.small else 4, 0 if bench.small else 2), 1)
            finally:
                torch.backends.cudnn.benchmark = before
        found[backbone] = row
        del network, video, last
    return found


def compiled_optimiser(bench: Bench) -> dict[str, Any]:
    """One step of our AdamP as it is and under torch.compile, ms, and the seconds that compiling takes."""
    found: dict[str, Any] = {}
    for backbone in ("cnn_gru_attention",) if bench.small else BACKBONES:
        parameters = list(build_backbone(backbone).to(bench.device).parameters())
        for parameter in parameters:
            parameter.grad = torch.randn_like(parameter) * 1e-3
        optimiser = OwnAdamP(parameters, lr=1e-4, weight_decay=1e-2)
        plain = bench.seconds(optimiser.step, 5)
        start = time.monotonic()
        step = torch.compile(optimiser.step)
        step()
        bench.sync()
        row = {"plain_ms": 1e3 * plain, "compiling_s": time.monotonic() - start}
        row["compiled_ms"] = 1e3 * bench.seconds(step, 5)
        found[backbone] = {name: round(value, 2) for name, value in row.items()}
    return found


LRW_CLIPS, FACEFORENSICS_PAIRS = 488_763, 720
"""Training clips of LRW; training videos of each method of FaceForensics++, and its reals."""


def projection(bench: Bench) -> dict[str, Any]:
    """Hours of the whole table with recipe ``paper`` on this card, from the steps measured; validation left out."""
    measured = bench.results.get("stages", {})
    recipe, found, total = load_recipe("paper"), {}, 0.0
    labelled = FACEFORENSICS_PAIRS * (4 + recipe.stage2.real_repeats)
    steps = {
        "stage1": recipe.stage1.epochs * (LRW_CLIPS // recipe.stage1.batch_size),
        "stage2": recipe.stage2.epochs * (labelled // recipe.stage2.batch_size),
    }
    for backbone in BACKBONES:
        if backbone not in measured:
            continue
        hours = {stage: steps[stage] * measured[backbone][stage]["step_s"] / 3600 for stage in steps}
        runs = sum(row.backbone == backbone for row in ROWS)
        total += hours["stage1"] + runs * hours["stage2"]
        found[backbone] = {name: round(value, 2) for name, value in hours.items()} | {"stage2_runs": runs}
    return found | {"hours": round(total, 1), "complete": len(found) == len(BACKBONES), "steps": steps}


def one_card(_bench: Bench) -> dict[str, str]:
    """What is said where two processes are to share one card."""
    try:
        require_devices(2, ["0"])
    except TddError as error:
        return {"two processes": str(error)}
    return {"two processes": "not refused"}


def seconds_left(bench: Bench) -> float:
    """Seconds until the deadline."""
    return bench.deadline - time.monotonic()


def main() -> None:
    """Measure all parts that fit into the time, and write ``gpu.json``."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "gpu")
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--small", action="store_true", help="a few clips of each: to test the script")
    parser.add_argument("--minutes", type=float, default=7.0)
    parser.add_argument("--workers", type=int, default=min(14, os.cpu_count() or 1), help="loader processes")
    parser.add_argument("--autotune", action="store_true", help="let cuDNN try its algorithms for each new shape")
    parser.add_argument("--parts", nargs="*", default=[], help="names of the parts to run; all when none is named")
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        sys.exit("There is no CUDA device; its logic runs with --device cpu --small.")
    bench = Bench(
        torch.device(options.device),
        options.small,
        options.out,
        time.monotonic() + 60 * options.minutes,
        options.workers,
    )
    torch.backends.cudnn.benchmark = options.autotune  # tries every algorithm anew for each shape that comes
    with tempfile.TemporaryDirectory() as folder:
        store: list[ClipStore] = []
        faces, videos = (16, 2) if bench.small else (512, 32)
        plan: dict[str, tuple[Callable[[Bench], Any], float]] = {
            "machine": (machine, 0),
            "ceilings": (ceilings, 0),
            "store": (lambda _: store.append(random_store(Path(folder) / "store", faces, videos)), 0),
            "stages": (lambda b: stages(b, store[0]), 60),
            "end_to_end": (lambda b: end_to_end(b, store[0], Path(folder) / "runs"), 60),
            "optimisers": (optimisers, 10),
            "golden": (golden, 10),
            "networks": (networks, 30),
            "depthwise": (depthwise, 20),
            "layouts": (layouts, 20),
            "projection": (projection, 0),
            "one_card": (one_card, 0),
            "switches": (switches, 30),
            "compiled_optimiser": (compiled_optimiser, 40),
            "compiled": (compiled, 60),
        }
        for name, (work, least) in plan.items():
            if not options.parts or name in options.parts:
                bench.part(name, work, 0 if options.small else least)


if __name__ == "__main__":
    main()
