"""AdamP and the teachers' moving average, over lists of tensors and without reading a value on the host."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

BLOCK_CPU, BLOCK_DEVICE = 1 << 18, 1 << 24
"""Elements worked on at a time: on the CPU few enough to stay in its cache from one operation to the next, and in
memory that the allocator keeps; elsewhere enough to fill a GPU."""

Columns = tuple[list[Tensor], list[Tensor], list[Tensor], list[Tensor]]
"""Parameters, their gradients, averages of these and of their squares, in one order."""


class AdamP(Optimizer):
    """Adam that does not lengthen scale-invariant weights (Heo et al., ICLR 2021, arXiv 2006.08217).

    The steps are those of the authors' package ``adamp``, to rounding. A weight p of shape (channels, ...) counts as
    scale-invariant when its gradient g is nearly orthogonal to it: |cos(g, p)| < ``delta`` / sqrt(elements), in every
    channel or else over the whole tensor. The part of Adam's step along p, in each channel or as a whole, is then
    taken out, and weight decay acts at ``wd_ratio`` of its strength. Tensors of fewer than two dimensions get Adam's
    step with decoupled weight decay.

    The package reads the outcome of each test on the host, once or twice a weight; here all tests stay on the device.
    The state has the keys of the package's: ``step`` (an int), ``exp_avg`` and ``exp_avg_sq``.

    Args:
        params: contiguous tensors, or parameter groups of them.
        lr: learning rate.
        betas: decay rates of the averages of gradients and of their squares.
        eps: added to denominators, and the least norm; above zero.
        weight_decay: decoupled; multiplied by ``lr``.
        delta: threshold of the cosine tests.
        wd_ratio: factor on the weight decay of projected weights.

    Raises:
        ValueError: ``eps`` is not above zero.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        delta: float = 0.1,
        wd_ratio: float = 0.1,
    ) -> None:
        if not eps > 0:
            raise ValueError(f"AdamP: eps must be above zero, not {eps}.")
        numbers = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, numbers | {"delta": delta, "wd_ratio": wd_ratio})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Move every parameter that has a gradient by one step.

        Args:
            closure: computes the loss and its gradients anew.

        Returns:
            what ``closure`` returned.

        Raises:
            RuntimeError: a gradient is sparse, or a parameter not contiguous.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            alike: dict[tuple[Any, ...], Columns] = {}
            for p in group["params"]:
                if p.grad is None:
                    continue
                if p.grad.is_sparse or not p.is_contiguous():
                    raise RuntimeError("AdamP takes contiguous parameters with dense gradients.")
                state = self.state[p]
                if not state:
                    state.update(step=0, exp_avg=torch.zeros_like(p), exp_avg_sq=torch.zeros_like(p))
                state["step"] += 1
                columns = alike.setdefault((state["step"], p.dim() > 1, p.device, p.dtype), ([], [], [], []))
                tensors = (p, p.grad.contiguous(), state["exp_avg"], state["exp_avg_sq"])
                for column, tensor in zip(columns, tensors, strict=True):
                    column.append(tensor if p.dim() <= 2 else tensor.view(p.shape[0], -1))
            for (count, is_matrix, *_), columns in alike.items():
                if is_matrix:
                    _projected_step(group, count, columns)
                else:
                    _adam_step(group, count, columns, group["weight_decay"])
        return loss


def _adam_step(group: dict[str, Any], count: int, columns: Columns, weight_decay: float) -> None:
    """Update the averages and then the parameters, as Adam does in its step number ``count``."""
    counter = torch.full((), float(count), device=columns[0][0].device)
    torch._fused_adamw_(
        *columns, [], [counter] * len(columns[0]), lr=group["lr"], beta1=group["betas"][0], beta2=group["betas"][1],
        weight_decay=weight_decay, eps=group["eps"], amsgrad=False, maximize=False,
    )  # fmt: skip


