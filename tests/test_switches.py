"""Ways to compute a layer that are timed against one another compute the same; results are kept by part."""

import json

import pytest
import torch
import torch.nn.functional as F

from benchmarks import switches
from benchmarks.measure import Case
from benchmarks.switches import as_one_2d, as_product, autograd_taps, frames_of, last, one_3d
from tdd.models.backbones.csn import grouped, three_taps


@pytest.mark.parametrize(("side", "stride"), [(3, 1), (3, 2), (7, 2)])
def test_stacked_frames_and_the_matrix_product_are_the_3d_convolution(side, stride):
    torch.manual_seed(0)
    clips, weight = torch.randn(2, 3, 5, 12, 14), torch.randn(4, 3, 3, side, side)
    plain = frames_of(F.conv3d(clips, weight, stride=(1, stride, stride), padding=(1, side // 2, side // 2)))
    for way in (as_one_2d, as_product):
        torch.testing.assert_close(way(clips, weight, stride), plain, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("stride", [1, 2])
def test_all_ways_of_the_depthwise_convolution_have_its_numbers_and_gradients(stride):
    torch.manual_seed(0)
    clips, weight = torch.randn(2, 6, 5, 8, 8), torch.randn(6, 1, 3, 3, 3, requires_grad=True)
    plain = one_3d(clips, weight, stride)
    back = torch.randn_like(plain)
    (gradient,) = torch.autograd.grad(plain, weight, back)
    frames = clips.permute(2, 0, 1, 3, 4).flatten(0, 1)  # time-major
    for way in (autograd_taps, grouped, three_taps):
        found = way(last(frames), weight, stride, 2)
        torch.testing.assert_close(found, plain.permute(2, 0, 1, 3, 4).flatten(0, 1), rtol=1e-4, atol=1e-4)
        (theirs,) = torch.autograd.grad(found, weight, back.permute(2, 0, 1, 3, 4).flatten(0, 1))
        torch.testing.assert_close(theirs, gradient, rtol=1e-4, atol=1e-3)


def test_a_part_that_is_run_later_keeps_what_the_results_held(tmp_path, monkeypatch):
    def cases(threads):
        yield Case("one", {"plain": lambda: None, "other way": lambda: None}, threads=threads)
        yield Case("two", {"plain": lambda: None}, threads=threads)

    monkeypatch.setitem(switches.CASES, "pools", cases)
    monkeypatch.setitem(switches.OTHERS, "profile", lambda _threads: {"a step": {"ours": {"aten::mm": 0.5}}})
    options = ["--out", str(tmp_path), "--seconds", "0", "--threads"]
    switches.main([*options, "1", "--parts", "pools"])
    switches.main([*options, "2", "--parts", "pools", "profile", "--only", "one"])
    found = json.loads((tmp_path / "switches.json").read_text())
    assert set(found["pools"]["1"]) == {"one", "two"} and set(found["pools"]["2"]) == {"one"}
    assert found["pools"]["1"]["one"]["ratio"]["plain"] == 1.0 and found["pools"]["1"]["one"]["rounds"] >= 3
    renamed = [Case("one", {"plain": lambda: None, "new way": lambda: None})]
    monkeypatch.setitem(switches.CASES, "pools", lambda _threads: iter(renamed))
    switches.main([*options, "2", "--parts", "pools"])
    text = (tmp_path / "switches.md").read_text()
    assert all(f"| one | {way} | " in text for way in ("plain", "other way", "new way"))
    assert "## Pools" in text and "| a step | ours | mm 50% |" in text
    assert [line.count("|") for line in text.splitlines() if line.startswith("| two")] == [5]
