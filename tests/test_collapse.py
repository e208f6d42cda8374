import pytest
import torch

from tdd.collapse import clip_retrieval, feature_spread, frame_retrieval


def test_spread_is_one_for_noise_and_zero_for_a_constant():
    noise = torch.randn(64, 128, 10, generator=torch.Generator().manual_seed(0))
    assert feature_spread(noise) == pytest.approx(1, abs=0.02)
    assert feature_spread(torch.ones(64, 128, 10)) == pytest.approx(0, abs=1e-4)


def test_retrieval_of_the_clip_itself_is_perfect_and_of_noise_is_chance():
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(640, 16, 5, generator=generator), torch.randn(640, 16, 5, generator=generator)
    assert clip_retrieval(a, 3 * a) == 1
    assert clip_retrieval(a, b) == pytest.approx(1 / 32, abs=0.03)


@pytest.mark.parametrize("clips", [5, 32, 40, 96])
def test_a_wrong_order_is_never_right(clips):
    a = torch.randn(clips, 16, 5, generator=torch.Generator().manual_seed(0))
    assert clip_retrieval(a, a) == 1
    assert clip_retrieval(a, a.roll(1, 0)) == 0


def test_frame_retrieval_needs_features_that_follow_time():
    a = torch.randn(4, 16, 25, generator=torch.Generator().manual_seed(0))
    assert frame_retrieval(a, a) == 1
    assert frame_retrieval(a.mean(2, keepdim=True).expand_as(a), a) == pytest.approx(1 / 25)
