"""The hand-over between stages: named parts in one safetensors file, with a JSON beside it that says what they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn

from tdd.config import Recipe
from tdd.errors import TddError
from tdd.machine.files import read_json, sha256, write_atomically, write_json
from tdd.machine.limits import of_the_machine
from tdd.records.kinds import require_kinds
from tdd.records.record import provenance

State = dict[str, Tensor]

WEIGHTS = "weights.safetensors"
INFO = "weights.json"
"""What a run keeps."""
PACKED_WEIGHTS = "model.safetensors"
PACKED_INFO = "config.json"
"""The same under the names that the Hugging Face Hub knows: see :mod:`tdd.weights.packed`."""
MEAN_FACE = "mean_face"
"""Name of the tensor that belongs to no part."""

STAGE1_PARTS = ("student.backbone", "student.projector", "teacher.backbone", "teacher.projector")
AUDIO_PARTS = ("teacher.backbone", "teacher.projector", "predictor")
STAGE2_PARTS = ("backbone", "head")
PARTS = {"stage1": STAGE1_PARTS, "stage1_audio": AUDIO_PARTS, "stage2": STAGE2_PARTS}
AUDIO = "audio"
"""Folder, in a stage-1 run's, of what stage 2 has no need of: the audio teacher, and the predictor of its targets."""


@dataclass(frozen=True)
class Weights:
    """Exported weights: ``parts`` maps a part's name to its tensors, as PARTS lists them for each kind."""

    kind: str
    backbone: str
    parts: dict[str, State]
    info: dict[str, Any]
    """What :func:`weights_info` gives; ``source`` too where the weights come from a published file."""
    mean_face: np.ndarray | None = None
    """What the faces of the training clips were aligned to: float32, shape (68, 2), px of the canvas, if known."""


def weights_info(
    recipe: Recipe,
    seed: int | None,
    metrics: Mapping[str, Any],
    fingerprint: str | None,
    synthetic: bool | None = None,
) -> dict[str, Any]:
    """What every export says of itself.

    Args:
        recipe: every number of the run; for imported weights only its clips and networks mean anything.
        seed: of the run; ``None`` where it is not known.
        metrics: what the run measured.
        fingerprint: of the clip store it was trained on; ``None`` where it is not known.
        synthetic: whether that store holds the synthetic benchmark; ``None`` where it is not known.

    Returns:
        ``recipe``, ``seed``, ``metrics``, ``data``, and the versions of code and packages.
    """
    data = {"fingerprint": fingerprint, "synthetic": synthetic}
    known = {"recipe": recipe.to_dict(), "seed": seed, "metrics": dict(metrics), "data": data}
    return known | provenance()


def export_weights(folder: Path, weights: Weights) -> None:
    """Write ``weights.safetensors`` and ``weights.json``; the JSON, written last, marks the export as complete.

    Raises:
        TddError: the parts are not those of the kind.
    """
    if set(weights.parts) != set(PARTS[weights.kind]):
        raise TddError(
            f"{weights.kind} weights have the parts {', '.join(PARTS[weights.kind])}, not {', '.join(weights.parts)}."
        )
    # save_file would write under the final name, and a kill would leave half a file there.
    write_atomically(folder / WEIGHTS, save(named_tensors(weights)))
    write_json(folder / INFO, described(weights))


def named_tensors(weights: Weights) -> State:
    """All tensors under the names that a file has for them, ``part/name``, on the CPU."""
    tensors = {
        f"{part}/{name}": tensor.detach().cpu().contiguous()  # safetensors refuses strided views
        for part, state in weights.parts.items()
        for name, tensor in state.items()
    }
    if weights.mean_face is not None:
        tensors[MEAN_FACE] = torch.tensor(weights.mean_face, dtype=torch.float32)
    return tensors


def described(weights: Weights) -> dict[str, Any]:
    """What the JSON beside the tensors says."""
    return {"kind": weights.kind, "backbone": weights.backbone} | weights.info


def weights_files(folder: Path) -> tuple[Path, Path]:
    """JSON and tensors of a folder of weights: a run's, or packed ones where there are no others."""
    if (folder / PACKED_INFO).is_file() and not (folder / INFO).is_file():
        return folder / PACKED_INFO, folder / PACKED_WEIGHTS
    return folder / INFO, folder / WEIGHTS


