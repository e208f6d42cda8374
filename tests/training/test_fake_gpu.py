"""Steps of both stages on tensors that claim to be on a GPU, where there is none: nothing there may wait for it.

``FakeTensorMode`` gives tensors a device, shapes and types, and no values. It refuses operators on tensors of two
devices and those that tell the host a value (``.item()``, ``bool()``, a boolean mask as index), and ``Waiting`` copies
that wait. Two things of a GPU it cannot carry without one: cuDNN's recurrent layers ask for the driver, so the native
ones stand for them, and autograd's backward pass asks for the GPU's streams, so that of the same step goes over fake
tensors on the CPU.
"""

import copy
import functools

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensor,
    FakeTensorMode,
)
from torch.utils._python_dispatch import TorchDispatchMode

import tdd.data.audio
import tdd.data.augment
import tdd.detect
import tdd.models.backbones.csn
import tdd.pretrain
from tdd.config import load_recipe, override
from tdd.data.audio import N_FFT, N_MELS, log_mel
from tdd.data.augment import normalise, views
from tdd.data.clips import EpochBatches, PretrainingClips, ScoredClips, in_order, loader
from tdd.data.loading import _moved
from tdd.detect import Detection, training_clips
from tdd.evaluation.evaluate import evaluation_clips, score_clips
from tdd.models import BACKBONES
from tdd.pretrain import Pretraining
from tdd.records.rows import Row
from tdd.weights import checkpoints
from tdd.weights.checkpoints import Weights
from tests.stores import random_store

aten = torch.ops.aten
SMALL = {
    "model.backbones.vivit": {"patch": 16, "dim": 16, "depth": 1},
    "model.backbones.cnn_gru_attention": {"widths": [4, 8], "hidden": 8, "out_channels": 16},
    "model.backbones.cnn_lstm": {"widths": [4, 8], "hidden": 8, "out_channels": 16},
    "stage1.batch_size": 4, "stage2.batch_size": 4, "stage2.real_per_labelled": 1.0,
    "clip.frames": 4, "noise.time_mask_frames": 2,
}  # fmt: skip
RECIPE = override(load_recipe("tiny"), SMALL)
REALS = 5
"""Real clips of a batch, which the host knows."""

CASES = [(backbone, torch.bfloat16) for backbone in BACKBONES] + [("vivit", torch.float32)]


class WaitingError(Exception):
    """The host waits until the device has done all that it was given."""


class Waiting(TorchDispatchMode):
    """Refuses copies between devices that wait, and counts for the host what it may: the reals, of labels it holds."""

    def __init__(self, copies=False):
        super().__init__()
        self.copies = copies

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func is aten.nonzero.default and args[0].device.type == "cpu" and args[0].dim() == 1:
            return args[0].new_empty((REALS, 1), dtype=torch.int64)
        if func is aten._thnn_fused_gru_cell.default:  # alone among these it has no rule for fakes
            gates, _, hidden = args[:3]
            assert len({x.device for x in args if x is not None}) == 1
            return torch.empty_like(hidden), gates.new_empty(len(hidden), 5 * hidden.shape[1])
        out = func(*args, **kwargs)
        if func in (aten._to_copy.default, aten.copy_.default):
            places = {x.device.type for x in (*args, out) if isinstance(x, torch.Tensor)}
            aside = kwargs.get("non_blocking") or (func is aten.copy_.default and len(args) > 2 and args[2])
            if len(places) > 1 and not aside and not self.copies:
                raise WaitingError(f"a copy between {' and '.join(sorted(places))}")
        return out


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return random_store(tmp_path_factory.mktemp("store"), faces=4, videos=3)


def copied(fake, memo):
    """A teacher is a copy of its student; torch's own copy of a fake copies the mode that made it, too."""
    new = fake.detach().clone()
    memo[id(fake)] = new = nn.Parameter(new, fake.requires_grad) if isinstance(fake, nn.Parameter) else new
    return new