def _projected_step(group: dict[str, Any], count: int, columns: Columns) -> None:
    """Step number ``count`` of matrices (channels, elements) of one device and type.

    With d Adam's step, the package's rule is p <- p (1 - decay) + d - p (p . d) / (|p| + eps)^2: a factor on each
    channel of p, and d. The factors follow from four numbers a channel, taken in a first pass; the tests concern whole
    weights, so p moves in a second one.
    """
    batches = list(_batches(columns))
    steps: list[list[Tensor]] = []
    norm_g: list[Tensor] = []
    norm_p: list[Tensor] = []
    g_dot_p: list[Tensor] = []
    p_dot_d: list[Tensor] = []
    for params, grads, averages, squares in batches:
        d = [torch.zeros_like(p) for p in params]
        _adam_step(group, count, (d, grads, averages, squares), 0.0)  # from zero, so it leaves the step itself
        steps.append(d)
        norm_g += [torch.linalg.vector_norm(g, dim=1) for g in grads]
        norm_p += [torch.linalg.vector_norm(p, dim=1) for p in params]
        g_dot_p += [x.sum(1) for x in torch._foreach_mul(grads, params)]
        p_dot_d += [x.sum(1) for x in torch._foreach_mul(params, d)]

    shapes = [p.shape for p in columns[0]]
    numbers = (torch.cat(x) for x in (norm_g, norm_p, g_dot_p, p_dot_d))
    factors = iter(_factors(group, shapes, *numbers).unsqueeze(1).split([len(x) for x in norm_p]))
    for (params, *_), d in zip(batches, steps, strict=True):
        torch._foreach_mul_(params, [next(factors) for _ in params])
        torch._foreach_add_(params, d)


def _batches(columns: Columns) -> Iterator[Columns]:
    """The same matrices in batches of a block's size at most, larger matrices cut between rows; a row stays whole."""
    block = BLOCK_CPU if columns[0][0].device.type == "cpu" else BLOCK_DEVICE
    batch: Columns = ([], [], [], [])
    room = block
    for matrices in zip(*columns, strict=True):
        height, width = matrices[0].shape
        rows = max(1, block // width)
        for parts in zip(*(x.split(rows) for x in matrices), strict=True) if height > rows else [matrices]:
            size = parts[0].numel()
            if batch[0] and size > room:
                yield batch
                batch, room = ([], [], [], []), block
            room -= size
            for column, part in zip(batch, parts, strict=True):
                column.append(part)
    yield batch


def _factors(
    group: dict[str, Any],
    shapes: Sequence[torch.Size],
    norm_g: Tensor,
    norm_p: Tensor,
    g_dot_p: Tensor,
    p_dot_d: Tensor,
) -> Tensor:
    """What each channel of the weights is multiplied by: weight decay and projection.

    Args:
        group: the options.
        shapes: (channels, elements) of each weight.
        norm_g: shape (all channels of all weights,), as all below: norm of the gradient.
        norm_p: norm of the weight.
        g_dot_p: product of gradient and weight.
        p_dot_d: product of weight and Adam's step.
    """
    eps, decay = group["eps"], group["lr"] * group["weight_decay"]
    device, weights = norm_g.device, len(shapes)
    limits = torch.tensor(
        [[group["delta"] / math.sqrt(n) for _, n in shapes], [group["delta"] / math.sqrt(s.numel()) for s in shapes]],
        dtype=norm_g.dtype,
    )
    # A plain copy to a GPU waits for all that is queued there. These need not: CUDA sets pageable memory aside first.
    channel_limit, layer_limit = limits.to(device, non_blocking=True)
    channels = torch.tensor([n for n, _ in shapes]).to(device, non_blocking=True)
    owner = torch.arange(weights, device=device).repeat_interleave(channels, output_size=len(norm_g))

    cosines = g_dot_p.abs() / norm_g.clamp_min(eps) / norm_p.clamp_min(eps)
    by_channel = cosines.new_zeros(weights).scatter_reduce(0, owner, cosines, "amax") < channel_limit
    sums = torch.stack([norm_g.square(), norm_p.square(), g_dot_p, p_dot_d])
    sums = sums.new_zeros(4, weights).index_add(1, owner, sums)
    layer_norm_g, layer_norm_p = sums[:2].sqrt()
    cosine = sums[2].abs() / layer_norm_g.clamp_min(eps) / layer_norm_p.clamp_min(eps)
    projected = (by_channel | (cosine < layer_limit))[owner]

    by_channel = by_channel[owner]
    norm = torch.where(by_channel, norm_p, layer_norm_p[owner]) + eps
    dot = torch.where(by_channel, p_dot_d, sums[3][owner])
    return torch.where(projected, 1 - decay * group["wd_ratio"] - dot / norm / norm, 1 - decay)


@torch.no_grad()
def ema_(slow: Sequence[Tensor], fast: Sequence[Tensor], momentum: float) -> None:
    """Move each tensor of ``slow`` to momentum x slow + (1 - momentum) x fast, in place.

    Args:
        slow: the averages.
        fast: what they follow: as many tensors, of the same shapes.
        momentum: share of the old average.

    Raises:
        RuntimeError: the lists are empty, or their lengths or shapes differ.
    """
    torch._foreach_lerp_(list(slow), list(fast), 1 - momentum)
