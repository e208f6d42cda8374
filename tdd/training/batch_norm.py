"""Batch norm over the clips of all processes that train together, as if one had them all.

On CUDA it is torch's ``SyncBatchNorm``, which knows no CPU; here is the same for CPUs.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.modules.batchnorm import _BatchNorm

from tdd.machine.ranks import rank, world


def synchronise(module: nn.Module, device: torch.device) -> nn.Module:
    """``module`` with every batch norm over all processes: the same parameters, buffers and names."""
    if device.type == "cuda":
        return nn.SyncBatchNorm.convert_sync_batchnorm(module)
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
            setattr(module, name, SharedBatchNorm(child))
        else:
            synchronise(child, device)
    return module


class SharedBatchNorm(_BatchNorm):
    """Batch norm (Ioffe and Szegedy, ICML 2015, arXiv 1502.03167) by the mean and variance over all processes.

    Shape: (B, C, ...) -> the same; B may differ between processes.
    """

    def __init__(self, alone: _BatchNorm) -> None:
        """Take the place of ``alone``: its very parameters and buffers."""
        super().__init__(alone.num_features, alone.eps, alone.momentum, alone.affine, alone.track_running_stats)
        self._parameters.update(alone._parameters)
        self._buffers.update(alone._buffers)
        self.training = alone.training

    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() < 2:
            raise ValueError(f"batch norm takes (B, C, ...); got shape {tuple(input.shape)}")

    def forward(self, x: Tensor) -> Tensor:
        """In training by the clips of all processes, else by the running averages."""
        if not self.training:
            return super().forward(x)
        y, mean, variance, count = _Normalise.apply(x, self.weight, self.bias, self.eps)
        with torch.no_grad():
            assert self.num_batches_tracked is not None and self.momentum is not None
            assert self.running_mean is not None and self.running_var is not None
            self.num_batches_tracked.add_(1)
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * (count / (count - 1)), self.momentum)
        return y


class _Normalise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """``x`` normalised, and the mean, variance (biased) and count of elements of a channel over all processes."""
        ctx.kind = x.dtype
        x = x.to(weight.dtype)
        mean, variance = torch.batch_norm_update_stats(x, None, None, 0.0)
        every = x.new_zeros(world(), 2 * x.shape[1] + 1)
        every[rank()] = torch.cat([mean, variance, x.new_tensor([x.numel() // x.shape[1]])])
        dist.all_reduce(every)  # of one row and zeros: gloo gathers more slowly
        means, variances, counts = every.split([len(mean), len(mean), 1], dim=1)
        count = counts.sum()
        share = counts / count
        mean = (share * means).sum(0)
        # Of means and variances, not of sums of squares, which lose the digits of a small variance.
        variance = (share * (variances + (means - mean).square())).sum(0)
        ctx.eps = eps
        ctx.save_for_backward(x, weight, mean, variance, count)
        ctx.mark_non_differentiable(mean, variance, count)
        y = torch.batch_norm(x, weight, bias, mean, variance, False, 0.0, eps, False)
        return y.to(ctx.kind), mean, variance, count

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, *_: Any) -> tuple[Tensor, Tensor, Tensor, None]:
        """Gradients: of ``x`` by the sums over all processes, of weight and bias by this process's clips alone."""
        x, weight, mean, variance, count = ctx.saved_tensors
        # With mean and variance taken for constants; grad_weight is then the sum of grad times the normalised x.
        grad_x, grad_weight, grad_bias = torch.ops.aten.native_batch_norm_backward(
            grad.to(x.dtype), x, weight, mean, variance, None, None, False, ctx.eps, [True, True, True]
        )
        sums = torch.stack([grad_weight, grad_bias])
        dist.all_reduce(sums)
        of_weight, of_bias = sums / count
        # What mean and variance add: -weight/std (of_bias + of_weight (x - mean)/std), linear in x.
        slope = -weight * of_weight / (variance + ctx.eps)
        level = -weight * of_bias / (variance + ctx.eps).sqrt() - slope * mean
        shape = (1, -1, *[1] * (x.dim() - 2))
        grad_x = grad_x.addcmul_(x, slope.view(shape)).add_(level.view(shape))
        return grad_x.to(ctx.kind), grad_weight, grad_bias, None
