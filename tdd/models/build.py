"""The networks of a run, at its recipe's size."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from torch import Tensor, nn

from tdd.config import Recipe
from tdd.errors import TddError
from tdd.models.audio import AudioResNet
from tdd.models.contract import Backbone
from tdd.models.heads import Predictor, Projector
from tdd.models.registry import BACKBONES, accepted_arguments, build_backbone, full_arguments

Network = TypeVar("Network", bound=nn.Module)


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
        TddError: unknown name or argument, or ``model.backbones`` gives sizes to a network that there is not.
    """
    for other, sizes in recipe.model.backbones.items():
        # Else sizes under a misspelled name would be passed over, and the network have its published size.
        if other not in BACKBONES or not isinstance(sizes, Mapping):
            raise TddError(
                f"Recipe '{recipe.name}': model.backbones holds {other!r}: {sizes!r}; give keyword arguments by the "
                f"name of a network: {', '.join(BACKBONES)}."
            )
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
    return _built(lambda: build_backbone(name, **video_arguments(name, recipe)), recipe, f"model.backbones.{name}")


def audio_network(recipe: Recipe) -> AudioResNet:
    """The audio network at the recipe's size.

    Raises:
        TddError: an unknown argument, or a value the network cannot have.
    """
    arguments = _known_arguments(AudioResNet, recipe.model.audio, recipe, "model.audio")
    return _built(lambda: AudioResNet(**arguments), recipe, "model.audio")


def build_predictor(recipe: Recipe) -> Predictor:
    """A predictor between projections, at the recipe's size.

    Raises:
        TddError: an unknown argument, or a value the network cannot have.
    """
    width = recipe.model.projection
    arguments = _known_arguments(
        Predictor, recipe.model.predictor, recipe, "model.predictor", "in_channels", "out_channels"
    )
    return _built(lambda: Predictor(width, out_channels=width, **arguments), recipe, "model.predictor")


def _known_arguments(
    network: type[nn.Module], given: Mapping[str, Any], recipe: Recipe, setting: str, *fixed: str
) -> Mapping[str, Any]:
    """The arguments of a setting, where the network has them all; those that are ``fixed`` are no settings."""
    accepted = [name for name in inspect.signature(network).parameters if name not in fixed]
    unknown = sorted(set(given) - set(accepted), key=str)
    if unknown:
        raise TddError(f"Recipe '{recipe.name}': {setting} takes no {unknown[0]}; it takes {', '.join(accepted)}.")
    return given


def _built(build: Callable[[], Network], recipe: Recipe, setting: str) -> Network:
    """A network; a value of another kind than its argument has, a number in place of a list say, is told."""
    try:
        return build()
    except TypeError as error:
        raise TddError(f"Recipe '{recipe.name}': {setting} makes no network ({error}); correct the recipe.") from error
