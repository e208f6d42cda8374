"""Random inputs to the public functions: nothing may crash, hang, raise anything but TddError, or lose a good video.

    python -m tests.fuzz --minutes 10            inputs of all kinds, from seed 0 on
    python -m tests.fuzz --kind video --seed 17  one input again, with its traceback

Inputs are made and read in a process of their own, so that a crash or a hang is seen and ends nothing else. An input
follows from its kind and seed alone.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pickle
import queue
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tdd.config import ClipConfig, load_recipe
from tdd.errors import TddError
from tests.preprocess.trees import add_video, write_root

COMPUTING, SECONDS = 30.0, 300.0
"""Seconds of a core, and of the clock, after which an input hangs: a sound one takes two of a core, libraries included,
but a busy machine may keep it waiting."""

CLIP = ClipConfig(canvas=72, crop=42, view_crop=40, input_size=32)
GOOD = "LRW/train/WORD_00001"
BAD = "LRW/lipread_mp4/WORD/train/WORD_00002"


@dataclass(frozen=True)
class Failure:
    """An input that was not handled, and how it is made again."""

    kind: str
    seed: int
    symptom: str

    def __str__(self) -> str:
        return f"{self.symptom}  (python -m tests.fuzz --kind {self.kind} --seed {self.seed})"


# Mutations of bytes


def damage(data: bytes, rng: np.random.Generator, head: int | None = None) -> bytes:
    """Change, cut, drop, repeat or move bytes; ``head``: changes fall among so many first bytes mostly."""
    done = bytearray(data)
    for _ in range(int(rng.integers(1, 4))):
        if not done:
            break
        how = rng.integers(0, 7)
        end = min(head or len(done), len(done)) if rng.random() < 0.7 else len(done)
        at, size = int(rng.integers(0, end)), int(rng.integers(1, 65))
        if how == 0:
            for place in rng.integers(0, end, int(rng.integers(1, 30))):
                done[place] = rng.integers(0, 256)
        elif how == 1:
            del done[at:]
        elif how == 2:
            del done[at : at + size]
        elif how == 3:
            done[at:at] = done[at : at + size] * int(rng.integers(1, 9))
        elif how == 4:
            done[at : at + size] = rng.integers(0, 256, size, dtype=np.uint8).tobytes()
        elif how == 5:
            value = int(rng.choice([0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]))
            done[at : at + 4] = struct.pack(">I", value)
        else:
            done[at] ^= 1 << int(rng.integers(0, 8))
    return bytes(done)


def boxes(data: bytes) -> list[bytes]:
    """The boxes of an mp4 file (ISO/IEC 14496-12) at its top level."""
    found, start = [], 0
    while start + 8 <= len(data):
        length = int.from_bytes(data[start : start + 4], "big")
        if length < 8:
            break
        found.append(data[start : start + length])
        start += length
    return found


def damaged_video(data: bytes, rng: np.random.Generator) -> bytes:
    """One of: any damage, boxes in another order, without one, one of them damaged or twice; noise; nothing."""
    how, parts = rng.integers(0, 8), boxes(data)
    if how <= 2 or not parts:
        return damage(data, rng, 2000 if how else None)
    chosen = int(rng.integers(0, len(parts)))
    if how == 3:
        parts = [parts[place] for place in rng.permutation(len(parts))]
    elif how == 4:
        del parts[chosen]
    elif how == 5:
        parts[chosen] = damage(parts[chosen], rng)
    elif how == 6:
        parts.insert(int(rng.integers(0, len(parts) + 1)), parts[chosen])
    else:
        return rng.integers(0, 256, int(rng.integers(0, 5000)), dtype=np.uint8).tobytes()
    return b"".join(parts)


def damaged_json(value: object, rng: np.random.Generator) -> object:
    """A nested value in which one place holds something else."""
    odd = (None, 0, -1, 1e308, float("nan"), True, "", "a", [], {}, [None], {"a": []}, 10**30, "\ud800")
    if isinstance(value, dict) and value and rng.random() < 0.9:
        key = list(value)[int(rng.integers(0, len(value)))]
        if rng.random() < 0.1:
            return {other: kept for other, kept in value.items() if other != key}
        return {**value, key: damaged_json(value[key], rng)}
    if isinstance(value, list) and value and rng.random() < 0.7:
        place = int(rng.integers(0, len(value)))
        return [*value[:place], damaged_json(value[place], rng), *value[place + 1 :]]
    return odd[int(rng.integers(0, len(odd)))]


# Inputs


class Bench:
    """Good inputs, made once, of which each attack changes a copy."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        root = folder / "root"
        add_video(root, "LRW/lipread_mp4/WORD/train/WORD_00001.mp4", audio=True, seed=1)
        add_video(root, f"{BAD}.mp4", audio=True, seed=2)
        self.root = root

    def fresh(self) -> Path:
        """A copy of the root."""
        shutil.rmtree(self.folder / "trial", ignore_errors=True)
        shutil.copytree(self.root, self.folder / "trial/root")
        return self.folder / "trial/root"

    def weights(self) -> Path:
        """A folder of stage-2 weights, made when first asked for."""
        folder = self.folder / "weights"
        if not folder.is_dir():
            import torch

            from tdd.weights.checkpoints import Weights, export_weights, weights_info
            from tdd.weights.detector import Detector
            from tests.preprocess.trees import face_points

            torch.set_num_threads(1)
            recipe = load_recipe("tiny")
            detector = Detector("cnn_gru_attention", recipe)
            parts = {"backbone": detector.backbone.state_dict(), "head": detector.head.state_dict()}
            kept = {"temperature": 1.5, "bias": 0.1, "reals": 9, "fakes": 9, "ece_before": 0.2, "ece_after": 0.1}
            info = weights_info(recipe, 0, {"loss": 0.3}, "abc", True) | {"calibration": kept}
            export_weights(folder, Weights("stage2", "cnn_gru_attention", parts, info, face_points(1)[0]))
        return folder


