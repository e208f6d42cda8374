import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tdd.config import ClipConfig, NoiseConfig
from tdd.data.augment import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    draw_noise,
    eval_view,
    mask_log_mel,
    mask_video,
    normalise,
    to_gray,
    train_view,
)

CLIP = ClipConfig(frames=25, canvas=64, crop=40, view_crop=36, input_size=24)
NOISE = NoiseConfig()


@given(seed=st.integers(0, 2**32))
@settings(max_examples=200, deadline=None)
def test_noise_stays_within_its_limits_and_follows_the_seed(seed):
    noise = draw_noise(np.random.default_rng(seed), NOISE, CLIP, 80)
    assert noise == draw_noise(np.random.default_rng(seed), NOISE, CLIP, 80)
    top, left, bottom, right = noise.erase
    assert 0 <= top <= bottom <= 24 and 0 <= left <= right <= 24
    assert 0 <= noise.time[0] <= noise.time[1] <= 25 and noise.time[1] - noise.time[0] <= 11
    assert 0 <= noise.mel[0] <= noise.mel[1] <= 80 and noise.mel[1] - noise.mel[0] <= 26


def test_noise_is_drawn_as_often_as_stated():
    draws = [draw_noise(np.random.default_rng(seed), NOISE, CLIP, 80, time_mask=0.5) for seed in range(4000)]
    assert np.mean([d.grayscale for d in draws]) == pytest.approx(0.5, abs=0.03)
    assert np.mean([any(d.erase) for d in draws]) == pytest.approx(0.5, abs=0.03)
    masked = np.mean([d.time[1] > d.time[0] for d in draws])  # 0 of 0..11 frames is one draw in twelve
    assert masked == pytest.approx(0.5 * 11 / 12, abs=0.03)
    areas = [(d.erase[2] - d.erase[0]) * (d.erase[3] - d.erase[1]) / 24**2 for d in draws if any(d.erase)]
    assert 0.1 < np.mean(areas) < 0.19 and max(areas) < 0.36


def test_a_view_is_one_crop_and_flip_for_all_frames():
    frame = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    view = train_view(np.stack([frame] * 25), np.random.default_rng(3), CLIP, 0.5)
    assert view.shape == (3, 25, 24, 24) and view.dtype == np.uint8
    assert (view == view[:, :1]).all()


def test_a_view_is_each_frame_cropped_resized_and_mirrored():
    frames = np.random.default_rng(0).integers(0, 256, (25, 40, 40, 3), dtype=np.uint8)
    for seed in range(8):
        rng = np.random.default_rng(seed)
        top, left = rng.integers(0, 5, 2)
        mirrored = rng.random() < 0.5
        view = train_view(frames, np.random.default_rng(seed), CLIP, 0.5)
        for number, frame in enumerate(frames):
            small = cv2.resize(frame[top : top + 36, left : left + 36], (24, 24), interpolation=cv2.INTER_LINEAR)
            expected = small[:, ::-1] if mirrored else small
            np.testing.assert_array_equal(view[:, number], expected.transpose(2, 0, 1))


def test_flip_mirrors_and_happens_as_often_as_stated():
    ramp = np.broadcast_to(np.linspace(0, 255, 40).astype(np.uint8)[None, None, :, None], (25, 40, 40, 3))
    falling = [train_view(ramp, np.random.default_rng(seed), CLIP, 0.5)[0, 0, 0, -1] < 128 for seed in range(300)]
    assert np.mean(falling) == pytest.approx(0.5, abs=0.1)


def test_the_eval_view_is_the_centre_and_never_random():
    frames = np.zeros((25, 40, 40, 3), np.uint8)
    frames[:, 2:38, 2:38] = 200  # exactly the central 36
    assert (eval_view(frames, CLIP) == 200).all()
    assert (eval_view(frames, CLIP) == eval_view(frames, CLIP)).all()


def test_gray_is_luma():
    view = np.random.default_rng(0).integers(0, 256, (3, 2, 4, 4), dtype=np.uint8)
    expected = 0.299 * view[0] + 0.587 * view[1] + 0.114 * view[2]
    for channel in to_gray(view):
        np.testing.assert_allclose(channel, expected, atol=0.51)


def test_normalise_is_imagenets():
    video = torch.randint(0, 256, (2, 3, 4, 5, 5), dtype=torch.uint8)
    channel = 1
    expected = (video[:, channel].numpy() / 255 - IMAGENET_MEAN[channel]) / IMAGENET_STD[channel]
    np.testing.assert_allclose(normalise(video)[:, channel].numpy(), expected, atol=1e-5)


def test_masks_hide_exactly_what_they_name_and_align_across_modalities():
    video = mask_video(
        torch.ones(2, 3, 25, 8, 8), torch.tensor([[1, 2, 4, 6], [0, 0, 0, 0]]), torch.tensor([[0, 0], [5, 9]])
    )
    expected = np.ones((2, 3, 25, 8, 8))
    expected[0, :, :, 1:4, 2:6] = 0
    expected[1, :, 5:9] = 0
    np.testing.assert_array_equal(video.numpy(), expected)
    mel = mask_log_mel(torch.ones(2, 1, 100, 80), torch.tensor([[0, 0], [5, 9]]), torch.tensor([[10, 20], [0, 0]]), 4)
    expected = np.ones((2, 1, 100, 80))
    expected[0, :, :, 10:20] = 0
    expected[1, :, 20:36] = 0
    np.testing.assert_array_equal(mel.numpy(), expected)
