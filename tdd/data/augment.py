"""Views of a clip: crop, flip, colour, and the students' noise. One draw a clip, the same for all its frames.

As in RealForensics (Haliassos et al., CVPR 2022, arXiv 2201.07131). Pixels stay uint8 until the batch is on its device;
masks travel beside them and are applied after normalisation, where zero is the mean colour.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from tdd.config import ClipConfig, NoiseConfig

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
ERASE_ASPECT = (0.3, 3.3)
"""Height to width of an erased rectangle, log-uniform (Zhong et al., AAAI 2020, arXiv 1708.04896)."""
LUMA = (0.299, 0.587, 0.114)
"""Of red, green and blue (ITU-R BT.601)."""


@dataclass(frozen=True)
class Noise:
    """One draw of the students' noise."""

    grayscale: bool
    erase: tuple[int, int, int, int]
    """Top, left, bottom, right, px of the network's input; empty when all are 0."""
    time: tuple[int, int]
    """First masked frame, and the frame after the last; the log-mel is masked over the same time."""
    mel: tuple[int, int]
    """First masked mel bin, and the bin after the last."""


NO_NOISE = Noise(False, (0, 0, 0, 0), (0, 0), (0, 0))


def draw_noise(
    rng: np.random.Generator, noise: NoiseConfig, clip: ClipConfig, n_mels: int, time_mask: float = 1.0
) -> Noise:
    """Draw what a student does not get to see.

    Args:
        rng: the clip's own generator.
        noise: probabilities and sizes.
        clip: number of frames and input size.
        n_mels: mel bins of the log-mel.
        time_mask: probability that frames are masked.
    """
    grayscale = rng.random() < noise.grayscale
    erase = _draw_rectangle(rng, noise, clip.input_size) if rng.random() < noise.erase else (0, 0, 0, 0)
    time = _draw_run(rng, noise.time_mask_frames, clip.frames) if rng.random() < time_mask else (0, 0)
    return Noise(grayscale, erase, time, _draw_run(rng, noise.mel_mask_bins, n_mels))


def _draw_run(rng: np.random.Generator, longest: int, length: int) -> tuple[int, int]:
    count = int(rng.integers(0, longest + 1))
    # As published: the start is drawn below length - count, so that no run reaches the last frame or bin.
    start = int(rng.integers(0, max(1, length - count)))
    return start, start + count


def _draw_rectangle(rng: np.random.Generator, noise: NoiseConfig, size: int) -> tuple[int, int, int, int]:
    area = rng.uniform(noise.erase_area_min, noise.erase_area_max) * size * size
    aspect = np.exp(rng.uniform(*np.log(ERASE_ASPECT)))
    height = min(size, max(1, round(float(np.sqrt(area * aspect)))))
    width = min(size, max(1, round(float(np.sqrt(area / aspect)))))
    top, left = int(rng.integers(0, size - height + 1)), int(rng.integers(0, size - width + 1))
    return top, left, top + height, left + width


def train_view(frames: np.ndarray, rng: np.random.Generator, clip: ClipConfig, flip: float) -> np.ndarray:
    """Random crop, resize, random flip.

    Args:
        frames: RGB uint8, shape (T, crop, crop, 3).
        rng: the view's own generator.
        clip: sides of crop and input.
        flip: probability of a horizontal flip.

    Returns:
        uint8, shape (3, T, input_size, input_size).
    """
    spare = clip.crop - clip.view_crop
    top, left = rng.integers(0, spare + 1, 2)
    return _view(frames, int(top), int(left), clip, rng.random() < flip)


def eval_view(frames: np.ndarray, clip: ClipConfig) -> np.ndarray:
    """Central crop and resize; nothing random. Shapes as :func:`train_view`."""
    offset = (clip.crop - clip.view_crop) // 2
    return _view(frames, offset, offset, clip, flip=False)


def _view(frames: np.ndarray, top: int, left: int, clip: ClipConfig, flip: bool) -> np.ndarray:
    size = (clip.input_size, clip.input_size)
    out = np.empty((len(frames), *size, 3), np.uint8)
    for source, target in zip(frames[:, top : top + clip.view_crop, left : left + clip.view_crop], out, strict=True):
        cv2.resize(source, size, dst=target, interpolation=cv2.INTER_LINEAR)
    rows = out.reshape(-1, clip.input_size, 3)  # all frames as one tall picture, which OpenCV splits much faster
    planes = np.empty((3, len(rows), clip.input_size), np.uint8)
    cv2.split(cv2.flip(rows, 1, rows) if flip else rows, list(planes))
    return planes.reshape(3, len(frames), *size)


def to_gray(view: np.ndarray) -> np.ndarray:
    """Luma in all three channels. Shape (3, T, H, W), uint8."""
    red, green, blue = torch.from_numpy(view).float()
    luma = red.mul_(LUMA[0]).add_(green, alpha=LUMA[1]).add_(blue, alpha=LUMA[2]).round_()
    return np.stack([luma.numpy().astype(np.uint8)] * 3)


def normalise(video: Tensor) -> Tensor:
    """uint8 to float with ImageNet's mean and standard deviation. Shape (B, 3, T, H, W)."""
    mean = torch.tensor(IMAGENET_MEAN, device=video.device).view(1, 3, 1, 1, 1)
    std = torch.tensor(IMAGENET_STD, device=video.device).view(1, 3, 1, 1, 1)
    return video.float().sub_(255 * mean).div_(255 * std)


def mask_video(video: Tensor, erase: Tensor, time: Tensor) -> Tensor:
    """Set erased rectangles and masked frames to zero.

    Args:
        video: normalised, shape (B, 3, T, H, W).
        erase: integer, shape (B, 4): top, left, bottom, right, px.
        time: integer, shape (B, 2): first masked frame, and the frame after the last.
    """
    _, _, n_frames, height, width = video.shape
    rows, columns = _inside(erase[:, 0], erase[:, 2], height), _inside(erase[:, 1], erase[:, 3], width)
    hidden = rows[:, None, :, None] & columns[:, None, None, :]  # (B, 1, H, W)
    hidden = hidden | _inside(time[:, 0], time[:, 1], n_frames)[:, :, None, None]  # (B, T, H, W)
    return video.masked_fill(hidden[:, None], 0.0)


def mask_log_mel(mel: Tensor, time: Tensor, bins: Tensor, per_frame: int) -> Tensor:
    """Set masked times and mel bins to zero.

    Args:
        mel: shape (B, 1, T_audio, n_mels).
        time: integer, shape (B, 2): the video's masked frames.
        bins: integer, shape (B, 2): first masked bin, and the bin after the last.
        per_frame: log-mel frames under one video frame.
    """
    times = _inside(time[:, 0] * per_frame, time[:, 1] * per_frame, mel.shape[2])[:, None, :, None]
    return mel.masked_fill(times | _inside(bins[:, 0], bins[:, 1], mel.shape[3])[:, None, None, :], 0.0)


def _inside(start: Tensor, end: Tensor, length: int) -> Tensor:
    """Boolean, shape (B, length): which positions lie in [start, end)."""
    position = torch.arange(length, device=start.device)
    return (position >= start[:, None]) & (position < end[:, None])
