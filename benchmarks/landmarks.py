"""How fast are landmarks found: the package's batch call beside one call of the network, and the detector's part?

face-alignment's ``get_landmarks_from_batch`` runs its landmark network face by face; ``tdd`` runs it once
for all crops.
Both are timed by turns in one process on the same frames and boxes, with random weights: speed does not depend on what
the weights know. Crops and points are included. The points are compared, too.

dlib, on the CPU, is timed on a drawn face of the same size: what it costs does depend on what it sees.

    python -m benchmarks.landmarks

(As a module: beside a file that is run, coverage.py would be taken for the package of that name, which numba imports.)
"""

from __future__ import annotations

import argparse
import copy
import json
import platform
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import torch
from face_alignment.api import FaceAlignment, LandmarksType
from face_alignment.detection.sfd.net_s3fd import s3fd
from face_alignment.models import FAN

import tdd
from tdd.data.video import read_video
from tdd.preprocess.dlib_faces import LARGEST_SIDE, load_dlib
from tdd.preprocess.face_networks import MOST_CROPS, HeatMapPoints, LandmarkNetwork
from tdd.preprocess.faces import FaceSettings
from tdd.preprocess.heatmaps import centres_and_sides, crop_face, points_of
from tdd.synth.example import write_half_forged

HEIGHT, WIDTH = 720, 1280
BOX = np.array([500.0, 200.0, 700.0, 440.0])


def package_call(network: torch.nn.Module, device: str) -> FaceAlignment:
    """The package's object around a network of random weights; its constructor would fetch weights."""
    aligner = object.__new__(FaceAlignment)
    aligner.face_alignment_net, aligner.device, aligner.dtype = network, device, torch.float32
    aligner.flip_input, aligner.verbose, aligner.max_batch_size = False, False, 1
    aligner.landmarks_type, aligner.face_detector = LandmarksType.TWO_D, SimpleNamespace(reference_scale=195)
    return aligner


def seconds(runs: dict[str, Callable[[], Any]], repeats: int, device: str) -> tuple[dict[str, float], dict[str, Any]]:
    """Median time of each, taken by turns after one turn that is not counted; and what each gave."""
    taken: dict[str, list[float]] = {name: [] for name in runs}
    given: dict[str, Any] = {}
    for turn in range(repeats + 1):
        for name, run in runs.items():
            start = time.perf_counter()
            given[name] = run()
            if device == "cuda":
                torch.cuda.synchronize()
            if turn:
                taken[name].append(time.perf_counter() - start)
    return {name: statistics.median(times) for name, times in taken.items()}, given


