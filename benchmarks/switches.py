"""Which ways to compute the networks' layers, and which switches of torch, are quicker on this CPU?

Every case is timed in turns, the ways of a case in one run: forward and backward pass of a layer at published and at
demo size, then whole steps. A ratio above 1 says that a way takes less time than the first one of its case, which is
the plain one. ``profile`` lists the costliest operators of whole steps. Parts that are not asked for keep what the
results held before, so that the parts can be run one by one.

    python -m benchmarks.switches                       # all parts, on one thread and on two: some minutes
    python -m benchmarks.switches --parts pools profile
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import platform
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.profiler import profile as profiler

from benchmarks.bench import PROPOSED, Size, first_stage, second_stage, sizes, step_of, whole_step
from benchmarks.measure import OURS, PUBLISHED, Case, Work, in_turns, random_store
from benchmarks.published_way import PlainPretraining, plain, plain_optimiser
from tdd.config import load_recipe
from tdd.machine.files import write_json
from tdd.models.backbones.csn import grouped, three_taps
from tdd.models.build import build_predictor, video_backbone
from tdd.pretrain import Pretraining
from tdd.training.optimiser import AdamP
from tdd.weights.checkpoints import Weights

Layer = Callable[[Tensor], Tensor]
FRAMES = 25


def last(x: Tensor) -> Tensor:
    """The same numbers, channels last in memory, of clips or of frames."""
    return x.contiguous(memory_format=torch.channels_last_3d if x.ndim == 5 else torch.channels_last)


def frames_of(clips: Tensor) -> Tensor:
    """(B, C, T, H, W) -> (B * T, C, H, W)."""
    return clips.transpose(1, 2).flatten(0, 1)


def stacked_frames(clips: Tensor) -> Tensor:
    """Each frame with the one before it and the one after it as channels: (B * T, 3 * C, H, W), channels last."""
    frames, padded = clips.shape[2], F.pad(clips.transpose(1, 2), (0, 0, 0, 0, 0, 0, 1, 1))
    return last(torch.cat([padded[:, tap : tap + frames] for tap in range(3)], 2).flatten(0, 1))


def as_one_2d(clips: Tensor, weight: Tensor, stride: int) -> Tensor:
    """A 3-D convolution with three taps in time as one 2-D convolution over stacked frames: (B * T, O, H, W)."""
    kernel = weight.transpose(1, 2).flatten(1, 2)
    return F.conv2d(stacked_frames(clips), kernel, stride=stride, padding=weight.shape[-1] // 2)


def as_product(clips: Tensor, weight: Tensor, stride: int) -> Tensor:
    """The same as one matrix product over unfolded frames: (B * T, O, H, W)."""
    side = weight.shape[-1]
    padded = F.pad(stacked_frames(clips), (side // 2,) * 4)
    patches = padded.unfold(2, side, stride).unfold(3, side, stride).permute(0, 2, 3, 4, 5, 1)
    rows = patches.reshape(patches.shape[:3].numel(), -1)
    matrix = weight.transpose(1, 2).flatten(1, 2).permute(2, 3, 1, 0).flatten(0, 2)
    return (rows @ matrix).view(*patches.shape[:3], -1).permute(0, 3, 1, 2)


def autograd_taps(x: Tensor, weight: Tensor, stride: int, batch: int) -> Tensor:
    """CSN's depthwise convolution as three 2-D ones over time-major frames, its gradients left to autograd."""
    before, here, after = (
        F.conv2d(x, weight[:, :, tap], stride=stride, padding=1, groups=len(weight)) for tap in range(3)
    )
    none = torch.zeros_like(here[:batch])
    return here + torch.cat([none, before[:-batch]]) + torch.cat([after[batch:], none])


def one_3d(clips: Tensor, weight: Tensor, stride: int) -> Tensor:
    """The same as torch's grouped 3-D convolution of clips."""
    return F.conv3d(clips, weight, stride=(1, stride, stride), padding=1, groups=len(weight))


