"""The published code's networks: their tensors under their published names, and their outputs.

`models/golden.npz` holds, per published module, `tensors` (its state-dict names and shapes), and of one output in eval
mode and float32 the `shape`, `mean`, `std` and up to 512 evenly strided values (`flat_every`). Weights and inputs come
from seeded numpy generators, drawn below exactly as they were for the published code.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

GOLDEN = np.load(Path(__file__).with_name("models") / "golden.npz")


def normal(seed: int, *shape: int) -> Tensor:
    return torch.from_numpy(np.random.RandomState(seed).standard_normal(shape).astype(np.float32))


def published_state(module: str) -> dict[str, Tensor]:
    """One generator per module; names in sorted order; the rule for each tensor follows its name and rank."""
    random = np.random.RandomState(20240611)
    state = {}
    for line in GOLDEN[f"{module}.tensors"]:
        name, _, sizes = str(line).partition(" ")
        shape = tuple(int(size) for size in sizes.split(",") if size)
        state[name.removeprefix("h.")] = _published_tensor(name, shape, random)
    return state


def _published_tensor(name: str, shape: tuple[int, ...], random: np.random.RandomState) -> Tensor:
    if name.endswith("num_batches_tracked"):
        return torch.tensor(0)
    values = random.standard_normal(shape).astype(np.float32)
    if name.endswith("running_var"):
        values = 1 + np.float32(0.1) * np.abs(values)
    elif name.endswith("running_mean"):
        values = np.float32(0.1) * values
    elif len(shape) == 1:
        values = 1 + np.float32(0.1) * values if name.endswith("weight") else np.float32(0.02) * values
    else:
        values /= np.float32(np.sqrt(np.prod(shape[1:])))
    return torch.from_numpy(values)


def assert_golden(module: str, result: Tensor) -> None:
    """The output of a network here, in the published axis order, is the published module's."""
    output = result.contiguous().numpy()
    assert output.shape == tuple(GOLDEN[f"{module}.shape"])
    ours, golden, std = (
        output.ravel()[:: max(1, output.size // 512)][:512],
        GOLDEN[f"{module}.flat_every"],
        output.std(),
    )
    error = np.abs(ours - golden).max() / np.abs(golden).max()
    # The contract is 1e-4; a tenth of it still leaves room for another processor's rounding.
    assert error <= 1e-5, f"maximum relative error {error:.1e}"
    assert abs(output.mean() - GOLDEN[f"{module}.mean"]) <= 1e-5 * std
    assert abs(std - GOLDEN[f"{module}.std"]) <= 1e-5 * std
