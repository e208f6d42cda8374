"""How large and how slow are the networks at published size?

Counts parameters, and times one training step (forward, backward, no optimiser) of a few clips of 25 frames of
112 x 112 pixels, on the CPU and on a GPU where there is one. Activation memory is what autograd keeps for backward.

    python benchmarks/networks.py
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from pathlib import Path
from typing import Any

import torch
from torch import nn

import tdd
from tdd.models import AudioResNet, build_backbone

BACKBONES = ("csn", "cnn_lstm", "cnn_gru_attention", "vivit")
VIDEO, LOG_MEL = (3, 25, 112, 112), (1, 100, 80)


def step_seconds(network: nn.Module, clips: torch.Tensor, repeats: int) -> float:
    """Median time of forward and backward, after one that is not counted."""

    def once() -> float:
        network.zero_grad()
        start = time.perf_counter()
        network(clips).mean().backward()
        if clips.is_cuda:
            torch.cuda.synchronize()
        return time.perf_counter() - start

    once()
    return statistics.median(once() for _ in range(repeats))


def activation_bytes(network: nn.Module, clips: torch.Tensor) -> int:
    """Bytes that autograd keeps for the backward pass, parameters apart."""
    own = {parameter.untyped_storage().data_ptr() for parameter in network.parameters()}
    kept: dict[int, int] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        features = network(clips)
    del features
    return sum(size for pointer, size in kept.items() if pointer not in own)


def measure(name: str, device: str, batch: int, repeats: int) -> dict[str, Any]:
    """One row of the table."""
    torch.manual_seed(0)
    network = (AudioResNet() if name == "audio" else build_backbone(name)).to(device).train()
    clips = torch.randn(batch, *(LOG_MEL if name == "audio" else VIDEO), device=device)
    return {
        "network": name,
        "device": torch.cuda.get_device_name() if device == "cuda" else f"CPU, {torch.get_num_threads()} threads",
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "seconds_per_clip": step_seconds(network, clips, repeats) / batch,
        "activation_mb_per_clip": activation_bytes(network, clips) / batch / 1e6,
    }


def main() -> None:
    """Measure, print, and write ``results/networks.json`` and ``.md``."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--batch", type=int, default=2, help="clips of a step")
    parser.add_argument("--repeats", type=int, default=3, help="timed steps; the median counts")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    names = (*BACKBONES, "audio")
    rows = [measure(name, device, options.batch, options.repeats) for device in devices for name in names]
    lines = [
        f"# Networks at published size (tdd {tdd.__version__}, torch {torch.__version__}, {platform.machine()})",
        "",
        f"`python benchmarks/networks.py --batch {options.batch} --repeats {options.repeats}`: forward and "
        f"backward of a batch of {options.batch}, single precision, median of {options.repeats}.",
        "",
        "| network | parameters | device | s a clip and step | activations, MB a clip |",
        "|---|---|---|---|---|",
        *(
            f"| {row['network']} | {row['parameters']:,} | {row['device']} | {row['seconds_per_clip']:.3f} | "
            f"{row['activation_mb_per_clip']:.0f} |"
            for row in rows
        ),
    ]
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "networks.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (options.out / "networks.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    print("\n".join(lines))  # noqa: T201


if __name__ == "__main__":
    main()
