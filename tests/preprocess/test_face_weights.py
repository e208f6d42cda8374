"""Weights from a folder, from the cache, and from a web server on this machine."""

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tdd.errors import TddError
from tdd.preprocess import face_weights
from tdd.preprocess.face_weights import DETECTORS, LANDMARKS, WeightFile, cache_folder, find_weights
from tests.preprocess.test_fetch import files

CONTENT = bytes(range(256)) * 9000
SUM = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def server(monkeypatch, tmp_path):
    """Serves ``CONTENT`` under every path but ``/none``; the cache is an empty folder."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(404 if self.path == "/none" else 200)
            self.send_header("Content-Length", str(len(CONTENT) + web.more))
            self.end_headers()
            self.wfile.write(CONTENT)

        def log_message(self, *_):
            pass

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    web = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    web.more, web.url = 0, f"http://127.0.0.1:{web.server_port}"
    thread = threading.Thread(target=web.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield web
    web.shutdown()
    web.server_close()
    thread.join()


def test_missing_weights_are_fetched_once_with_progress(server, tmp_path, monkeypatch):
    monkeypatch.setattr(face_weights, "BLOCK", 2**20)
    told = []
    wanted = [WeightFile("a.pth", f"{server.url}/a", SUM), WeightFile("b.npy", f"{server.url}/b")]
    found = find_weights(wanted, tmp_path / "mine", lambda *report: told.append(report))
    assert found == {"a.pth": tmp_path / "mine/a.pth", "b.npy": tmp_path / "mine/b.npy"}
    assert found["a.pth"].read_bytes() == CONTENT
    for name in found:  # 2.3 MB, told of each MiB and at the end
        counts = [count for file, count, total in told if file == name and total == len(CONTENT)]
        assert 2 <= len(counts) <= 3 and counts == sorted(set(counts)) and counts[-1] == len(CONTENT)
        assert counts[0] >= 2**20
    server.shutdown()
    assert find_weights(wanted, tmp_path / "mine") == found


def test_the_folder_comes_before_the_cache_and_older_names_serve(server, tmp_path):
    cache = tmp_path / "torch/hub/checkpoints"
    assert cache_folder() == cache
    cache.mkdir(parents=True)
    (cache / "old.zip").write_bytes(CONTENT)
    wanted = WeightFile("new.pth", f"{server.url}/none", "00", (("old.zip", SUM[:10]),))
    assert find_weights([wanted]) == {"new.pth": cache / "old.zip"}
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/old.zip").write_bytes(CONTENT)
    assert find_weights([wanted], tmp_path / "mine") == {"new.pth": tmp_path / "mine/old.zip"}


def test_damaged_weights_are_refused(server, tmp_path):
    (tmp_path / "a.pth").write_bytes(CONTENT[:-1])
    with pytest.raises(TddError, match=r"a\.pth is damaged \(its SHA-256 does not begin with .*delete it"):
        find_weights([WeightFile("a.pth", server.url, SUM[:10])], tmp_path)


@pytest.mark.parametrize(("path", "start", "more", "said"), [
    ("/none", "", 0, "404"), ("/a", "0123456789", 0, "is another file"), ("/a", "", 9, "Incomplete"),
])  # fmt: skip
def test_what_is_not_to_be_had_is_named_with_address_and_place(server, tmp_path, path, start, more, said):
    server.more = more
    wanted = [WeightFile("a.pth", server.url + path, start), WeightFile("b.npy", f"{server.url}/b")]
    with pytest.raises(TddError) as caught:
        find_weights(wanted, tmp_path / "mine")
    sentence = str(caught.value)
    assert (
        said in sentence and f"a.pth from {server.url}{path}" in sentence and f"b.npy from {server.url}/b" in sentence
    )
    assert str(tmp_path / "mine") in sentence and "--weights" in sentence
    assert not (tmp_path / "mine").exists() or files(tmp_path / "mine") == []


def test_names_that_carry_a_checksum_agree_with_it():
    known = [LANDMARKS, *(file for files in DETECTORS.values() for file in files)]
    names = [(file.name, file.sha256) for file in known] + [other for file in known for other in file.other_names]
    for name, start in names:
        stem = name.split(".pth")[0].removesuffix(".zip")
        if "-" in stem:
            assert start.startswith(stem.split("-")[1])
