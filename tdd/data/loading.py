"""Loader processes of torch, whose failures are told in a sentence and which never outlive their run.

And the way of their batches to a device.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import cv2
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from tdd.errors import TddError
from tdd.machine.limits import limit_reached
from tdd.machine.parallel import end_with_parent

_NO_SHARED_MEMORY = re.compile("shared memory|Bus error|</torch_", re.IGNORECASE)  # the last names its file
_TOO_MANY_FILES = re.compile("Too many open files|received 0 items of ancdata")
_GONE = re.compile(r"DataLoader worker \(pid.*(is killed by signal|exited unexpectedly)")

ON_HOST = frozenset({"label", "number", "row"})
"""What the host itself reads of a batch. It does not go to the device: to read it there is to wait for the device."""

MEND = "set machine.workers to 0 in the recipe, which loads in the training process"


class Loader(DataLoader[dict[str, Any]]):
    """A ``DataLoader`` that says what its processes lacked.

    Iterating raises ``TddError`` where shared memory is too small, where no more files may be opened, where a process
    was killed, and where the data set itself raises it.
    """

    def __init__(self, dataset: Dataset[dict[str, Any]], batches: Any, processes: int, pinned: bool) -> None:
        """Load ``dataset`` by ready-made ``batches`` in so many ``processes``; 0 is this one.

        ``pinned``: into memory that a GPU reads at once.
        """
        super().__init__(
            dataset,
            batch_sampler=batches,
            num_workers=processes,
            persistent_workers=processes > 0,
            pin_memory=pinned,
            worker_init_fn=_begin,
        )

    def __iter__(self) -> Iterator[dict[str, Any]]:  # type: ignore[override]
        """Batches, as ``DataLoader`` gives them."""
        try:
            yield from self._begun()
        except Exception as error:
            said = loader_sentence(error) if self.num_workers else None
            if said:
                raise TddError(said) from error
            raise

    def _begun(self) -> Iterator[dict[str, Any]]:
        # A forked process has OpenCV's number of threads but none of its threads, and waits for them without end where
        # it changes that number. So this process changes it, and forks then.
        before = cv2.getNumThreads()
        if self.num_workers:
            cv2.setNumThreads(1)
        try:
            return super().__iter__()
        finally:
            if self.num_workers:
                cv2.setNumThreads(before)


def loader_sentence(error: Exception) -> str | None:
    """What an error of loader processes means, in a sentence; ``None``: an error like any other."""
    text = str(error)
    if isinstance(error, TddError):  # torch puts the traceback of the process before it
        return text.rpartition(f"{TddError.__name__}: ")[2].strip()
    if _NO_SHARED_MEMORY.search(text):
        return (
            "The loader processes hand clips over in shared memory (/dev/shm), and it is too small; enlarge it (docker "
            f"run --shm-size=8g), or {MEND}."
        )
    if _TOO_MANY_FILES.search(text):
        return limit_reached(OSError(24, text)) or text
    if _GONE.search(text):
        return f"A loader process was killed, most often for lack of memory; {MEND}, or use fewer than now."
    return None


def _begin(_: int) -> None:
    end_with_parent()
    if cv2.getNumThreads() != 1:  # a process that was not forked; torch sees to its own threads
        cv2.setNumThreads(1)


def on_device(batches: Iterable[Any], device: torch.device) -> Iterator[Any]:
    """Batches moved to a device, all but ``ON_HOST``; to a GPU each is copied while it still works on the one before.

    Args:
        batches: tensors in dictionaries, however deep; in pinned memory where they are to be copied aside.
        device: of the tensors that come out; on a CPU they are those that went in.
    """
    if device.type != "cuda":
        yield from (_moved(batch, device) for batch in batches)
        return
    aside = torch.cuda.Stream(device)
    for batch in batches:
        with torch.cuda.stream(aside):
            moved = _moved(batch, device)
        working = torch.cuda.current_stream(device)
        working.wait_stream(aside)
        for tensor in _tensors(moved):
            tensor.record_stream(working)  # its memory was asked for on the other stream, and is not to be reused there
        yield moved


def _moved(batch: Any, device: torch.device) -> Any:
    if isinstance(batch, dict):
        return {name: part if name in ON_HOST else _moved(part, device) for name, part in batch.items()}
    return batch.to(device, non_blocking=True) if isinstance(batch, Tensor) else batch


def _tensors(batch: Any) -> Iterator[Tensor]:
    if isinstance(batch, dict):
        for name, part in batch.items():
            yield from () if name in ON_HOST else _tensors(part)
    elif isinstance(batch, Tensor):
        yield batch
