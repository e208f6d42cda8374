"""The split lists from a web server on this machine."""

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tdd.cli import main
from tdd.errors import TddError
from tdd.preprocess.fetch import CHECKSUMS, fetch_splits

LISTS = {"train": [["002", "000"], ["001", "005"]], "val": [["003", "004"]], "test": [["006", "007"]]}
SUMS = {
    "train": hashlib.sha256(b"001 005\n002 000\n").hexdigest(),
    "val": hashlib.sha256(b"003 004\n").hexdigest(),
    "test": hashlib.sha256(b"006 007\n").hexdigest(),
}


@pytest.fixture
def server():
    """Serves ``server.files``; a body shorter than ``server.announced`` breaks off."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            web.asked.append(self.path)
            body = web.files.get(self.path)
            self.send_response(200 if body is not None else 404)
            self.send_header("Content-Length", str(web.announced or len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *_):
            pass

    web = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    web.files = {f"/splits/{split}.json": json.dumps(pairs, indent=2).encode() for split, pairs in LISTS.items()}
    web.announced, web.asked = 0, []
    web.url = f"http://127.0.0.1:{web.server_port}/splits"
    thread = threading.Thread(target=web.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield web
    web.shutdown()
    web.server_close()
    thread.join()


def files(root):
    return sorted(path.name for path in root.rglob("*") if path.is_file())


def test_lists_come_into_their_place_and_are_fetched_once(tmp_path, server):
    written = fetch_splits(tmp_path, server.url, SUMS)
    assert [path.relative_to(tmp_path).as_posix() for path in written] == [
        f"FaceForensics++/splits/{split}.json" for split in ("train", "val", "test")
    ]
    assert {path.stem: json.loads(path.read_text()) for path in written} == LISTS
    written[1].unlink()
    assert fetch_splits(tmp_path, server.url, SUMS) == [written[1]]
    assert fetch_splits(tmp_path, server.url, SUMS) == [] and len(server.asked) == 4


def test_a_list_in_another_order_and_spacing_is_the_same_list(tmp_path, server):
    server.files["/splits/train.json"] = b'[["001","005"],\r\n["002","000"]]\r\n'
    assert len(fetch_splits(tmp_path, server.url, SUMS)) == 3


@pytest.mark.parametrize(
    ("body", "announced", "sentence"),
    [
        (b'[["000", "001"]]', 0, "not the official list"),
        (b"<html>", 0, "not a list of pairs"),
        (b"\xff", 0, "could not be fetched"),
        (b'[["003", "004"]]', 999, "could not be fetched"),
        (None, 0, "404"),
    ],
)
def test_what_is_wrong_leaves_no_file_behind(tmp_path, server, body, announced, sentence):
    server.files["/splits/val.json"], server.announced = body, announced
    with pytest.raises(TddError, match=sentence):
        fetch_splits(tmp_path, server.url, SUMS)
    assert files(tmp_path) == []


def test_a_list_of_the_users_own_is_never_overwritten(tmp_path, server):
    mine = tmp_path / "FaceForensics++/splits/test.json"
    mine.parent.mkdir(parents=True)
    mine.write_text('[["100", "101"]]')
    with pytest.raises(TddError, match="move it away"):
        fetch_splits(tmp_path, server.url, SUMS)
    assert files(tmp_path) == ["test.json"] and mine.read_text() == '[["100", "101"]]'


def test_only_the_official_lists_pass_the_built_in_checksums(tmp_path, server, capsys):
    assert main(["data", "fetch-splits", str(tmp_path), "--url", server.url]) == 2
    assert "not the official list" in capsys.readouterr().err and set(CHECKSUMS) == {"train", "val", "test"}


def test_offline_names_the_address_and_the_place(tmp_path, server, capsys):
    url = server.url
    server.shutdown()
    server.server_close()
    assert main(["data", "fetch-splits", str(tmp_path), "--url", url]) == 2
    said = capsys.readouterr().err
    assert f"{url}/train.json" in said and str(tmp_path / "FaceForensics++/splits/train.json") in said
    assert files(tmp_path) == []


def test_a_root_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(TddError, match="is no folder"):
        fetch_splits(tmp_path / "none")
