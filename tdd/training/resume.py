"""The resume point of a training run: one file, replaced whole, and taken up only by the run that wrote it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tdd.data.store import LABELS
from tdd.errors import TddError
from tdd.machine.files import whole_file
from tdd.training.finished import flat

RESUME = "resume.ckpt"

_IDENTITY = "identity"


@dataclass(frozen=True)
class Identity:
    """Which run this is: where two runs agree in it, the resume point of one is good for the other."""

    settings: dict[str, Any]
    """Seed, data and every setting that the result depends on, by dotted name."""
    weights: dict[str, float]
    """First value of each parameter before the first step, by name: other stage-1 weights show here."""


def identity_of(module: nn.Module, settings: Mapping[str, Any]) -> Identity:
    """The identity of a run that trains ``module``, still untrained; nested ``settings`` get dotted names."""
    weights = {name: parameter.flatten()[0].item() for name, parameter in module.named_parameters()}
    return Identity(dict(flat(settings)), weights)


def save_point(path: Path, identity: Identity, values: Mapping[str, Any]) -> None:
    """Write tensors and plain values, replacing the last resume point only when complete."""
    with whole_file(path) as partial, partial.open("wb") as file:
        torch.save(dict(values) | {_IDENTITY: asdict(identity)}, file)


def load_point(path: Path, identity: Identity) -> dict[str, Any] | None:
    """The resume point of a run, ``None`` where there is none; only tensors and plain values are ever unpickled.

    Raises:
        TddError: a damaged or foreign file, or one of another run.
    """
    if not path.is_file():
        return None
    try:
        values: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        present = Identity(**values.pop(_IDENTITY))
    except Exception as error:  # damaged bytes can raise anything
        raise TddError(
            f"{path} is damaged or no resume point of this program ({type(error).__name__}); "
            "delete it and run the same command again: this run then starts anew."
        ) from error
    found = difference(present, identity)
    if found:
        raise TddError(
            f"{path} is of an unfinished run with {found}; "
            "choose another folder, or delete that file to start this run anew."
        )
    return values


def difference(present: Identity, wanted: Identity) -> str | None:
    """The first thing in which ``present`` differs from ``wanted``, in words; ``None`` where they are the same run."""
    for key in sorted(present.settings.keys() | wanted.settings.keys()):
        one, other = present.settings.get(key), wanted.settings.get(key)
        if one != other and not (key == LABELS and one is None):  # an older version kept none
            return f"{key} = {one!r}, not {other!r}"
    same = present.weights.keys() == wanted.weights.keys() and all(
        # not ==: another processor may round the initial draws otherwise
        math.isclose(present.weights[name], value, rel_tol=1e-4, abs_tol=1e-6)
        for name, value in wanted.weights.items()
    )
    return None if same else "other weights at its start"
