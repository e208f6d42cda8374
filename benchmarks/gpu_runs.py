"""What the package itself does on a GPU: steps of both stages at the paper's size, views, and whole runs."""

from __future__ import annotations

import dataclasses
import statistics
import time
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.measure import endless, forward_flop, random_store, together
from benchmarks.pieces import Bench, Piece, precision
from tdd.config import Recipe, load_recipe, override
from tdd.data.audio import log_mel
from tdd.data.augment import cut_view, cut_views, draw_cut
from tdd.data.clips import EpochBatches, PretrainingClips, loader
from tdd.data.loading import on_device
from tdd.data.store import ClipStore
from tdd.detect import Detection, TrainingClips, detect, training_clips
from tdd.pretrain import Pretraining, pretrain
from tdd.records.paper import ROWS
from tdd.weights.checkpoints import Weights

BACKBONES = ("cnn_gru_attention", "csn", "cnn_lstm")
PAPER_ROWS = {row.backbone: row for row in ROWS}

COLAB_GB = 15.0
"""Memory of the GPU that recipe ``colab`` is for, GB of 1e9 bytes less what CUDA itself takes."""


def of_recipe(bench: Bench, name: str) -> Recipe:
    """Recipe ``gpu`` or ``colab`` on this machine, all clips of the store shown; or a stand-in of a few clips."""
    changes: dict[str, Any] = {"machine.workers": bench.workers, "stage1.clips": 0}
    if not bench.cuda:
        changes |= {"machine.accelerator": "cpu"}
    if bench.small:
        sizes = {"batch_size": 4, "micro_batches": 2}
        changes |= {f"{stage}.{key}": value for stage in ("stage1", "stage2") for key, value in sizes.items()}
        changes |= {"stage2.real_per_labelled": 1.0, "machine.workers": 0}
    return override(load_recipe(name), changes)


def first_stage(bench: Bench, store: ClipStore, backbone: str, recipe: Recipe) -> tuple[Pretraining, Iterator[Any]]:
    """Stage 1 on the device, and its batches without end."""
    faces = store.index[(store.index["dataset"] == "LRW") & (store.index["split"] == "train")]
    clips = PretrainingClips(store, faces, recipe, train=True, raw=bench.cuda)
    batches = EpochBatches(len(clips), recipe.stage1.batch_size, 0, recipe.stage1.micro_batches)
    stage = Pretraining(backbone, recipe, len(clips.words), batches.steps).to(bench.device).train()
    return stage, endless(loader(clips, batches, recipe))


def second_stage(
    bench: Bench, store: ClipStore, backbone: str, recipe: Recipe
) -> tuple[Detection, Iterator[Any], TrainingClips]:
    """Stage 2 on the device from the weights of a stage 1 before its first step, its batches, and what they hold."""
    labelled = training_clips(store, recipe, 0, raw=bench.cuda)
    weights = Weights("stage1", backbone, Pretraining(backbone, recipe, 0, 1).parts(), {}, None)
    row = dataclasses.replace(PAPER_ROWS[backbone], ssl_weight=0.3)
    stage = Detection(row, recipe, labelled.shift, labelled.steps, weights).to(bench.device).train()
    return stage, together(labelled.loaders), labelled


def timed_steps(
    bench: Bench, stage: Any, batches: Iterator[Any], parts: int, steps: int, warm: int, name: str = "bf16"
) -> dict[str, Any]:
    """Seconds of whole optimiser steps behind a loader, the share that waits for data, and peak memory.

    The first ``warm`` steps are given by themselves: they fill the loader, and each number of clips that comes for the
    first time has its algorithms chosen, as the number of real clips of stage 2 does again and again at first.
    """
    optimiser, _ = stage.configure_optimisers()
    scaler = torch.amp.GradScaler(bench.device.type, enabled=name == "fp16" and bench.cuda)
    batches = on_device(batches, bench.device)
    waits, times = [], []
    if bench.cuda:
        torch.cuda.reset_peak_memory_stats()

    def step(number: int) -> tuple[float, bool]:
        waited, finite = 0.0, True
        optimiser.zero_grad(set_to_none=True)
        for part in range(parts):
            asked = time.perf_counter()
            batch = next(batches)
            waited += time.perf_counter() - asked
            with precision(name, bench.device):
                loss = stage.training_step(batch, number * parts + part) / parts
            finite = bool(torch.isfinite(loss)) and finite  # as the loop looks
            scaler.scale(loss).backward()
        scaler.step(optimiser)
        scaler.update()
        return waited, finite

    finite = True
    for number in range(warm + steps):
        bench.sync()
        start = time.perf_counter()
        waited, well = step(number)
        bench.sync()
        waits.append(waited)
        times.append(time.perf_counter() - start)
        finite = finite and well
    seconds = statistics.median(times[warm:])
    row = {"step_s": round(seconds, 4), "steps_s": round(1 / seconds, 2), "least_s": round(min(times[warm:]), 4)}
    row |= {"data_wait": round(statistics.median(waits[warm:]) / seconds, 3), "finite": finite}
    row["first_steps_s"] = [round(value, 2) for value in times[:warm]]
    if bench.cuda:
        row["peak_gb"] = round(torch.cuda.max_memory_allocated() / 1e9, 1)
        row["waits_at"] = waits_of(lambda: step(warm + steps))
    return row


