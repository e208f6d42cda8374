"""What every network of the package promises, and the checks that keep the promise."""

from __future__ import annotations

from torch import Tensor, nn

from tdd.errors import TddError
from tdd.machine.ranks import world


class Backbone(nn.Module):
    """A video network: video (B, 3, T, H, W), float -> features (B, out_channels, T), one feature per frame."""

    out_channels: int


def require_video(network: str, video: Tensor, size: int | None = None, smallest: int = 1) -> None:
    """Check that `video` is a float tensor (B, 3, T, H, W) whose frames the network can take.

    Args:
        network: the name to put in the error.
        video: what the network was given.
        size: the one height and width the network takes, in pixels; None means any from `smallest` up.
        smallest: the smallest height and width, in pixels, when `size` is None.

    Raises:
        TddError: `video` is not that.
    """
    frames = f"{size}x{size}" if size else f"at least {smallest}x{smallest}"
    takes = f"{network} takes float video (B, 3, T, H, W) with T >= 1 and frames of {frames} pixels"
    if not video.is_floating_point():
        raise TddError(f"{takes}; got {video.dtype}: normalise the clip to float first.")
    given = tuple(video.shape)
    if video.dim() != 5 or given[1] != 3 or given[0] < 1 or given[2] < 1:
        raise TddError(f"{takes}; got shape {given}.")
    height, width = given[3:]
    if size is not None and (height, width) != (size, size):
        raise TddError(f"{takes}; got {height}x{width}: resize the clip, or build the network with another input_size.")
    if min(height, width) < smallest:
        raise TddError(f"{takes}; got {height}x{width}: give larger frames.")


def require_features(module: str, features: Tensor, channels: int) -> None:
    """Check that `features` is (B, channels, T).

    Raises:
        TddError: `features` has another shape.
    """
    given = tuple(features.shape)
    if len(given) != 3 or given[1] != channels or 0 in given:
        raise TddError(f"{module} takes features (B, {channels}, T) with B and T >= 1; got shape {given}.")


def require_batch(module: nn.Module, batch: int) -> None:
    """Check that a module with batch norm is not trained on a single clip.

    Where several devices train together, batch norm is over the clips of all, and one of them may hold but one.

    Raises:
        TddError: the module is in training mode and `batch` is 1.
    """
    if module.training and batch < 2 and world() == 1:
        raise TddError(
            f"{type(module).__name__} normalises over the batch and cannot train on a single clip; "
            "use a batch of 2 or more, or call eval()."
        )


def require_positive(network: str, **arguments: int | tuple[int, ...]) -> None:
    """Check that constructor arguments are positive integers, or non-empty tuples of them.

    Raises:
        TddError: one is not; the sentence names it.
    """
    for name, value in arguments.items():
        numbers = tuple(value) if isinstance(value, (tuple, list)) else (value,)
        # To Python True is an int.
        if not numbers or any(isinstance(n, bool) or not isinstance(n, int) or n < 1 for n in numbers):
            raise TddError(f"{network}: {name} must hold positive integers; got {value!r}.")
