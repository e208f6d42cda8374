import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tdd.config import ClipConfig, NoiseConfig
from tdd.data.audio import log_mel
from tdd.data.augment import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    Cut,
    central_cut,
    cut_view,
    cut_views,
    draw_cut,
    draw_noise,
    eval_view,
    mask_log_mel,
    mask_video,
    normalise,
    to_gray,
    train_view,
    views,
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


@given(seed=st.integers(0, 2**32), sides=st.sampled_from([(40, 36, 24), (150, 140, 112), (30, 30, 30), (20, 12, 33)]))
@settings(max_examples=40, deadline=None)
def test_views_of_a_batch_are_those_of_its_clips_within_a_grey_level(seed, sides):
    clip = ClipConfig(frames=3, crop=sides[0], view_crop=sides[1], input_size=sides[2])
    rng = np.random.default_rng(seed)
    frames = rng.integers(0, 256, (4, 3, sides[0], sides[0], 3), dtype=np.uint8)
    cuts = [draw_cut(rng, clip, 0.5, grayscale=bool(number % 2)) for number in range(3)] + [central_cut(clip)]
    batch = cut_views(torch.from_numpy(frames), torch.from_numpy(np.stack([cut.numbers() for cut in cuts])), clip)
    assert batch.dtype == torch.uint8
    for view, stored, cut in zip(batch.numpy(), frames, cuts, strict=True):
        assert np.abs(view.astype(int) - cut_view(stored, cut, clip)).max() <= 1


def test_a_draw_of_a_batch_is_the_square_mirrored_and_grey_that_it_names():
    clip = ClipConfig(frames=1, crop=6, view_crop=4, input_size=4)  # nothing is resized
    frames = torch.randint(0, 256, (3, 1, 6, 6, 3), dtype=torch.uint8)
    cuts = [Cut(0, 2, False), Cut(1, 0, True), Cut(2, 1, False, grayscale=True)]
    seen = cut_views(frames, torch.from_numpy(np.stack([cut.numbers() for cut in cuts])), clip)[:, :, 0]
    assert torch.equal(seen[0], frames[0, 0, 0:4, 2:6].permute(2, 0, 1))
    assert torch.equal(seen[1], frames[1, 0, 1:5, 0:4].permute(2, 0, 1).flip(2))
    grey = (frames[2, 0, 2:6, 1:5].double() @ torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64)).round()
    assert (seen[2].double() - grey).abs().max() <= 1


def test_views_are_made_in_single_precision_and_finished_batches_are_left_alone():
    clip = ClipConfig(frames=1, crop=6, view_crop=4, input_size=4)
    samples = torch.randint(-9000, 9000, (2, 1280), dtype=torch.int16)
    batch = {"frames": torch.randint(0, 256, (2, 1, 6, 6, 3), dtype=torch.uint8), "samples": samples}
    batch |= {"clean_cut": torch.tensor([[0, 0, 0, 0], [1, 1, 1, 1]]), "label": torch.tensor([0, 1])}
    with torch.autocast("cpu", torch.bfloat16):
        seen = views(batch, clip)
    assert set(seen) == {"clean", "mel", "label"} and set(batch) == {"frames", "samples", "clean_cut", "label"}
    for mel, one in zip(seen["mel"], samples, strict=True):
        torch.testing.assert_close(mel, log_mel(one.float() / 32768), atol=1e-6, rtol=0)
    assert views(seen, clip) == seen
