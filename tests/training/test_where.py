"""Where a run computes: what the recipe asks for, or a refusal; never another device or precision in its place."""

import pytest
import torch

from tdd.config import MachineConfig
from tdd.errors import TddError
from tdd.training.devices import make_fabric

without_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")


@without_gpu
@pytest.mark.parametrize("accelerator", ["gpu", "cuda"])
def test_a_gpu_that_is_not_there_is_told_in_a_sentence(accelerator):
    said = rf"^machine\.accelerator is '{accelerator}', and torch finds no CUDA GPU here; [^\n]*$"
    with pytest.raises(TddError, match=said):
        make_fabric(MachineConfig(accelerator=accelerator))


@without_gpu
def test_half_precision_that_a_cpu_does_not_know_is_not_replaced(recwarn):
    with pytest.raises(TddError, match="precision is '16-mixed', which wants a GPU"):
        make_fabric(MachineConfig(precision="16-mixed"))
    assert not recwarn


@without_gpu
def test_without_cuda_the_choice_is_the_cpu_whatever_lightning_would_choose(monkeypatch):
    """On a Mac that is mps, which has no double precision, in which the means of an epoch are summed."""
    monkeypatch.setattr("lightning.fabric.accelerators.mps.MPSAccelerator.is_available", lambda: True)
    assert make_fabric(MachineConfig(accelerator="auto")).device.type == "cpu"
