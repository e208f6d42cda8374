"""Preparing that is killed, doubled, or runs out of disk: nothing is lost, and the store ends up the same."""

import errno
import multiprocessing
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from tdd.cli import main
from tdd.config import ClipConfig
from tdd.errors import TddError
from tdd.preprocess.prepare import prepare
from tests.preprocess.trees import add_video

CLIP = ClipConfig(canvas=72, crop=42, view_crop=40, input_size=32)
SECONDS = 60

_fresh = multiprocessing.get_context("spawn")


@pytest.fixture
def root(tmp_path):
    for number in range(3):
        add_video(tmp_path / "data", f"LRW/lipread_mp4/WORD/train/WORD_{number:05d}.mp4", audio=True, seed=number)
    (tmp_path / "data/LRW/lipread_mp4/WORD/train/WORD_00009.mp4").write_bytes(b"")
    return tmp_path / "data"


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def stop_before(out, name, number):
    """Stop before the ``number``-th file whose name ends so gets its name, and wait to be killed."""
    replace, seen = Path.replace, 0

    def stopping(partial, target):
        nonlocal seen
        seen += target.name.endswith(name)
        if target.name.endswith(name) and seen == number:
            out.with_name("stopped").touch()
            time.sleep(SECONDS)
        return replace(partial, target)

    Path.replace = stopping


def _prepare_and_stop(root, out, name, number):
    stop_before(out, name, number)
    prepare(root, out, CLIP, workers=1)


def stopped_process(root, out, name, number, run=_prepare_and_stop):
    process = _fresh.Process(target=run, args=(root, out, name, number), daemon=True)
    process.start()
    end = time.monotonic() + SECONDS
    while not out.with_name("stopped").exists():
        assert process.is_alive() and time.monotonic() < end
        time.sleep(0.02)
    out.with_name("stopped").unlink()
    return process


def kill(process):
    process.kill()
    process.join(SECONDS)
    assert process.exitcode == -signal.SIGKILL


def test_killed_again_and_again_the_store_ends_up_the_same(root, tmp_path):
    prepare(root, tmp_path / "whole", CLIP, workers=1)
    points = [
        ("mean_face.npy", 1),
        (".wav.npy", 2),
        ("1.npy", 1),
        ("2.json", 1),
        ("quarantine.csv", 1),
        (".parquet", 1),
    ]
    for name, number in points:
        kill(stopped_process(root, tmp_path / "broken", name, number))
        assert any("partial" in left for left in contents(tmp_path / "broken"))
    prepare(root, tmp_path / "broken", CLIP, workers=1)
    assert contents(tmp_path / "broken") == contents(tmp_path / "whole")


def test_two_at_once_are_refused_and_a_killed_one_holds_nobody_up(root, tmp_path, capsys):
    first = stopped_process(root, tmp_path / "store", "1.json", 1)
    try:
        arguments = ["prepare", "--root", str(root), "--out", str(tmp_path / "store"), "--workers", "1"]
        small = tmp_path / "small.yaml"
        small.write_text("clip: {canvas: 72, crop: 42, view_crop: 40, input_size: 32}")
        assert main([*arguments, "--recipe", str(small)]) == 2
        said = capsys.readouterr().err.strip()
        assert "another tdd prepare is writing there now" in said and len(said.splitlines()) == 1
        assert any("partial" in left for left in contents(tmp_path / "store"))  # the first one's is not cleared away
    finally:
        kill(first)
    assert len(prepare(root, tmp_path / "store", CLIP, workers=1).store.index) == 3


def test_a_full_disk_ends_in_a_sentence_and_keeps_what_is_finished(root, tmp_path, monkeypatch):
    whole = prepare(root, tmp_path / "whole", CLIP, workers=1).store
    replace, seen = Path.replace, []

    def full(partial, target):
        seen.append(target.name)
        if sum(name.endswith("0.npy") or name.endswith("1.npy") for name in seen) > 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        return replace(partial, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        with pytest.raises(TddError, match=r"the disk is full.*run the same command again"):
            prepare(root, tmp_path / "store", CLIP, workers=1)
    left = contents(tmp_path / "store")
    assert [name for name in left if name.endswith(".json") and "/" in name] == ["clips/LRW/train/WORD_00000.json"]
    assert not any("partial" in name for name in left) and "quarantine.csv" not in left
    resumed = prepare(root, tmp_path / "store", CLIP, workers=1)
    assert resumed.made == 2 and contents(tmp_path / "store") == contents(whole.folder)


def test_a_video_that_kills_its_worker_is_set_aside_and_the_rest_are_kept(root, tmp_path):
    add_video(root, "LRW/lipread_mp4/WORD/train/WORD_00005.mp4", 400, seed=5)
    store, victims, ended = tmp_path / "store", set(), threading.Event()

    def kill_whoever_takes_number_5():
        while not ended.is_set():
            for path in store.rglob("WORD_00005.npy.*.partial"):
                victim = int(path.stem.rpartition("-")[2])
                if victim not in victims:
                    os.kill(victim, signal.SIGKILL)
                    victims.add(victim)
            time.sleep(0.001)

    killer = threading.Thread(target=kill_whoever_takes_number_5)
    killer.start()
    done = prepare(root, store, CLIP, workers=2)
    ended.set()
    killer.join()
    assert len(victims) == 3 and done.made == 3
    assert done.failed.set_index("video_id").loc["LRW/train/WORD_00005", "reason"].startswith("The worker process was")
    assert not any("partial" in name for name in contents(store))
    resumed = prepare(root, store, CLIP, workers=2)  # tried again, as every video left out is
    assert resumed.made == 1 and len(resumed.store.index) == 4
