"""Projector, predictor, cosine head and prober."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from tdd.errors import TddError
from tdd.models import CosineHead, Predictor, Prober, Projector

HEADS: dict[str, Callable[[], nn.Module]] = {
    "projector": lambda: Projector(12, 8),
    "predictor": lambda: Predictor(12, dim=16, heads=2, head_size=4, mlp=24, out_channels=8),
    "head": lambda: CosineHead(12),
    "prober": lambda: Prober(12, words=5),
}
SHAPES = {"projector": (3, 8, 7), "predictor": (3, 8, 7), "head": (3,), "prober": (3, 5)}


@pytest.mark.parametrize("name", HEADS)
def test_shapes_and_gradients(name: str) -> None:
    module = HEADS[name]()
    output = module(torch.randn(3, 12, 7))
    assert output.shape == SHAPES[name]
    output.square().mean().backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in module.parameters())


@pytest.mark.parametrize("shape", [(3, 12), (3, 11, 7), (3, 12, 0), (3, 7, 12)])
@pytest.mark.parametrize("name", HEADS)
def test_wrong_shapes_are_refused(name: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(TddError, match=r"takes features \(B, 12, T\)"):
        HEADS[name]().eval()(torch.zeros(shape))


@pytest.mark.parametrize("name", ["projector", "predictor"])
def test_batch_norm_refuses_one_clip_in_training(name: str) -> None:
    module, clip = HEADS[name](), torch.randn(1, 12, 7)
    with pytest.raises(TddError, match="single clip"):
        module.train()(clip)
    assert module.eval()(clip).shape == (1, 8, 7)


def test_projector_normalises_each_channel_over_clips_and_frames() -> None:
    output = Projector(12, 8).train()(5 * torch.randn(6, 12, 9) + 3)
    torch.testing.assert_close(output.mean(dim=(0, 2)), torch.zeros(8), rtol=0, atol=1e-5)
    torch.testing.assert_close(output.var(dim=(0, 2), correction=0), torch.ones(8), rtol=1e-3, atol=0)


def test_predictor_knows_no_frame_order() -> None:
    torch.manual_seed(0)
    predictor, x, order = HEADS["predictor"]().eval(), torch.randn(2, 12, 5), torch.tensor([4, 2, 0, 1, 3])
    torch.testing.assert_close(predictor(x[:, :, order]), predictor(x)[:, :, order], rtol=1e-4, atol=1e-5)


def test_predictor_reads_the_whole_clip() -> None:
    torch.manual_seed(0)
    x = torch.randn(1, 12, 5, requires_grad=True)
    HEADS["predictor"]().eval()(x)[0, :, 2].square().sum().backward()
    assert (x.grad[0].abs().sum(dim=0) > 0).all()


def test_cosine_head_against_its_formula() -> None:
    head, features = CosineHead(12), torch.randn(4, 12, 7)
    mean, weight = features.numpy().mean(axis=2), head.weight.detach().numpy()
    expected = 64 * (mean @ weight) / (np.linalg.norm(mean, axis=1) * np.linalg.norm(weight))
    np.testing.assert_allclose(head(features).detach().numpy(), expected, rtol=1e-4, atol=1e-4)


def test_cosine_head_ignores_length() -> None:
    head, features = CosineHead(12), torch.randn(4, 12, 7)
    logits = head(features)
    torch.testing.assert_close(head(17 * features), logits, rtol=1e-4, atol=1e-4)
    with torch.no_grad():
        head.weight.mul_(0.01)
    torch.testing.assert_close(head(features), logits, rtol=1e-4, atol=1e-4)


def test_prober_never_trains_the_features() -> None:
    features, prober = torch.randn(3, 12, 7, requires_grad=True), HEADS["prober"]()
    prober(features).sum().backward()
    assert features.grad is None
    assert all(parameter.grad is not None for parameter in prober.parameters())


def test_sizes_must_be_positive() -> None:
    with pytest.raises(TddError, match="words"):
        Prober(12, words=0)


def test_the_head_starts_as_a_linear_layer_does() -> None:
    torch.manual_seed(0)
    length = torch.stack([CosineHead(2048).weight.norm() for _ in range(8)]).mean()
    assert length.item() == pytest.approx(
        3**-0.5, rel=0.05
    )  # uniform in +-1 / sqrt(C); it sets how fast the head turns