def prepare_keeps_the_good(root: Path) -> None:
    """Prepare and check a root whose first video is sound: whatever the second is, the first is kept."""
    from tdd.preprocess.check import check_root
    from tdd.preprocess.prepare import prepare

    done = prepare(root, root.parent / "store", CLIP, workers=1)
    assert GOOD in set(done.store.index["video_id"]), "the good video is lost"
    assert len(done.store.index) + len(done.failed) == 2, "a video is neither kept nor set aside"
    check_root(root, deep=True, workers=1).to_dict()


def attack_video(bench: Bench, rng: np.random.Generator) -> None:
    root = bench.fresh()
    path = root / f"{BAD}.mp4"
    path.write_bytes(damaged_video(path.read_bytes(), rng))
    prepare_keeps_the_good(root)


def attack_landmarks(bench: Bench, rng: np.random.Generator) -> None:
    root = bench.fresh()
    path = root / "landmarks" / f"{BAD}.npy"
    points = np.load(path)
    how = rng.integers(0, 4)
    if how == 0:
        path.write_bytes(damage(path.read_bytes(), rng, 128))
    elif how == 1:
        values = (np.inf, np.nan, -1e39, 1e20, -1e20, 1e6, 0, 3.4e38)
        points = points.astype(rng.choice(["f2", "f4", "f8"]))
        with np.errstate(all="ignore"):
            points[rng.integers(0, len(points), 3), rng.integers(0, 68, 3)] = rng.choice(values)
        np.save(path, points)
    elif how == 2:
        kind = rng.choice(["i1", "u8", "c8", "U4", "M8[s]", "?", ">f4", "f8"])
        shape = [(30, 68, 2), (30, 68, 3), (0, 68, 2), (), (68, 2), (1, 68, 2)][int(rng.integers(0, 6))]
        np.save(path, np.zeros(shape, kind))
    else:
        with path.open("wb") as file:
            (np.savez if rng.random() < 0.5 else lambda out, value: pickle.dump(value, out))(file, points)
    prepare_keeps_the_good(root)


