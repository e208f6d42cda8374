"""Views of a clip: crop, flip, colour, and the students' noise. One draw a clip, the same for all its frames.

As in RealForensics (Haliassos et al., CVPR 2022, arXiv 2201.07131). Pixels stay uint8 until the batch is on its device;
masks travel beside them and are applied after normalisation, where zero is the mean colour.

A draw is a :class:`Cut`. Loader processes make the view of it clip by clip with OpenCV (:func:`cut_view`), which is the
faster way on a CPU; for a GPU they only read, and :func:`views` makes the views of a whole batch there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from tdd.config import ClipConfig, NoiseConfig
from tdd.data.audio import log_mel

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


@dataclass(frozen=True)
class Cut:
    """One draw of a view: what of the stored frames is shown, and how."""

    top: int
    left: int
    """Corner of the square that is cut out, px of the stored frames."""
    flip: bool
    grayscale: bool = False

    def numbers(self) -> np.ndarray:
        """The same for a batch on a device: int64, shape (4,)."""
        return np.array([self.top, self.left, self.flip, self.grayscale])


def draw_cut(rng: np.random.Generator, clip: ClipConfig, flip: float, grayscale: bool = False) -> Cut:
    """A random square of ``clip.view_crop`` px, mirrored with probability ``flip``."""
    spare = clip.crop - clip.view_crop
    top, left = rng.integers(0, spare + 1, 2)
    return Cut(int(top), int(left), bool(rng.random() < flip), grayscale)


def central_cut(clip: ClipConfig) -> Cut:
    """The square in the middle; nothing random."""
    offset = (clip.crop - clip.view_crop) // 2
    return Cut(offset, offset, False)


def train_view(frames: np.ndarray, rng: np.random.Generator, clip: ClipConfig, flip: float) -> np.ndarray:
    """Random crop, resize, random flip; shapes as :func:`cut_view`."""
    return cut_view(frames, draw_cut(rng, clip, flip), clip)


def eval_view(frames: np.ndarray, clip: ClipConfig) -> np.ndarray:
    """Central crop and resize; shapes as :func:`cut_view`."""
    return cut_view(frames, central_cut(clip), clip)


def cut_view(frames: np.ndarray, cut: Cut, clip: ClipConfig) -> np.ndarray:
    """The view of one clip, made on the CPU.

    Args:
        frames: RGB uint8, shape (T, crop, crop, 3).
        cut: its draw.
        clip: sides of crop and input.

    Returns:
        uint8, shape (3, T, input_size, input_size).
    """
    size, bottom, right = (clip.input_size, clip.input_size), cut.top + clip.view_crop, cut.left + clip.view_crop
    out = np.empty((len(frames), *size, 3), np.uint8)
    for source, target in zip(frames[:, cut.top : bottom, cut.left : right], out, strict=True):
        cv2.resize(source, size, dst=target, interpolation=cv2.INTER_LINEAR)
    rows = out.reshape(-1, clip.input_size, 3)  # all frames as one tall picture, which OpenCV splits much faster
    planes = np.empty((3, len(rows), clip.input_size), np.uint8)
    cv2.split(cv2.flip(rows, 1, rows) if cut.flip else rows, list(planes))
    view = planes.reshape(3, len(frames), *size)
    return to_gray(view) if cut.grayscale else view


def cut_views(frames: Tensor, cuts: Tensor, clip: ClipConfig) -> Tensor:
    """The views of a batch, made where it is: those of :func:`cut_view` within one grey level.

    Args:
        frames: RGB uint8, shape (B, T, crop, crop, 3).
        cuts: int64, shape (B, 4): :meth:`Cut.numbers` of each clip.
        clip: sides of crop and input.

    Returns:
        uint8, shape (B, 3, T, input_size, input_size), channels last in memory.
    """
    top, left, flip, grayscale = cuts.unbind(1)
    batch, n_frames = frames.shape[:2]
    side = torch.arange(clip.view_crop, device=frames.device)
    across = torch.where(flip[:, None] > 0, side.flip(0), side)  # a mirrored square, resized, is the mirrored view
    clips, times = (torch.arange(n, device=frames.device) for n in (batch, n_frames))
    square = frames[
        clips[:, None, None, None], times[:, None, None], (top[:, None] + side)[:, None, :, None],
        (left[:, None] + across)[:, None, None, :],
    ]  # fmt: skip
    images = square.flatten(0, 1).permute(0, 3, 1, 2).float()  # (B * T, 3, view_crop, view_crop)
    small = F.interpolate(images, size=clip.input_size, mode="bilinear").round_()
    video = small.unflatten(0, (batch, n_frames)).transpose(1, 2)
    return torch.where(grayscale.view(-1, 1, 1, 1, 1) > 0, _luma(video), video).to(torch.uint8)


CUT = "_cut"
"""After the name of a view: the key of its draws in a batch of stored clips."""


def views(batch: Mapping[str, Tensor], clip: ClipConfig) -> dict[str, Tensor]:
    """Make the views and the log-mel of a batch of stored clips, on the device where it is.

    Args:
        batch: what a loader gave. Of ``frames``, uint8 of shape (B, T, crop, crop, 3), every view is made whose draws
            are there (``clean_cut`` makes ``clean``, of shape (B, 3, T, H, W)); of ``samples``, int16 of shape (B, N),
            ``mel``, of shape (B, 1, T_audio, n_mels). A batch whose views were made in the loader stays as it is.
        clip: sides of crop and input.
    """
    seen = dict(batch)
    frames, samples = seen.pop("frames", None), seen.pop("samples", None)
    with torch.autocast(batch[next(iter(batch))].device.type, enabled=False):  # half precision would round the sound
        if frames is not None:
            for key in [key for key in seen if key.endswith(CUT)]:
                seen[key.removesuffix(CUT)] = cut_views(frames, seen.pop(key), clip)
        if samples is not None:
            seen["mel"] = log_mel(samples.float() / 32768)
    return seen


def to_gray(view: np.ndarray) -> np.ndarray:
    """Luma in all three channels. Shape (3, T, H, W), uint8."""
    luma = _luma(torch.from_numpy(view)[None].float())[0, 0]
    return np.stack([luma.numpy().astype(np.uint8)] * 3)


def _luma(video: Tensor) -> Tensor:
    """Grey levels, rounded; shape (B, 3, T, H, W) to (B, 1, T, H, W)."""
    red, green, blue = video.unbind(1)
    return (red * LUMA[0]).add_(green, alpha=LUMA[1]).add_(blue, alpha=LUMA[2]).round_()[:, None]


def normalise(video: Tensor) -> Tensor:
    """uint8 to float with ImageNet's mean and standard deviation. Shape (B, 3, T, H, W)."""
    mean, std = _levels(video.device)
    return video.float().sub_(mean).div_(std)


@lru_cache(maxsize=8)
def _levels(device: torch.device) -> tuple[Tensor, Tensor]:
    """ImageNet's mean and standard deviation in grey levels, each of shape (1, 3, 1, 1, 1).

    Kept for each device: to bring three numbers to a GPU is to wait for all that it was given before.
    """
    levels = torch.tensor((IMAGENET_MEAN, IMAGENET_STD)).view(2, 1, 3, 1, 1, 1)
    mean, std = (255 * levels).to(device)
    return mean, std


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
