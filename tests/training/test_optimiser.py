import copy
import io
import math

import adamp
import pytest
import torch
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode
from torch.optim.lr_scheduler import LambdaLR

import tdd.training.optimiser
from tdd.training.optimiser import AdamP, ema_

STEPS = 25
MATRICES = [(4, 6), (1, 5), (3, 1), (2, 3, 5), (6, 1, 3), (4, 3, 2, 3), (8, 4, 3, 3, 3), (1, 2, 3)]
VECTORS = [(7,), (1,), ()]
TOLERANCE = {torch.float32: {"rtol": 1e-5, "atol": 1e-7}, torch.float64: {"rtol": 1e-12, "atol": 1e-15}}


def projection(p, grad, delta=0.1):
    """What the rule of the paper says of one weight, in float64: "channel", "layer" or "none"."""
    if p.dim() < 2:
        return "none"
    p, grad = p.detach().double().flatten(1), grad.double().flatten(1)
    for name, x, y in (("channel", p, grad), ("layer", p.reshape(1, -1), grad.reshape(1, -1))):
        if torch.cosine_similarity(x, y).abs().max() < delta / math.sqrt(x.shape[1]):
            return name
    return "none"


def gradient(p, kind):
    """A gradient that makes ``projection`` say ``kind``."""
    p = p.detach()
    noise = torch.randn_like(p)
    if p.dim() < 2:
        return noise
    x, rows = p.flatten(1), noise.flatten(1)
    square = x.square().sum(1, keepdim=True)
    along = (rows * x).sum(1, keepdim=True) / square * x
    if kind == "channel":
        return (rows - along if x.shape[1] > 1 else torch.zeros_like(x)).view_as(p)
    if kind == "layer":  # along p in some channels, against it in one, so that the whole cancels
        share = torch.ones_like(square)
        share[0] = -square[1:].sum() / square[0]
        return (share * x + 0.1 * (rows - along)).view_as(p)
    return (x + 0.1 * rows).view_as(p)


def parameters(shapes, dtype=torch.float32, seed=0):
    torch.manual_seed(seed)
    return [torch.nn.Parameter(torch.randn(shape, dtype=dtype) + 0.1) for shape in shapes]


def pair(shapes, dtype=torch.float32, **options):
    """The package's optimiser and ours, on equal parameters."""
    ours, theirs = parameters(shapes, dtype), parameters(shapes, dtype)
    return AdamP(ours, **options), adamp.AdamP(theirs, **options)


def tensors(optimiser):
    return [p for group in optimiser.param_groups for p in group["params"]]


def give(optimisers, grads):
    for optimiser in optimisers:
        for p, grad in zip(tensors(optimiser), grads, strict=True):
            p.grad = None if grad is None else grad.clone()


def assert_same(ours, theirs):
    for p, q in zip(tensors(ours), tensors(theirs), strict=True):
        torch.testing.assert_close(p, q, **TOLERANCE[p.dtype])
        assert ours.state[p].keys() == theirs.state[q].keys()
        for key, value in ours.state[p].items():
            torch.testing.assert_close(value, theirs.state[q][key], **TOLERANCE[p.dtype])


@pytest.mark.parametrize("kind", ["channel", "layer", "none", "mixed"])
@pytest.mark.parametrize(("dtype", "block"), [(torch.float32, 1 << 18), (torch.float64, 60)])
def test_every_step_is_the_packages(monkeypatch, dtype, block, kind):
    """Whatever the tests decide, with matrices in one batch and with matrices cut into blocks of few rows."""
    monkeypatch.setattr(tdd.training.optimiser, "BLOCK_CPU", block)
    shapes = [s for s in MATRICES if s[0] > 1] if kind == "layer" else MATRICES
    kinds = ["channel", "none"] if kind == "mixed" else [kind]
    for weight_decay in (0.0, 0.1):
        optimisers = ours, theirs = pair(shapes + VECTORS, dtype, lr=0.01, weight_decay=weight_decay)
        for step in range(STEPS):
            asked = [kinds[(step + i) % len(kinds)] for i in range(len(shapes))] + ["none"] * len(VECTORS)
            grads = [gradient(q, k) for q, k in zip(tensors(theirs), asked, strict=True)]
            assert [projection(q, g) for q, g in zip(tensors(theirs), grads, strict=True)] == asked
            give(optimisers, grads)
            for optimiser in optimisers:
                optimiser.step()
            assert_same(ours, theirs)