def measure(device: str, frames: int, repeats: int) -> dict[str, Any]:
    """Seconds a frame on one device."""
    torch.manual_seed(0)
    network = FAN(4).to(device).eval()
    theirs = package_call(network, device)
    fast = LandmarkNetwork(copy.deepcopy(network).to(memory_format=torch.channels_last))
    ours = HeatMapPoints(fast, 195.0, device)
    images = np.random.default_rng(0).integers(0, 256, (frames, HEIGHT, WIDTH, 3), dtype=np.uint8)
    batch = torch.from_numpy(images.transpose(0, 3, 1, 2).copy())
    boxes = [[np.append(BOX, 1.0)]] * frames

    def package() -> np.ndarray:
        return np.stack(theirs.get_landmarks_from_batch(batch, detected_faces=boxes))

    def own(group: int) -> np.ndarray:
        ours.most_crops = group
        centres, sides = centres_and_sides(np.stack([BOX] * frames), 195.0)
        crops = np.stack([crop_face(image, c, s) for image, c, s in zip(images, centres, sides, strict=True)])
        return points_of(ours.heat_maps(crops), centres, sides)[0]

    finder = s3fd().to(device).eval()

    def detect(height: int, width: int) -> None:
        with torch.inference_mode():
            finder(torch.zeros(1, 3, height, width, device=device))

    taken, given = seconds(
        {
            "package": package,
            **{f"own {group}": partial(own, group) for group in (1, 2, frames)},
            "detector 1280 x 720": lambda: detect(HEIGHT, WIDTH),
            "detector 640 x 360": lambda: detect(HEIGHT // 2, WIDTH // 2),
        },
        repeats,
        device,
    )
    differing = np.trunc(given[f"own {frames}"] + 0.5) != given["package"]
    return {
        "device": torch.cuda.get_device_name() if device == "cuda" else f"CPU, {torch.get_num_threads()} threads",
        "frames": frames,
        "seconds_a_frame": {
            name: value / (1 if name.startswith("detector") else frames) for name, value in taken.items()
        },
        "points_that_differ": int(differing.sum()),
        "points": differing.size,
    }


def measure_dlib(frames: int, repeats: int) -> dict[str, float]:
    """Seconds of one look of dlib's detector, and of a followed face's landmarks, by one thread."""
    with TemporaryDirectory() as folder:
        face = read_video(write_half_forged(Path(folder) / "face.mp4", seconds=2))[0][0]
    detector, points = load_dlib()
    left, top, right = detector(face)[0, :3]
    scale = (BOX[2] - BOX[0]) / (right - left)
    image = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    large = cv2.resize(face, None, fx=scale, fy=scale)
    x, y = round(BOX[0] - left * scale), round(BOX[1] - top * scale)
    large = large[max(0, -y) : HEIGHT - y, max(0, -x) : WIDTH - x]
    image[max(0, y) :, max(0, x) :][: len(large), : len(large[0])] = large
    (found,) = detector(image)
    boxes = np.stack([found[:4]] * frames)
    cv2.setNumThreads(0)  # as in the processes that find landmarks
    taken, given = seconds(
        {"look": lambda: detector(image), "landmarks": lambda: points([image] * frames, boxes)}, repeats, "cpu"
    )
    assert given["landmarks"][1].min() > 0.5, "dlib does not see the face"
    return {"look": taken["look"], "landmarks": taken["landmarks"] / frames}


def main() -> None:
    """Measure, print, and write ``results/landmarks.json`` and ``.md``."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--frames", type=int, default=8, help="of a batch; 8 lie between two looks of the detector")
    parser.add_argument("--repeats", type=int, default=5, help="timed turns; the median counts")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    rows = [measure(device, options.frames, options.repeats) for device in devices]
    every = FaceSettings().every
    lines = [
        f"# Finding landmarks (tdd {tdd.__version__}, torch {torch.__version__}, {platform.machine()})",
        "",
        f"`python -m benchmarks.landmarks --frames {options.frames} --repeats {options.repeats}`: 2D-FAN-4 and S3FD of",
        f"face-alignment with random weights, frames of {WIDTH} x {HEIGHT}, one face of 200 x 240 px in each, ms a "
        "frame,",
        f"median of {options.repeats} turns. Decoding is not included.",
    ]
    for row in rows:
        took = {name: 1000 * value for name, value in row["seconds_a_frame"].items()}
        chosen = f"own {MOST_CROPS['cpu'] if row['device'].startswith('CPU') else row['frames']}"
        package, own = (
            took["package"] + took["detector 1280 x 720"],
            took[chosen] + took["detector 640 x 360"] / every,
        )
        lines += [
            "",
            f"**{row['device']}**",
            "",
            "| step | ms a frame |",
            "|---|---|",
            f"| landmarks, `get_landmarks_from_batch` of the package | {took['package']:.1f} |",
            *(
                f"| landmarks, `tdd`, crops a call: {name[4:]}{' (its choice here)' * (name == chosen)} | {value:.1f} |"
                for name, value in took.items()
                if name.startswith("own")
            ),
            f"| detector network, full frame | {took['detector 1280 x 720']:.1f} |",
            f"| detector network, longer side 640 px | {took['detector 640 x 360']:.1f} |",
            f"| sum: full frame at every frame, and the package's batch call | {package:.1f} |",
            f"| sum: 640 px at every {every}th frame, and `tdd`'s landmarks | {own:.1f} |",
            "",
            f"The last sum is {package / own:.1f}x as fast as the one before, nearly all of it by looking less often "
            f"and at smaller pictures. {row['points_that_differ']} of {row['points']} coordinates differ from the "
            "package's once they are cut to whole pixels as its are.",
        ]
    dlib = {name: 1000 * value for name, value in measure_dlib(options.frames, options.repeats).items()}
    sum_of_dlib = dlib["landmarks"] + dlib["look"] / every
    rows[0]["seconds_a_frame_dlib"] = {name: value / 1000 for name, value in dlib.items()}
    lines += [
        "",
        "**CPU, dlib (`--detector dlib`), 1 thread**",
        "",
        "| step | ms a frame |",
        "|---|---|",
        f"| landmarks of a face that is followed | {dlib['landmarks']:.1f} |",
        f"| detector, longer side {LARGEST_SIDE} px | {dlib['look']:.1f} |",
        f"| sum: the detector at every {every}th frame, and landmarks | {sum_of_dlib:.1f} |",
    ]
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "landmarks.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (options.out / "landmarks.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    print("\n".join(lines))  # noqa: T201


if __name__ == "__main__":
    main()
