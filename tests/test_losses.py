import math

import numpy as np
import pytest
import torch

from tdd.losses import centre, detection_loss, logit_shift, prediction_loss


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


@pytest.fixture
def parts():
    """A place in the clip, a clip, and what is said when: targets are their sum."""
    rng = torch.Generator().manual_seed(0)
    place, clip, moment = (
        torch.randn(*shape, generator=rng, dtype=torch.float64) for shape in ((1, 6, 9), (7, 6, 1), (7, 6, 9))
    )
    moment = moment - moment.mean(0, keepdim=True)
    return place, clip, moment - moment.mean(2, keepdim=True)


def test_centring_takes_out_the_place_and_the_clip_and_leaves_the_moment(parts):
    place, clip, moment = parts
    target = place + clip + moment
    assert centre(target, "none") is target
    assert torch.allclose(centre(target, "position"), clip - clip.mean(0) + moment)
    assert torch.allclose(centre(target, "both"), moment)
    assert torch.allclose(centre(target, "both"), centre(centre(target, "both"), "both"))
    assert torch.allclose(centre(target, "both", place[0]), moment)  # a known mean, whose own level drops out
    assert torch.allclose(centre(target[:1], "both", place[0]), moment[:1])  # and of a single clip
    with pytest.raises(ValueError, match="not 'two-way'"):
        centre(target, "two-way")


def test_what_only_counts_frames_scores_nothing_on_centred_targets(parts):
    place, clip, moment = parts
    target = 10 * place + clip + moment
    assert prediction_loss(place.expand_as(target), target) < -0.9
    assert abs(prediction_loss(place.expand_as(target), centre(target, "both")).item()) < 0.1
    assert prediction_loss(moment, centre(target, "both")).item() == pytest.approx(-1)
