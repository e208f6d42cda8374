"""What the benchmarks share: times taken in turns, counted FLOP, the machine's limits, and a store of random clips."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from tdd.data.store import ClipStore, write_clip, write_index
from tdd.machine.files import write_json

METHODS = ("real", "Deepfakes", "FaceSwap", "Face2Face", "NeuralTextures", "FaceShifter")

OURS, PUBLISHED, LIMIT = "ours", "published", "limit"
"""The ways that a case is timed in: the package's, the published code's, and the machine's limit for the same work."""

Work = Callable[[], Any]


@dataclass(frozen=True)
class Case:
    """One piece of work, and the ways to do it.

    Attributes:
        name: of the case; a baseline is compared by it.
        ways: ``OURS``, and ``PUBLISHED`` and ``LIMIT`` where there are any.
        share: how many calls of ``LIMIT`` are as much work as one of ``OURS``.
        threads: of torch.
        per: what one call does, for the reader.
        clock: seconds of this process's CPU where one thread works, which other work on the machine hardly changes;
            otherwise those of the wall.
    """

    name: str
    ways: Mapping[str, Work]
    share: float = 1.0
    threads: int = 1
    per: str = ""
    clock: Callable[[], float] | None = None


def in_turns(case: Case, seconds: float, least: int = 3, most: int = 15) -> dict[str, Any]:
    """Time the ways of a case in turns, so that whatever else the machine does falls on all of them.

    Args:
        case: the ways; each is done once before, uncounted.
        seconds: of all rounds together, about.
        least: rounds at least.
        most: rounds at most.

    Returns:
        ``seconds`` (the median of each way), ``rounds``, and the ratios taken round by round, each with ``median``,
        ``low`` and ``high`` (the least and greatest): ``speedup``, published seconds over ours, and ``of_limit``, the
        limit's seconds over ours.
    """
    before, clock = (
        torch.get_num_threads(),
        case.clock or (time.process_time if case.threads == 1 else time.perf_counter),
    )
    torch.set_num_threads(case.threads)
    taken: dict[str, list[float]] = {name: [] for name in case.ways}
    try:
        for work in case.ways.values():
            work()
        end, rounds = time.perf_counter() + seconds, 0
        while rounds < least or (rounds < most and time.perf_counter() < end):
            for name in sorted(case.ways, reverse=rounds % 2 == 1):
                start = clock()
                case.ways[name]()
                taken[name].append(clock() - start)
            rounds += 1
    finally:
        torch.set_num_threads(before)
    if LIMIT in taken:
        taken[LIMIT] = [case.share * each for each in taken[LIMIT]]
    found: dict[str, Any] = {"seconds": {name: statistics.median(times) for name, times in taken.items()}}
    found |= {"rounds": rounds, "threads": case.threads, "per": case.per}
    for ratio, way in (("speedup", PUBLISHED), ("of_limit", LIMIT)):
        if way in taken:
            found[ratio] = spread([a / b for a, b in zip(taken[way], taken[OURS], strict=True)])
    return found


def spread(values: list[float]) -> dict[str, float]:
    """``median``, ``low`` and ``high`` of some values."""
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


def matrix_product(flop: float, threads: int = 1, size: int = 2048) -> tuple[Work, float]:
    """A matrix product, and how many of it are as much work as ``flop`` floating-point operations.

    Args:
        flop: 2 a multiply-add.
        threads: that will share the product; fewer get a smaller one.
        size: of the square matrices.
    """
    size = size if threads > 1 else size // 2
    a, b = torch.randn(size, size), torch.randn(size, size)
    return lambda: a @ b, flop / (2 * size**3)


def copied(count: float, megabytes: int = 256) -> tuple[Work, float]:
    """A copy of memory, and how many of it are as much as ``count`` bytes read or written."""
    source = torch.empty(megabytes << 20, dtype=torch.uint8).fill_(1)
    target = torch.empty_like(source)
    return lambda: target.copy_(source), count / (2 * source.nbytes)


