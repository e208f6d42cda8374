"""Published weights brought in: files of RealForensics and of Kim et al. become stage-1 or stage-2 weights here.

RealForensics: Haliassos et al., CVPR 2022, arXiv 2201.07131; the other backbones: Kim et al., IEIE Summer Conference
2024. Nothing but tensors and plain values is ever unpickled.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from tdd.config import FindingsConfig, Recipe
from tdd.errors import TddError
from tdd.machine.files import check_space, check_writable, sha256
from tdd.machine.limits import of_the_machine
from tdd.models import BACKBONES, accepted_arguments
from tdd.models.backbones.frames import check_time_axis
from tdd.preprocess.landmarks import read_mean_face
from tdd.weights.checkpoints import INFO, State, Weights, check_part, export_weights, weights_info
from tdd.weights.detector import part_networks
from tdd.weights.published import published_names, to_own

RELEASED_TIME_AXIS = "as_released"  # finding A1: so the released code trains
RELEASED_STAGE1_PATCH = 14

DEEPEST = 4
"""Mappings in one another in which a state dict is looked for; a pickle may hold itself."""


@dataclass(frozen=True)
class _Layout:
    """Where a kind of published file keeps what; names begin after the ``model.`` of a Lightning module."""

    kind: str
    mark: tuple[str, ...]
    """A name that begins so tells the kind."""
    parts: dict[str, tuple[str, ...]]
    """Part here -> beginnings of its names there, one for each published spelling."""
    unneeded: tuple[str, ...]
    """Beginnings of names that no part here has a use for."""


_LAYOUTS = (
    _Layout(
        "stage1",
        ("model1.",),
        {
            "student.backbone": ("model1.backbone.",),
            "student.projector": ("model1.projector.",),
            # the second spelling is the one that RealForensics' stage 2 reads
            "teacher.backbone": ("model1.target_backbone.", "model1.target_encoder.0."),
            "teacher.projector": ("model1.target_projector.", "model1.target_encoder.1."),
        },
        ("model1.predictor.", "model2.", "prober_video.", "prober_audio."),
    ),
    _Layout(
        "stage2",
        ("backbone.", "df_head."),
        {"backbone": ("backbone.",), "head": ("df_head.",)},
        ("ssl_head.", "target_encoder."),
    ),
)


@dataclass(frozen=True)
class Imported:
    """What became of a published file."""

    weights: Weights
    taken: dict[str, int]
    """Part here -> tensors taken."""
    left_out: dict[str, int]
    """Beginning of names there -> tensors that no part here has a use for."""

    def to_text(self) -> str:
        """What was taken, what was not, and how the network reads its clips, for a terminal."""
        kind, backbone = self.weights.kind, self.weights.backbone
        lines = [f"{kind} weights of {backbone}.", f"Taken: {_counts(self.taken)}."]
        if self.left_out:
            lines.append(f"Not taken, for {kind} weights have no use for them: {_counts(self.left_out)}.")
        recurrent = "time_axis" in accepted_arguments(backbone)
        if recurrent and self.weights.info["recipe"]["findings"]["channels_as_time"]:
            lines.append(
                "The network runs with time_axis = as_released, as the released code trained it (finding A1 of the "
                "audit: its recurrent steps are not frames); --time-axis per_frame imports it for frames as steps."
            )
        elif recurrent:
            lines.append("The network runs with time_axis = per_frame; the released code trained it as_released.")
        if kind == "stage2" and self.weights.mean_face is None:
            lines.append(
                "The file does not hold the mean face that its training clips were aligned to, and tdd predict needs "
                "it: give it here or there with --mean-face (RealForensics' own is its 20words_mean_face.npy)."
            )
        return "\n".join(lines)


def _counts(tensors: Mapping[str, int]) -> str:
    return ", ".join(f"{name} ({count} tensor{'s' * (count != 1)})" for name, count in tensors.items())


def import_published(
    file: Path,
    out: Path,
    backbone: str | None = None,
    time_axis: str | None = None,
    mean_face_file: Path | None = None,
) -> Imported:
    """Write a published file's weights as stage-1 or stage-2 weights of this package, whichever it holds.

    Args:
        file: ``.pth`` or ``.ckpt`` as torch saves, or ``.safetensors``; the state dict may lie under ``state_dict`` or
            ``model``.
        out: folder for the weights; must not hold weights yet.
        backbone: refuse a file of another backbone.
        time_axis: of the recurrent backbones: ``as_released`` (default) or ``per_frame``.
        mean_face_file: what the faces were aligned to in training, ``.npy`` of shape (68, 2), px of the canvas; kept
            with the weights, for no published file holds it.

    Returns:
        the weights written, and what was taken of the file.

    Raises:
        TddError: the file is damaged, needs more than tensors, lacks a tensor or has one that nothing is known of, or
            is not of the published size; a wrong argument. Nothing is written then.
    """
    if backbone is not None:
        accepted_arguments(backbone)  # refuses an unknown name
    if (out / INFO).exists():
        raise TddError(f"{out} already holds weights; choose another folder with --out or delete that one.")
    digest = sha256(file)  # first: it says in a sentence when the file cannot be read
    layout, groups, left_out = _sort(_read(file), file)
    found = _recognise(next(iter(groups.values())), file)  # both layouts begin with a backbone
    if backbone not in (None, found):
        raise TddError(f"{file} holds {layout.kind} weights of {found}; weights of {backbone} were asked for.")
    recipe = _recipe(found, time_axis)
    parts, unused = _convert(layout, groups, found, recipe, file)
    left_out |= unused
    taken = {part: len(state) for part, state in parts.items()}
    source = {"file": file.name, "sha256": digest, "taken": taken, "left_out": left_out}
    target = None if mean_face_file is None else read_mean_face(mean_face_file, recipe.clip.canvas)
    weights = Weights(layout.kind, found, parts, weights_info(recipe, None, {}, None) | {"source": source}, target)
    check_space(out, sum(tensor.nbytes for state in parts.values() for tensor in state.values()))
    check_writable(out)
    export_weights(out, weights)
    return Imported(weights, taken, left_out)


def _read(file: Path) -> State:
    """The state dict in a file, opened where it is nested."""
    content: Any = _read_safetensors(file) if file.suffix == ".safetensors" else _unpickle_tensors(file)
    for _ in range(DEEPEST):
        if not isinstance(content, Mapping):
            break
        inner = [content[key] for key in ("state_dict", "model") if isinstance(content.get(key), Mapping)]
        if not inner:
            break
        content = inner[0]
    if not isinstance(content, Mapping) or not content:
        raise TddError(f"{file} holds no state dict, that is, no named tensors; give a file of published weights.")
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise TddError(f"{file} holds no state dict: its entry {name!r} is no tensor; save the state dict alone.")
        if value.layout != torch.strided or value.is_quantized or value.device.type != "cpu":
            raise TddError(f"{file} holds '{name}' in a form that no network here has; save plain tensors.")
    return dict(content)


def _read_safetensors(file: Path) -> State:
    try:
        return load_file(file)
    except Exception as error:  # as of any damaged file, see below
        if of_the_machine(error):
            raise
        raise TddError(f"{file} is damaged or cut short ({error}); fetch it again.") from error


def _unpickle_tensors(file: Path) -> Any:
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged bytes make torch raise nearly anything, KeyError and EOFError included
        refused = re.search(r"GLOBAL ([\w.]+\w)", str(error))  # torch names so what it did not load
        if refused:
            raise TddError(
                f"{file} needs {refused[1]} besides tensors and is not opened, for that could run a stranger's code; "
                "have whoever made it save its state dict alone."
            ) from error
        raise TddError(f"{file} is damaged, cut short or no file of tensors saved by torch; fetch it again.") from error


def _sort(state: State, file: Path) -> tuple[_Layout, dict[str, State], dict[str, int]]:
    """The file's layout, the tensors of each part under their published names, and counts of those not needed."""
    names = {name.removeprefix("model."): tensor for name, tensor in state.items()}
    if len(names) < len(state):
        raise TddError(f"{file} holds some tensors twice, with and without 'model.' before their names; keep one.")
    layout = next((layout for layout in _LAYOUTS if any(name.startswith(layout.mark) for name in names)), None)
    if layout is None:
        raise TddError(
            f"{file} is neither a stage-1 file (model.model1.*) nor a stage-2 file (backbone.*, df_head.*): "
            f"its first tensor is '{next(iter(state))}'."
        )
    groups: dict[str, State] = {part: {} for part in layout.parts}
    left_out: dict[str, int] = {}
    for name, tensor in names.items():
        part, start = _place(name, layout, file)
        if part is None:
            left_out[f"{start}*"] = left_out.get(f"{start}*", 0) + 1
        elif name.removeprefix(start) in groups[part]:
            raise TddError(f"{file} holds {part} twice, under {' and '.join(layout.parts[part])}; keep one.")
        else:
            groups[part][name.removeprefix(start)] = tensor
    for part, group in groups.items():
        if not group:
            raise TddError(f"{file} lacks the {part} of {layout.kind} weights ({layout.parts[part][0]}*).")
    return layout, groups, left_out


