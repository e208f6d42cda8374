"""Every network against outputs of the published code.

`golden.npz` holds, per published module, `tensors` (its state-dict names and shapes), and of one output in eval mode
and float32 the `shape`, `mean`, `std` and up to 512 evenly strided values (`flat_every`). Weights and inputs come from
seeded numpy generators, drawn below exactly as they were for the published code. The two recurrent networks were run
as released, so they are compared with time_axis="as_released".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tdd.models import AudioResNet, CosineHead, Predictor, Projector, build_backbone
from tdd.models.published import to_own

GOLDEN = np.load(Path(__file__).with_name("golden.npz"))


def _normal(seed: int, *shape: int) -> Tensor:
    return torch.from_numpy(np.random.RandomState(seed).standard_normal(shape).astype(np.float32))


def _video() -> Tensor:
    return _normal(20240612, 2, 3, 25, 112, 112)


def _features() -> Tensor:
    return _normal(20240614, 2, 2048, 25)


def _same(output: Tensor) -> Tensor:
    return output


def _frames_first(output: Tensor) -> Tensor:
    return output.transpose(1, 2)


@dataclass(frozen=True)
class Case:
    name: str
    build: Callable[[], nn.Module]
    draw_input: Callable[[], Tensor]
    as_published: Callable[[Tensor], Tensor] = _same


CASES = {
    "csn101": Case("csn", lambda: build_backbone("csn"), _video),
    "cnn_lstm.released": Case("cnn_lstm", lambda: build_backbone("cnn_lstm", time_axis="as_released"), _video),
    "cnn_gru_attention.released": Case(
        "cnn_gru_attention", lambda: build_backbone("cnn_gru_attention", time_axis="as_released"), _video
    ),
    "vivit_factorised": Case("vivit", lambda: build_backbone("vivit"), _video),
    "audio_resnet18": Case("audio", AudioResNet, lambda: _normal(20240613, 2, 1, 100, 80)),
    "projector_2048": Case("projector", lambda: Projector(2048), _features, _frames_first),
    "predictor": Case("predictor", Predictor, lambda: _normal(20240615, 2, 25, 256).transpose(1, 2), _frames_first),
    "head_cosine64": Case("head", lambda: CosineHead(2048), _features, lambda logits: logits[:, None]),
}


def _published_state(module: str) -> dict[str, Tensor]:
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


@pytest.mark.parametrize("module", CASES)
def test_matches_the_published_code(module: str) -> None:
    case = CASES[module]
    with torch.device("meta"):
        network = case.build().eval()
    network.load_state_dict(to_own(case.name, _published_state(module)), strict=True, assign=True)
    with torch.inference_mode():
        output = case.as_published(network(case.draw_input())).contiguous().numpy()

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
