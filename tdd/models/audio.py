"""The audio network of stage 1: a ResNet-18 on log-mel spectrograms that gives one feature per video frame."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tdd.errors import TddError
from tdd.models.contract import require_batch, require_positive


class BasicBlock(nn.Module):
    """Residual block of two 3x3 convolutions (He et al., CVPR 2016, arXiv 1512.03385).

    Shape: x (B, channels, T, M) -> (B, out_channels, T, ceil(M / mel_stride)).
    """

    def __init__(self, channels: int, out_channels: int, mel_stride: int) -> None:
        super().__init__()
        stride = (1, mel_stride)
        self.conv1 = nn.Conv2d(channels, out_channels, kernel_size=3, stride=stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, kernel_size=3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(out_channels)
        self.shortcut = (
            None
            if channels == out_channels and mel_stride == 1
            else nn.Sequential(
                nn.Conv2d(channels, out_channels, kernel_size=1, stride=stride, bias=False),
                nn.BatchNorm2d(out_channels),
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block; shapes as in the class."""
        inner = F.relu_(self.norm1(self.conv1(x)))  # in place: batch norm's gradient needs its input alone
        inner = self.norm2(self.conv2(inner))
        return F.relu_(inner + (x if self.shortcut is None else self.shortcut(x)))


class AudioResNet(nn.Module):
    """ResNet-18 with one input channel, after RealForensics (Haliassos et al., CVPR 2022, arXiv 2201.07131).

    The stem and its pool quarter both axes, so 100 log-mel frames become 25, the video's rate; the later stages
    stride along mel only, and the mean over mel is the feature. 11,170,240 parameters with the defaults.

    Shape: log-mel (B, 1, T_audio, n_mels) -> features (B, out_channels, T_audio / 4), T_audio a multiple of 4.

    Args:
        width: channels of the stem and the first stage; each later stage doubles them.
        layers: blocks per stage.

    Raises:
        TddError: an argument is not positive.
    """

    def __init__(self, width: int = 64, layers: Sequence[int] = (2, 2, 2, 2)) -> None:
        super().__init__()
        require_positive("audio", width=width, layers=tuple(layers))
        self.stem = nn.Conv2d(1, width, kernel_size=7, stride=2, padding=3, bias=False)
        self.stem_norm = nn.BatchNorm2d(width)
        blocks: list[BasicBlock] = []
        channels = width
        for stage, depth in enumerate(layers):
            for block in range(depth):
                mel_stride = 2 if stage > 0 and block == 0 else 1
                blocks.append(BasicBlock(channels, width << stage, mel_stride))
                channels = width << stage
        self.blocks = nn.Sequential(*blocks)
        self.out_channels = channels
        self.apply(_init_convolution)

    def forward(self, log_mel: Tensor) -> Tensor:
        """Log-mel (B, 1, T_audio, n_mels) -> features (B, out_channels, T_audio / 4).

        Raises:
            TddError: another shape, or a single clip in training mode.
        """
        _require_log_mel(log_mel)
        require_batch(self, len(log_mel))
        x = self.stem(log_mel.contiguous(memory_format=torch.channels_last))
        # ReLU is monotone: pooling first gives the same maps on a quarter of the elements.
        x = F.relu_(F.max_pool2d(self.stem_norm(x), kernel_size=3, stride=2, padding=1))
        return self.blocks(x).mean(dim=3)


def _require_log_mel(log_mel: Tensor) -> None:
    given = tuple(log_mel.shape)
    fits = log_mel.is_floating_point() and len(given) == 4 and given[1] == 1 and 0 not in given and given[2] % 4 == 0
    if not fits:
        raise TddError(
            "The audio network takes float log-mel (B, 1, T_audio, n_mels) with T_audio a multiple of 4; "
            f"got shape {given} of {log_mel.dtype}."
        )


def _init_convolution(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
