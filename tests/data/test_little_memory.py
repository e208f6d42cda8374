"""A video for which there is not enough memory is never taken for a damaged one."""

import os
import subprocess
import sys

import av
import pytest

from tdd.data.container import open_media
from tdd.data.sound import SoundTrack
from tdd.machine.limits import lacks_memory, out_of_memory
from tests.videos import clicks, drifting_picture, encode

AT_ONCE = {"MALLOC_MMAP_THRESHOLD_": "65536"}
"""Has the C library give memory back at once, so that no trial lives on what the one before took."""

WITH_LITTLE_ROOM = """
import resource, sys
import numpy as np
from tdd.data.video import VideoFile
from tdd.machine.limits import out_of_memory

def limit(more):
    used = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmSize"))
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (hard if more is None else 1024 * used + more * 10**6, hard))

list(VideoFile(sys.argv[1]).shown("timestamps"))  # libraries are loaded
for more in range(2, 34, 2):
    held, said = [], "whole"
    limit(more)
    try:
        for frame in VideoFile(sys.argv[1]).shown("timestamps"):
            held.append((frame, frame.rgb() if not len(held) % 4 else None))
    except Exception as error:
        del held
        limit(None)
        said = "memory" if out_of_memory(error) else f"{type(error).__name__}: {error}"
    limit(None)
    print(said)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are those of Linux")
@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_lack_of_memory_is_told_as_that_wherever_it_begins(codec, tmp_path):
    options = {"preset": "ultrafast"} if codec == "libx264" else {}
    path = encode(tmp_path / "a.mp4", drifting_picture(16, 720, 1280), codec, options=options)
    command = [sys.executable, "-c", WITH_LITTLE_ROOM, str(path)]
    # A study that began in this process left settings of the C library that keep memory.
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    done = subprocess.run(command, capture_output=True, text=True, env=clean | AT_ONCE)
    said = done.stdout.splitlines()
    assert len(said) == 16 and set(said) == {"memory", "whole"}, set(said) or done.stderr
    assert said.count("memory") > 5 and said[-1] == "whole"


def test_damage_is_damage_while_there_is_memory(tmp_path):
    path = encode(tmp_path / "a.mp4", drifting_picture(4))
    with pytest.raises(Exception, match="cannot be decoded") as told, open_media(path):
        raise av.InvalidDataError(1, "no picture")
    assert not out_of_memory(told.value)
    assert not lacks_memory(2**20) and lacks_memory(2**62)


def test_sound_without_memory_is_not_damaged_sound(tmp_path):
    path = encode(tmp_path / "a.mp4", drifting_picture(8), audio=clicks([0.1], 0.3, 16_000))
    track = SoundTrack(path, 0, 16_000)

    class Poor:
        time_base = pts = None

        def decode(self):
            raise av.error.MemoryError(12, "Cannot allocate memory")

    class Film:
        def demux(self, _):
            return iter([Poor()])

    with pytest.raises(MemoryError):
        list(track._frames(Film(), None))
    assert track.fault == ""