def attack_list(bench: Bench, rng: np.random.Generator) -> None:
    from tdd.preprocess.check import check_root
    from tdd.preprocess.prepare import prepare

    whole = bench.folder / "whole"
    if not whole.is_dir():
        write_root(whole)
    trial = bench.folder / "trial"
    shutil.rmtree(trial, ignore_errors=True)
    shutil.copytree(whole, trial / "root")
    lists = sorted((trial / "root").rglob("*.json")) + sorted((trial / "root").rglob("*.txt"))
    path = lists[int(rng.integers(0, len(lists)))]
    if path.suffix == ".json" and rng.random() < 0.5:
        path.write_text(json.dumps(damaged_json(json.loads(path.read_text()), rng)))
    elif rng.random() < 0.1:
        path.write_text(str(rng.choice(["[", '{"a":', '"', "\t"])) * int(rng.integers(1, 10**6)))
    else:
        path.write_bytes(damage(path.read_bytes(), rng))
    report = check_root(trial / "root", workers=1)
    lrw = next(check for check in report.datasets if check.dataset == "LRW")
    assert sum(count.found for count in lrw.counts) == 4, "data check loses the videos of another data set"
    prepare(trial / "root", trial / "store", CLIP, workers=1)


def attack_weights(bench: Bench, rng: np.random.Generator) -> None:
    from tdd.evaluation.predict import VideoScorer
    from tdd.weights.inspection import weights_text

    good, trial = bench.weights(), bench.folder / "trial"
    shutil.rmtree(trial, ignore_errors=True)
    shutil.copytree(good, trial)
    info, tensors = trial / "weights.json", trial / "weights.safetensors"
    how = rng.integers(0, 3)
    if how == 0:
        info.write_text(json.dumps(damaged_json(json.loads(info.read_text()), rng)))
    elif how == 1:
        info.write_bytes(damage(info.read_bytes(), rng))
    else:
        data = tensors.read_bytes()
        tensors.write_bytes(damage(data, rng, 8 + struct.unpack("<Q", data[:8])[0]))
    weights_text(trial)
    video, points = bench.root / f"{BAD}.mp4", bench.root / "landmarks" / f"{BAD}.npy"
    score = VideoScorer(trial).score(video, points).to_row()["score"]
    assert 0 <= score <= 1, f"the score is {score}"


def attack_predict(bench: Bench, rng: np.random.Generator) -> None:
    from tdd.evaluation.predict import VideoScorer, predict_folder

    folder, marks = bench.folder / "trial/videos", bench.folder / "trial/marks"
    shutil.rmtree(bench.folder / "trial", ignore_errors=True)
    folder.mkdir(parents=True)
    marks.mkdir()
    for name in ("WORD_00001", "WORD_00002"):
        shutil.copy(bench.root / "LRW/lipread_mp4/WORD/train" / f"{name}.mp4", folder)
        shutil.copy(bench.root / "landmarks/LRW/lipread_mp4/WORD/train" / f"{name}.npy", marks)
    bad = folder / "WORD_00002.mp4"
    bad.write_bytes(damaged_video(bad.read_bytes(), rng))
    rows = predict_folder(folder, VideoScorer(bench.weights()), marks)
    assert "score" in rows[0] and 0 <= rows[0]["score"] <= 1, "the good video has no score"


def attack_checkpoint(bench: Bench, rng: np.random.Generator) -> None:
    import torch
    from safetensors.torch import load_file

    from tdd.weights.importing import import_published

    trial = bench.folder / "trial"
    shutil.rmtree(trial, ignore_errors=True)
    trial.mkdir()
    held = load_file(bench.weights() / "weights.safetensors")
    state = {name.replace("head/", "df_head.").replace("backbone/", "backbone."): value for name, value in held.items()}
    content: object = {"state_dict": state} if rng.random() < 0.5 else state
    if rng.random() < 0.3:
        content = damaged_json(content, rng)
    path = trial / ("a.safetensors" if rng.random() < 0.2 else "a.pth")
    torch.save(content, path, _use_new_zipfile_serialization=bool(rng.random() < 0.5))
    if rng.random() < 0.8:
        path.write_bytes(damage(path.read_bytes(), rng, 3000))
    import_published(path, trial / "out")


ATTACKS: dict[str, Callable[[Bench, np.random.Generator], None]] = {
    "video": attack_video,
    "landmarks": attack_landmarks,
    "list": attack_list,
    "weights": attack_weights,
    "checkpoint": attack_checkpoint,
    "predict": attack_predict,
}