def waits_of(work: Any) -> dict[str, int]:
    """Where in some work the host waits for the device: file and line, and how often."""
    found: dict[str, int] = {}
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            work()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    for one in said:
        if "synchroniz" in str(one.message):
            place = f"{Path(one.filename).name}:{one.lineno}"
            found[place] = found.get(place, 0) + 1
    return found


def utilisation(bench: Bench, flop: float, row: Mapping[str, Any]) -> dict[str, float]:
    """TFLOP/s of steps of ``flop`` operations, and their share of a matrix product's in bfloat16 (MFU)."""
    rate = flop / row["step_s"] / 1e12
    limit = bench.results.get("ceilings", {}).get("gemm_bf16_tflops")
    return {"tflops": round(rate, 2)} | ({"mfu": round(rate / limit, 3)} if limit else {})


def clips_of(device: torch.device, count: int, size: int = 112) -> Tensor:
    """Random normalised clips, shape (count, 3, 25, size, size)."""
    return torch.randn(count, 3, 25, size, size, device=device)


def stages(bench: Bench, store: ClipStore) -> Iterator[Piece]:
    """Whole steps of both stages with recipe ``gpu`` in bf16, through the real loader.

    Operations are counted as 3 forward passes a student and 1 a teacher, without predictors and projectors.
    """
    recipe = of_recipe(bench, "gpu")
    joined = recipe.stage2.batch_size * (1 + recipe.stage2.real_per_labelled)

    def first(backbone: str) -> dict[str, Any]:
        stage, batches = first_stage(bench, store, backbone, recipe)
        parts, clips = recipe.stage1.micro_batches, recipe.stage1.batch_size
        found = timed_steps(
            bench, stage, batches, parts, *((1, 1) if bench.small else (3, 2) if backbone == "csn" else (6, 2))
        )
        assert stage.audio is not None
        sound = torch.randn(1, 1, 4 * recipe.clip.frames, 80, device=bench.device)
        flop = forward_flop(stage.video.backbone, clips_of(bench.device, 1)) + forward_flop(stage.audio.backbone, sound)
        return found | {"clips_s": round(clips / found["step_s"], 1)} | utilisation(bench, 4 * clips * flop, found)

    def second(backbone: str) -> dict[str, Any]:
        stage, batches, labelled = second_stage(bench, store, backbone, recipe)
        parts = recipe.stage2.micro_batches
        found = timed_steps(
            bench, stage, batches, parts, *((1, 1) if bench.small else (3, 2) if backbone == "csn" else (6, 6))
        )
        flop = (3 + 1 - labelled.fakes) * joined * forward_flop(stage.detector.backbone, clips_of(bench.device, 1))
        return found | {"clips_s": round(joined / found["step_s"], 1)} | utilisation(bench, flop, found)

    for backbone in BACKBONES[:1] if bench.small else BACKBONES:
        yield f"{backbone}/stage1", lambda backbone=backbone: first(backbone)
        yield f"{backbone}/stage2", lambda backbone=backbone: second(backbone)


