"""The audio ResNet: sizes, rate, invariance and bad input."""

from __future__ import annotations

import pytest
import torch

from tdd.errors import TddError
from tdd.models import AudioResNet


@pytest.mark.parametrize(("frames", "mels"), [(100, 80), (4, 80), (48, 33)])
def test_one_feature_per_video_frame(frames: int, mels: int) -> None:
    network = AudioResNet(width=4, layers=(1, 1, 2))
    features = network(torch.randn(2, 1, frames, mels))
    assert features.shape == (2, network.out_channels, frames // 4)
    features.square().mean().backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in network.parameters())


def test_parameter_count_of_the_paper() -> None:
    with torch.device("meta"):
        network = AudioResNet()
    assert sum(parameter.numel() for parameter in network.parameters()) == 11_170_240
    assert network.out_channels == 512


def test_a_shift_of_four_audio_frames_is_a_shift_of_one_feature() -> None:
    """Video and audio features stay aligned: away from the borders the network is stationary in time."""
    torch.manual_seed(0)
    network, sound = AudioResNet(width=4, layers=(1, 1)).eval(), torch.randn(1, 1, 160, 40)
    early, late = network(sound[:, :, :120]), network(sound[:, :, 4:124])
    torch.testing.assert_close(early[:, :, 11:20], late[:, :, 10:19], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [(2, 100, 80), (2, 2, 100, 80), (2, 1, 98, 80), (2, 1, 0, 80)])
def test_wrong_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(TddError, match="T_audio a multiple of 4"):
        AudioResNet(width=4)(torch.zeros(shape))


def test_one_clip_is_refused_in_training_and_taken_in_evaluation() -> None:
    network, clip = AudioResNet(width=4), torch.randn(1, 1, 100, 80)
    with pytest.raises(TddError, match="single clip"):
        network.train()(clip)
    assert network.eval()(clip).shape == (1, 32, 25)


def test_layers_must_be_positive() -> None:
    with pytest.raises(TddError, match="layers"):
        AudioResNet(layers=(2, 0))