def _place(name: str, layout: _Layout, file: Path) -> tuple[str | None, str]:
    """The part that a tensor belongs to, ``None`` where it is not needed, and the beginning that says so."""
    for part, starts in layout.parts.items():
        for start in starts:
            if name.startswith(start):
                return part, start
    for start in layout.unneeded:
        if name.startswith(start):
            return None, start
    raise TddError(f"{file} has the tensor '{name}', which no published {layout.kind} file has; it is not imported.")


def _recognise(group: State, file: Path) -> str:
    """The backbone that shares most names with a group of tensors."""
    # The most names, not all: a file that lacks some is still known, and to_own can say which.
    shared = {name: len(published_names(name) & group.keys()) for name in BACKBONES}
    found = max(shared, key=lambda name: shared[name])
    if not shared[found]:
        raise TddError(
            f"{file} holds a backbone that is none of {', '.join(BACKBONES)}: it has the tensor '{next(iter(group))}'."
        )
    return found


def _recipe(backbone: str, time_axis: str | None) -> Recipe:
    """The paper's clips and the published network; the numbers of its training are not known."""
    if "time_axis" in accepted_arguments(backbone):
        axis = time_axis or RELEASED_TIME_AXIS
        check_time_axis(backbone, axis)
        released = axis == RELEASED_TIME_AXIS
        return Recipe(name="imported", findings=FindingsConfig(channels_as_time=released))
    if time_axis:
        raise TddError(f"{backbone} has no recurrent layer and takes no --time-axis; leave it out.")
    return Recipe(name="imported")