def colab(bench: Bench, store: ClipStore) -> Iterator[Piece]:
    """Recipe ``colab`` in fp16: two of a batch's parts, with no more memory than that GPU has."""
    begin = {"stage1": first_stage, "stage2": second_stage}

    def measure(backbone: str, stage: str) -> dict[str, Any]:
        recipe = of_recipe(bench, "colab")
        if bench.cuda:
            whole = torch.cuda.get_device_properties(0).total_memory
            torch.cuda.set_per_process_memory_fraction(min(1.0, 1e9 * COLAB_GB / whole))
        try:
            network, batches = begin[stage](bench, store, backbone, recipe)[:2]
            return timed_steps(bench, network, batches, 2, 1, 1, "fp16" if bench.cuda else "bf16")
        finally:
            if bench.cuda:
                torch.cuda.set_per_process_memory_fraction(1.0)

    for backbone in BACKBONES[:1] if bench.small else BACKBONES:
        for stage in begin:
            yield f"{backbone}/{stage}", lambda b=backbone, s=stage: measure(b, s)


def view_parts(bench: Bench) -> Iterator[Piece]:
    """Views and log-mels made in a batch on the device, and clip by clip on the CPU: how far apart, and clips/s."""
    clip, count = load_recipe("paper").clip, 4 if bench.small else 64
    rng = np.random.default_rng(0)

    def pictures() -> dict[str, Any]:
        frames = rng.integers(0, 256, (count, clip.frames, clip.crop, clip.crop, 3), dtype=np.uint8)
        cuts = [draw_cut(rng, clip, 0.5, bool(number % 2)) for number in range(count)]
        start = time.perf_counter()
        wanted = np.stack([cut_view(one, cut, clip) for one, cut in zip(frames, cuts, strict=True)])
        on_cpu = time.perf_counter() - start
        given = torch.from_numpy(frames).to(bench.device)
        drawn = torch.from_numpy(np.stack([cut.numbers() for cut in cuts])).to(bench.device)
        apart = np.abs(cut_views(given, drawn, clip).cpu().numpy().astype(int) - wanted.astype(int))
        seconds = bench.seconds(lambda: cut_views(given, drawn, clip), 5, 2)
        return {
            "grey_levels_apart": int(apart.max()), "share_apart": float(f"{(apart > 0).mean():.3g}"),
            "device_clips_s": round(count / seconds), "cpu_clips_s": round(count / on_cpu),
        }  # fmt: skip

    def sounds() -> dict[str, Any]:
        samples = torch.from_numpy(rng.normal(0, 0.1, (count, 640 * clip.frames)).astype(np.float32))
        given = samples.to(bench.device)
        apart = (log_mel(given).cpu() - torch.stack([log_mel(one) for one in samples])).abs().max()
        return {"apart": float(f"{apart:.3g}"), "device_clips_s": round(count / bench.seconds(lambda: log_mel(given)))}

    yield "views", pictures
    yield "log_mel", sounds


class _StoppedError(Exception):
    pass


def curves(bench: Bench, folder: Path) -> Iterator[Piece]:
    """Losses of whole runs of recipe ``tiny`` on the CPU and on the device, and of one stopped and taken up again."""
    made: dict[str, ClipStore] = {}
    losses: dict[str, list[float]] = {}
    epochs = 2 if bench.small else 6

    def run(way: str, accelerator: str, kind: str, stop: bool = False) -> dict[str, Any]:
        if not made:
            made["store"] = random_store(folder / "store", 8 if bench.small else 64, 4, crop=42, canvas=72)
        changes = {"machine.accelerator": accelerator if bench.cuda else "cpu", "machine.precision": kind}
        changes |= {"stage1.epochs": epochs, "stage2.epochs": epochs, "machine.threads": 0}
        recipe, place = override(load_recipe("tiny"), changes), folder / way
        row = next(row for row in ROWS if row.id == "ssl_0.3")

        def halfway(done: int, total: int) -> None:
            if done > total / 2:
                raise _StoppedError

        start = time.monotonic()
        if stop:
            for begin in (
                lambda: pretrain(made["store"], row.backbone, recipe, place / "one", report=halfway),
                lambda: pretrain(made["store"], row.backbone, recipe, place / "one"),
                lambda: detect(made["store"], row, recipe, place / "two", place / "one", report=halfway),
            ):
                try:
                    begin()
                except _StoppedError:
                    continue
        one = pretrain(made["store"], row.backbone, recipe, place / "one")
        two = detect(made["store"], row, recipe, place / "two", place / "one")
        first, second = [entry["loss"] for entry in one["history"]], [entry["bce"] for entry in two["history"]]
        losses[way] = first + second
        found: dict[str, Any] = {"seconds": round(time.monotonic() - start, 1), "device": one["machine"]["device"]}
        found |= {"stage1_loss": [round(x, 5) for x in first], "stage2_bce": [round(x, 5) for x in second]}
        beside = "device, 32-true" if stop else "cpu"
        if way != beside and beside in losses:
            apart = [abs(x - y) for x, y in zip(losses[way], losses[beside], strict=True)]
            found |= {f"apart_from_{beside}": {"first": float(f"{apart[0]:.2g}"), "most": float(f"{max(apart):.2g}")}}
        return found

    yield "cpu", lambda: run("cpu", "cpu", "32-true")
    for kind in ("32-true",) if bench.small else ("32-true", "bf16-mixed", "16-mixed"):
        yield f"device, {kind}", lambda kind=kind: run(f"device, {kind}", "gpu", kind)
    yield "device, resumed", lambda: run("device, resumed", "gpu", "32-true", stop=True)


