"""The scores of validation videos, against scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss, roc_auc_score

from tdd.training.validation import ValidationScores


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
