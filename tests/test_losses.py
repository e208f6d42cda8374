import math

import numpy as np
import pytest
import torch

from tdd.losses import detection_loss, logit_shift, prediction_loss


def test_prediction_loss_is_the_mean_negative_cosine():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(3, 8, 5)), rng.normal(size=(3, 8, 5))
    cosines = [
        a[i, :, t] @ b[i, :, t] / np.linalg.norm(a[i, :, t]) / np.linalg.norm(b[i, :, t])
        for i in range(3)
        for t in range(5)
    ]
    loss = prediction_loss(torch.from_numpy(a), torch.from_numpy(b))
    assert float(loss) == pytest.approx(-np.mean(cosines))


def test_prediction_loss_ignores_scale_and_sends_no_gradient_to_the_target():
    a = torch.randn(2, 4, 3, requires_grad=True)
    b = torch.randn(2, 4, 3, requires_grad=True)
    assert prediction_loss(a, 7 * a).item() == pytest.approx(-1, abs=1e-5)
    prediction_loss(a, b).backward()
    assert a.grad is not None and b.grad is None


def test_detection_loss_is_cross_entropy_of_the_shifted_logit():
    logits, labels = np.array([0.3, -2.0, 5.0]), np.array([0, 1, 1])
    p = 1 / (1 + np.exp(-(logits - 1.5)))
    expected = -np.mean(labels * np.log(p) + (1 - labels) * np.log(1 - p))
    loss = detection_loss(torch.from_numpy(logits), torch.from_numpy(labels), -1.5)
    assert float(loss) == pytest.approx(expected)


@pytest.mark.parametrize(("methods", "extra", "expected"), [(4, 8, -2.3273), (4, 0, math.log(4)), (1, 0, 0.0)])
def test_logit_shift_is_the_log_odds_of_the_batch(methods, extra, expected):
    """p = m / ((m + 1)(k + 1)): with 8 further reals a clip -2.33; without, the batch prior +1.39 (finding A4)."""
    batch = 32
    fakes = batch * methods / (methods + 1)
    assert logit_shift(fakes, batch * (extra + 1)) == pytest.approx(expected, abs=1e-4)
