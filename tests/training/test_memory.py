"""Batches that a device has no memory for, and the recipes that are to fit theirs."""

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from tdd.config import load_recipe
from tdd.data.clips import CompanionBatches, EpochBatches, loader
from tdd.errors import TddError
from tdd.models import build_backbone
from tdd.training import loop
from tdd.training.loop import fit
from tdd.training.memory import first_clips, parts_that_fit
from tests.training.test_loop import TINY, Draws, Watching

MEASURED = json.loads(
    (Path(__file__).parents[2] / "benchmarks/results/gpu/2026-11-26-h100-second.json").read_text(encoding="utf-8")
)
"""On an H100: GB a clip that each network keeps for its gradients, and peaks of both stages' steps."""

PARTS = {"cnn_gru_attention": 2, "cnn_lstm": 2, "csn": 4}
"""In how many parts those steps ran."""


def kept_gb(network, clips, dtype):
    """What the network keeps of a forward pass for its gradients, its parameters left out."""
    kept = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    enabled = dtype is not None
    with (
        torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
        torch.autocast("cpu", dtype if enabled else torch.bfloat16, enabled=enabled),
    ):
        _out = network(torch.zeros(clips, 3, 25, 112, 112))  # held, so that no address is used twice
    own = {parameter.untyped_storage().data_ptr() for parameter in network.parameters()}
    return sum(size for place, size in kept.items() if place not in own) / 1e9


@pytest.mark.parametrize("name", ["cnn_gru_attention", "csn"])
def test_a_clip_takes_as_much_memory_as_was_measured_on_a_gpu(name):
    network = build_backbone(name).train()
    each = kept_gb(network, 3, torch.bfloat16) - kept_gb(network, 2, torch.bfloat16)
    assert each == pytest.approx(MEASURED["networks"][name]["bf16"]["gb_a_clip"], rel=0.1)


@pytest.mark.parametrize(("recipe", "room_gb"), [("colab", 15), ("gpu", 80)])
@pytest.mark.parametrize("backbone", list(PARTS))
def test_the_recipes_for_gpus_fit_them(recipe, room_gb, backbone):
    """In proportion to the peaks that were measured: half precision of both kinds takes the same."""
    numbers, paper = load_recipe(recipe), load_recipe("paper")
    for stage in ("stage1", "stage2"):
        mine, whole = getattr(numbers, stage), getattr(paper, stage)
        assert dataclasses.replace(mine, micro_batches=whole.micro_batches) == whole  # the paper's method
        peak = MEASURED["stages"][backbone][stage]["peak_gb"] * PARTS[backbone] / mine.micro_batches
        assert peak < 0.9 * room_gb
    assert numbers.machine.precision in ("16-mixed", "bf16-mixed")


@pytest.mark.parametrize(
    ("room", "fitting"), [(200, 2), (60, 3), (40, 6), (26, 12), (20, None)]
)  # 90% of it over 10 bytes fixed and 5 a clip
def test_the_fewest_parts_that_fit_are_named(room, fitting):
    found = parts_that_fit(lambda clips: 10.0 + 5 * clips, room, batch_size=24, parts=1, allowed=bool)
    assert found == fitting
    if fitting:
        assert 24 % fitting == 0 and 10 + 5 * 24 / fitting <= 0.9 * room


def test_parts_that_the_recipe_refuses_are_not_advised():
    found = parts_that_fit(lambda clips: 10.0 + 5 * clips, 60, batch_size=24, parts=1, allowed=lambda parts: parts != 3)
    assert found == 4


def test_a_small_batch_holds_the_first_clips_of_every_loader_in_proportion():
    rows = {"row": torch.arange(4)}
    assert first_clips(rows, 2)["row"].tolist() == [0, 1]
    both = first_clips({"labelled": rows, "joined": {"row": torch.arange(8)}}, 2)
    assert [part["row"].tolist() for part in both.values()] == [[0, 1], [0, 1, 2, 3]]


class Large(Watching):
    """Takes more memory than there is for more than two clips."""

    def training_step(self, batch, _index):
        if len(batch["labelled"]["row"]) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return self.weight.sum()


def test_a_device_without_memory_for_a_batch_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(total_memory=15 * 2**30))
    monkeypatch.setattr(loop, "peak_bytes", lambda step, _device: float(step().detach()) + 2**30)

    def fewest(peak, _room, _batch, parts, allowed):
        return 2 * parts if peak(2) and allowed(2) and not allowed(3) else None

    monkeypatch.setattr(loop, "parts_that_fit", fewest)
    batches = EpochBatches(12, 4, 0)
    both = {
        "labelled": loader(Draws(), batches, TINY),
        "joined": loader(Draws(), CompanionBatches(5, 2, batches), TINY),
    }
    config = dataclasses.replace(TINY.stage2, batch_size=4, micro_batches=1)
    with pytest.raises(TddError, match=r"15 GiB.* batch of 4 in 1 parts; set stage2\.micro_batches to 2\."):
        fit(Large(), both, None, config, TINY, tmp_path)
