"""A batch that does not fit a GPU: in how many parts would it?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

LEAST = 2
"""Clips of a part: batch norm needs two."""

KEPT_FREE = 0.1
"""Share of a card's memory that is not counted on: the allocator cannot use all of it, and batches differ a little."""


def parts_that_fit(
    peak: Callable[[int], float], room: float, batch_size: int, parts: int, allowed: Callable[[int], bool]
) -> int | None:
    """The fewest parts, more than ``parts``, of equal size in which a batch fits; ``None`` where none does.

    Memory grows by the same amount with every clip of a part; two small parts tell by how much.

    Args:
        peak: most bytes that a step with so many clips takes.
        room: bytes of the card.
        batch_size: clips of the batch.
        parts: in which it did not fit.
        allowed: whether a recipe may ask for so many.
    """
    small, large = peak(LEAST), peak(2 * LEAST)
    each = max(large - small, 1.0) / LEAST
    most = ((1 - KEPT_FREE) * room - (small - LEAST * each)) / each
    wanted = (n for n in range(parts + 1, batch_size // LEAST + 1) if batch_size % n == 0)
    return next((n for n in wanted if batch_size // n <= most and allowed(n)), None)


def first_clips(batch: Mapping[str, Any], clips: int) -> dict[str, Any]:
    """The first ``clips`` of a batch; of several loaders' in step (a dictionary of such) the others' in proportion."""
    if not all(isinstance(part, Mapping) for part in batch.values()):
        return {name: values[:clips] for name, values in batch.items()}
    sizes = {name: len(next(iter(part.values()))) for name, part in batch.items()}
    leader = next(iter(sizes.values()))
    return {name: first_clips(part, max(LEAST, sizes[name] * clips // leader)) for name, part in batch.items()}


def peak_bytes(step: Callable[[], Tensor], device: torch.device) -> float:
    """Most memory of a CUDA device that tensors take while a loss and its gradients are computed, bytes."""
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)
    step().backward()
    return float(torch.cuda.max_memory_allocated(device))
