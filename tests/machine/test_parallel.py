import os
import signal
import subprocess
import sys
import time

import pytest

from tdd.errors import TddError
from tdd.machine.parallel import parallel_map


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
