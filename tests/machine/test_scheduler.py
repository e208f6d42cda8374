"""Where the processes of a study run: which see which GPU, and how many there are."""

import os
from dataclasses import dataclass, replace

import pytest
import torch

from tdd.config import load_recipe
from tdd.data.clips import visible_gpus
from tdd.errors import TddError
from tdd.machine import limits
from tdd.machine.parallel import InlinePool
from tdd.machine.scheduler import KEEP_FREED_MEMORY, Scheduler, process_engine
from tdd.study import local_engine


def told_gpu(_):
    return os.environ.get("CUDA_VISIBLE_DEVICES")


def told_malloc(_):
    return [os.environ.get(name) for name in KEEP_FREED_MEMORY]


def test_each_process_keeps_freed_memory_unless_the_user_says_otherwise(monkeypatch):
    first, *others = KEEP_FREED_MEMORY
    monkeypatch.setenv(first, "12345")
    for name in others:
        monkeypatch.setenv(name, "")  # so that it is taken away again after the test
        monkeypatch.delenv(name)
    pool = process_engine(2)(None, 9)
    try:
        assert pool.submit(told_malloc, 0).result() == ["12345", *(KEEP_FREED_MEMORY[name] for name in others)]
    finally:
        pool.shutdown()


def test_each_process_sees_a_gpu_of_its_own():
    pool = process_engine(2, ["5", "GPU-abc"])(None, 9)
    try:
        assert pool.workers == 2
        found = {pool.submit(told_gpu, number).result() for number in range(4)}
        assert found == {"5", "GPU-abc"}  # a free process goes to the end of the queue, so both take their turn
    finally:
        pool.shutdown()


def test_one_gpu_and_none_leave_the_environment_alone(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    pool = process_engine(2, ["0"])(None, 9)
    try:
        assert pool.submit(told_gpu, 0).result() is None
    finally:
        pool.shutdown()
    assert isinstance(process_engine(1)(None, 9), InlinePool)
    assert isinstance(process_engine(4)(None, 1), InlinePool)


@pytest.mark.parametrize(("named", "found"), [("2,7", ["2", "7"]), ("", ["0", "1", "2"]), (None, ["0", "1", "2"])])
def test_gpus_are_those_that_the_process_may_use(named, found, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    if named is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    assert visible_gpus() == found


@dataclass(frozen=True)
class Named:
    run: str
    needs: str | None = None


def report_halves(job, messages):
    messages.put((job.run, 0.25))
    messages.put((job.run, 0.5))


@pytest.mark.parametrize("workers", [1, 2])
def test_shares_are_heard_in_order_and_before_the_end(workers):
    seen = []
    jobs = [Named("a"), Named("b", "a"), Named("c")]
    Scheduler(jobs, [], report_halves, lambda job, share: seen.append((job.run, share))).run(workers, process_engine(2))
    for name in "abc":
        assert [share for run, share in seen if run == name] == [0.25, 0.5, 1.0]
    assert seen.index(("a", 1.0)) < seen.index(("b", 0.25))


@pytest.mark.parametrize(
    "jobs",
    [
        [Named("a"), Named("b", "nowhere")],
        [Named("a", "b"), Named("b", "a")],
        [Named("a", "a")],
        [Named("a", "b"), Named("b", "c"), Named("c", "none")],
    ],
)
def test_a_job_whose_need_can_never_be_finished_is_refused_before_anything_runs(jobs):
    with pytest.raises(TddError, match=r"Job \w needs \w+, which is neither finished"):
        Scheduler(jobs, [], pytest.fail, lambda *_: None)


def test_a_need_that_was_finished_before_is_no_job_any_more():
    assert Scheduler([Named("b", "a")], ["a"], pytest.fail, lambda *_: None).waiting == [Named("b", "a")]


def test_a_study_takes_one_process_a_gpu_else_one_a_core_of_single_threaded_runs(monkeypatch):
    machine = replace(load_recipe("paper").machine, accelerator="auto")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(limits, "free_memory", lambda: None)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    pool = local_engine(machine)(None, 100)
    pool.shutdown()
    assert pool.workers == 3
    assert isinstance(local_engine(replace(machine, accelerator="cpu", threads=0))(None, 100), InlinePool)
