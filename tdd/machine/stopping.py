"""Being told to end: SIGTERM, as a scheduler or ``docker stop`` sends it, unwinds a command as Ctrl-C does."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

TERMINATED = 128 + 15
"""Exit code of a command that SIGTERM ended, as shells count it."""


class Terminated(BaseException):
    """SIGTERM came. Like KeyboardInterrupt no ``Exception``, so that no handler of failures takes it for one."""


@contextmanager
def termination_raised() -> Iterator[None]:
    """Within, SIGTERM raises :class:`Terminated` in the main thread; in another thread nothing changes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _raise)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _raise(_: int, __: FrameType | None) -> None:
    # One is enough: the next one, which an impatient scheduler may send, must not stop the tidying up.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Terminated