@pytest.mark.parametrize("kind", ["channel", "layer"])
def test_projection_takes_the_radial_part_out(kind):
    """In float64 the step is orthogonal to the weight; without projection it is not."""
    for delta, orthogonal in ((0.1, True), (0.0, False)):
        p = parameters([(4, 6)], torch.float64)[0]
        before = p.detach().clone()
        p.grad = gradient(p, kind)
        AdamP([p], delta=delta).step()
        moved = (p.detach() - before) * before
        radial = moved.sum(1).abs().max() if kind == "channel" else moved.sum().abs()
        assert bool(radial < 1e-10) is orthogonal


def test_random_gradients_of_a_network_and_a_schedule_a_group():
    """Two groups, a rate each that changes every step, other betas, eps, delta and ratio, and weight decay in one."""
    ours, theirs = (
        kind(
            [
                {"params": parameters([(16, 8, 3, 3), (16,), (5, 16), (5,)], seed=1)},
                {"params": parameters([(12, 7), (12,), (3, 12, 1)], seed=2), "lr": 0.002, "weight_decay": 0.0},
            ],
            lr=0.01, betas=(0.8, 0.98), eps=1e-6, weight_decay=0.05, delta=0.3, wd_ratio=0.25,
        )
        for kind in (AdamP, adamp.AdamP)
    )  # fmt: skip
    schedules = [LambdaLR(o, [lambda step: (step + 1) / 10, lambda step: 0.9**step]) for o in (ours, theirs)]
    said = set()
    for _ in range(30):
        grads = [torch.randn_like(q) for q in tensors(theirs)]
        said |= {projection(q, g, delta=0.3) for q, g in zip(tensors(theirs), grads, strict=True)}
        give((ours, theirs), grads)
        for optimiser, schedule in zip((ours, theirs), schedules, strict=True):
            optimiser.step()
            schedule.step()
        assert_same(ours, theirs)
    assert {"layer", "none"} <= said


def test_parameters_without_a_gradient_stay_and_count_no_step():
    optimisers = ours, theirs = pair([(4, 6), (3, 2, 2), (5,), (2, 2)], lr=0.01, weight_decay=0.1)
    unused = tensors(ours)[3].detach().clone()
    for step in range(STEPS):
        grads = [gradient(q, "none") for q in tensors(theirs)]
        grads[step % 3] = grads[3] = None  # each of the others has a gradient two steps in three, in different ones
        give(optimisers, grads)
        for optimiser in optimisers:
            optimiser.step()
        if step > 2:
            assert_same(ours, theirs)
    assert torch.equal(tensors(ours)[3], unused) and not ours.state[tensors(ours)[3]]
    assert [ours.state[p]["step"] for p in tensors(ours)[:3]] == [16, 17, 17]


def test_zero_weights_and_zero_gradients_stay_finite():
    optimisers = ours, theirs = pair([(4, 6), (2, 3, 3)], lr=0.01, weight_decay=0.1)
    with torch.no_grad():
        for p, q in zip(tensors(ours), tensors(theirs), strict=True):
            p[0] = q[0] = 0
    for grads in ([torch.zeros_like(p) for p in tensors(ours)], [torch.randn_like(p) for p in tensors(ours)]):
        give(optimisers, grads)
        for optimiser in optimisers:
            optimiser.step()
        assert_same(ours, theirs)
        assert all(p.isfinite().all() for p in tensors(ours))


def test_a_gradient_in_another_layout_is_read_by_its_indices():
    optimisers = ours, theirs = pair([(4, 6), (2, 3, 4, 4)])
    for p, q in zip(tensors(ours), tensors(theirs), strict=True):
        p.grad = torch.randn(p.shape[::-1]).permute(*reversed(range(p.dim())))
        q.grad = p.grad.contiguous()  # the package refuses any other
    for optimiser in optimisers:
        optimiser.step()
    assert_same(ours, theirs)


def test_state_goes_through_a_file_bit_for_bit():
    shapes = [(4, 6), (2, 3, 5), (7,)]
    whole = AdamP(parameters(shapes), lr=0.01, weight_decay=0.1)
    for _ in range(3):
        give([whole], [torch.randn_like(p) for p in tensors(whole)])
        whole.step()
    resumed = AdamP([p.detach().clone().requires_grad_() for p in tensors(whole)])
    file = io.BytesIO()
    torch.save(whole.state_dict(), file)
    file.seek(0)
    resumed.load_state_dict(torch.load(file, weights_only=True))
    for _ in range(3):
        give([whole, resumed], [torch.randn_like(p) for p in tensors(whole)])
        whole.step()
        resumed.step()
    assert resumed.param_groups[0]["lr"] == 0.01
    for p, q in zip(tensors(whole), tensors(resumed), strict=True):
        assert torch.equal(p, q)
        assert all(torch.equal(whole.state[p][key], resumed.state[q][key]) for key in ("exp_avg", "exp_avg_sq"))
        assert whole.state[p]["step"] == resumed.state[q]["step"] == 6


