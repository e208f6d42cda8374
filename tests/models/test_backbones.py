"""The four backbones: one contract, the paper's sizes, what each step sees, and bad input."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tdd.errors import TddError
from tdd.models import BACKBONES, accepted_arguments, build_backbone
from tdd.models.backbones.cnn_gru_attention import CnnGruAttention, TemporalAttention
from tdd.models.backbones.csn import DepthwiseConv, grouped, three_taps
from tdd.models.backbones.frames import ConvStem, TimeAxis, to_sequence
from tdd.models.backbones.vivit import Vivit

SMALL: dict[str, dict[str, Any]] = {
    "csn": {"stages": (1, 2, 1, 1), "width": 4},
    "cnn_lstm": {"input_size": 24, "widths": (4, 6, 8), "hidden": 8, "out_channels": 12},
    "cnn_gru_attention": {"input_size": 24, "widths": (4, 4, 6, 8), "hidden": 8, "out_channels": 12},
    "vivit": {"input_size": 24, "patch": 8, "frames": 6, "dim": 16, "depth": 2, "heads": 2, "head_size": 3},
}


def _video(batch: int = 2, frames: int = 6, size: int = 24) -> Tensor:
    return torch.randn(batch, 3, frames, size, size, generator=torch.Generator().manual_seed(7))


def _small(name: str, **changes: Any) -> torch.nn.Module:
    torch.manual_seed(3)
    return build_backbone(name, **{**SMALL[name], **changes})


def test_every_backbone_has_a_small_version_here() -> None:
    assert set(SMALL) == set(BACKBONES)


@pytest.mark.parametrize("frames", [1, 5, 6, 11])
@pytest.mark.parametrize("name", SMALL)
def test_contract(name: str, frames: int) -> None:
    network = _small(name).train()
    features = network(_video(frames=frames))
    assert features.shape == (2, network.out_channels, frames)
    assert features.dtype == torch.float32
    features.square().mean().backward()
    for parameter, value in network.named_parameters():
        assert value.grad is not None, parameter
        assert torch.isfinite(value.grad).all(), parameter


@pytest.mark.parametrize("name", SMALL)
def test_a_clip_has_the_same_features_alone_and_in_a_batch(name: str) -> None:
    network, video = _small(name).eval(), _video(batch=3)
    together = network(video)
    alone = torch.cat([network(clip) for clip in video.split(1)])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("csn", 21_394_176),
        ("cnn_lstm", 107_244_288),
        ("cnn_gru_attention", 44_689_664),
        ("vivit", 2_481_188 - (2 * 512 + 500 * 512 + 500)),  # without the classifier its features never pass
    ],
)
def test_parameter_counts_of_the_paper(name: str, count: int) -> None:
    with torch.device("meta"):
        network = build_backbone(name)
    assert sum(parameter.numel() for parameter in network.parameters()) == count


@pytest.mark.parametrize("size", [24, 27])
def test_stem_is_convolution_relu_and_max_pool(size: int) -> None:
    torch.manual_seed(0)
    stem, video = ConvStem((4, 6)), _video(size=size)
    expected = video
    for conv in stem.convs:
        expected = F.max_pool3d(F.relu(conv(expected)), (1, 2, 2))
    torch.testing.assert_close(stem(video), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("widths", [(2, 2, 48), (2, 2, 2, 48)])
@pytest.mark.parametrize("time_axis", ["per_frame", "as_released"])
def test_which_steps_see_which_frames(widths: tuple[int, ...], time_axis: TimeAxis) -> None:
    """Finding A1: one frame reaches the steps near it, or, with the axis unmoved, every step."""
    torch.manual_seed(0)
    frames = 24
    stem = ConvStem(widths)
    with torch.no_grad():  # with positive weights and pixels no ReLU blocks a gradient, so the reach is exact
        for parameter in stem.parameters():
            parameter.abs_()
    video = (_video(1, frames, size=16).abs() + 0.1).requires_grad_()
    steps = to_sequence(stem(video), time_axis)

    sees = torch.zeros(frames, frames, dtype=torch.bool)  # [step, frame]
    for step in range(frames):
        (gradient,) = torch.autograd.grad(steps[0, step].sum(), video, retain_graph=True)
        sees[step] = gradient[0].abs().sum(dim=(0, 2, 3)) > 0

    reach = len(widths)  # one frame to each side per convolution
    near = (torch.arange(frames)[:, None] - torch.arange(frames)).abs() <= reach
    assert torch.equal(sees, near if time_axis == "per_frame" else torch.ones_like(near))


@pytest.mark.parametrize("name", ["cnn_lstm", "cnn_gru_attention"])
def test_time_axis_changes_the_features_and_not_the_parameters(name: str) -> None:
    per_frame, released = _small(name).eval(), _small(name, time_axis="as_released").eval()
    released.load_state_dict(per_frame.state_dict(), strict=True)
    assert not torch.allclose(per_frame(_video()), released(_video()), atol=1e-3)


def test_attention_map() -> None:
    network = _small("cnn_gru_attention")
    assert isinstance(network, CnnGruAttention)
    weights = network.attention_map(_video(frames=7))
    assert weights.shape == (2, 7, 7)
    torch.testing.assert_close(weights.sum(dim=2), torch.ones(2, 7))


def test_attention_against_its_formula() -> None:
    torch.manual_seed(0)
    attention, x = TemporalAttention(8, 4).double(), torch.randn(2, 8, 5, dtype=torch.float64)
    out, weights = attention(x)
    query, key, value = (part(x) for part in (attention.query, attention.key, attention.value))
    for clip in range(2):
        for step in range(5):
            scores = torch.stack([query[clip, :, step] @ key[clip, :, other] for other in range(5)])
            share = scores.exp() / scores.exp().sum()
            torch.testing.assert_close(weights[clip, step], share)
            torch.testing.assert_close(out[clip, :, step], x[clip, :, step] + value[clip] @ share)


def test_without_attention_there_is_no_map_and_no_extra_parameter() -> None:
    network = _small("cnn_gru_attention", attention=False)
    assert isinstance(network, CnnGruAttention)
    assert not [name for name, _ in network.named_parameters() if name.startswith("attention")]
    assert network(_video()).shape == (2, 12, 6)
    with pytest.raises(TddError, match="attention=False"):
        network.attention_map(_video())


def test_recurrent_layers_of_the_ablation() -> None:
    gru, lstm, none = (_small("cnn_gru_attention", recurrent=kind) for kind in ("gru", "lstm", "none"))
    names = [{name.partition(".")[0] for name, _ in network.named_parameters()} for network in (gru, lstm, none)]
    assert names == [{"stem", layer, "attention", "out"} for layer in ("gru", "lstm", "linear")]
    sizes = [sum(p.numel() for n, p in net.named_parameters() if n.startswith(("gru", "lstm"))) for net in (gru, lstm)]
    assert sizes[1] * 3 == sizes[0] * 4  # three gates and four
    assert lstm(_video()).shape == none(_video()).shape == (2, 12, 6)


def test_without_a_recurrent_layer_and_attention_a_frame_reaches_only_the_convolutions_neighbours() -> None:
    frames = 24
    for recurrent, everywhere in (("none", False), ("gru", True)):
        network = _small("cnn_gru_attention", recurrent=recurrent, attention=False).eval()
        video = _video(1, frames)
        changed = video.clone()
        changed[:, :, 12] += 1
        moved = (network(changed) - network(video)).abs().amax(dim=(0, 1)) > 1e-7
        near = (torch.arange(frames) - 12).abs() <= 4  # one frame to each side per convolution
        assert bool(moved[~near].any()) is everywhere and moved[12]


@pytest.mark.parametrize("frames", [1, 2, 5])
@pytest.mark.parametrize("stride", [1, 2])
def test_depthwise_is_a_three_dimensional_convolution(frames: int, stride: int) -> None:
    torch.manual_seed(0)
    conv = DepthwiseConv(4, stride)
    torch.nn.init.normal_(conv.weight)
    maps = torch.randn(3, 4, frames, 9, 9)
    expected = F.conv3d(maps, conv.weight, stride=(1, stride, stride), padding=1, groups=4)
    frames_first = conv(maps.permute(2, 0, 1, 3, 4).flatten(0, 1), batch=3)
    torch.testing.assert_close(frames_first.unflatten(0, (frames, 3)).permute(1, 2, 0, 3, 4), expected)


def test_csn_sees_as_far_as_its_convolutions_and_takes_any_size() -> None:
    network = _small("csn", stages=(1, 1, 1, 1)).eval()
    for block in network.blocks:
        torch.nn.init.ones_(block.expand_norm.weight)  # untrained, a branch gives nothing: see the next test
    video = torch.randn(1, 3, 16, 20, 37)
    changed = video.clone()
    changed[:, :, 15] += 1
    moved = (network(video) - network(changed)).abs().amax(dim=1)[0] > 0
    assert moved.tolist() == [False] * 10 + [True] * 6  # frame 15 and, for stem and four blocks, five before it


def test_csn_starts_with_the_shortcuts_alone() -> None:
    network = _small("csn", stages=(1, 1, 1, 1)).eval()
    block = network.blocks[0]
    maps = torch.randn(6, block.reduce.in_channels, 8, 8)
    torch.testing.assert_close(block(maps, batch=2), F.relu(block.shortcut(maps)))


def test_vivit_without_positions_treats_frames_alike() -> None:
    network = _small("vivit").eval()
    assert isinstance(network, Vivit)
    torch.nn.init.zeros_(network.position)
    video, order = _video(), torch.tensor([3, 0, 5, 1, 4, 2])
    torch.testing.assert_close(network(video[:, :, order]), network(video)[:, :, order], rtol=1e-4, atol=1e-5)


def test_vivit_sees_every_patch_of_its_frame() -> None:
    network, video = _small("vivit").eval(), _video(batch=1).requires_grad_()
    network(video).square().sum().backward()
    assert (video.grad != 0).float().mean() > 0.99


def test_unknown_names_are_refused_with_the_known_ones() -> None:
    with pytest.raises(TddError, match="cnn_gru_attention, cnn_lstm, csn, vivit"):
        build_backbone("resnet")
    with pytest.raises(TddError, match=r"csn takes no argument depth; it takes stages, width, stem_stride\."):
        build_backbone("csn", depth=3)
    assert accepted_arguments("csn") == ("stages", "width", "stem_stride")


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("cnn_lstm", {"input_size": 7}, "input_size >= 8"),
        ("cnn_gru_attention", {"widths": (8, 0)}, "widths"),
        ("cnn_gru_attention", {"widths": ()}, "widths"),
        ("cnn_gru_attention", {"hidden": 6, "attention_reduction": 8}, "attention_reduction must divide"),
        ("cnn_gru_attention", {"recurrent": "rnn"}, "'gru', 'lstm' or 'none'; got 'rnn'"),
        ("cnn_lstm", {"time_axis": "frames"}, "per_frame"),
        ("csn", {"stages": (1, 1)}, "four"),
        ("csn", {"width": 2.5}, "width"),
        ("vivit", {"input_size": 100}, "multiple of patch"),
    ],
)
def test_arguments_a_network_cannot_have(name: str, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(TddError, match=message):
        build_backbone(name, **arguments)


@pytest.mark.parametrize("shape", [(3, 6, 24, 24), (2, 1, 6, 24, 24), (2, 3, 0, 24, 24), (0, 3, 6, 24, 24)])
@pytest.mark.parametrize("name", SMALL)
def test_wrong_shapes_are_refused(name: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(TddError, match=r"takes float video \(B, 3, T, H, W\)"):
        _small(name).eval()(torch.zeros(shape))


@pytest.mark.parametrize("name", sorted(set(SMALL) - {"csn"}))
def test_frames_of_another_size_are_refused(name: str) -> None:
    with pytest.raises(TddError, match="24x24 pixels; got 32x32"):
        _small(name).eval()(_video(size=32))


@pytest.mark.parametrize("name", SMALL)
def test_integer_video_is_refused(name: str) -> None:
    with pytest.raises(TddError, match="uint8"):
        _small(name)(_video().to(torch.uint8))


def test_csn_does_not_train_on_one_clip() -> None:
    with pytest.raises(TddError, match="batch of 2 or more"):
        _small("csn").train()(_video(batch=1))


def test_csn_keeps_small_frames_with_a_stem_of_stride_1() -> None:
    """Stride 2 takes 24 px to 6 before the first block, stride 1 to 12; the features have one shape."""
    sizes = {}
    for stride in (2, 1):
        network = _small("csn", stem_stride=stride)
        network.blocks[0].register_forward_hook(lambda _, given, __, s=stride: sizes.update({s: given[0].shape[-1]}))
        assert network(_video()).shape == (2, network.out_channels, 6)
    assert sizes == {2: 6, 1: 12}


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("frames", [1, 2, 5])
def test_the_ways_of_the_depthwise_convolution_agree_with_their_gradients(frames: int, stride: int) -> None:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(frames * 2, 2, 5, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(2, 1, 3, 3, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, w: three_taps(x, w, stride, 2), (x, weight))
    ours, whole = (way(x, weight, stride, 2) for way in (three_taps, grouped))
    torch.testing.assert_close(ours, whole)
    grad = torch.randn(ours.shape, generator=generator, dtype=torch.float64)
    for_x, for_weight = torch.autograd.grad(whole, (x, weight), grad)
    torch.testing.assert_close(torch.autograd.grad(ours, (x, weight), grad), (for_x, for_weight))
    (alone,) = torch.autograd.grad(three_taps(x.detach(), weight, stride, 2), weight, grad)
    torch.testing.assert_close(alone, for_weight)


def test_the_depthwise_convolution_obeys_autocast() -> None:
    conv = DepthwiseConv(4, 1)
    torch.nn.init.ones_(conv.weight)
    x = torch.randn(6, 4, 5, 5, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        out = conv(x, 2)
    assert out.dtype == torch.bfloat16
    out.float().sum().backward()
    assert x.grad is not None and conv.weight.grad is not None
    assert x.grad.dtype == conv.weight.grad.dtype == torch.float32
    torch.testing.assert_close(out.float(), conv(x, 2), atol=0.2, rtol=0.05)
