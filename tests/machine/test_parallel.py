import errno
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from tdd.errors import TddError
from tdd.machine import limits
from tdd.machine.limits import limit_reached, of_the_machine, out_of_memory
from tdd.machine.parallel import parallel_map

try:
    import resource
except ImportError:  # Windows
    resource = None


def square(x):
    return x * x


def fail_on_three(x):
    if x == 3:
        raise TddError("three is refused")
    return x


def die(_):
    os._exit(9)


@pytest.mark.parametrize("workers", [1, 2])
def test_every_item_comes_back_once_with_progress(workers):
    seen = []
    results = list(parallel_map(square, range(20), workers, lambda done, total: seen.append((done, total))))
    assert sorted(results) == [x * x for x in range(20)]
    assert seen == [(done, 20) for done in range(21)]


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_reaches_the_caller(workers):
    with pytest.raises(TddError, match="three"):
        list(parallel_map(fail_on_three, range(20), workers))


def die_on_three(x):
    if x == 3:
        os._exit(9)
    return x


def die_once(mark):
    if not mark.exists():
        mark.touch()
        os._exit(9)
    return mark.name


def test_an_item_that_kills_its_worker_is_told_and_the_rest_come_back():
    seen = []
    found = list(
        parallel_map(die_on_three, range(8), 2, lambda *count: seen.append(count), killed=lambda x: f"not {x}")
    )
    assert found[-1] == "not 3" and sorted(found[:-1]) == [0, 1, 2, 4, 5, 6, 7]
    assert seen == [(done, 8) for done in range(9)]
    with pytest.raises(TddError, match="after 7 of 8 pieces"):
        list(parallel_map(die_on_three, range(8), 2))


def test_an_item_whose_worker_was_killed_once_is_done_all_the_same(tmp_path):
    marks = [tmp_path / name for name in "abcd"]
    assert sorted(parallel_map(die_once, marks, 2)) == ["a", "b", "c", "d"]


def test_workers_that_never_live_end_the_work_before_every_item_was_tried():
    with pytest.raises(TddError, match=r"after 0 of 1000 pieces.*fewer workers"):
        list(parallel_map(die, range(1000), 2, killed=square))


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
def test_workers_do_not_outlive_a_killed_parent(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(
        "import os, sys, time\n"
        "from pathlib import Path\n"
        "from tdd.machine.parallel import parallel_map\n"
        "def work(n):\n"
        "    Path(sys.argv[1], str(os.getpid())).touch()\n"
        "    time.sleep(60)\n"
        "if __name__ == '__main__':\n"
        "    list(parallel_map(work, range(2), 2))\n"
    )
    marks = tmp_path / "pids"
    marks.mkdir()
    parent = subprocess.Popen([sys.executable, str(script), str(marks)])
    _wait_for(lambda: len(list(marks.iterdir())) == 2)
    parent.kill()
    parent.wait()
    _wait_for(lambda: not any(_alive(int(mark.name)) for mark in marks.iterdir()))


def short_of_memory(kind):
    """What several libraries raise where memory is short, some of it in a TddError as a reader of videos does."""
    if kind == "opencv":
        cv2.resize(np.zeros((9, 9, 3), np.uint8), (2**30, 2**20))
    error = {
        "python": MemoryError(),
        "system": OSError(errno.ENOMEM, "Cannot allocate memory"),
        "ffmpeg": av.error.MemoryError(errno.ENOMEM, "Cannot allocate memory"),
        "torch": RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory"),
    }[kind]
    raise TddError("a.mp4 is damaged; copy it again.") from error


KINDS = ["python", "system", "ffmpeg", "torch", "opencv"]


@pytest.mark.parametrize("kind", KINDS)
def test_memory_is_the_machines_fault_whoever_says_it(kind):
    with pytest.raises(Exception) as caught:
        short_of_memory(kind)
    assert out_of_memory(caught.value) and of_the_machine(caught.value) and limit_reached(caught.value) is None
    assert not out_of_memory(TddError("a.mp4 is damaged.")) and not out_of_memory(OSError(errno.ENOENT, "no file"))


def meet(x):
    """Item ``greedy`` takes all memory, of which ``healthy`` finds none beside it, and is killed in the end."""
    name, folder = x
    with (folder / name).open("a") as tries:
        tries.write(f"{os.getpid()}\n")
    number = len((folder / name).read_text().split())
    if name == "greedy":
        if number < 3:  # the third time it is alone
            _wait_for(lambda: (folder / f"failed-{number}").exists())
        os.kill(os.getpid(), signal.SIGKILL)
    if number < 3:
        _wait_for(lambda: (folder / "greedy").exists() and len((folder / "greedy").read_text().split()) == number)
        (folder / f"failed-{number}").touch()
        short_of_memory("ffmpeg")
    return name


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
def test_what_failed_beside_one_that_kills_is_tried_alone_and_kept(tmp_path):
    items = [("greedy", tmp_path), ("healthy", tmp_path)]
    found = list(parallel_map(meet, items, 2, killed=lambda item: f"not {item[0]}"))
    assert sorted(found) == ["healthy", "not greedy"]
    tries = {name: (tmp_path / name).read_text().split() for name in ("greedy", "healthy")}
    assert [len(set(pids)) for pids in tries.values()] == [3, 3]  # each time in a fresh process


def open_too_many(_):
    resource.setrlimit(resource.RLIMIT_NOFILE, (24, 24))
    held = []
    try:
        while True:
            held.append(Path(os.devnull).open())  # noqa: SIM115
    except OSError as error:
        raise TddError("a.mp4 is damaged; copy it again.") from error
    finally:
        for file in held:
            file.close()


@pytest.mark.skipif(resource is None, reason="no limits here")
def test_a_limit_on_open_files_is_named_and_no_piece_is_blamed():
    with pytest.raises(TddError, match=r"may not open more files.*ulimit -n"):
        list(parallel_map(open_too_many, range(4), 2, killed=lambda _: "blamed"))


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.EMFILE, "Too many open files"), "ulimit -n"),
        (BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"), "ulimit -u"),
    ],
)
def test_a_system_that_begins_no_process_is_told_in_a_sentence(error, said, monkeypatch):
    def refuse(*_):
        raise error

    monkeypatch.setattr("multiprocessing.popen_spawn_posix.Popen._launch", refuse)
    with pytest.raises(TddError, match=said):
        list(parallel_map(square, range(4), 2))


