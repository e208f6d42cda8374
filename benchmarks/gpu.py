"""What does a CUDA GPU make of the kit? One script, a few minutes, nothing but the repository and its packages.

In order of importance, so that a time limit loses the least: the card's own ceilings; whole steps of both stages with
recipe ``gpu`` behind the real loader (seconds, clips/s, waiting for data, share of a matrix product's rate, memory, and
where the host waits for the device); hours of the table; every network against the published outputs in each precision;
views beside the CPU's; losses of whole small runs beside the CPU's, and of one stopped and taken up; recipe ``colab``
within its memory; then ways to compute what the networks are made of. Random clips stand in for data: time does not
depend on what they show.

    python benchmarks/gpu.py --out benchmarks/results/gpu --minutes 7
    python benchmarks/gpu.py --device cpu --small --out /tmp/gpu     # its logic, without a GPU
"""

from __future__ import annotations

import argparse
import functools
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the repository's tests hold the published outputs

from benchmarks import gpu_runs
from benchmarks.gpu_runs import BACKBONES, clips_of, parameters_of
from benchmarks.measure import forward_flop, random_store
from benchmarks.pieces import PRECISIONS, Bench, Piece, precision
from tdd.data.store import ClipStore
from tdd.errors import TddError
from tdd.machine.launch import require_devices
from tdd.models import build_backbone
from tdd.models.backbones.csn import grouped, three_taps
from tdd.training.optimiser import AdamP as OwnAdamP
from tdd.weights.published import to_own
from tests.models.test_network_golden import CASES
from tests.published import GOLDEN, published_state


def machine(bench: Bench) -> Iterator[Piece]:
    """What was measured on."""

    def found() -> dict[str, Any]:
        said: dict[str, Any] = {"autotune": torch.backends.cudnn.benchmark, "workers": bench.workers}
        said |= {"python": platform.python_version(), "torch": torch.__version__, "cores": os.cpu_count()}
        if bench.cuda:
            card = torch.cuda.get_device_properties(0)
            said |= {
                "gpu": card.name, "memory_gb": round(card.total_memory / 1e9, 1), "cuda": torch.version.cuda,
                "processors": card.multi_processor_count, "cudnn": torch.backends.cudnn.version(),
            }  # fmt: skip
        return said

    yield "", found


def ceilings(bench: Bench) -> Iterator[Piece]:
    """Matrix products in each precision, TFLOP/s, and a copy, GB/s of bytes read and written: the card's own limits."""
    size = 512 if bench.small else 8192

    def product(name: str) -> float:
        a, b = (torch.randn(size, size, device=bench.device, dtype=PRECISIONS[name] or torch.float32) for _ in range(2))
        with precision(name, bench.device):
            return float(f"{2e-12 * size**3 / bench.seconds(lambda: a @ b, 10, 3):.4g}")

    def copied() -> int:
        source = torch.empty(size * size * 4, device=bench.device)
        target = torch.empty_like(source)
        return round(2e-9 * source.nbytes / bench.seconds(lambda: target.copy_(source), 10, 3))

    for name in ("bf16", "fp16", "tf32", "fp32"):
        yield f"gemm_{name}_tflops", lambda name=name: product(name)
    yield "copy_gb_s", copied


