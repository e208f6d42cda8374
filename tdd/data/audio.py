"""Audio of a clip: waveform to log-mel."""

from __future__ import annotations

from functools import lru_cache

import torch
import torchaudio
from torch import Tensor
from torch.nn.functional import pad

from tdd.data.video import SAMPLE_RATE

MEL_PER_FRAME = 4
"""Log-mel frames under one video frame (hop 160 samples)."""

N_MELS = 80
"""Mel bins."""


N_FFT, WINDOW, HOP = 512, 320, 160
"""Samples."""


@lru_cache(maxsize=8)
def _window_and_bank(device: torch.device) -> tuple[Tensor, Tensor]:
    """The window, in the middle of what is transformed, and the mel filters; shapes (512,) and (257, 80)."""
    mel = torchaudio.transforms.MelSpectrogram(SAMPLE_RATE, N_FFT, WINDOW, HOP, n_mels=N_MELS)
    spare = (N_FFT - WINDOW) // 2
    return pad(mel.spectrogram.window, (spare, spare)).to(device), mel.mel_scale.fb.to(device)


def log_mel(samples: Tensor) -> Tensor:
    """Log-mel spectrogram of a clip or of several, as in RealForensics (Haliassos et al., CVPR 2022, arXiv 2201.07131).

    Power in decibels relative to the clip's maximum, floored at -80 dB and mapped from [-80, 0] to [-1, 1].

    Args:
        samples: mono waveform at 16 kHz, shape (N,) or (B, N), N a multiple of 640 (a whole number of video frames).

    Returns:
        shape (1, N / 160, 80) or (B, 1, N / 160, 80): one channel, time, mel.
    """
    window, bank = _window_and_bank(samples.device)
    length = samples.shape[-1]
    centred = pad(samples.view(-1, length), (N_FFT // 2, N_FFT // 2), mode="reflect").view(*samples.shape[:-1], -1)
    pieces = centred.unfold(-1, N_FFT, HOP)[..., : length // HOP, :]  # without the one that is centred on the end
    power = torch.fft.rfft(pieces * window).abs().square_() @ bank  # as torchaudio's transform, in half the time
    decibel = 10 * torch.log10(power.clamp(min=1e-10))
    decibel = (decibel - decibel.amax((-2, -1), keepdim=True)).clamp(min=-80)
    return ((decibel + 40) / 40).unsqueeze(-3)
