"""Published parameter names: what is renamed, reshaped, and refused."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tdd.errors import TddError
from tdd.weights.published import to_own


def _projector() -> dict[str, Tensor]:
    names = ["net.weight", "net.bias", *(f"norm_layer.{kind}" for kind in ("weight", "bias"))]
    names += [f"norm_layer.{kind}" for kind in ("running_mean", "running_var", "num_batches_tracked")]
    return {name: torch.zeros(()) for name in names}


def test_missing_and_extra_tensors_are_named() -> None:
    state = _projector()
    state["net.scale"] = state.pop("net.bias")
    with pytest.raises(TddError, match=r"projector state dict: it lacks net\.bias and has extra net\.scale\."):
        to_own("projector", state)


def test_a_long_list_is_cut() -> None:
    with pytest.raises(TddError, match=r"lacks blocks\.0\.conv\.weight, .* and \d+ more\."):
        to_own("csn", {})


def test_an_unknown_network_is_refused_with_the_known_ones() -> None:
    with pytest.raises(TddError, match="audio, cnn_gru_attention, cnn_lstm, csn, head"):
        to_own("resnet", {})


def test_tensors_are_renamed_and_not_copied() -> None:
    state = _projector()
    own = to_own("projector", state)
    assert own["linear.weight"] is state["net.weight"]
    assert own["norm.running_var"] is state["norm_layer.running_var"]
    assert len(own) == len(state)


def test_the_head_loses_its_leading_axis() -> None:
    assert to_own("head", {"weight": torch.ones(1, 8)})["weight"].shape == (8,)