def pass_of(layer: Layer, given: Tensor, needs_gradient: bool = True) -> Work:
    """Forward and backward pass of a layer; the gradient that comes back has the layout of the output."""
    given = given.detach().requires_grad_(needs_gradient)
    with torch.no_grad():
        output = layer(given)
    grad = torch.randn_like(output)

    def once() -> None:
        given.grad = None
        layer(given).backward(grad)

    return once


def depthwise(threads: int) -> Iterator[Case]:
    """CSN's depthwise 3 x 3 x 3 convolution."""
    places = [("published", 2, 64, 56), ("published", 2, 128, 28), ("published", 2, 256, 14), ("published", 2, 512, 7)]
    for size, batch, channels, side in [*places, ("demo", 8, 8, 20), ("demo", 8, 32, 5)]:
        clips = torch.randn(batch, channels, FRAMES, side, side)
        frames = clips.permute(2, 0, 1, 3, 4).flatten(0, 1)
        weight = torch.randn(channels, 1, 3, 3, 3, requires_grad=True)
        whole: Layer = lambda x, w=weight: one_3d(x, w, 1)  # noqa: E731
        taps: Layer = lambda x, w=weight, b=batch: autograd_taps(x, w, 1, b)  # noqa: E731
        ours: Layer = lambda x, w=weight, b=batch: three_taps(x, w, 1, b)  # noqa: E731
        moved: Layer = lambda x, w=weight, b=batch: grouped(x, w, 1, b)  # noqa: E731
        ways = {
            "grouped 3-D": pass_of(whole, clips),
            "grouped 3-D, channels last": pass_of(whole, last(clips)),
            "grouped 3-D between channels-last frames": pass_of(moved, last(frames)),
            "three 2-D taps, autograd": pass_of(taps, frames),
            "three 2-D taps, channels last, autograd": pass_of(taps, last(frames)),
            "three 2-D taps, channels last, gradients written out (in use)": pass_of(ours, last(frames)),
        }
        yield Case(f"depthwise, {size}: {batch} clips, {channels} x {side} px", ways, threads=threads)


def pointwise(threads: int) -> Iterator[Case]:
    """CSN's 1 x 1 x 1 convolutions."""
    places = (("published", 2, 256, 64, 56), ("published", 2, 1024, 256, 14), ("demo", 8, 32, 8, 20))
    for size, batch, channels, inner, side in places:
        clips, weight = torch.randn(batch, channels, FRAMES, side, side), torch.randn(inner, channels)
        weight.requires_grad_()
        frames = last(frames_of(clips))
        product: Layer = lambda x, w=weight: F.linear(x.permute(0, 2, 3, 1), w).permute(0, 3, 1, 2)  # noqa: E731
        ways = {
            "3-D": pass_of(lambda x, w=weight: F.conv3d(x, w[:, :, None, None, None]), clips),
            "2-D, channels last (in use)": pass_of(lambda x, w=weight: F.conv2d(x, w[:, :, None, None]), frames),
            "matrix product": pass_of(product, frames),
        }
        yield Case(f"pointwise, {size}: {batch} clips, {channels} to {inner} x {side} px", ways, threads=threads)