def attack(bench: Bench, kind: str, seed: int) -> str:
    """Make and read one input; what went wrong in words, empty when nothing did."""
    rng = np.random.default_rng([list(ATTACKS).index(kind), seed])
    try:
        ATTACKS[kind](bench, rng)
    except TddError as error:
        said = str(error)
        if kind in ("video", "landmarks", "predict"):
            return f"one bad video ends the run: {said}"
        if "Traceback" in said or len(said.splitlines()) > 1:
            return f"not one sentence: {said!r}"
    except BaseException as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__}: {error} (in {Path(where.filename).name}, {where.name})"
    return ""


# The process that reads them, and the one that watches it


def serve(folder: Path) -> None:
    """Answer each line ``KIND SEED`` with a line of JSON."""
    bench = Bench(folder)
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what libraries print is not an answer
    for line in sys.stdin:
        kind, seed = line.split()
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_PROF, COMPUTING)  # ends the process by SIGPROF, within C code too
        answers.write(json.dumps(attack(bench, kind, int(seed))) + "\n")


class Reader:
    """A process that reads inputs; begun anew when one has ended it."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[str] | None = None
        self.folder = Path(tempfile.mkdtemp(prefix="fuzz-"))

    def read(self, kind: str, seed: int) -> str:
        """As :func:`attack`; and crashes and hangs."""
        if self.process is None:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.fuzz", "--serve", str(self.folder)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            )  # fmt: skip
            self.lines: queue.SimpleQueue[str] = queue.SimpleQueue()
            threading.Thread(target=self._listen, args=(self.process, self.lines), daemon=True).start()
        assert self.process.stdin
        with contextlib.suppress(OSError):
            self.process.stdin.write(f"{kind} {seed}\n")
            self.process.stdin.flush()
        try:
            line = self.lines.get(timeout=SECONDS)
        except queue.Empty:
            self.close()
            return f"hangs: not done after {SECONDS:.0f} s"
        if line:
            return str(json.loads(line))
        code = self.process.wait()
        self.process = None
        if hasattr(signal, "SIGPROF") and code == -signal.SIGPROF:
            return f"hangs: computes for more than {COMPUTING:.0f} s"
        return f"crash: {signal.Signals(-code).name if code < 0 else f'exit code {code}'}"

    @staticmethod
    def _listen(process: subprocess.Popen[str], lines: queue.SimpleQueue[str]) -> None:
        assert process.stdout
        for line in process.stdout:
            lines.put(line)
        lines.put("")

    def close(self) -> None:
        """End the process and clear its folder."""
        if self.process:
            self.process.kill()
            self.process.wait()
        self.process = None
        shutil.rmtree(self.folder, ignore_errors=True)


def run(kinds: list[str], first: int, count: int | None, seconds: float) -> Iterator[Failure | None]:
    """Inputs of each kind in turn until the count or the time is reached; ``None`` for one that was handled."""
    reader, end = Reader(), time.monotonic() + seconds
    try:
        for number in range(count or sys.maxsize):
            if time.monotonic() >= end:
                return
            kind, seed = kinds[number % len(kinds)], first + number // len(kinds)
            symptom = reader.read(kind, seed)
            yield Failure(kind, seed, symptom) if symptom else None
    finally:
        reader.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", choices=ATTACKS, nargs="+", default=list(ATTACKS))
    parser.add_argument("--seed", type=int, help="one input of a kind, with its traceback")
    parser.add_argument("--first", type=int, default=0, help="seed to begin with")
    parser.add_argument("--count", type=int, help="inputs (default: as many as the time allows)")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        serve(args.serve)
    elif args.seed is not None:
        with tempfile.TemporaryDirectory() as folder:
            rng = np.random.default_rng([list(ATTACKS).index(args.kind[0]), args.seed])
            ATTACKS[args.kind[0]](Bench(Path(folder)), rng)
    else:
        results = []
        for result in run(args.kind, args.first, args.count, 60 * args.minutes):
            results.append(result)
            if result:
                print(result, flush=True)  # noqa: T201
        failed = sum(result is not None for result in results)
        print(f"{len(results)} inputs, {failed} failed")  # noqa: T201
        sys.exit(bool(failed))


if __name__ == "__main__":
    main()
