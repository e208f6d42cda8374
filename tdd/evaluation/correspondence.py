"""Does this sound belong to this face? What stage 1 has learned, asked of any clip."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tdd.config import Recipe
from tdd.models.build import Branch, audio_network, build_predictor, video_backbone
from tdd.weights.checkpoints import AUDIO, import_weights, load_part
from tdd.weights.detector import stored_recipe


class Correspondence(nn.Module):
    """The video student with its predictor, and the audio teacher whose targets it learned to predict."""

    def __init__(self, backbone: str, recipe: Recipe) -> None:
        """Build the named backbone and the audio network at the recipe's size.

        Raises:
            TddError: unknown name or argument, or a size that a network cannot take.
        """
        super().__init__()
        self.video = Branch(video_backbone(backbone, recipe), recipe.model.projection)
        self.predictor = build_predictor(recipe)
        self.audio = Branch(audio_network(recipe), recipe.model.projection)

    def seen(self, video: Tensor) -> Tensor:
        """What the face says the sound is: normalised video (B, 3, T, H, W) -> (B, C, T), each frame of length 1."""
        return F.normalize(self.predictor(self.video(video)[1]), dim=1)

    def heard(self, mel: Tensor) -> Tensor:
        """What the sound is: log-mel (B, 1, T_audio, n_mels) -> (B, C, T), each frame of length 1."""
        return F.normalize(self.audio(mel)[1], dim=1)

    def forward(self, video: Tensor, mel: Tensor) -> Tensor:
        """Mean cosine over frames between every face and every sound, shape (faces, sounds); larger is more alike."""
        return torch.einsum("act,bct->ab", self.seen(video), self.heard(mel)) / video.shape[2]


def load_correspondence(run: Path) -> tuple[Correspondence, Recipe]:
    """The networks of a finished stage 1, on the CPU in eval mode, and its recipe.

    Raises:
        TddError: the run is not finished, or its weights do not fit the networks of their recipe.
    """
    video, audio = import_weights(run, "stage1"), import_weights(run / AUDIO, "stage1_audio")
    recipe = stored_recipe(video)
    model = Correspondence(video.backbone, recipe)
    parts = {
        "student.backbone": model.video.backbone,
        "student.projector": model.video.projector,
        "teacher.backbone": model.audio.backbone,
        "teacher.projector": model.audio.projector,
        "predictor": model.predictor,
    }
    # Without the video's teacher, whose parts have the same names as the audio teacher's.
    states = {key: state for key, state in video.parts.items() if key.startswith("student")} | audio.parts
    for name, network in parts.items():
        load_part(network, states[name], f"stage 1, {name}")
    return model.eval(), recipe
