"""CSN: the channel-separated 3-D ResNet of RealForensics, without temporal stride."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tdd.errors import TddError
from tdd.models.contract import Backbone, require_batch, require_positive, require_video


class DepthwiseConv(nn.Module):
    """Depthwise 3x3x3 convolution without bias over frames in time-major order.

    It is computed as three depthwise 2-D convolutions, one per temporal tap, whose results are shifted by a frame and
    added. In time-major order a shift by a frame is a slice, and on a CPU the three 2-D convolutions take
    between a fifth and four fifths of the time of the 3-D one, depending on its size and memory layout.

    Shape: x (T * B, C, H, W) -> (T * B, C, H / stride, W / stride).
    """

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels, 1, 3, 3, 3))  # a 3-D kernel, so that published weights fit
        self.stride = stride

    def forward(self, x: Tensor, batch: int) -> Tensor:
        """Convolve frames of `batch` clips; shapes as in the class."""
        before, now, after = self.weight.unbind(2)
        out = self._tap(x, now)
        if len(x) == batch:  # a single frame has no neighbours
            return out
        # The first and the last frame lack a neighbour: the same as zeros beyond the ends.
        out[batch:] += self._tap(x[:-batch], before)
        out[:-batch] += self._tap(x[batch:], after)
        return out

    def _tap(self, x: Tensor, weight: Tensor) -> Tensor:
        return F.conv2d(x, weight, stride=self.stride, padding=1, groups=len(weight))


class Bottleneck(nn.Module):
    """Residual block 1x1x1 -> depthwise 3x3x3 -> 1x1x1, the "interaction-reduced" bottleneck of CSN.

    Shape: x (T * B, channels, H, W) -> (T * B, out_channels, H / stride, W / stride).
    """

    def __init__(self, channels: int, inner: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, inner, kernel_size=1, bias=False)
        self.reduce_norm = nn.BatchNorm2d(inner)
        self.depthwise = DepthwiseConv(inner, stride)
        self.depthwise_norm = nn.BatchNorm2d(inner)
        self.expand = nn.Conv2d(inner, out_channels, kernel_size=1, bias=False)
        self.expand_norm = nn.BatchNorm2d(out_channels)
        self.shortcut = (
            None
            if channels == out_channels
            else nn.Sequential(
                nn.Conv2d(channels, out_channels, kernel_size=1, stride=stride, bias=False),
                nn.BatchNorm2d(out_channels),
            )
        )

    def forward(self, x: Tensor, batch: int) -> Tensor:
        """Apply the block to the frames of `batch` clips; shapes as in the class."""
        inner = F.relu_(self.reduce_norm(self.reduce(x)))
        inner = F.relu_(self.depthwise_norm(self.depthwise(inner, batch)))
        inner = self.expand_norm(self.expand(inner))
        return F.relu_(inner + (x if self.shortcut is None else self.shortcut(x)))


class Csn(Backbone):
    """Channel-separated ResNet-101 (Tran et al., ICCV 2019, arXiv 1904.02811) as in RealForensics.

    Haliassos et al., CVPR 2022, arXiv 2201.07131: no temporal stride, so every frame keeps its feature; mean over the
    frame at the end. 21,394,176 parameters with the defaults.

    Shape: video (B, 3, T, H, W) -> features (B, 32 * width, T), any T, H and W.

    Args:
        stages: bottlenecks per stage; the first stage keeps the frame's size, each later one halves it.
        width: channels of the stem; stage s has inner width `width * 2^s` and gives out four times as many.
        stem_stride: of the stem's convolution in height and width; 1 keeps small frames from shrinking at once.

    Raises:
        TddError: an argument is not positive, or `stages` does not hold four numbers.
    """

    def __init__(
        self, stages: tuple[int, int, int, int] = (3, 4, 23, 3), width: int = 64, stem_stride: int = 2
    ) -> None:
        super().__init__()
        require_positive("csn", stages=stages, width=width, stem_stride=stem_stride)
        if len(stages) != 4:
            raise TddError(f"csn: stages must hold four numbers of blocks; got {stages!r}.")
        self.stem = nn.Conv3d(
            3, width, kernel_size=(3, 7, 7), stride=(1, stem_stride, stem_stride), padding=(1, 3, 3), bias=False
        )
        self.stem_norm = nn.BatchNorm2d(width)
        self.blocks = nn.ModuleList()
        channels = width
        for stage, depth in enumerate(stages):
            inner = width << stage
            for block in range(depth):
                stride = 2 if stage > 0 and block == 0 else 1
                self.blocks.append(Bottleneck(channels, inner, 4 * inner, stride))
                channels = 4 * inner
        self.out_channels = channels
        self.apply(_init_as_published)

    def forward(self, video: Tensor) -> Tensor:
        """Video (B, 3, T, H, W) -> features (B, out_channels, T).

        Raises:
            TddError: another shape, or a single clip in training mode.
        """
        require_video("csn", video)
        batch = len(video)
        require_batch(self, batch)
        # Channels last made CSN 19% faster on a CPU (docs/LOG.md, the prototype).
        x = self.stem(video.contiguous(memory_format=torch.channels_last_3d))
        # Pooled as single frames: torch's 3-D pool has no path for channels last.
        x = x.transpose(1, 2).flatten(0, 1)  # (B * T, C, H / 2, W / 2)
        # The pool pads with minus infinity and ReLU is monotone: pooling first gives the same maps.
        x = F.relu_(F.max_pool2d(self.stem_norm(x), kernel_size=3, stride=2, padding=1))
        x = _time_major(x, batch)
        for block in self.blocks:
            x = block(x, batch)
        return x.mean(dim=(2, 3)).unflatten(0, (-1, batch)).permute(1, 2, 0)


def _time_major(frames: Tensor, batch: int) -> Tensor:
    """Reorder (B * T, C, H, W) to (T * B, C, H, W), channels last in memory."""
    frames = frames.unflatten(0, (batch, -1)).transpose(0, 1).flatten(0, 1)
    return frames.contiguous(memory_format=torch.channels_last)


def _init_as_published(module: nn.Module) -> None:
    """Convolutions by He's rule; every residual branch starts at zero (Goyal et al., 2017, arXiv 1706.02677)."""
    if isinstance(module, (nn.Conv2d, nn.Conv3d, DepthwiseConv)):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    if isinstance(module, Bottleneck):
        nn.init.zeros_(module.expand_norm.weight)