def _convert(
    layout: _Layout, groups: dict[str, State], backbone: str, recipe: Recipe, file: Path
) -> tuple[dict[str, State], dict[str, int]]:
    """The parts under the names of this package, checked against the networks, and counts of tensors without use."""
    parts: dict[str, State] = {}
    unused: dict[str, int] = {}
    for part, network in part_networks(layout.kind, backbone, recipe).items():
        name = part.partition(".")[2] or part
        published = backbone if name == "backbone" else name
        if published == "vivit":
            _refuse_small_patches(groups[part], file)
        try:
            own = to_own(published, groups[part])
        except TddError as error:
            raise TddError(f"{file}, {part}: {error}") from error
        check_part(network, own, f"{file}, {part}")
        # cloned: what is written must not share memory, as a teacher saved before the first step may
        parts[part] = {key: tensor.detach().clone() for key, tensor in own.items()}
        for extra in groups[part].keys() - published_names(published):
            start = f"{part}: {extra.partition('.')[0]}.*"
            unused[start] = unused.get(start, 0) + 1
    return parts, unused


def _refuse_small_patches(state: State, file: Path) -> None:
    """Finding A8 of the audit: the released stage 1 cuts frames into smaller patches than stage 2."""
    embedding = state.get("to_tubelet_embedding.1.weight")
    if embedding is not None and embedding.shape[-1] == 3 * RELEASED_STAGE1_PATCH**2:
        raise TddError(
            f"{file} holds a ViViT with patches of 14x14 pixels, as the released stage 1 has them, and the detector's "
            "are 28x28 (finding A8 of the audit): its weights cannot be used; import one trained with 28x28 patches."
        )