def test_state_of_the_package_is_taken_up():
    optimisers = ours, theirs = pair([(4, 6), (7,)], lr=0.01)
    give([theirs], [torch.randn_like(q) for q in tensors(theirs)])
    theirs.step()
    with torch.no_grad():
        for p, q in zip(tensors(ours), tensors(theirs), strict=True):
            p.copy_(q)
    ours.load_state_dict(copy.deepcopy(theirs.state_dict()))
    give(optimisers, [torch.randn_like(q) for q in tensors(theirs)])
    for optimiser in optimisers:
        optimiser.step()
    assert_same(ours, theirs)


def test_no_value_is_read_on_the_host():
    """Fake tensors have no values: the package's step, which reads some, fails on them."""
    with FakeTensorMode():
        for kind in (AdamP, adamp.AdamP):
            optimiser = kind(parameters([(4, 6), (8, 4, 3, 3, 3), (7,)]), weight_decay=0.1)
            give([optimiser], [torch.randn_like(p) for p in tensors(optimiser)])
            if kind is AdamP:
                optimiser.step()
                optimiser.step()
            else:
                with pytest.raises(DataDependentOutputException):
                    optimiser.step()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("kind", ["channel", "layer", "none"])
def test_steps_on_cuda_are_those_on_the_cpu_and_wait_for_nothing(monkeypatch, kind):
    monkeypatch.setattr(tdd.training.optimiser, "BLOCK_DEVICE", 100)
    shapes = [s for s in MATRICES if s[0] > 1] + VECTORS
    here = AdamP(parameters(shapes), weight_decay=0.1)
    there = AdamP([p.detach().cuda().requires_grad_() for p in tensors(here)], weight_decay=0.1)
    for _ in range(STEPS):
        grads = [gradient(p, kind) for p in tensors(here)]
        give([here], grads)
        give([there], [grad.cuda() for grad in grads])
        here.step()
        torch.cuda.set_sync_debug_mode("error")
        try:
            there.step()
        finally:
            torch.cuda.set_sync_debug_mode("default")
        for p, q in zip(tensors(here), tensors(there), strict=True):
            torch.testing.assert_close(p, q.cpu(), **TOLERANCE[torch.float32])


def test_a_closure_is_called_with_gradients_on():
    p = parameters([(3, 4)])[0]
    optimiser = AdamP([p])

    def closure():
        optimiser.zero_grad()
        loss = p.square().sum()
        loss.backward()
        return loss

    before = float(p.detach().square().sum())
    assert optimiser.step(closure).item() == pytest.approx(before)
    assert closure().item() < before


@pytest.mark.parametrize("eps", [0.0, -1e-8, math.nan])
def test_eps_must_be_above_zero(eps):
    with pytest.raises(ValueError, match="above zero"):
        AdamP(parameters([(2, 2)]), eps=eps)


def test_sparse_gradients_and_strided_parameters_are_refused():
    sparse, strided = parameters([(3, 2)])[0], torch.nn.Parameter(torch.randn(4, 3).t())
    sparse.grad, strided.grad = torch.ones(3, 2).to_sparse(), torch.ones(3, 4)
    for p in (sparse, strided):
        with pytest.raises(RuntimeError, match="contiguous parameters with dense"):
            AdamP([p]).step()


def test_ema_is_lerp_tensor_by_tensor():
    slow, fast = parameters([(4, 6), (2, 3, 5), (7,), ()], seed=1), parameters([(4, 6), (2, 3, 5), (7,), ()], seed=2)
    for momentum in (0.0, 0.3, 0.99, 1.0):
        expected = [s.detach().lerp(f.detach(), 1 - momentum) for s, f in zip(slow, fast, strict=True)]
        ema_(slow, fast, momentum)
        assert all(torch.equal(s, e) for s, e in zip(slow, expected, strict=True))


def test_ema_refuses_lists_that_do_not_match():
    for fast in ([(2, 2)], [(2, 2), (4,)]):
        with pytest.raises(RuntimeError):
            ema_(parameters([(2, 2), (3,)]), parameters(fast), 0.9)