def never_end(x):
    marks, number = x
    (marks / str(os.getpid())).touch()
    time.sleep(300)
    return number


def test_a_caller_that_leaves_early_waits_for_nothing_and_leaves_nobody(tmp_path):
    began = time.monotonic()
    try:
        for _ in parallel_map(never_end, [(tmp_path, n) for n in range(2)], 2, lambda *_: _interrupt(tmp_path)):
            pytest.fail("nothing ends")
    except KeyboardInterrupt:
        pass
    assert time.monotonic() - began < 120
    _wait_for(lambda: not any(_alive(int(mark.name)) for mark in tmp_path.iterdir()), 1)


def _interrupt(marks):
    """As Ctrl-C: once two processes are at work."""

    def press():
        _wait_for(lambda: len(list(marks.iterdir())) == 2)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=press, daemon=True).start()


def give_unpicklable(_):
    return lambda: 1


class Picky(Exception):  # noqa: N818
    def __init__(self, one, two):
        super().__init__(f"{one} {two}")


def raise_picky(_):
    raise Picky("two", "words")


def test_what_cannot_travel_between_processes_is_told_all_the_same():
    with pytest.raises(Exception, match=r"pickle|local object"):
        list(parallel_map(give_unpicklable, range(2), 2))
    with pytest.raises(RuntimeError, match="Picky: two words"):
        list(parallel_map(raise_picky, range(2), 2))


@pytest.mark.parametrize(
    ("asked", "cores", "memory", "expected"),
    [
        (None, 4, 64, 4),
        (None, 64, 4, 8),
        (3, 4, 64, 3),
        (64, 4, 64, 8),
        (10**9, 4, 1, 2),
        (2, 1, 0.1, 1),
        (9, 4, None, 8),
    ],
)
def test_workers_are_bounded_by_cores_and_memory_and_it_is_said(asked, cores, memory, expected, monkeypatch, caplog):
    monkeypatch.setattr(limits, "cpu_count", lambda: cores)
    monkeypatch.setattr(limits, "free_memory", lambda: None if memory is None else int(memory * 2**30))
    assert limits.allowed_workers(asked, each=2**29) == expected
    said = [record.message for record in caplog.records]
    if asked in (None, expected):
        assert not said
    else:
        assert f"{asked} workers were asked for and {expected} begin" in said[0]


@pytest.mark.parametrize("asked", [0, -1, -(10**9)])
def test_fewer_than_one_worker_is_refused(asked):
    with pytest.raises(TddError, match="1 up"):
        list(parallel_map(square, range(3), asked))


def test_free_memory_is_the_least_that_system_and_container_leave(tmp_path):
    def write(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    write("proc/meminfo", "MemTotal:  9000 kB\nMemAvailable:  8000 kB\n")
    assert limits.free_memory(tmp_path) == 8000 * 1024
    write("sys/fs/cgroup/memory.max", "max\n")
    write("sys/fs/cgroup/memory.current", "5000000\n")
    assert limits.free_memory(tmp_path) == 8000 * 1024
    write("sys/fs/cgroup/memory.max", "6000000\n")
    assert limits.free_memory(tmp_path) == 1_000_000
    write("sys/fs/cgroup/memory.stat", "anon 1\ninactive_file 500000\n")
    assert limits.free_memory(tmp_path) == 1_500_000
    write("sys/fs/cgroup/memory/memory.limit_in_bytes", "700000\n")
    write("sys/fs/cgroup/memory/memory.usage_in_bytes", "800000\n")
    assert limits.free_memory(tmp_path) == 0


def test_a_single_piece_has_a_process_of_its_own():
    assert list(parallel_map(die, [1], killed=lambda _: "told")) == ["told"]


def _wait_for(condition, seconds=45):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def _alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


PLAIN = "print(sorted(parallel_map(abs, range(-9, 0), 2)))"
HELD = f"with held_alone(Path(__file__).parent, 'test'): {PLAIN}"
"""As preparing data and running a study do: one process at a time writes to a folder."""


@pytest.mark.parametrize("work", [PLAIN, HELD])
def test_a_script_without_a_guard_is_told_of_it_once(tmp_path, work):
    """Each process that it begins runs it from its first line; with a guard it does what it says."""

    def run(line):
        imports = "from pathlib import Path\nfrom tdd.machine.files import held_alone\n"
        imports += "from tdd.machine.parallel import parallel_map\n"
        (tmp_path / "script.py").write_text(imports + line, encoding="utf-8")
        return subprocess.run([sys.executable, tmp_path / "script.py"], capture_output=True, text=True, timeout=300)

    done = run(work)
    assert done.returncode == 1 and not done.stdout
    assert done.stderr.count("script.py") == 1, done.stderr  # in one traceback, that of the script itself
    last = done.stderr.splitlines()[-1]
    assert last.startswith("tdd.errors.TddError: This script begins processes") and "if __name__ == '__main__'" in last
    done = run(f"if __name__ == '__main__':\n    {work}")
    assert done.stdout.strip() == str(list(range(1, 10))), done.stderr
