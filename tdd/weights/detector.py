"""The detector, and what rebuilds a network from exported weights by the recipe stored with them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tdd.config import Recipe, recipe_from_dict
from tdd.errors import TddError
from tdd.machine.files import as_json
from tdd.models import CosineHead
from tdd.models.build import Branch, audio_network, build_predictor, video_arguments, video_backbone
from tdd.weights.checkpoints import STAGE1_PARTS, STAGE2_PARTS, Weights, check_part, load_part


class Detector(nn.Module):
    """Backbone and cosine classifier: normalised video (B, 3, T, H, W) to logits (B,), larger is more fake."""

    def __init__(self, backbone: str, recipe: Recipe) -> None:
        """Build the named backbone at the recipe's size, with its head."""
        super().__init__()
        self.backbone = video_backbone(backbone, recipe)
        self.head = CosineHead(self.backbone.out_channels)

    def forward(self, video: Tensor) -> Tensor:
        """Logits, shape (B,)."""
        return self.head(self.backbone(video))


def stored_recipe(weights: Weights) -> Recipe:
    """The recipe that was exported with weights.

    Raises:
        TddError: there is none, or it has settings that this version does not know.
    """
    if "recipe" not in weights.info:
        raise TddError(f"These {weights.kind} weights of {weights.backbone} hold no recipe; export them again.")
    return recipe_from_dict(weights.info["recipe"])


def load_detector(weights: Weights) -> tuple[Detector, Recipe]:
    """The detector of stage-2 weights, on the CPU in eval mode, and the recipe whose clips it takes.

    Raises:
        TddError: the weights do not fit the network of their recipe.
    """
    recipe = stored_recipe(weights)
    # First without values: a damaged recipe may ask for a network that no memory holds.
    for part, network in part_networks(weights.kind, weights.backbone, recipe).items():
        check_part(network, weights.parts[part], f"stage-2 {part}")
    detector = Detector(weights.backbone, recipe)
    for part in STAGE2_PARTS:
        load_part(getattr(detector, part), weights.parts[part], f"stage-2 {part}")
    return detector.eval(), recipe


def part_networks(kind: str, backbone: str, recipe: Recipe) -> dict[str, nn.Module]:
    """The network of each part of weights of some kind: names and shapes without values (meta device).

    Raises:
        TddError: an unknown backbone, or sizes that make no network.
    """
    # Asked for names and shapes alone, CNN-LSTM's 107 million weights are neither drawn nor held.
    try:
        return _part_networks(kind, backbone, recipe)
    except (TypeError, ValueError, RuntimeError, ArithmeticError) as error:
        first = str(error).strip().partition("\n")[0]
        raise TddError(f"Recipe '{recipe.name}' makes no {backbone} network ({first}); correct its model.") from error


def _part_networks(kind: str, backbone: str, recipe: Recipe) -> dict[str, nn.Module]:
    with torch.device("meta"):
        if kind == "stage2":
            detector = Detector(backbone, recipe)
            return {part: getattr(detector, part) for part in STAGE2_PARTS}
        if kind == "stage1_audio":
            audio = Branch(audio_network(recipe), recipe.model.projection)
            parts = {"teacher.backbone": audio.backbone, "teacher.projector": audio.projector}
            return parts | {"predictor": build_predictor(recipe)}
        branch = Branch(video_backbone(backbone, recipe), recipe.model.projection)
        # A teacher is the same network as its student.
        return {part: getattr(branch, part.partition(".")[2]) for part in STAGE1_PARTS}


def require_same_network(weights: Weights, recipe: Recipe, where: str) -> None:
    """Check that a recipe builds the backbone that weights were trained with.

    Tensors alone do not tell: ``time_axis`` changes what a network computes and no shape.

    Raises:
        TddError: an argument of the backbone differs; the sentence names it.
    """
    # As JSON: stored arguments hold lists where a recipe's defaults hold tuples.
    theirs = as_json(video_arguments(weights.backbone, stored_recipe(weights)))
    for key, value in as_json(video_arguments(weights.backbone, recipe)).items():
        if theirs[key] != value:
            place = "findings.channels_as_time" if key == "time_axis" else f"model.backbones.{weights.backbone}"
            raise TddError(
                f"The weights in {where} are of {weights.backbone} with {key} = {theirs[key]!r} and recipe "
                f"'{recipe.name}' has {value!r}; make the recipe the same with {place}."
            )
