"""The networks: backbones by name, the audio network, and what stands on them."""

from tdd.models.audio import AudioResNet
from tdd.models.contract import Backbone
from tdd.models.heads import CosineHead, Predictor, Prober, Projector
from tdd.models.registry import BACKBONES, accepted_arguments, build_backbone, full_arguments

__all__ = [
    "BACKBONES",
    "AudioResNet",
    "Backbone",
    "CosineHead",
    "Predictor",
    "Prober",
    "Projector",
    "accepted_arguments",
    "build_backbone",
    "full_arguments",
]
