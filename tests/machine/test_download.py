"""Downloads from servers on this machine that are silent, drip, break off, lie about the length, or never end."""

import contextlib
import socket
import threading
import time

import pytest

from tdd.errors import TddError
from tdd.machine import download as module
from tdd.machine.download import ERRORS, download
from tdd.preprocess.face_weights import WeightFile, find_weights
from tdd.preprocess.fetch import fetch_splits

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n"


def drip(data):
    """One byte each hundredth of a second: no single wait is long."""
    for number in range(len(data)):
        yield data[number : number + 1]
        time.sleep(0.01)


def silent():
    time.sleep(30)
    yield b""


def endless():
    yield b"HTTP/1.1 200 OK\r\n\r\n"
    while True:
        yield bytes(2**16)


def one_long_header():
    yield b"HTTP/1.1 200 OK\r\nX: "
    yield from drip(bytes([65]) * 5000)


def stops():
    yield HEAD + bytes(100)
    yield from silent()


SLOW = {"silent": silent, "headers": one_long_header, "body": lambda: drip(HEAD + bytes(5000)), "stops": stops}


@pytest.fixture
def serve(monkeypatch):
    """``serve(answer)``: address of a server that sends what ``answer()`` gives; half a second is the patience."""
    monkeypatch.setattr(module, "WINDOW", 0.5)
    opened = []

    def start(answer):
        listener = socket.create_server(("127.0.0.1", 0))
        opened.append(listener)
        threading.Thread(target=handle, args=(listener, answer), daemon=True).start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    def handle(listener, answer):
        with contextlib.suppress(OSError):
            while True:
                caller, _ = listener.accept()
                threading.Thread(target=send, args=(caller, answer), daemon=True).start()

    def send(caller, answer):
        with caller, contextlib.suppress(OSError):
            caller.recv(4096)
            for piece in answer():
                caller.sendall(piece)

    yield start
    for listener in opened:
        listener.close()


@pytest.mark.parametrize("kind", SLOW)
def test_a_server_that_is_too_slow_is_given_up_in_time_with_a_way_without_it(kind, serve, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    url, began = serve(SLOW[kind]), time.monotonic()
    with pytest.raises(TddError, match=r"could not be fetched .*with a browser"):
        fetch_splits(tmp_path, url)
    with pytest.raises(TddError, match=r"could not be fetched .*browser save: a.pth"):
        find_weights([WeightFile("a.pth", f"{url}/a.pth")], tmp_path / "mine")
    assert time.monotonic() - began < 8
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    ("answer", "largest", "said"),
    [
        (endless, 10**6, "larger than 1 MB"),
        (lambda: [HEAD + bytes(5000)], 100, "larger than"),
        (lambda: [HEAD + bytes(4000)], 10**6, "IncompleteRead"),
        (lambda: [b"HTTP/1.1 404 Not Found\r\n\r\n"], 10**6, "404"),
        (lambda: [b"SSH-2.0-OpenSSH_9\r\n\r\n"], 10**6, "SSH"),
        (lambda: [HEAD.replace(b"5000", b"many") + bytes(5000)], 10**6, "many"),
    ],
)
def test_an_answer_of_another_kind_is_an_error(answer, largest, said, serve):
    with pytest.raises(ERRORS) as caught:
        list(download(serve(answer), largest))
    assert said in repr(caught.value) or said in str(caught.value)


def test_what_comes_fast_enough_comes_whole(serve, monkeypatch):
    monkeypatch.setattr(module, "SLOWEST", 1000)
    body = bytes(range(250)) * 20

    def steady():  # 5,000 bytes over a second and a half, three windows
        yield HEAD
        for start in range(0, 5000, 100):
            yield body[start : start + 100]
            time.sleep(0.03)

    got = list(download(serve(steady), 10**6))
    assert b"".join(block for block, _ in got) == body and {announced for _, announced in got} == {5000}


def test_nobody_who_listens_is_told_at_once():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(OSError, match="refused"):
        list(download(f"http://127.0.0.1:{port}", 10))