def recurrent_flop(network: nn.Module, steps: int) -> float:
    """Of one clip's forward pass in GRU and LSTM layers, which torch's counter does not see."""
    total = 0.0
    for layer in network.modules():
        if isinstance(layer, nn.RNNBase):
            gates = {"GRU": 3, "LSTM": 4}[layer.mode] * (2 if layer.bidirectional else 1)
            total += 2.0 * steps * gates * layer.hidden_size * (layer.input_size + layer.hidden_size)
    return total


def forward_flop(network: nn.Module, video: Tensor) -> float:
    """Floating-point operations of one clip's forward pass, 2 a multiply-add."""
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network.eval()(video[:1])
    network.train()
    return counter.get_total_flops() + recurrent_flop(network, video.shape[2])


def moving_colours(frames: int, side: int) -> np.ndarray:
    """Waves with a little noise, which a lossless codec makes about as small as filmed faces: RGB uint8 frames."""
    across, down = np.meshgrid(np.arange(side), np.arange(side))
    waves = [
        np.stack([np.sin((across * a + 3 * t) / 9 + down / b) for a, b in ((1, 7), (2, 5), (1, 3))], -1)
        for t in range(frames)
    ]
    noise = np.random.default_rng(0).normal(0, 2, (frames, side, side, 3))
    return np.clip(127 + 110 * np.stack(waves) + noise, 0, 255).astype(np.uint8)


def random_store(folder: Path, faces: int, videos: int, crop: int = 150, canvas: int = 256) -> ClipStore:
    """Clips of nothing in particular, of the paper's stored size: LRW-like, FaceForensics++-like, Celeb-DF-like."""
    rng = np.random.default_rng(0)
    pixels, sound = moving_colours(64, crop), rng.uniform(-0.5, 0.5, 29 * 640)
    rows = []

    def add(video_id: str, dataset: str, method: str, split: str, length: int, word: str = "") -> None:
        frames = np.roll(pixels, len(rows) * 977, axis=1)[:length]
        heard = [np.roll(sound, len(rows) * 31).astype(np.float32)] if word else []
        row = {"video_id": video_id, "dataset": dataset, "method": method, "split": split, "word": word}
        who = video_id.rpartition("/")[2]  # a fake and the real of its number are a pair
        rows.append(
            write_clip(folder, row | {"label": int(method != "real"), "path": "", "identities": who}, frames, heard)
        )

    for number in range(faces):
        word = f"WORD{number % 8}"
        add(f"LRW/train/{word}_{number:05d}", "LRW", "real", "train", 29, word)
    for number in range(max(8, faces // 8)):
        add(f"LRW/val/WORD{number % 8}_{number:05d}", "LRW", "real", "val", 29, f"WORD{number % 8}")
    for method in METHODS:
        for number in range(videos):
            add(f"FaceForensics++/{method}/c23/train{number}", "FaceForensics++", method, "train", 32)
        for number in range(4):
            add(f"FaceForensics++/{method}/c23/test{number}", "FaceForensics++", method, "test", 50)
    for method in ("real", "Celeb-DF"):
        for number in range(4):
            add(f"Celeb-DF-v2/{method}/{number}", "Celeb-DF-v2", method, "test", 50)
    write_json(folder / "plan.json", {"synthetic": True, "canvas": canvas, "crop": crop, "frame_rate": "timestamps"})
    write_index(folder, rows)
    return ClipStore(folder)


def endless(batches: Any) -> Iterator[Any]:
    """The batches of a loader, again and again."""
    while True:
        yield from batches


def together(loaders: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The batches of several loaders in step."""
    while True:
        for parts in zip(*loaders.values(), strict=True):
            yield dict(zip(loaders, parts, strict=True))


def step_flop(step: Work) -> float:
    """Floating-point operations that torch's counter sees in ``step``: not those of GRU and LSTM layers.

    Of the backward pass of grouped convolutions it counts too many; a network that has some is counted by
    :func:`forward_flop`.
    """
    with FlopCounterMode(display=False) as counter:
        step()
    return float(counter.get_total_flops())