def import_weights(folder: Path, kind: str | None = None, backbone: str | None = None) -> Weights:
    """Read what :func:`export_weights` or :func:`tdd.weights.packed.pack_weights` wrote; ``None`` takes any kind or
    backbone. Half precision becomes float32, in which a network computes.

    Raises:
        TddError: nothing complete there, a damaged file, tensors that are not those described, another kind or
            backbone, or other parts than that kind has.
    """
    about, file = weights_files(folder)
    if not about.is_file():
        finished = f"finished {kind}" if kind else "finished"
        raise TddError(f"{folder} holds no {finished} weights ({INFO} is missing); run that stage first.")
    info = require_kinds(read_json(about), about)
    if info.get("kind") not in PARTS or "backbone" not in info:
        raise TddError(f"{about} does not say what weights it describes; run that stage again.")
    kind, backbone = kind or info["kind"], backbone or info["backbone"]
    if (info["kind"], info["backbone"]) != (kind, backbone):
        raise TddError(
            f"{folder} holds {info['kind']} weights of {info['backbone']}; {kind} weights of {backbone} are needed."
        )
    if not file.is_file():
        raise TddError(f"{folder} describes weights and holds none ({file.name} is missing); copy it there too.")
    if info.get("sha256") not in (None, sha256(file)):
        raise TddError(
            f"{file} is not the file that {about.name} describes: its SHA-256 is another; copy or download both again."
        )
    tensors = _read_tensors(file)
    target = tensors.pop(MEAN_FACE, None)
    if target is not None and not is_mean_face(target.numpy()):
        raise TddError(
            f"{file} holds a mean face of {target.dtype} and shape {tuple(target.shape)}, where 68 finite "
            "points are expected, float32 of shape (68, 2); run that stage again, or import the weights again."
        )
    parts: dict[str, State] = {part: {} for part in PARTS[kind]}
    for key, tensor in tensors.items():
        part, _, name = key.partition("/")
        if part not in parts:
            raise TddError(f"{file} holds an unknown part '{part}'; {kind} weights have {', '.join(PARTS[kind])}.")
        parts[part][name] = tensor.float() if tensor.dtype == torch.float16 else tensor
    return Weights(kind, backbone, parts, info, None if target is None else target.numpy())


def _read_tensors(file: Path) -> State:
    try:
        return load_file(file)
    except Exception as error:  # damaged bytes make it raise nearly anything
        if of_the_machine(error):
            raise
        raise TddError(f"{file} is damaged ({error}); run that stage again.") from error


def is_mean_face(points: np.ndarray) -> bool:
    """Whether an array can be a mean face: finite float32 of shape (68, 2), and not all in one place."""
    shaped = points.shape == (68, 2) and points.dtype == np.float32
    return shaped and bool(np.isfinite(points).all()) and bool(np.ptp(points, axis=0).all())


def load_part(module: nn.Module, state: Mapping[str, Tensor], where: str) -> None:
    """Load a part into a module, every tensor of it and no other; errors as :func:`check_part`."""
    check_part(module, state, where)  # one sentence that names the part, as torch's error does not
    module.load_state_dict(state)


def check_part(module: nn.Module, state: Mapping[str, Tensor], where: str) -> None:
    """Check that a part holds every tensor of a module, of its shape and kind and with finite values, and no other.

    Raises:
        TddError: tensors are missing, left over, of another shape or kind, or not finite; the sentence names the first.
    """
    own = module.state_dict()
    missing, extra = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
    if missing or extra:
        # A missing tensor is the checkpoint's fault; a left-over one has no place in the network.
        said, names = ("checkpoint lacks", missing) if missing else ("network has no place for", extra)
        others = f" and {len(names) - 1} more" if len(names) > 1 else ""
        raise TddError(f"{where}: the {said} tensor '{names[0]}'{others}.")
    for name, tensor in own.items():
        given = state[name]
        if tensor.shape != given.shape:
            raise TddError(f"{where}: '{name}' is {tuple(given.shape)}, the network's is {tuple(tensor.shape)}.")
        if tensor.is_floating_point() != given.is_floating_point() or given.layout != torch.strided:
            raise TddError(f"{where}: '{name}' holds {given.dtype}, the network's {tensor.dtype}.")
        if given.is_floating_point() and not torch.isfinite(given).all():
            raise TddError(f"{where}: '{name}' is not finite, and so gives no number; its training diverged.")
