"""Folders as they are on disks: links, circles, hidden files, folders that cannot be read."""

from tdd.preprocess.folders import Passed, files_below
from tests.preprocess.test_layouts import closed


def put(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("")


def found(folder):
    passed = Passed()
    return sorted(path.relative_to(folder).as_posix() for path in files_below(folder, passed)), passed


def test_links_are_followed_and_circles_are_not(tmp_path):
    put(tmp_path, "top/a/1", "top/z/2", "elsewhere/3", "elsewhere/deep/4")
    (tmp_path / "top/a/up").symlink_to("..")
    (tmp_path / "top/a/above").symlink_to("../..")
    (tmp_path / "top/first").symlink_to("z")
    (tmp_path / "top/other").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/back").symlink_to(tmp_path / "top")
    (tmp_path / "top/self").symlink_to("self")
    (tmp_path / "top/gone").symlink_to("nowhere")
    (tmp_path / "top/file").symlink_to("a/1")
    names, passed = found(tmp_path / "top")
    assert names == ["a/1", "file", "gone", "other/3", "other/deep/4", "self", "z/2"]
    repeated = sorted(path.relative_to(tmp_path / "top").as_posix() for path in passed.repeated)
    assert repeated == ["a/above", "a/up", "first", "other/back"] and not passed.unreadable


def test_many_links_to_one_another_are_walked_once(tmp_path):
    for one in range(12):
        put(tmp_path, f"{one}/file")
        for other in range(12):
            (tmp_path / f"{one}/to{other}").symlink_to(tmp_path / str(other))
    assert len(found(tmp_path)[0]) == 12


def test_hidden_files_and_folders_are_counted(tmp_path):
    put(tmp_path, "a.mp4", "._a.mp4", ".ipynb_checkpoints/b.mp4", "__MACOSX/._c.mp4")
    names, passed = found(tmp_path)
    assert names == ["a.mp4"] and passed.hidden == 3


def test_a_folder_that_cannot_be_read_is_kept_with_its_reason(tmp_path, monkeypatch):
    put(tmp_path, "a/1", "b/2")
    closed(monkeypatch, tmp_path / "a")
    names, passed = found(tmp_path)
    assert names == ["b/2"] and passed.unreadable == [(tmp_path / "a", "Permission denied")]
    assert found(tmp_path / "none") == ([], Passed())
