import os

import pytest

from tdd.errors import TddError
from tdd.machine.files import LOCK, held_alone, remove_partials, whole_file, write_atomically


def names(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_a_file_appears_only_when_the_block_is_through(tmp_path):
    path = tmp_path / "new" / "a.bin"
    with whole_file(path) as partial:
        partial.write_bytes(b"one")
        assert not path.exists()
    assert path.read_bytes() == b"one" and names(tmp_path) == ["a.bin"]


def test_a_block_that_fails_leaves_the_file_that_was_there(tmp_path):
    write_atomically(tmp_path / "a.bin", b"one")
    with pytest.raises(RuntimeError), whole_file(tmp_path / "a.bin") as partial:
        partial.write_bytes(b"tw")
        raise RuntimeError
    assert (tmp_path / "a.bin").read_bytes() == b"one" and names(tmp_path) == ["a.bin"]


def test_what_a_killed_process_left_is_cleared_and_nothing_else(tmp_path):
    write_atomically(tmp_path / "sub" / "a.bin", b"one")
    manager = whole_file(tmp_path / "sub" / "a.bin")
    manager.__enter__().write_bytes(b"tw")  # as after SIGKILL: the block never ends
    assert len(names(tmp_path)) == 2
    remove_partials(tmp_path)
    assert names(tmp_path) == ["a.bin"]


@pytest.mark.parametrize("kind", ["a folder", "read-only"])
def test_a_lock_that_cannot_be_opened_is_one_sentence(kind, tmp_path):
    if kind == "a folder":
        (tmp_path / LOCK).mkdir()
    else:
        (tmp_path / LOCK).touch(mode=0o444)
        if os.access(tmp_path / LOCK, os.W_OK):
            pytest.skip("root may write anywhere")
    with pytest.raises(TddError, match=r"lock cannot be opened for writing .*delete it"), held_alone(tmp_path, "test"):
        pass
