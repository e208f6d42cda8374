"""The auxiliary task of stage 2: what keeps a detector's features predictive of the stage-1 video teacher."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from tdd.config import BATCH, FROM_STAGE1, Recipe
from tdd.data.augment import normalise
from tdd.losses import centre, prediction_loss
from tdd.models.build import Branch, build_predictor, video_backbone
from tdd.weights.checkpoints import Weights, load_part

FEWEST_REALS = 2
"""Real clips of a part of a batch that the auxiliary task needs, for its batch norm needs two clips."""


class Auxiliary(nn.Module):
    """The auxiliary task: a frozen stage-1 video teacher, and what predicts it from the detector's features.

    The predictor starts anew, for stage 1's predicted the audio teacher; the projector does so as well where the recipe
    says so, as in the published code, or goes on from the stage-1 student's, in whose space the targets lie.
    """

    position_mean: Tensor

    def __init__(self, weights: Weights, recipe: Recipe) -> None:
        """Build from stage-1 weights; under finding A3 the teacher takes none of them.

        Raises:
            TddError: the weights do not fit the recipe's network.
        """
        super().__init__()
        random_teacher = recipe.findings.random_teacher
        self.teacher = Branch(video_backbone(weights.backbone, recipe), recipe.model.projection)
        for part in () if random_teacher else ("backbone", "projector"):
            load_part(getattr(self.teacher, part), weights.parts[f"teacher.{part}"], f"stage-1 teacher {part}")
        self.teacher.requires_grad_(False)
        # The released code leaves its teacher in training mode. By running averages a random one, which has none yet,
        # would give nearly the same target for every clip: a constant prediction scores a cosine of 0.998.
        self.by_batch = random_teacher or recipe.stage2.teacher_statistics == BATCH
        self.projector = Branch(self.teacher.backbone, recipe.model.projection).projector
        if recipe.stage2.projector == FROM_STAGE1:
            load_part(self.projector, weights.parts["student.projector"], "stage-1 student projector")
        self.predictor = build_predictor(recipe)
        self.how = recipe.stage2.centre_targets
        self.register_buffer("position_mean", torch.zeros(recipe.model.projection, recipe.clip.frames))
        self.train()

    def train(self, mode: bool = True) -> Auxiliary:
        """Training mode for all; for the frozen teacher only where its batch norm goes by the batch."""
        super().train(mode)
        self.teacher.train(mode and self.by_batch)
        return self

    @torch.no_grad()
    def measure_positions(self, batches: Iterable[Tensor]) -> None:
        """Set the mean target at each frame, which centring takes out, from clean views (B, 3, T, H, W)."""
        targets = [self.teacher(normalise(batch.to(self.position_mean.device)))[1] for batch in batches]
        self.position_mean.copy_(torch.cat(targets).mean(0))

    def forward(self, features: Tensor, clean: Tensor, clips: float | None = None) -> Tensor:
        """The auxiliary loss of real clips: their features (B, C, T) and their clean views (B, 3, T, H, W).

        ``clips`` as in :func:`tdd.losses.prediction_loss`.
        """
        with torch.no_grad():
            target = centre(self.teacher(clean)[1], self.how, self.position_mean)
        return prediction_loss(self.predictor(self.projector(features)), target, clips)
