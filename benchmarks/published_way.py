"""A stand-in for how the published code computes: the same numbers, written the plain way.

Networks in torch's default layout with 3-D pools and convolutions, a float per pixel from the loader on, views clip by
clip, FFV1 as the store, AdamP of the ``adamp`` package, and the teachers' average parameter by parameter.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
import torchaudio
from adamp import AdamP
from torch import Tensor, nn

from tdd.config import Recipe
from tdd.data.audio import HOP, N_FFT, N_MELS, WINDOW
from tdd.data.augment import IMAGENET_MEAN, IMAGENET_STD, LUMA
from tdd.models.attention import SelfAttention
from tdd.models.backbones.csn import Bottleneck, Csn
from tdd.models.backbones.frames import ConvStem
from tdd.pretrain import Pretraining
from tdd.training.loop import Stage

Reader = Callable[[str, int, int], np.ndarray]


class PlainStem(nn.Module):
    """The stem with its layers one after the other: convolution, ReLU, 3-D pool."""

    def __init__(self, stem: ConvStem) -> None:
        super().__init__()
        self.convs = stem.convs

    def forward(self, video: Tensor) -> Tensor:
        """As :class:`ConvStem`."""
        x = video
        for conv in self.convs:
            x = F.max_pool3d(F.relu(conv(x)), (1, 2, 2))
        return x


class PlainCsn(nn.Module):
    """CSN with 3-D layers throughout."""

    def __init__(self, network: Csn) -> None:
        super().__init__()
        self.stem, self.stem_norm, self.blocks = network.stem, network.stem_norm, network.blocks
        self.out_channels = network.out_channels

    def forward(self, video: Tensor) -> Tensor:
        """As :class:`Csn`."""
        x = F.max_pool3d(F.relu(_norm(self.stem(video), self.stem_norm)), (1, 3, 3), (1, 2, 2), (0, 1, 1))
        for block in self.blocks:
            x = _block(x, block)
        return x.mean(dim=(3, 4))


def _norm(x: Tensor, norm: nn.BatchNorm2d) -> Tensor:
    statistics = norm.running_mean, norm.running_var
    return F.batch_norm(x, *statistics, norm.weight, norm.bias, norm.training, norm.momentum or 0.1, norm.eps)


def _block(x: Tensor, block: Bottleneck) -> Tensor:
    depthwise, stride = block.depthwise, (1, block.depthwise.stride, block.depthwise.stride)
    inner = F.relu(_norm(F.conv3d(x, block.reduce.weight.unsqueeze(2)), block.reduce_norm))
    inner = F.conv3d(inner, depthwise.weight, stride=stride, padding=1, groups=len(depthwise.weight))
    inner = F.relu(_norm(inner, block.depthwise_norm))
    inner = _norm(F.conv3d(inner, block.expand.weight.unsqueeze(2)), block.expand_norm)
    if block.shortcut is not None:
        conv, norm = block.shortcut
        x = _norm(F.conv3d(x, conv.weight.unsqueeze(2), stride=stride), norm)
    return F.relu(inner + x)


class PlainAttention(nn.Module):
    """Self-attention with its matrix of weights written out."""

    def __init__(self, attention: SelfAttention) -> None:
        super().__init__()
        self.heads, self.norm, self.qkv, self.out = attention.heads, attention.norm, attention.qkv, attention.out

    def forward(self, x: Tensor) -> Tensor:
        """As :class:`SelfAttention`."""
        query, key, value = self.qkv(self.norm(x)).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        weights = (query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5).softmax(dim=-1)
        return self.out((weights @ value).transpose(1, 2).flatten(2))


def plain(network: Any) -> Any:
    """The network with its parts written the plain way, in place; CSN comes back as another module."""
    if isinstance(network, Csn):
        return PlainCsn(network)
    for name, part in network.named_children():
        if isinstance(part, ConvStem):
            setattr(network, name, PlainStem(part))
        elif isinstance(part, SelfAttention):
            setattr(network, name, PlainAttention(part))
        else:
            setattr(network, name, plain(part))
    return network


def plain_optimiser(stage: Stage) -> AdamP:
    """AdamP of the package with the stage's groups, its rate constant."""
    ours, _ = stage.configure_optimisers()
    groups = [{"params": group["params"]} for group in ours.param_groups]
    return AdamP(groups, lr=ours.param_groups[0]["lr"], weight_decay=ours.param_groups[0]["weight_decay"])


@torch.no_grad()
def plain_average(teacher: nn.Module, student: nn.Module, momentum: float) -> None:
    """The teachers' moving average, one parameter after the other."""
    for slow, fast in zip(teacher.parameters(), student.parameters(), strict=True):
        slow.copy_(momentum * slow + (1 - momentum) * fast)


class PlainPretraining(Pretraining):
    """Stage 1 whose networks and whose teachers' average are the plain ones."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        for branch in (self.video, self.video_teacher):
            branch.backbone = plain(branch.backbone)

    def update_teachers(self) -> None:
        """As :class:`Pretraining`."""
        pairs = ((self.video_teacher, self.video), (self.audio_teacher, self.audio))
        for teacher, student in pairs:
            if teacher is not None and student is not None:
                plain_average(teacher, student, self.recipe.stage1.momentum)


class PlainViews:
    """Views of a clip in floating point, by torch's operations, and a log-mel by torchaudio's."""

    def __init__(self, recipe: Recipe) -> None:
        self.clip, self.noise = recipe.clip, recipe.noise
        self.mel = torchaudio.transforms.MelSpectrogram(16_000, N_FFT, WINDOW, HOP, n_mels=N_MELS)
        self.decibel = torchaudio.transforms.AmplitudeToDB("power", top_db=80)
        self.mean = torch.tensor(IMAGENET_MEAN).view(3, 1, 1, 1)
        self.std = torch.tensor(IMAGENET_STD).view(3, 1, 1, 1)

    def view(self, frames: Tensor, rng: np.random.Generator) -> Tensor:
        """Random crop, resize, flip and normalisation of floats (3, T, crop, crop)."""
        top, left = (int(edge) for edge in rng.integers(0, self.clip.crop - self.clip.view_crop + 1, 2))
        cut = frames[:, :, top : top + self.clip.view_crop, left : left + self.clip.view_crop]
        small = F.interpolate(cut.transpose(0, 1), size=self.clip.input_size, mode="bilinear").transpose(0, 1)
        small = small.flip(-1) if rng.random() < self.noise.flip else small
        return (small - self.mean) / self.std

    def two(self, frames: np.ndarray, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """A clean view, and one in grey half of the time."""
        video = torch.from_numpy(frames).permute(3, 0, 1, 2) / 255
        clean, noisy = self.view(video, rng), self.view(video, rng)
        if rng.random() < self.noise.grayscale:
            luma = sum(weight * channel for weight, channel in zip(LUMA, noisy, strict=True))
            noisy = torch.stack([luma] * 3)
        return clean, noisy

    def log_mel(self, samples: np.ndarray) -> Tensor:
        """Of int16 samples (N,)."""
        return self.decibel(self.mel(torch.from_numpy(samples.astype(np.float32) / 32768)))
