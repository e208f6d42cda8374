"""The scores of validation videos, against scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss, roc_auc_score

from tdd.training.validation import ValidationScores, has_settled


def test_area_and_balanced_loss_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    labels = np.array([0] * 10 + [1] * 40)
    logits = rng.normal(size=50) + labels
    scores = ValidationScores()
    for part in np.split(np.arange(50), 5):
        scores.update(torch.from_numpy(logits[part]).bfloat16().double(), torch.from_numpy(labels[part]))
    logits = torch.from_numpy(logits).bfloat16().double().numpy()
    found = scores.compute()
    weights = np.where(labels == 0, 1 / 10, 1 / 40)
    assert found["val_auc"] == pytest.approx(roc_auc_score(labels, logits))
    assert found["val_bce"] == pytest.approx(log_loss(labels, 1 / (1 + np.exp(-logits)), sample_weight=weights))
    assert scores.compute() == {}


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_alone_has_no_area(label):
    scores = ValidationScores()
    scores.update(torch.zeros(4), torch.full((4,), label))
    assert scores.compute() == {}


@pytest.mark.parametrize(
    ("bces", "areas", "patience", "settled"),
    [
        ([0.4, 0.4, 0.4], [0.9, 0.8, 0.7], 2, True),
        ([0.4, 0.4, 0.4], [0.9, 0.8, 0.7], 3, False),
        ([0.4, 0.4, 0.4, 0.4], [0.7, 0.9, 0.9, 0.8], 2, True),  # as high again is no rise
        ([0.4, 0.4, 0.4, 0.4], [0.9, 0.8, 0.8, 0.91], 3, False),
        ([0.7, 0.7, 0.7, 0.4, 0.4], [0.9, 0.5, 0.5, 0.6, 0.5], 2, False),  # on the plateau areas mean nothing
        ([0.7, 0.4, 0.7, 0.7], [0.9, 0.6, 0.5, 0.5], 2, True),  # once off it, epochs count whatever comes
        ([0.7] * 9, [0.9] * 9, 2, False),
        ([0.4] * 9, [0.9] * 9, 0, False),
        ([0.4, 0.4, 0.4, 0.4], [float("nan"), 0.6, 0.7, 0.8], 3, False),
        ([0.4, 0.4, 0.4, 0.4], [0.9, float("nan"), 0.8, 0.7], 2, True),
        ([], [], 3, False),
    ],
)
def test_validation_has_settled_when_it_no_longer_rises(bces, areas, patience, settled):
    history = [{"bce": bce, "val_auc": area} for bce, area in zip(bces, areas, strict=True)]
    assert has_settled(history, patience, 0.6) == settled
