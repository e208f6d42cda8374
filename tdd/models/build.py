"""The networks of a run, at its recipe's size."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from tdd.config import Recipe
from tdd.models.audio import AudioResNet
from tdd.models.contract import Backbone
from tdd.models.heads import Predictor, Projector
from tdd.models.registry import accepted_arguments, build_backbone, full_arguments


class Branch(nn.Module):
    """A network and its projector: a student, or a teacher. Shape: clip to projections (B, C, T)."""

    def __init__(self, backbone: Backbone | AudioResNet, projection: int) -> None:
        """Put a projector of ``projection`` channels on ``backbone``."""
        super().__init__()
        self.backbone = backbone
        self.projector = Projector(backbone.out_channels, projection)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, C, T) and their projections (B, projection, T)."""
        features = self.backbone(x)
        return features, self.projector(features)


def video_arguments(name: str, recipe: Recipe) -> dict[str, Any]:
    """All arguments of the named backbone at the recipe's size.

    Raises:
        TddError: unknown name or argument.
    """
    arguments = dict(recipe.model.backbones.get(name, {}))  # a copy: the recipe is not to change
    accepted = accepted_arguments(name)
    if "input_size" in accepted:  # CSN takes frames of any size
        arguments["input_size"] = recipe.clip.input_size
    if "time_axis" in accepted and recipe.findings.channels_as_time:
        arguments["time_axis"] = "as_released"
    return full_arguments(name, **arguments)


def video_backbone(name: str, recipe: Recipe) -> Backbone:
    """The named backbone at the recipe's size.

    Raises:
        TddError: unknown name or argument, or a size the network cannot take.
    """
    return build_backbone(name, **video_arguments(name, recipe))


def build_predictor(recipe: Recipe) -> Predictor:
    """A predictor between projections, at the recipe's size."""
    return Predictor(recipe.model.projection, out_channels=recipe.model.projection, **recipe.model.predictor)