def first_layers(threads: int) -> Iterator[Case]:
    """The first convolution, whose input has three channels and needs no gradient."""
    for name, batch, out, side, px, stride in (
        ("CNN-GRU, published", 2, 32, 3, 112, 1), ("CNN-GRU, published", 1, 32, 3, 112, 1),
        ("CNN-GRU, demo", 8, 16, 3, 40, 1), ("CSN, published", 2, 64, 7, 112, 2), ("CSN, demo", 8, 8, 7, 40, 1),
    ):  # fmt: skip
        clips, weight = torch.randn(batch, 3, FRAMES, px, px), torch.randn(out, 3, 3, side, side, requires_grad=True)
        where = {"stride": (1, stride, stride), "padding": (1, side // 2, side // 2)}
        three: Layer = lambda x, w=weight, where=where: F.conv3d(x, w, **where)  # noqa: E731
        ways = {
            "3-D": pass_of(three, clips, False),
            "3-D, channels last (in use)": pass_of(lambda x, three=three: three(last(x)), clips, False),
            "one 2-D over stacked frames": pass_of(lambda x, w=weight, s=stride: as_one_2d(x, w, s), clips, False),
        }
        if side == 3 or px == 112:  # of 7 x 7 x 3 patches at stride 1 the unfolded frames take 700 MB
            ways["unfold and matrix product"] = pass_of(lambda x, w=weight, s=stride: as_product(x, w, s), clips, False)
        yield Case(f"first layer, {name}: {batch} clips", ways, threads=threads)


def pools(threads: int) -> Iterator[Case]:
    """ReLU and max-pool (1, 2, 2) of the stem."""

    def plain_pool(x: Tensor) -> Tensor:
        return F.max_pool3d(F.relu(x), (1, 2, 2))

    def later(pool: Layer) -> Layer:
        return lambda x: F.relu(pool(frames_of(x)))

    def slices(x: Tensor) -> Tensor:
        parts = [x[:, :, i::2, j::2] for i in (0, 1) for j in (0, 1)]
        return torch.maximum(torch.maximum(parts[0], parts[1]), torch.maximum(parts[2], parts[3]))

    later_relu: Layer = lambda x: F.relu(F.max_pool3d(x, (1, 2, 2)))  # noqa: E731
    for size, batch, channels, px in (("published", 2, 32, 112), ("published", 2, 64, 56), ("demo", 8, 16, 40)):
        clips = torch.randn(batch, channels, FRAMES, px, px)
        ways = {
            "ReLU, 3-D pool": pass_of(plain_pool, clips),
            "ReLU, 3-D pool, channels last": pass_of(plain_pool, last(clips)),
            "3-D pool, ReLU, channels last": pass_of(later_relu, last(clips)),
            "2-D pool, ReLU, channels last (in use)": pass_of(later(lambda x: F.max_pool2d(x, 2)), last(clips)),
            "two 2-D pools, ReLU, channels last": pass_of(
                later(lambda x: F.max_pool2d(F.max_pool2d(x, (1, 2)), (2, 1))), last(clips)
            ),
            "maximum of four slices, ReLU, channels last": pass_of(later(slices), last(clips)),
        }
        yield Case(f"pool, {size}: {batch} clips, {channels} x {px} px", ways, threads=threads)


def layout(threads: int) -> Iterator[Case]:
    """channels_last_3d alone: the plain networks on clips in both layouts, and ours."""
    for size, clips in zip(sizes(False), (2, 8), strict=True):
        side = size.recipe.clip.input_size
        video = torch.randn(clips, 3, FRAMES, side, side)
        for name in ("csn", "cnn_lstm", PROPOSED):
            simple, ours = (video_backbone(name, size.recipe).train() for _ in range(2))
            simple = plain(simple).train()
            ways = {"plain": step_of(simple, video), "plain, channels_last_3d": step_of(simple, last(video))}
            ways["ours"] = step_of(ours, video)
            yield Case(f"step of {name}, {size.name}: {clips} clips", ways, threads=threads)


def whole(threads: int) -> Iterator[Case]:
    """Whole steps: stage 2 of 4 + 4 clips at published size, and the demo's stage 1, beside the published way."""
    with tempfile.TemporaryDirectory() as home:
        for name, ways in stage_steps(Path(home), profiled=False):
            yield Case(name, ways, threads=threads)


def stage_steps(home: Path, profiled: bool) -> Iterator[tuple[str, dict[str, Work]]]:
    """The steps of :func:`whole`; ``profiled``: both stages at both sizes, the proposed network alone."""
    for size in sizes(False):
        clip = size.recipe.clip
        store = random_store(home / size.name, 32, 4, clip.crop, clip.canvas)
        stage, batch = first_stage(Pretraining, size, store)
        if profiled or size.name == "demo":
            simple, _ = first_stage(PlainPretraining, size, store)
            ours, published = stage.configure_optimisers()[0], plain_optimiser(simple)
            ways = {PUBLISHED: whole_step(simple, published, batch), OURS: whole_step(stage, ours, batch)}
            yield f"stage 1 of CNN-GRU, {size.name}: {size.stage1} clips", ways
        if profiled or size.name == "paper":
            yield f"stage 2 of CNN-GRU, {size.name}: 4 + 4 clips", second_ways(size, store, stage, "ssl_0.3")
        if size.name == "paper" and not profiled:
            csn, _ = first_stage(Pretraining, size, store, "csn")
            fewer = dataclasses.replace(size, stage2=2)
            yield f"stage 2 of CSN, {size.name}: 2 + 2 clips", second_ways(fewer, store, csn, "csn")


def second_ways(size: Size, store: Any, stage: Pretraining, row: str) -> dict[str, Work]:
    """A step of stage 2, the published way and ours."""
    weights = Weights("stage1", stage.settings["backbone"], stage.parts(), {}, None)
    (detection, given), (simple, _) = (second_stage(size, store, weights, row) for _ in range(2))
    simple.detector.backbone = plain(simple.detector.backbone)
    assert simple.auxiliary is not None
    simple.auxiliary.teacher.backbone = plain(simple.auxiliary.teacher.backbone)
    ours, published = detection.configure_optimisers()[0], plain_optimiser(simple)
    return {PUBLISHED: whole_step(simple, published, given), OURS: whole_step(detection, ours, given)}


def compiled(_threads: int = 1) -> dict[str, Any]:
    """torch.compile of the predictor and of AdamP's step: ms before and after, or the error."""
    found: dict[str, Any] = {}
    for name in ("paper", "demo"):
        recipe = load_recipe(name)
        predictor = build_predictor(recipe)
        given = torch.randn(8, recipe.model.projection, FRAMES)
        network = video_backbone(PROPOSED, recipe)
        for parameter in network.parameters():
            parameter.grad = torch.randn_like(parameter) * 1e-3
        optimiser = AdamP(network.parameters(), lr=1e-4, weight_decay=1e-2)
        quick: Layer = torch.compile(predictor)
        for what, before, after in (
            (f"predictor, {name}: 8 clips", pass_of(predictor, given), lambda q=quick, g=given: pass_of(q, g)),
            (f"AdamP, {name}", optimiser.step, lambda o=optimiser: torch.compile(o.step)),
        ):
            try:
                start = time.perf_counter()
                work = after()
                work()
                taken = time.perf_counter() - start
                row = in_turns(Case(what, {"eager": before, "compiled": work}), 3.0)
                found[what] = rounded(row) | {"compiling_s": round(taken, 1)}
            except Exception as error:
                found[what] = {"error": f"{type(error).__name__}: {error}".strip().splitlines()[0][:200]}
    return found


def profile(_threads: int = 1) -> dict[str, Any]:
    """The five costliest operators of whole steps on one thread: share of the operators' own time."""
    torch.set_num_threads(1)
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as home:
        for name, ways in stage_steps(Path(home), profiled=True):
            found[name] = {way: costliest(work) for way, work in ways.items()}
    return found


def costliest(work: Work, count: int = 5) -> dict[str, float]:
    """Names of operators and their shares of all operators' own time, of the second call."""
    work()
    with profiler() as seen:
        work()
    events = sorted(seen.key_averages(), key=lambda event: -event.self_cpu_time_total)
    total = sum(event.self_cpu_time_total for event in events)
    return {event.key: round(event.self_cpu_time_total / total, 3) for event in events[:count]}


def rounded(row: dict[str, Any]) -> dict[str, Any]:
    """Milliseconds of each way, and how many times as fast as the first it is."""
    seconds = row["seconds"]
    first = next(iter(seconds.values()))
    return {
        "ms": {way: round(1e3 * taken, 1) for way, taken in seconds.items()},
        "ratio": {way: round(first / taken, 2) for way, taken in seconds.items()},
        "rounds": row["rounds"],
    }


CASES: dict[str, Callable[[int], Iterator[Case]]] = {
    "depthwise": depthwise, "pointwise": pointwise, "first_layers": first_layers, "pools": pools, "layout": layout,
    "whole": whole,
}  # fmt: skip
OTHERS: dict[str, Callable[[int], dict[str, Any]]] = {"compiled": compiled, "profile": profile}


def timed(part: str, threads: int, seconds: float, name: str) -> dict[str, Any]:
    """The cases of a part whose names hold ``name``, on so many threads."""
    found = {}
    for case in CASES[part](threads):
        if name not in case.name:
            continue
        clocked = in_turns(case, seconds)
        found[case.name] = rounded(clocked)
        print(threads, case.name, json.dumps(found[case.name]["ratio"]), flush=True)  # noqa: T201
    return found


def as_text(found: dict[str, Any]) -> str:
    """The results as Markdown."""
    machine = found["machine"]
    lines = [
        f"# Ways to compute on a CPU (torch {machine['torch']}, {machine['cores']} cores, {machine['capability']})", "",
        "`python -m benchmarks.switches`: forward and backward pass, medians of rounds in turns, ms; in brackets how",
        "many times as fast as the first way of its case. On one thread processor time counts, on two the wall's.",
    ]  # fmt: skip
    for part in CASES:
        if part in found:
            lines += table(part.replace("_", " "), ("case", "way", "one thread", "two threads"), cells_of(found[part]))
    if "compiled" in found:
        rows: list[tuple[Any, ...]] = [
            (what, row["error"], "", "")
            if "error" in row
            else (what, row["ms"]["eager"], row["ms"]["compiled"], row["compiling_s"])
            for what, row in found["compiled"].items()
        ]
        lines += table("torch.compile, one thread", ("what", "eager, ms", "compiled, ms", "compiling, s"), rows)
    if "profile" in found:
        rows = [
            (step, way, ", ".join(f"{name.removeprefix('aten::')} {share:.0%}" for name, share in shares.items()))
            for step, ways in found["profile"].items()
            for way, shares in ways.items()
        ]
        lines += table("share of a step's time, one thread", ("step", "way", "five costliest operators"), rows)
    return "\n".join(lines) + "\n"


def cells_of(by_threads: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Rows of a part's table."""
    columns = [by_threads.get(threads, {}) for threads in ("1", "2")]

    def cell(column: dict[str, Any], case: str, way: str) -> str:
        row = column.get(case, {"ms": {}})  # another run may have had other ways
        return f"{row['ms'][way]} ({row['ratio'][way]})" if way in row["ms"] else ""

    return [
        (case, way, *(cell(column, case, way) for column in columns))
        for case in columns[0] | columns[1]
        for way in dict.fromkeys(way for column in columns if case in column for way in column[case]["ms"])
    ]


def table(title: str, head: tuple[str, ...], rows: Sequence[tuple[Any, ...]]) -> list[str]:
    """Lines of a Markdown table under its title."""
    lines = ["", f"## {title[0].upper()}{title[1:]}", "", f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    return lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, and write ``results/switches.json`` and ``.md``."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--parts", nargs="*", choices=[*CASES, *OTHERS], default=[*CASES, *OTHERS])
    parser.add_argument("--threads", nargs="*", type=int, choices=(1, 2), default=(1, 2))
    parser.add_argument("--seconds", type=float, default=2.0, help="of a case's rounds; three rounds at least")
    parser.add_argument("--only", default="", help="part of a case's name; default: every case")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args(arguments)
    path = options.out / "switches.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    found["machine"] = {
        "processor": platform.processor() or platform.machine(), "cores": torch.get_num_threads(),
        "torch": torch.__version__, "capability": torch.backends.cpu.get_cpu_capability(),
    }  # fmt: skip
    options.out.mkdir(parents=True, exist_ok=True)
    for part in options.parts:
        if part in CASES:
            for threads in options.threads:
                rows = timed(part, threads, options.seconds, options.only)
                found.setdefault(part, {}).setdefault(str(threads), {}).update(rows)
        else:
            found[part] = OTHERS[part](1)
        write_json(path, found)
    (options.out / "switches.md").write_text(as_text(found), encoding="utf-8")


if __name__ == "__main__":
    main()
