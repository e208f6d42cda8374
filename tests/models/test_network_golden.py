"""Every network against outputs of the published code.

The two recurrent networks were run as released, so they are compared with time_axis="as_released".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from tdd.models import AudioResNet, CosineHead, Predictor, Projector, build_backbone
from tdd.weights.published import to_own
from tests.published import assert_golden, normal, published_state


def _video() -> Tensor:
    return normal(20240612, 2, 3, 25, 112, 112)


def _features() -> Tensor:
    return normal(20240614, 2, 2048, 25)


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
    "audio_resnet18": Case("audio", AudioResNet, lambda: normal(20240613, 2, 1, 100, 80)),
    "projector_2048": Case("projector", lambda: Projector(2048), _features, _frames_first),
    "predictor": Case("predictor", Predictor, lambda: normal(20240615, 2, 25, 256).transpose(1, 2), _frames_first),
    "head_cosine64": Case("head", lambda: CosineHead(2048), _features, lambda logits: logits[:, None]),
}


@pytest.mark.parametrize("module", CASES)
def test_matches_the_published_code(module: str) -> None:
    case = CASES[module]
    with torch.device("meta"):
        network = case.build().eval()
    network.load_state_dict(to_own(case.name, published_state(module)), strict=True, assign=True)
    with torch.inference_mode():
        output = case.as_published(network(case.draw_input()))

    assert_golden(module, output)
