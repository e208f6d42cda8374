"""Files from the web, given up when they come too slowly: a server may be silent, or send a byte now and then."""

from __future__ import annotations

import http.client
import queue
import threading
import time
import urllib.request
from collections.abc import Iterator

WINDOW = 30.0
"""Seconds over which the speed is measured."""

SLOWEST = 10_000
"""Bytes a second, mean over a window, below which a download is given up; nothing at all counts as slow too."""

BLOCK = 2**20
"""Bytes that are taken at most at a time."""

ERRORS = (OSError, http.client.HTTPException, ValueError)
"""What :func:`download` raises."""


def download(url: str, largest: int) -> Iterator[tuple[bytes, int]]:
    """Fetch ``url``, block by block.

    Name resolution, connection, encryption and redirects count as waiting. Together with ``largest`` the slowest speed
    bounds the time of any download.

    Args:
        url: address.
        largest: bytes beyond which the file is refused.

    Yields:
        some bytes, and the bytes in all that the server announced, 0 where it did not.

    Raises:
        OSError: no connection, an error of the server, or a download that is too slow or breaks off.
        http.client.HTTPException: an answer that is no HTTP, or fewer bytes than announced.
        ValueError: not an address, or a file that is too large.
    """
    # In a thread that nobody waits for: no timeout of a socket ends a name look-up, or headers that drip.
    come: queue.SimpleQueue[tuple[bytes, int] | BaseException] = queue.SimpleQueue()
    enough = threading.Event()
    threading.Thread(target=_fetch, args=(url, come, enough), daemon=True).start()
    total, end = 0, time.monotonic() + WINDOW
    since = 0  # bytes of this window
    try:
        while True:
            try:
                item = come.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                item = b"", -1
            if isinstance(item, BaseException):
                raise item
            block, announced = item
            if not block and announced >= 0:
                if total < announced:  # read says nothing when a connection breaks off
                    raise http.client.IncompleteRead(b"", announced - total)
                return
            total, since = total + len(block), since + len(block)
            if total > largest or announced > largest:
                raise ValueError(f"it is larger than {largest / 1e6:.0f} MB")
            if time.monotonic() >= end:
                if since < SLOWEST * WINDOW:
                    raise TimeoutError(f"only {since} bytes came in {WINDOW:.0f} s")
                since, end = 0, time.monotonic() + WINDOW
            if block:
                paused = time.monotonic()
                yield block, announced
                end += time.monotonic() - paused  # a slow disk is not the server's fault
    finally:
        enough.set()


def _fetch(url: str, come: queue.SimpleQueue[tuple[bytes, int] | BaseException], enough: threading.Event) -> None:
    try:
        with urllib.request.urlopen(url, timeout=WINDOW) as answer:
            announced = int(answer.headers["Content-Length"] or 0)
            # read1: what one packet brings, where read would wait for a whole block.
            while (block := answer.read1(BLOCK)) and not enough.is_set():
                come.put((block, announced))
            come.put((b"", announced))
    except BaseException as error:
        come.put(error)
