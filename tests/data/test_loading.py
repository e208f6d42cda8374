"""What loader processes lack is told in a sentence: raised in the words that torch used in a real container."""

import contextlib
import os
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch
from torch.utils.data import Dataset

from tdd.data import loading
from tdd.data.loading import Loader, on_device
from tdd.errors import TddError


class Failing(Dataset):
    """Fails at item 2 as ``how`` says; ``None``: does not."""

    def __init__(self, how):
        self.how = how

    def __getitem__(self, number):
        if number == 2 and self.how:
            if self.how == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            raise self.how
        return {"number": number, "pixels": torch.zeros(3)}


def load(how, processes=1):
    return [batch["number"].tolist() for batch in Loader(Failing(how), [[0, 1], [2, 3]], processes, False)]


@pytest.mark.parametrize(
    ("how", "said"),
    [
        (
            RuntimeError("unable to allocate shared memory(shm) for file </torch_1_2_0>: Success (0)"),
            "--shm",
        ),
        (
            RuntimeError("unable to write to file </torch_29_13_0>: No space left on device (28)"),
            "--shm-size",
        ),
        (RuntimeError("unable to mmap 4096 bytes from file </torch_1_2_3>: Cannot allocate memory (12)"), "--shm-size"),
        (OSError(24, "Too many open files"), "ulimit -n"),
        ("killed", "lack of memory"),
    ],
)
def test_what_is_lacking_is_named_with_the_mend(how, said):
    with pytest.raises(TddError) as caught:
        load(how)
    text = str(caught.value)
    assert said in text and "Traceback" not in text and "\n" not in text
    assert "machine.workers to 0" in text or said == "ulimit -n"


@pytest.mark.parametrize("processes", [0, 1])
def test_a_sentence_of_the_data_set_stays_one_sentence(processes):
    with pytest.raises(TddError) as caught:
        load(TddError("clips/a.npy is shorter than its row says; run tdd prepare."), processes)
    assert str(caught.value) == "clips/a.npy is shorter than its row says; run tdd prepare."


def test_any_other_error_stays_as_it_is():
    with pytest.raises(ZeroDivisionError):
        load(ZeroDivisionError("division by zero"))
    with pytest.raises(RuntimeError, match="shared memory"):  # of no loader process
        load(RuntimeError("shared memory"), 0)


def test_a_batch_for_a_gpu_is_copied_aside_and_waited_for_before_it_is_used(monkeypatch):
    said = []

    class Stream:
        def __init__(self, name):
            self.name = name

        def wait_stream(self, other):
            said.append(f"{self.name} waits for {other.name}")

    class Kept(torch.Tensor):
        def record_stream(self, stream):
            said.append(f"kept for {stream.name}")

    @contextlib.contextmanager
    def on(stream):
        said.append(f"on {stream.name}")
        yield
        said.append("back")

    monkeypatch.setattr(torch.cuda, "Stream", lambda _: Stream("aside"))
    monkeypatch.setattr(torch.cuda, "current_stream", lambda _: Stream("main"))
    monkeypatch.setattr(torch.cuda, "stream", on)
    monkeypatch.setattr(loading, "_moved", lambda batch, _: said.append("copy") or batch)
    batches = iter([{"part": {"frames": torch.zeros(2).as_subclass(Kept), "row": torch.zeros(2)}, "name": "x"}] * 2)
    moved = on_device(batches, SimpleNamespace(type="cuda"))
    assert next(moved)["name"] == "x" and len(list(batches)) == 1  # no batch is fetched before it is asked for
    assert said == ["on aside", "copy", "back", "main waits for aside", "kept for main"]  # "row" stays where it is


def test_what_the_host_reads_of_a_batch_stays_with_it():
    joined = {"row": torch.zeros(2), "time": torch.ones(2)}
    batch = {"frames": torch.zeros(2), "label": torch.zeros(2), "joined": joined}
    moved = loading._moved(batch, torch.device("meta"))
    places = [moved["frames"], moved["label"], moved["joined"]["row"], moved["joined"]["time"]]
    assert [place.device.type for place in places] == ["meta", "cpu", "cpu", "meta"]


AFTER_OPENCV = """
import time, cv2, numpy as np
from tests.data.test_loading import load
cv2.setNumThreads(4)
cv2.cvtColor(np.zeros((2000, 2000, 3), np.uint8), cv2.COLOR_BGR2HSV)  # begins OpenCV's threads, which are not forked
time.sleep(1)  # until they sleep: a thread that still looks for work is not waited for
assert load(None, 2) == [[0, 1], [2, 3]] and cv2.getNumThreads() == 4
"""


def test_loader_processes_begin_after_opencv_has_computed_on_several_threads():
    subprocess.run([sys.executable, "-c", AFTER_OPENCV], check=True, timeout=120)