def golden(bench: Bench) -> Iterator[Piece]:
    """Largest error of each network against the published outputs, relative to the largest output, by precision."""

    def errors(module: str) -> dict[str, float]:
        case, found = CASES[module], {}
        with torch.device("meta"):
            network = case.build().eval()
        network.load_state_dict(to_own(case.name, published_state(module)), strict=True, assign=True)
        network, given = network.to(bench.device), case.draw_input().to(bench.device)
        for name in PRECISIONS:
            with torch.inference_mode(), precision(name, bench.device):
                output = case.as_published(network(given)).float().cpu().contiguous().numpy()
            ours, wanted = output.ravel()[:: max(1, output.size // 512)][:512], GOLDEN[f"{module}.flat_every"]
            found[name] = float(f"{np.abs(ours - wanted).max() / np.abs(wanted).max():.2e}")
        return found

    for module in CASES:
        yield module, lambda module=module: errors(module)


def forward_backward(network: nn.Module, video: Tensor) -> Callable[[], None]:
    """A forward and a backward pass."""

    def step() -> None:
        network.zero_grad(set_to_none=True)
        network(video).float().square().mean().backward()

    return step


def networks(bench: Bench) -> Iterator[Piece]:
    """Forward and backward of each backbone at the paper's size: clips/s, TFLOP/s, and memory a clip and fixed."""

    def measure(backbone: str, name: str) -> dict[str, Any]:
        network = build_backbone(backbone).to(bench.device).train()
        half, whole = (2, 3) if bench.small else ((12, 24) if backbone == "csn" else (32, 64))
        video = clips_of(bench.device, whole)
        flop = forward_flop(network, video)
        with precision(name, bench.device):
            seconds = bench.seconds(forward_backward(network, video), 1 if bench.small else 4)
            low = bench.peak_gb(forward_backward(network, video[:half]))
            high = bench.peak_gb(forward_backward(network, video))
        row: dict[str, Any] = {"gflop_forward": round(flop / 1e9, 1), "clips_s": round(whole / seconds, 1)}
        row["tflops"] = round(3e-12 * flop * whole / seconds, 1)
        if low is not None and high is not None:
            row |= {"gb_a_clip": round((high - low) / (whole - half), 3), "peak_gb": round(high, 2), "batch": whole}
        return row

    for name in ("bf16",) if bench.small else ("bf16", "fp16", "tf32"):
        for backbone in (*BACKBONES, "vivit"):
            yield f"{backbone}/{name}", lambda backbone=backbone, name=name: measure(backbone, name)


def depthwise(bench: Bench) -> Iterator[Piece]:
    """CSN's depthwise convolution in five ways, ms forward and backward, at its four sizes."""
    batch = 2 if bench.small else 16

    def measure(channels: int, size: int, name: str) -> dict[str, float]:
        dtype, found = torch.bfloat16 if name == "bf16" else torch.float32, {}
        clips = torch.randn(batch, channels, 25, size, size, device=bench.device, dtype=dtype)
        frames = clips.permute(2, 0, 1, 3, 4).flatten(0, 1)
        weight = torch.randn(channels, 1, 3, 3, 3, device=bench.device, dtype=dtype, requires_grad=True)
        last = frames.contiguous(memory_format=torch.channels_last)
        whole: Callable[[Tensor], Tensor] = lambda x: F.conv3d(x, weight, padding=1, groups=len(weight))  # noqa: E731
        taps: Callable[[Tensor], Tensor] = lambda x: three_taps(x, weight, 1, batch)  # noqa: E731
        ways: dict[str, tuple[Tensor, Callable[[Tensor], Tensor]]] = {
            "as the network does it": (last, lambda x: grouped(x, weight, 1, batch)),
            "3-D": (clips.contiguous(), whole),
            "3-D channels last": (clips.contiguous(memory_format=torch.channels_last_3d), whole),
            "taps": (frames.contiguous(), taps),
            "taps channels last": (last, taps),
        }
        for way, (given, compute) in ways.items():
            given = given.detach().requires_grad_()
            grad = torch.randn_like(compute(given))

            def once(given: Tensor = given, compute: Callable[[Tensor], Tensor] = compute, grad: Tensor = grad) -> None:
                given.grad = None
                compute(given).backward(grad)

            with precision(name, bench.device):
                found[way] = round(1e3 * bench.seconds(once, 4, 2), 2)
        return found

    for name in ("bf16", "fp32"):
        for channels, size in ((64, 56), (128, 28), (256, 14), (512, 7)):
            channels = channels // 16 if bench.small else channels
            yield f"{channels} x {size} px, {name}", lambda c=channels, s=size, n=name: measure(c, s, n)


def layouts(bench: Bench) -> Iterator[Piece]:
    """The stem of CNN-GRU, 32 clips, ms forward and backward: plain and channels-last, pooled in 2-D and in 3-D."""
    count = 2 if bench.small else 32

    def stem(convs: Any, x: Tensor, last: bool, pool2d: bool) -> Tensor:
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

    def measure(name: str, last: bool, pool2d: bool) -> float:
        convs = build_backbone("cnn_gru_attention").to(bench.device).stem.convs
        video = clips_of(bench.device, count)
        with precision(name, bench.device):
            once = lambda: stem(convs, video, last, pool2d).float().mean().backward()  # noqa: E731
            return round(1e3 * bench.seconds(once, 1 if bench.small else 4, 1 if bench.small else 2), 2)

    for name in ("bf16", "fp16", "tf32"):
        for last in (False, True):
            for pool2d in (False, True):
                way = f"{name}, {'channels last' if last else 'plain'}, pool {'2-D' if pool2d else '3-D'}"
                yield way, lambda way=(name, last, pool2d): measure(*way)


def published_adamp(parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    """The authors' package, where it is installed."""
    from adamp import AdamP

    return AdamP(parameters, lr=1e-4, weight_decay=1e-2)


def optimisers(bench: Bench) -> Iterator[Piece]:
    """One step of AdamP (ours and the adamp package's) and of torch's fused AdamW, ms, by backbone."""
    ways: dict[str, Callable[[list[nn.Parameter]], torch.optim.Optimizer]] = {
        "ours_ms": lambda parameters: OwnAdamP(parameters, lr=1e-4, weight_decay=1e-2),
        "fused_adamw_ms": lambda parameters: torch.optim.AdamW(parameters, lr=1e-4, fused=True),
        "adamp_ms": published_adamp,
    }

    def measure(backbone: str, way: str) -> float:
        parameters = parameters_of(build_backbone(backbone).to(bench.device))
        return round(1e3 * bench.seconds(ways[way](parameters).step, 1 if bench.small else 5), 2)

    for backbone in BACKBONES[:1] if bench.small else BACKBONES:
        for way in ways:
            yield f"{backbone}/{way}", lambda backbone=backbone, way=way: measure(backbone, way)


def switches(bench: Bench) -> Iterator[Piece]:
    """A step of two backbones with one switch at a time, ms: TF32, bf16, cuDNN's autotuning, channels last in 3-D."""
    ways = {
        "bf16": ("bf16", False, False), "bf16, channels last": ("bf16", False, True),
        "bf16, autotuned": ("bf16", True, False), "TF32": ("tf32", False, False), "fp32": ("fp32", False, False),
    }  # fmt: skip

    def measure(backbone: str, count: int, way: str) -> float:
        name, autotune, last = ways[way]
        video = clips_of(bench.device, 2 if bench.small else count)
        video = video.contiguous(memory_format=torch.channels_last_3d) if last else video
        network = build_backbone(backbone).to(bench.device).train()
        before, torch.backends.cudnn.benchmark = torch.backends.cudnn.benchmark, autotune
        try:
            with precision(name, bench.device):
                repeats = (1, 0) if bench.small else (4, 2)
                return round(1e3 * bench.seconds(forward_backward(network, video), *repeats), 1)
        finally:
            torch.backends.cudnn.benchmark = before

    for backbone, count in (("cnn_gru_attention", 32), ("csn", 16))[: 1 if bench.small else 2]:
        for way in ways:
            yield f"{backbone}/{way}", lambda b=backbone, c=count, w=way: measure(b, c, w)


def compiled(bench: Bench) -> Iterator[Piece]:
    """torch.compile of whole backbones in bf16: ms a step before and after, and the seconds that compiling takes."""

    def measure(backbone: str, count: int) -> dict[str, float]:
        network = build_backbone(backbone).to(bench.device).train()
        step = forward_backward(network, clips_of(bench.device, 2 if bench.small else count))
        with precision("bf16", bench.device):
            plain = bench.seconds(step, 4)
            network.compile()
            start = time.monotonic()
            step()
            bench.sync()
            taken = time.monotonic() - start
            quick = bench.seconds(step, 4)
        row = {"plain_ms": 1e3 * plain, "compiled_ms": 1e3 * quick, "compiling_s": taken}
        return {name: round(value, 1) for name, value in row.items()}

    for backbone, count in (("cnn_gru_attention", 32), ("csn", 16)):
        yield backbone, lambda backbone=backbone, count=count: measure(backbone, count)


def compiled_optimiser(bench: Bench) -> Iterator[Piece]:
    """One step of our AdamP as it is and under torch.compile, ms, and the seconds that compiling takes."""

    def measure(backbone: str) -> dict[str, float]:
        optimiser = OwnAdamP(parameters_of(build_backbone(backbone).to(bench.device)), lr=1e-4, weight_decay=1e-2)
        plain = bench.seconds(optimiser.step, 5)
        start = time.monotonic()
        step = torch.compile(optimiser.step)
        step()
        bench.sync()
        row = {"plain_ms": 1e3 * plain, "compiling_s": time.monotonic() - start}
        row["compiled_ms"] = 1e3 * bench.seconds(step, 5)
        return {name: round(value, 2) for name, value in row.items()}

    for backbone in BACKBONES[:1]:
        yield backbone, lambda backbone=backbone: measure(backbone)


def one_card(_bench: Bench) -> Iterator[Piece]:
    """What is said where two processes are to share one card."""

    def said() -> str:
        try:
            require_devices(2, ["0"])
        except TddError as error:
            return str(error)
        return "not refused"

    yield "two processes", said


Parts = dict[str, tuple[Callable[[Bench], Iterator[Piece]], float]]


def all_parts(folder: Path, small: bool) -> Parts:
    """Every part by its name, the most important first, and the least seconds that a piece of it takes on an H100.

    Args:
        folder: for clips and runs.
        small: few clips.
    """
    faces, videos = (16, 2) if small else (512, 32)

    @functools.cache
    def store() -> ClipStore:
        return random_store(folder / "store", faces, videos)

    parts: Parts = {
        "machine": (machine, 0),
        "ceilings": (ceilings, 0),
        "stages": (lambda bench: gpu_runs.stages(bench, store()), 15),
        "projection": (gpu_runs.projection, 0),
        "golden": (golden, 5),
        "views": (gpu_runs.view_parts, 2),
        "curves": (lambda bench: gpu_runs.curves(bench, folder / "curves"), 10),
        "colab": (lambda bench: gpu_runs.colab(bench, store()), 8),
        "optimisers": (optimisers, 2),
        "networks": (networks, 8),
        "switches": (switches, 4),
        "depthwise": (depthwise, 3),
        "layouts": (layouts, 3),
        "end_to_end": (lambda bench: gpu_runs.end_to_end(bench, store(), folder / "runs"), 40),
        "one_card": (one_card, 0),
        "compiled_optimiser": (compiled_optimiser, 40),
        "compiled": (compiled, 60),
    }
    return {name: (work, 0 if small else least) for name, (work, least) in parts.items()}


def main() -> None:
    """Measure all parts that fit into the time, and write ``gpu.json`` after each piece of each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "gpu")
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--small", action="store_true", help="a few clips of each: to test the script")
    parser.add_argument("--minutes", type=float, default=7.0)
    parser.add_argument("--workers", type=int, default=min(8, os.cpu_count() or 1), help="loader processes")
    parser.add_argument("--autotune", action="store_true", help="let cuDNN try its algorithms for each new shape")
    parser.add_argument("--parts", nargs="*", default=[], help="names of the parts to run; all when none is named")
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        sys.exit("There is no CUDA device; its logic runs with --device cpu --small.")
    end = time.monotonic() + 60 * options.minutes
    bench = Bench(torch.device(options.device), options.small, options.out, end, options.workers)
    if not bench.cuda:
        bench.longest = 60 * options.minutes
    torch.backends.cudnn.benchmark = options.autotune  # tries every algorithm anew for each shape that comes
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        for name, (work, least) in all_parts(Path(folder), options.small).items():
            if not options.parts or name in options.parts:
                bench.part(name, work, least)


if __name__ == "__main__":
    main()
