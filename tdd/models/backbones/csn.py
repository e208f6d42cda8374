"""CSN: the channel-separated 3-D ResNet of RealForensics, without temporal stride."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from tdd.errors import TddError
from tdd.models.contract import Backbone, require_batch, require_positive, require_video


class DepthwiseConv(nn.Module):
    """Depthwise 3x3x3 convolution without bias over frames in time-major order.

    On a CPU as three 2-D convolutions (:func:`three_taps`), elsewhere as one grouped 3-D convolution on plain tensors:
    the fastest of the ways measured there (docs/LOG.md). Both give the same to rounding.

    Shape: x (T * B, C, H, W) -> (T * B, C, H / stride, W / stride).
    """

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels, 1, 3, 3, 3))  # a 3-D kernel, so that published weights fit
        self.stride = stride

    def forward(self, x: Tensor, batch: int) -> Tensor:
        """Convolve frames of `batch` clips; shapes as in the class."""
        way = three_taps if x.device.type == "cpu" else grouped
        return way(x, self.weight, self.stride, batch)


def grouped(x: Tensor, weight: Tensor, stride: int, batch: int) -> Tensor:
    """The convolution as torch's own; arguments and result as :func:`three_taps`."""
    clips = x.unflatten(0, (-1, batch)).permute(1, 2, 0, 3, 4).contiguous()  # (B, C, T, H, W)
    out = F.conv3d(clips, weight, stride=(1, stride, stride), padding=1, groups=len(weight))
    return out.permute(2, 0, 3, 4, 1).contiguous().flatten(0, 1).permute(0, 3, 1, 2)  # channels last, in one copy


def three_taps(x: Tensor, weight: Tensor, stride: int, batch: int) -> Tensor:
    """The convolution as three 2-D ones, one a temporal tap, whose results are shifted by a frame and added.

    In time-major order a shift by a frame is a slice. The gradients are written out, for autograd fills and copies
    whole tensors for every slice: that took two thirds of the time.

    Args:
        x: frames, shape (T * B, C, H, W), time-major.
        weight: shape (C, 1, 3, 3, 3).
        stride: in height and width.
        batch: clips B.

    Returns:
        shape (T * B, C, H / stride, W / stride).
    """
    dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype
    out: Tensor = _ThreeTaps.apply(x.to(dtype), weight.to(dtype), stride, batch)
    return out


class _ThreeTaps(torch.autograd.Function):
    """See :func:`three_taps`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int, batch: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.batch = stride, batch
        out: Tensor | None = None
        for taken, given, tap in _taps(len(x), batch, weight):
            part = F.conv2d(x[taken], tap, stride=stride, padding=1, groups=len(weight))
            if out is None:
                out = part
            else:
                out[given] += part
        assert out is not None
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor, None, None]:
        x, weight = ctx.saved_tensors
        grad = grad.contiguous(memory_format=torch.channels_last)
        for_x: Tensor | None = None
        for_weight = torch.zeros_like(weight)
        for number, (taken, given, tap) in enumerate(_taps(len(x), ctx.batch, weight)):
            part, for_tap, _ = torch.ops.aten.convolution_backward(
                grad[given], x[taken], tap, None, [ctx.stride] * 2, [1, 1], [1, 1], False, [0, 0], len(weight),
                [ctx.needs_input_grad[0], True, False],
            )  # fmt: skip
            for_weight[:, :, TAP_ORDER[number]] = for_tap
            if for_x is None:
                for_x = part
            elif part is not None:
                for_x[taken] += part
        return for_x, for_weight, None, None


TAP_ORDER = (1, 0, 2)
"""Temporal taps of the kernel: a frame itself, the one before it, the one after."""


def _taps(frames: int, batch: int, weight: Tensor) -> Iterator[tuple[slice, slice, Tensor]]:
    """For each tap the frames that it reads, the frames that it adds to, and its 2-D kernel.

    The first and the last frame lack a neighbour: the same as zeros beyond the ends. Single frames have none.
    """
    shifts = (slice(None), slice(None)), (slice(-batch), slice(batch, None)), (slice(batch, None), slice(-batch))
    for number, (taken, given) in zip(TAP_ORDER, shifts, strict=True):
        if number == 1 or frames > batch:
            yield taken, given, weight[:, :, number].contiguous()


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
