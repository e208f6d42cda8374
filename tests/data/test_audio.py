from pathlib import Path

import numpy as np
import pytest
import torch
import torchaudio

from tdd.data.audio import log_mel


def test_log_mel_is_the_published_one():
    """The golden rows were made by the published code: every seventh of 100, from this seeded noise."""
    golden = np.load(Path(__file__).with_name("log_mel_golden.npy"))
    samples = (0.3 * np.random.RandomState(20240616).standard_normal(16_000)).astype(np.float32)
    mel = log_mel(torch.from_numpy(samples))
    assert mel.shape == (1, 100, 80)
    np.testing.assert_allclose(mel[0, ::7].numpy(), golden, atol=1e-4)


@pytest.mark.parametrize("frames", [2, 25, 40])
def test_log_mel_is_torchaudios_transform(frames):
    samples = torch.from_numpy(np.random.default_rng(frames).uniform(-1, 1, 640 * frames).astype(np.float32))
    transform = torchaudio.transforms.MelSpectrogram(16_000, n_fft=512, win_length=320, hop_length=160, n_mels=80)
    decibel = 10 * torch.log10(transform(samples)[:, : 4 * frames].clamp(min=1e-10))
    expected = ((decibel - decibel.max()).clamp(min=-80) + 40) / 40
    torch.testing.assert_close(log_mel(samples), expected.T[None], atol=1e-6, rtol=0)


def test_log_mel_ignores_loudness_and_is_bounded():
    samples = torch.from_numpy(np.random.default_rng(0).standard_normal(16_000).astype(np.float32))
    mel = log_mel(samples)
    assert mel.max() == 1 and mel.min() >= -1
    torch.testing.assert_close(log_mel(0.1 * samples), mel, atol=1e-4, rtol=0)


def test_silence_is_finite():
    assert torch.isfinite(log_mel(torch.zeros(16_000))).all()


def test_several_clips_at_once_are_each_by_itself():
    clips = torch.randn(3, 1920) * torch.tensor([[0.001], [1.0], [30.0]])
    together = log_mel(clips)
    assert together.shape == (3, 1, 12, 80)
    torch.testing.assert_close(together, torch.stack([log_mel(clip) for clip in clips]), atol=1e-6, rtol=0)
