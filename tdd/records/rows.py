"""A row of a study: one detector, as a recipe with a few settings of its own, and what its stage 1 depends on."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from typing import Any

from tdd.config import STAGE1, STAGE1_FINDINGS, FindingsConfig, Recipe, override


@dataclass(frozen=True)
class Row:
    """One row of a table of results.

    Attributes:
        id: name of the row and of its runs; rows of one id are the same in every study.
        label: the row as this package prints it.
        backbone: name in ``tdd.models``.
        ssl_weight: weight of the auxiliary loss in stage 2 (no unit).
        overrides: settings that differ from the study's recipe, by dotted path: ``{"stage1.clips": 500}``.
        from_stage1: False trains stage 2 from scratch; there is then no teacher and no auxiliary loss.
        detector_of: the row whose trained detector this one scores anew; ``None`` trains its own.
        trivial: True takes statistics of the clip in place of a network (see ``tdd.evaluation.trivial``).
    """

    id: str
    label: str
    backbone: str
    ssl_weight: float
    overrides: dict[str, Any] = field(default_factory=dict)
    from_stage1: bool = True
    detector_of: Row | None = None
    trivial: bool = False

    def recipe(self, base: Recipe) -> Recipe:
        """Every number of this row's runs.

        Raises:
            TddError: an override that no setting has, or values in conflict.
        """
        return override(base, self.overrides)

    def describe(self) -> dict[str, Any]:
        """The row as kept in records and study files."""
        return {
            "id": self.id, "label": self.label, "backbone": self.backbone, "ssl_weight": self.ssl_weight,
            "overrides": self.overrides, "from_stage1": self.from_stage1,
        }  # fmt: skip


def stage1_recipe(recipe: Recipe, backbone: str) -> Recipe:
    """``recipe`` as the record of a stage 1 keeps it, which several rows may share.

    Findings of later steps are off and other networks left out, for they are only those of the row that came first.
    """
    findings = FindingsConfig(**{name: getattr(recipe.findings, name) for name in STAGE1_FINDINGS})
    networks = {name: values for name, values in recipe.model.backbones.items() if name == backbone}
    return replace(recipe, findings=findings, model=replace(recipe.model, backbones=networks))


def stage1_digest(recipe: Recipe, backbone: str) -> str:
    """Eight hexadecimal digits that stand for every setting which a stage-1 run of ``backbone`` depends on."""
    read = recipe.read_by(STAGE1, backbone)
    # Sorted, for the order of a recipe's settings means nothing.
    return hashlib.sha256(json.dumps([backbone, read], sort_keys=True).encode()).hexdigest()[:8]
