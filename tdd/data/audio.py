"""Audio of a clip: waveform to log-mel."""

from __future__ import annotations

from functools import lru_cache

import torch
import torchaudio
from torch import Tensor

from tdd.data.video import SAMPLE_RATE

MEL_PER_FRAME = 4
"""Log-mel frames under one video frame (hop 160 samples)."""

N_MELS = 80
"""Mel bins."""


@lru_cache(maxsize=1)
def _mel() -> torchaudio.transforms.MelSpectrogram:
    return torchaudio.transforms.MelSpectrogram(SAMPLE_RATE, n_fft=512, win_length=320, hop_length=160, n_mels=N_MELS)


def log_mel(samples: Tensor) -> Tensor:
    """Log-mel spectrogram of one clip, as in RealForensics (Haliassos et al., CVPR 2022, arXiv 2201.07131).

    Power in decibels relative to the clip's maximum, floored at -80 dB and mapped from [-80, 0] to [-1, 1].

    Args:
        samples: mono waveform at 16 kHz, shape (N,), N a multiple of 640 (a whole number of video frames).

    Returns:
        shape (1, N / 160, 80): one channel, time, mel.
    """
    power = _mel()(samples)[:, : samples.shape[-1] // 160]  # the centred transform gives one frame too many
    decibel = 10 * torch.log10(power.clamp(min=1e-10))
    decibel = (decibel - decibel.max()).clamp(min=-80)
    return ((decibel + 40) / 40).T[None]
