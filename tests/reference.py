"""The ffmpeg program, to make video files of every kind and to say how their frames look and when they are shown."""

import re
import subprocess
from fractions import Fraction
from functools import cache

import numpy as np
import pytest

SQUARE = "scale=w='floor(iw*max(1,sar)+.5)':h='floor(ih/min(1,sar)+.5)':flags=bicubic"
"""Filter: pixels become square, their longer side kept."""


@cache
def program():
    """Path of the ffmpeg program that the package imageio-ffmpeg carries; without it the test is skipped."""
    try:
        import imageio_ffmpeg

        return imageio_ffmpeg.get_ffmpeg_exe()
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"needs the ffmpeg program of the package imageio-ffmpeg ({error})")


@cache
def _encoders():
    listed = subprocess.run([program(), "-hide_banner", "-encoders"], capture_output=True, text=True).stdout
    return set(re.findall(r"^ [VAS][.\w]{5} (\S+)", listed, re.MULTILINE))


def need_encoder(name):
    if name not in _encoders():
        pytest.skip(f"the ffmpeg program here has no encoder {name}")


def ffmpeg(*arguments):
    """Run the program; what it writes to standard output, bytes."""
    command = [program(), "-y", "-nostdin", "-v", "error", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True)
    assert not done.returncode, f"{' '.join(command)}\n{done.stderr.decode(errors='replace')[-2000:]}"
    return done.stdout


def picture(size="64x48", seconds=0.2, rate=25):
    """Input of the program: a test picture with saturated colours, hard edges and motion."""
    return ["-f", "lavfi", "-i", f"testsrc2=s={size}:r={rate}:d={seconds}"]


def tone(seconds=0.2, rate=16_000, hertz=440):
    return ["-f", "lavfi", "-i", f"sine=f={hertz}:r={rate}:d={seconds}"]


def shown_by_ffmpeg(folder, paths, filters=SQUARE):
    """Frames and times of video files as the program gives them, turned by itself.

    Returns:
        for each file, RGB uint8 of shape (T, H, W, 3) and times, s.
    """
    inputs = [part for path in paths for part in ("-i", path)]
    outputs = []
    for number in range(len(paths)):
        common = ["-map", f"{number}:V:0", "-vf", filters, "-fps_mode", "passthrough", "-enc_time_base", "demux"]
        common += ["-pix_fmt", "rgb24"]
        outputs += [*common, "-f", "rawvideo", folder / f"{number}.raw", *common, "-f", "framecrc"]
        outputs.append(folder / f"{number}.crc")
    ffmpeg("-copyts", *inputs, *outputs)
    return [_shown(folder / f"{number}.raw", folder / f"{number}.crc") for number in range(len(paths))]


def _shown(raw, listed):
    text = listed.read_text()
    width, height = map(int, re.search(r"#dimensions 0: (\d+)x(\d+)", text).groups())
    unit = Fraction(re.search(r"#tb 0: (\S+)", text)[1])
    times = [int(line.split(",")[2]) * unit for line in text.splitlines() if not line.startswith("#")]
    return np.fromfile(raw, np.uint8).reshape(-1, height, width, 3), times


def largest_difference(one, other):
    """Between two films, grey levels; they must have one shape."""
    one, other = np.asarray(one), np.asarray(other)
    assert one.shape == other.shape, f"{one.shape} beside {other.shape}"
    return int(np.abs(one.astype(int) - other).max())