@pytest.fixture
def fakes(monkeypatch):
    """What of the package has to be told that tensors have no values."""
    monkeypatch.setattr(FakeTensor, "__deepcopy__", copied)
    monkeypatch.setattr(torch.cuda.amp.common, "amp_definitely_not_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    monkeypatch.setattr(tdd.detect, "load_part", lambda module, state, _: module.load_state_dict(state))
    monkeypatch.setattr(tdd.models.backbones.csn, "three_taps", tdd.models.backbones.csn.grouped)  # as on a GPU
    # Constants that a device keeps from the first step on; torchaudio looks at what it makes of them.
    kept = {
        (tdd.data.audio, "_window_and_bank"): ((N_FFT,), (N_FFT // 2 + 1, N_MELS)),
        (tdd.data.augment, "_levels"): ((1, 3, 1, 1, 1),) * 2,
    }
    for (module, name), shapes in kept.items():
        one = [functools.partial(torch.empty, shape) for shape in shapes]
        monkeypatch.setattr(module, name, lambda device, one=one: [make(device=device) for make in one])


def batches(store):
    """What a loader gives for a GPU: of stage 1, of stage 2, and of clips to score."""
    faces = store.index[(store.index["dataset"] == "LRW") & (store.index["split"] == "train")]
    clips = PretrainingClips(store, faces, RECIPE, train=True, raw=True)
    first = next(iter(loader(clips, EpochBatches(len(clips), 4, 0), RECIPE)))
    second = {name: next(iter(one)) for name, one in training_clips(store, RECIPE, 0, raw=True).loaders.items()}
    scored = ScoredClips(store, evaluation_clips(store, RECIPE), RECIPE, raw=True)
    return first, second, next(iter(loader(scored, in_order(3, 3), RECIPE)))


def faked(mode, batch, device):
    """A batch without values, moved as a run moves it."""
    fakes = {
        name: faked(mode, part, device) if isinstance(part, dict) else mode.from_tensor(part)
        for name, part in batch.items()
    }
    return _moved(fakes, torch.device(device))


def both_stages(backbone, device):
    """Both stages of a fresh run on a device, the second from the weights of the first.

    Weights are looked at when they are loaded, before any step: fakes have nothing to look at.
    """
    with torch.device(device), pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoints, "check_part", lambda *_: None)
        first = Pretraining(backbone, RECIPE, 4, 1).train()
        weights = Weights("stage1", backbone, copy.deepcopy(first.parts()), {}, None)
        second = Detection(Row("row", "a row", backbone, 0.3), RECIPE, 0.0, 1, weights).train()
    return first, second


def step(stage, batch, device, precision):
    """An optimiser step, with all that the loop does in it but to look whether the loss is finite."""
    optimiser, schedule = stage.configure_optimisers()
    with autocast(device, precision):
        loss = stage.training_step(batch, 0)
    assert loss.device.type == device and loss.dtype == torch.float32 and loss.requires_grad
    if device == "cpu":
        loss.backward()
    trained = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    for parameter in trained if device != "cpu" else ():
        parameter.grad = torch.empty_like(parameter)
    optimiser.step()
    optimiser.zero_grad()
    schedule.step()
    assert trained and all(optimiser.state[parameter]["exp_avg"].device.type == device for parameter in trained)
    assert stage._sums and all(total.device.type == device for total in stage._sums.values())


def autocast(device, precision):
    return torch.autocast(device, precision, enabled=precision != torch.float32)


def in_fakes(store, backbone, device, precision):
    """A step of both stages; on a GPU their validation and scoring too."""
    given = batches(store)
    with FakeTensorMode() as mode, torch.backends.cudnn.flags(enabled=False):
        pretraining, detection = both_stages(backbone, device)
        first, second, scored = (faked(mode, batch, device) for batch in given)
        with Waiting():
            step(pretraining, first, device, precision)
            step(detection, second, device, precision)
        if device == "cpu":
            return
        with torch.no_grad(), autocast(device, precision):
            with Waiting(copies=True):  # each batch leaves the device as it comes
                pretraining.eval().validation_step(first)
            with Waiting():
                detection.eval().validation_step(scored)
                video = normalise(views(scored, RECIPE.clip)["video"])
                kept = torch.float32 if backbone == "vivit" else precision  # its tokens are added up in float32
                assert detection.detector.backbone(video).dtype == kept
        with torch.inference_mode(), Waiting():
            logits = detection.detector(normalise(views(scored, RECIPE.clip)["video"]))
        assert logits.device.type == device


@pytest.mark.usefixtures("fakes")
@pytest.mark.parametrize(("backbone", "precision"), CASES)
def test_nothing_of_a_step_waits_for_the_gpu_or_meets_a_tensor_of_the_cpu(store, backbone, precision):
    in_fakes(store, backbone, "cuda", precision)


@pytest.mark.usefixtures("fakes")
@pytest.mark.parametrize("backbone", [
    pytest.param(name, marks=pytest.mark.slow if name in ("csn", "cnn_lstm") else ()) for name in BACKBONES
])  # fmt: skip
def test_no_backward_pass_tells_the_host_a_value(store, backbone):
    in_fakes(store, backbone, "cpu", torch.bfloat16)


FAULTS = {
    "a value read": (lambda video: video * video.mean().item(), DataDependentOutputException),
    "a test of a value": (lambda video: video if video.amax() > 0 else -video, DataDependentOutputException),
    "a mask as index": (lambda video: video[video.mean((1, 2, 3, 4)) > 0], DynamicOutputShapeException),
    "a tensor of the CPU": (lambda video: video + torch.ones(video.shape[-1]), RuntimeError),
    "numbers brought in the step": (lambda video: video * torch.tensor([1.0], device=video.device), WaitingError),
    "a tensor taken out": (lambda video: video + video.cpu().to(video.device, non_blocking=True), WaitingError),
}


@pytest.mark.usefixtures("fakes")
@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_seen(store, monkeypatch, fault):
    """The tests above would fail, were one of these in a step."""
    spoil, expected = FAULTS[fault]
    mask = tdd.detect.mask_video
    monkeypatch.setattr(tdd.detect, "mask_video", lambda video, *how: spoil(mask(video, *how)))
    given = batches(store)[1]
    with FakeTensorMode() as mode:
        stage, batch = both_stages("vivit", "cuda")[1], faked(mode, given, "cuda")
        with Waiting(), pytest.raises(expected):
            stage.training_step(batch, 0)


def test_scores_are_read_when_all_clips_have_gone_to_the_device(store):
    """To read them batch by batch would leave a GPU without work while the next batch comes."""
    said = []

    class Logits(torch.Tensor):
        def float(self):
            said.append("read")
            return super().float()

    class Detector(nn.Linear):
        def forward(self, video):
            said.append("given")
            return video.mean((1, 2, 3, 4)).as_subclass(Logits)

    clips = evaluation_clips(store, RECIPE)
    small = override(RECIPE, {"evaluation.batch_size": 8})
    scored = score_clips(Detector(1, 1), store, clips, small)
    count = len(in_order(len(clips), 8))
    assert said == ["given"] * count + ["read"] * count and count > 2
    assert scored["logit"].nunique() > 2


def test_constants_that_scoring_kept_serve_training_too():
    """Tensors of inference mode may not enter what a backward pass keeps."""
    video = torch.zeros(1, 3, 1, 4, 4, dtype=torch.uint8)
    with torch.inference_mode():
        normalise(video)
        log_mel(torch.zeros(1, 640))
    weight = torch.ones(1, requires_grad=True)
    (normalise(video).mean() * weight + log_mel(torch.zeros(1, 640)).mean() * weight).sum().backward()
    assert weight.grad is not None