def end_to_end(bench: Bench, store: ClipStore, folder: Path) -> Iterator[Piece]:
    """Both stages at the paper's size by the package's own functions, two epochs each, bf16."""
    row = next(row for row in ROWS if row.id == "ssl_0.3")

    def run() -> dict[str, Any]:
        size = 2 if bench.small else 64
        changes = {"stage1.epochs": 2, "stage1.warmup_epochs": 1, "stage1.batch_size": size}
        changes |= {"stage2.epochs": 2, "stage2.warmup_epochs": 1, "stage2.batch_size": max(2, size // 4)}
        changes |= {"stage2.real_per_labelled": 1.0, "stage1.micro_batches": 1, "stage2.micro_batches": 1}
        recipe = override(of_recipe(bench, "gpu"), changes)
        start = time.monotonic()
        one = pretrain(store, row.backbone, recipe, folder / "one")
        two = detect(store, row, recipe, folder / "two", folder / "one")
        return {
            "seconds": round(time.monotonic() - start, 1),
            "stage1_loss": [round(entry["loss"], 4) for entry in one["history"]],
            "stage2_bce": [round(entry["bce"], 4) for entry in two["history"]],
        }

    yield "bf16-mixed", run


LRW_CLIPS, FACEFORENSICS_PAIRS = 488_763, 720
"""Training clips of LRW; training videos of each method of FaceForensics++, and its reals."""


def projection(bench: Bench) -> Iterator[Piece]:
    """Hours of the whole table with recipe ``gpu`` on this card, from the steps measured; validation left out.

    ``whole_lrw`` is stage 1 on all clips of LRW, in place of the paper's 5,000.
    """

    def hours() -> dict[str, Any]:
        measured = bench.results.get("stages", {})
        recipe, found, total = load_recipe("gpu"), {}, 0.0
        labelled = FACEFORENSICS_PAIRS * (4 + recipe.stage2.real_repeats)
        steps = {
            "stage1": recipe.stage1.epochs * (recipe.stage1.clips // recipe.stage1.batch_size),
            "stage2": recipe.stage2.epochs * (labelled // recipe.stage2.batch_size),
            "whole_lrw": recipe.stage1.epochs * (LRW_CLIPS // recipe.stage1.batch_size),
        }
        for backbone in BACKBONES:
            taken = {stage: row["step_s"] for stage, row in measured.get(backbone, {}).items() if "step_s" in row}
            if len(taken) < 2:
                continue
            seconds = {"whole_lrw": taken["stage1"]} | taken
            each = {name: steps[name] * seconds[name] / 3600 for name in steps}
            runs = sum(row.backbone == backbone for row in ROWS)
            total += each["stage1"] + runs * each["stage2"]
            found[backbone] = {name: round(value, 2) for name, value in each.items()} | {"stage2_runs": runs}
        return found | {"hours": round(total, 1), "complete": len(found) == len(BACKBONES), "steps": steps}

    yield "", hours


def parameters_of(network: nn.Module) -> list[nn.Parameter]:
    """The parameters of a network, each with a small random gradient."""
    parameters = list(network.parameters())
    for parameter in parameters:
        parameter.grad = torch.randn_like(parameter) * 1e-3
    return parameters
