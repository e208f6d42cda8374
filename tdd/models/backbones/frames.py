"""The 3-D convolution stem, and the step from its maps to a sequence over time."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tdd.errors import TddError
from tdd.models.contract import require_positive

TimeAxis = Literal["per_frame", "as_released"]


class ConvStem(nn.Module):
    """Conv3d 3x3x3, ReLU and max-pool (1, 2, 2), once per width: time keeps its length, height and width halve.

    Shape: video (B, 3, T, H, W) -> (B, widths[-1], T, H // 2^n, W // 2^n) for n widths.
    """

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv3d(i, o, kernel_size=3, padding=1) for i, o in pairwise((3, *widths)))

    def forward(self, video: Tensor) -> Tensor:
        """Apply the stem; shapes as in the class."""
        x = video.contiguous(memory_format=torch.channels_last_3d)  # 6% faster on a CPU (docs/LOG.md, the prototype)
        for conv in self.convs:
            x = _relu_pool(conv(x))
        return x


def _relu_pool(x: Tensor) -> Tensor:
    """ReLU and max-pool (1, 2, 2): the 2-D operator on channels-last frames is the quickest on a CPU.

    ReLU never changes which element is largest, so after the pool it gives the same maps on a quarter of the elements.
    """
    batch = len(x)
    frames = F.relu_(F.max_pool2d(x.transpose(1, 2).flatten(0, 1), 2))  # (B * T, C, H // 2, W // 2)
    return frames.unflatten(0, (batch, -1)).transpose(1, 2)


def pooled_size(network: str, input_size: int, widths: Sequence[int]) -> int:
    """Height and width of the stem's maps, in pixels.

    Raises:
        TddError: a width is not positive, or `input_size` is too small for so many poolings.
    """
    require_positive(network, input_size=input_size, widths=tuple(widths))
    size = input_size >> len(widths)  # each pooling rounds down, as a shift does
    if size < 1:
        raise TddError(
            f"{network} halves its frames {len(widths)} times and needs input_size >= {2 ** len(widths)}; "
            f"got {input_size}."
        )
    return size


def check_time_axis(network: str, time_axis: str) -> None:
    """Check the name of a time axis.

    Raises:
        TddError: it is neither "per_frame" nor "as_released".
    """
    if time_axis not in get_args(TimeAxis):
        raise TddError(f"{network}: time_axis must be 'per_frame' or 'as_released'; got {time_axis!r}.")


def to_sequence(maps: Tensor, time_axis: TimeAxis) -> Tensor:
    """Lay the stem's maps out as a sequence for a recurrent layer.

    Shape: maps (B, C, T, H, W) -> (B, T, C * H * W).

    Args:
        maps: the stem's output.
        time_axis: "per_frame" moves T in front of the channels, so step t holds frame t, as Kim et al. (IEIE Summer
            Conference 2024) describe. "as_released" reshapes without moving T, as their released code does: a step
            then holds about C / T channels over all frames (finding A1 of the audit).
    """
    if time_axis == "per_frame":
        return maps.transpose(1, 2).flatten(2)
    batch, _, frames = maps.shape[:3]
    return maps.reshape(batch, frames, -1)
