"""Weights that are handed on: one small folder, under the file names of the Hugging Face Hub, with its checksum.

    model.safetensors   the tensors; in half precision where asked for
    config.json         kind, backbone, recipe, seed, data, metrics, calibration, and the SHA-256 of the tensors
    record.json         the run's record without what only this machine or its own test clips mean; none where
                        there was no run (imported weights)
    audio/              of a stage 1: the same of its audio teacher and predictor

:func:`tdd.weights.checkpoints.import_weights` reads such a folder as it reads a run's.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from tdd.errors import TddError
from tdd.machine.files import check_writable, disk_errors_told, write_atomically, write_json
from tdd.records.record import RECORD, read_record
from tdd.weights.checkpoints import (
    AUDIO,
    INFO,
    PACKED_INFO,
    PACKED_WEIGHTS,
    State,
    Weights,
    described,
    import_weights,
    named_tensors,
    weights_files,
)

FULL, HALF = "float32", "float16"
"""Precisions of packed tensors."""

KEPT = (
    "schema", "kind", "name", "seed", "synthetic", "row", "recipe", "data", "history", "metrics", "checks",
    "calibration", "machine", "code", "packages",
)  # fmt: skip
"""Fields of a record that stay."""


def pack_weights(run: Path, out: Path, precision: str | None = None) -> dict[str, Any]:
    """Write a finished run, or any folder of weights, as a folder that can be handed on.

    Args:
        run: folder of weights, with the run's record where there is one.
        out: new folder.
        precision: ``FULL``, every bit as it was, or ``HALF``: half the size, each number within 1 of 2048 of itself;
            ``None`` keeps that of ``run``.

    Returns:
        what ``config.json`` says.

    Raises:
        TddError: no complete weights in ``run``, weights in ``out``, a folder that cannot be written, or numbers that
            half precision cannot hold.
    """
    weights, record = import_weights(run), read_record(run)
    if any((out / name).exists() for name in (PACKED_INFO, PACKED_WEIGHTS, INFO)):
        raise TddError(f"{out} holds weights; choose another folder or delete that one.")
    check_writable(out)
    info = described(weights)
    if record:  # made later than the weights, and perhaps again: its figures are those that tables show
        info |= {name: record[name] for name in ("metrics", "calibration") if name in record}
    precision = precision or weights.info.get("precision", FULL)
    data = save(_halved(weights, run) if precision == HALF else named_tensors(weights))
    info |= {"precision": precision, "sha256": hashlib.sha256(data).hexdigest()}
    with disk_errors_told(out):
        write_atomically(out / PACKED_WEIGHTS, data)
        if record:
            kept = {name: record[name] for name in KEPT if name in record}
            write_json(out / RECORD, kept | {"weights": {"precision": precision, "sha256": info["sha256"]}})
        if weights_files(run / AUDIO)[0].is_file():
            pack_weights(run / AUDIO, out / AUDIO, precision)
        write_json(out / PACKED_INFO, info)  # the last, for it says that all is there
    return info


def _halved(weights: Weights, run: Path) -> State:
    """All tensors, numbers of the parts in float16; the mean face stays float32, for it is held against pixels."""
    parts = {
        part: {name: _half(t, f"{run}, {part}", name) for name, t in s.items()} for part, s in weights.parts.items()
    }
    return named_tensors(replace(weights, parts=parts))


def _half(tensor: torch.Tensor, where: str, name: str) -> torch.Tensor:
    if not tensor.is_floating_point():
        return tensor
    half = tensor.half()
    if torch.isinf(half).any() and torch.isfinite(tensor).all():
        raise TddError(
            f"{where}: '{name}' holds {tensor.abs().max():.3g}, and half precision ends at 65504; keep full precision."
        )
    return half
