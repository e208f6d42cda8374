"""How fast is the kit on this CPU, beside the published way and beside what the machine allows? Minutes on two cores.

Every case is timed in turns with a stand-in for the published code and with the machine's limit for the same work (a
matrix product with as many floating-point operations, a copy of as many bytes, the bare reading or decoding of the same
frames). What counts are the ratios, taken round by round: seconds of one run say little about another. Random clips
stand in for data; time does not depend on what they show.

    python benchmarks/bench.py                                    # benchmarks/results/bench.json and bench.png
    python benchmarks/bench.py --compare benchmarks/results/bench.json --out somewhere   # exit 1: a ratio got worse
    python benchmarks/bench.py --small --out /tmp/bench           # its logic, in seconds
"""

from __future__ import annotations

import argparse
import copy
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import torch
from adamp import AdamP as PlainAdamP
from torch import Tensor, multiprocessing, nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.compare import draw, read_results, worse
from benchmarks.measure import (
    LIMIT,
    OURS,
    PUBLISHED,
    Case,
    Work,
    copied,
    endless,
    forward_flop,
    in_turns,
    matrix_product,
    random_store,
    recurrent_flop,
    step_flop,
)
from benchmarks.published_way import PlainPretraining, PlainViews, plain, plain_average, plain_optimiser
from benchmarks.store_format import as_video
from tdd.config import Recipe, load_recipe, override
from tdd.data.audio import log_mel
from tdd.data.augment import to_gray, train_view
from tdd.data.clips import Draw, EpochBatches, PretrainingClips, loader
from tdd.data.store import ClipStore, write_clip
from tdd.data.video import VideoFile
from tdd.detect import Detection, training_clips
from tdd.evaluation.predict import VideoScorer
from tdd.machine.files import write_json
from tdd.models.build import video_backbone
from tdd.preprocess.crops import face_crops, mean_face
from tdd.pretrain import Pretraining
from tdd.records.paper import ROWS
from tdd.synth.example import write_half_forged
from tdd.training.loop import Stage
from tdd.training.optimiser import AdamP, ema_
from tdd.weights.checkpoints import Weights, export_weights, weights_info
from tdd.weights.detector import Detector

CORES = os.cpu_count() or 1
PROPOSED = "cnn_gru_attention"
FFV1 = {"level": "3", "coder": "1", "g": "12"}
"""As the published code writes it: a key frame every 12 frames."""


@dataclass(frozen=True)
class Size:
    """A recipe, on how many threads its networks are timed, and the clips of a step."""

    name: str
    recipe: Recipe
    threads: int
    networks: tuple[str, ...]
    clips: int
    """Of a network's step."""
    stage1: int
    """Of a step of stage 1."""
    stage2: int
    """Labelled clips of a step of stage 2; as many stage-1 clips join them where the recipe lets any."""
    seconds: float
    """Of a case's rounds, about."""


def sizes(small: bool) -> list[Size]:
    """The sizes to measure; ``small``: the smallest, for a few moments."""
    tiny = ("csn", "cnn_lstm", PROPOSED)
    if small:
        return [Size("tiny", load_recipe("tiny"), 1, tiny, 2, 2, 2, 0.0)]
    return [
        Size("paper", load_recipe("paper"), CORES, (*tiny, "vivit"), 2, 4, 4, 8.0),
        Size("demo", load_recipe("demo"), 1, tiny, 8, 16, 8, 5.0),
    ]


def step_of(network: nn.Module, video: Tensor) -> Work:
    """Forward and backward pass of a network."""

    def step() -> None:
        network.zero_grad(set_to_none=True)
        network(video).square().mean().backward()

    return step


def networks(size: Size, _home: Path) -> Iterator[Case]:
    """Forward and backward pass of each backbone."""
    clip = size.recipe.clip
    video = torch.randn(size.clips, 3, clip.frames, clip.input_size, clip.input_size)
    for name in size.networks:
        network = video_backbone(name, size.recipe).train()
        flop = 3 * size.clips * forward_flop(network, video)
        limit, share = matrix_product(flop, size.threads)
        simple = plain(video_backbone(name, size.recipe)).train()
        ways = {OURS: step_of(network, video), PUBLISHED: step_of(simple, video), LIMIT: limit}
        yield Case(f"step of {name}, {size.name}", ways, share, size.threads, f"{size.clips} clips")


def whole_step(stage: Stage, optimiser: torch.optim.Optimizer, batch: Any) -> Work:
    """Loss, gradients and the optimiser's step of a batch in memory."""

    def step() -> None:
        stage.training_step(batch, 0).backward()
        optimiser.step()
        optimiser.zero_grad()

    return step


def first_stage(
    kind: type[Pretraining], size: Size, store: ClipStore, backbone: str = PROPOSED
) -> tuple[Pretraining, dict[str, Tensor]]:
    """Stage 1 of a network, and a batch."""
    recipe = override(size.recipe, {"stage1.batch_size": size.stage1, "stage1.micro_batches": 1, "machine.workers": 0})
    faces = store.index[(store.index["dataset"] == "LRW") & (store.index["split"] == "train")]
    clips = PretrainingClips(store, faces, recipe, train=True)
    batches = EpochBatches(len(clips), size.stage1, 0)
    torch.manual_seed(0)
    stage = kind(backbone, recipe, len(clips.words), batches.steps)
    return stage, next(iter(loader(clips, batches, recipe)))


def second_stage(
    size: Size, store: ClipStore, weights: Weights, row_id: str = "ssl_0.3"
) -> tuple[Detection, dict[str, dict[str, Tensor]]]:
    """Stage 2 of a row, from its network's stage-1 weights, and a batch."""
    joined = float(size.recipe.stage2.real_per_labelled > 0)
    changes = {"stage2.batch_size": size.stage2, "stage2.micro_batches": 1, "stage2.real_per_labelled": joined}
    recipe = override(size.recipe, changes | {"machine.workers": 0})
    clips = training_clips(store, recipe, 0)
    row = next(row for row in ROWS if row.id == row_id)
    torch.manual_seed(0)
    stage = Detection(row, recipe, clips.shift, clips.steps, weights).train()
    return stage, {name: next(iter(batches)) for name, batches in clips.loaders.items()}


def stages(size: Size, home: Path) -> Iterator[Case]:
    """Whole steps of both stages with the proposed network: forward, backward, optimiser, teachers' average."""
    clip = size.recipe.clip
    store = random_store(home / f"store-{size.name}", 32, 4, clip.crop, clip.canvas)
    stage, batch = first_stage(Pretraining, size, store)
    backbone, frames = stage.video.backbone, clip.frames
    step = whole_step(stage, stage.configure_optimisers()[0], batch)
    simple, _ = first_stage(PlainPretraining, size, store)
    flop = step_flop(step) + 4 * size.stage1 * recurrent_flop(backbone, frames)  # 3 of the student, 1 of the teacher
    limit, share = matrix_product(flop, size.threads)
    ways = {OURS: step, PUBLISHED: whole_step(simple, plain_optimiser(simple), batch), LIMIT: limit}
    yield Case(f"step of stage 1, {size.name}", ways, share, size.threads, f"{size.stage1} clips")

    weights = Weights("stage1", PROPOSED, stage.parts(), {}, None)
    (detection, given), (simple2, _) = (second_stage(size, store, weights) for _ in range(2))
    simple2.detector.backbone = plain(simple2.detector.backbone)
    assert simple2.auxiliary is not None
    simple2.auxiliary.teacher.backbone = plain(simple2.auxiliary.teacher.backbone)
    step = whole_step(detection, detection.configure_optimisers()[0], given)
    count = sum(len(part["label"]) for part in given.values())
    reals = sum(int((part["label"] == 0).sum()) for part in given.values())
    flop = step_flop(step) + (3 * count + reals) * recurrent_flop(backbone, frames)
    limit, share = matrix_product(flop, size.threads)
    ways = {OURS: step, PUBLISHED: whole_step(simple2, plain_optimiser(simple2), given), LIMIT: limit}
    yield Case(f"step of stage 2, {size.name}", ways, share, size.threads, f"{count} clips, {reals} of them real")


def optimisers(size: Size, _home: Path) -> Iterator[Case]:
    """AdamP and the teachers' average over all parameters of a network, beside copies of as many bytes."""
    for name in (PROPOSED, "csn"):
        network, other = (video_backbone(name, size.recipe) for _ in range(2))
        numbers = sum(parameter.numel() for parameter in network.parameters())
        for parameter in (*network.parameters(), *other.parameters()):
            parameter.grad = torch.randn_like(parameter) * 1e-3
        ours = AdamP(network.parameters(), lr=1e-4, weight_decay=1e-2)
        simple = PlainAdamP(other.parameters(), lr=1e-4, weight_decay=1e-2)
        what = f"{numbers / 1e6:.1f} M parameters in {len(list(network.parameters()))} tensors"
        # At least weight, gradient and two averages are read, and all but the gradient written: 4 bytes each.
        limit, share = copied(7 * 4 * numbers)
        ways = {OURS: ours.step, PUBLISHED: simple.step, LIMIT: limit}
        yield Case(f"AdamP of {name}, {size.name}", ways, share, size.threads, what)

        limit, share = copied(3 * 4 * numbers)
        slow, fast = list(network.parameters()), list(other.parameters())
        ways = {
            OURS: lambda slow=slow, fast=fast: ema_(slow, fast, 0.99),
            PUBLISHED: lambda network=network, other=other: plain_average(network, other, 0.99),
            LIMIT: limit,
        }
        yield Case(f"EMA of {name}, {size.name}", ways, share, size.threads, what)


def views(size: Size, _home: Path) -> Iterator[Case]:
    """Two training views of a clip in memory, and its log-mel."""
    recipe, clip = size.recipe, size.recipe.clip
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (clip.frames, clip.crop, clip.crop, 3), dtype=np.uint8)
    samples, simple = rng.integers(-9999, 9999, 640 * clip.frames).astype(np.int16), PlainViews(recipe)

    def two() -> None:
        train_view(frames, rng, clip, recipe.noise.flip)
        noisy = train_view(frames, rng, clip, recipe.noise.flip)
        if rng.random() < recipe.noise.grayscale:
            to_gray(noisy)

    limit, share = copied(2 * clip.frames * 3 * (clip.view_crop**2 + clip.input_size**2), 64)
    ways = {OURS: repeated(two, 20), PUBLISHED: repeated(lambda: simple.two(frames, rng), 20), LIMIT: limit}
    yield Case(f"two views, {size.name}", ways, 20 * share, 1, "20 clips")

    ways = {
        OURS: repeated(lambda: log_mel(torch.from_numpy(samples.astype(np.float32) / 32768)), 50),
        PUBLISHED: repeated(lambda: simple.log_mel(samples), 50),
    }
    yield Case(f"log-mel, {size.name}", ways, per="50 clips")


def repeated(work: Work, times: int) -> Work:
    """The work, so many times."""

    def many() -> None:
        for _ in range(times):
            work()

    return many


def loading(size: Size, home: Path) -> Iterator[Case]:
    """What the loader does for a stage-1 clip: read, two views, log-mel; the limit is the bare reading."""
    recipe, clip = size.recipe, size.recipe.clip
    store = random_store(home / f"clips-{size.name}", 16, 1, clip.crop, clip.canvas)
    faces = store.index[(store.index["dataset"] == "LRW") & (store.index["split"] == "train")]
    clips, stored = (PretrainingClips(store, faces, recipe, train=True, raw=raw) for raw in (False, True))
    simple = PlainViews(recipe)
    few = copy.copy(store)
    few.index = faces.head(4)
    read = as_video(few, home / f"ffv1-{size.name}", "ffv1", "bgr0", FFV1)
    rng, count = np.random.default_rng(0), 8

    def plain_item() -> None:
        video, start = few.index["video_id"].iloc[int(rng.integers(4))], int(rng.integers(0, 29 - clip.frames + 1))
        simple.two(read(video, start, clip.frames), rng)
        simple.log_mel(store.audio(video, start, clip.frames))

    numbers = iter(range(1 << 60))

    def item(clips: PretrainingClips) -> None:
        number = next(numbers)
        clips[Draw(number % len(clips), (0, number))]

    def bare() -> None:
        number = next(numbers) % len(clips)
        store.frames(faces["video_id"].iloc[number], number % 4, clip.frames)
        store.audio(faces["video_id"].iloc[number], number % 4, clip.frames)

    for what, given in (("clip of stage 1", clips), ("stored clip for a GPU", stored)):
        ours = repeated(lambda given=given: item(given), count)  # type: ignore[misc]
        ways = {OURS: ours, PUBLISHED: repeated(plain_item, count), LIMIT: repeated(bare, count)}
        yield Case(f"loader's {what}, {size.name}", ways, per=f"{count} clips")


def films(size: Size, home: Path) -> tuple[Path, np.ndarray]:
    """A film of a drawn face, and its landmarks."""
    path = home / f"film-{size.name}.mp4"
    seconds, world = {"tiny": (2, "tiny"), "demo": (4, "demo"), "paper": (4, "full")}[size.name]
    if not path.exists():
        write_half_forged(path, seconds=seconds, size=world)
    return path, np.load(path.with_suffix(".npy"))


def decoded(path: Path) -> Work:
    """The bare decoding of a film, on one thread."""

    def decode() -> None:
        with av.open(str(path)) as container:
            container.streams.video[0].codec_context.thread_count = 1
            for _ in container.decode(video=0):
                pass

    return decode


def plain_faces(path: Path, points: np.ndarray, target: np.ndarray, size: Size, out: Path) -> None:
    """Aligned faces as FFV1: the whole film is decoded first, as the published code does it."""
    clip = size.recipe.clip
    faces = list(face_crops(VideoFile(path), points, target, clip))
    with av.open(str(out), "w") as container:
        stream = container.add_stream("ffv1", rate=25, options={"threads": "1", **FFV1})
        stream.width = stream.height = clip.crop
        stream.pix_fmt = "bgr0"
        for face in faces:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(face), format="rgb24")))
        container.mux(stream.encode())


def preparing(size: Size, home: Path) -> Iterator[Case]:
    """A film to stored faces, landmarks given; the limit is the bare decoding."""
    path, points = films(size, home)
    target, clip = mean_face(points, size.recipe.clip.canvas), size.recipe.clip
    row = {"video_id": f"prepared-{size.name}"}
    ways = {
        OURS: lambda: write_clip(home / "prepared", row, face_crops(VideoFile(path), points, target, clip)),
        PUBLISHED: lambda: plain_faces(path, points, target, size, home / "prepared.mkv"),
        LIMIT: decoded(path),
    }
    yield Case(f"prepare, {size.name}", ways, per=f"{len(points)} frames")


def predicting(size: Size, home: Path) -> Iterator[Case]:
    """A film to its score, landmarks given; the limit is the bare decoding."""
    path, points = films(size, home)
    torch.manual_seed(0)
    detector, clip = Detector(PROPOSED, size.recipe).eval(), size.recipe.clip
    parts = {"backbone": detector.backbone.state_dict(), "head": detector.head.state_dict()}
    target = mean_face(points, clip.canvas)
    info = weights_info(size.recipe, 0, {}, None, synthetic=True)
    export_weights(home / f"weights-{size.name}", Weights("stage2", PROPOSED, parts, info, target))
    scorer = VideoScorer(home / f"weights-{size.name}")
    simple, out = PlainViews(size.recipe), home / f"predicted-{size.name}.mkv"
    detector.backbone = plain(detector.backbone)

    @torch.inference_mode()
    def plainly() -> None:
        """Faces to FFV1, read back, and scored clip by clip."""
        plain_faces(path, points, target, size, out)
        with av.open(str(out)) as container:
            faces = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        for start in range(0, len(faces) - clip.frames + 1, clip.frames):
            video = torch.from_numpy(np.stack(faces[start : start + clip.frames])).permute(3, 0, 1, 2) / 255
            detector(simple.view(video, np.random.default_rng(0))[None])

    ways = {
        OURS: lambda: scorer.score(path, path.with_suffix(".npy")),
        PUBLISHED: plainly,
        LIMIT: decoded(path),
    }
    yield Case(f"predict, {size.name}", ways, 1.0, size.threads, f"{len(points)} frames")


def starting(_size: Size, _home: Path) -> Iterator[Case]:
    """``tdd --help``, beside an interpreter that does nothing and one that loads what training needs."""

    def python(code: str) -> Work:
        return lambda: subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)

    ours = "import sys; sys.argv = ['tdd', '--help']; from tdd.cli import main; main()"
    published = "import torch, torchvision, torchaudio, lightning"
    ways = {OURS: python(ours), PUBLISHED: python(published), LIMIT: python("pass")}
    yield Case("start-up, tdd --help", ways, per="a process", clock=time.perf_counter)


PARTS: dict[str, tuple[Callable[[Size, Path], Iterator[Case]], bool]] = {
    "networks": (networks, True), "stages": (stages, True), "optimisers": (optimisers, True), "views": (views, True),
    "loader": (loading, True), "prepare": (preparing, True), "predict": (predicting, True),
    "start_up": (starting, False),
}  # fmt: skip
"""Name -> what yields its cases, and whether they differ between sizes."""


def clips_per_second(work: Work, clips: int, seconds: float) -> float:
    """Of a step, after one that is not counted."""
    work()
    start, done = time.perf_counter(), 0
    while not done or time.perf_counter() < start + seconds:
        work()
        done += 1
    return round(done * clips / (time.perf_counter() - start), 1)


def by_batch(size: Size, seconds: float) -> dict[str, float]:
    """Clips/s of the proposed network's step over the clips of a batch, one thread."""
    torch.set_num_threads(1)
    clip, found = size.recipe.clip, {}
    network = video_backbone(PROPOSED, size.recipe).train()
    for clips in (1, 2, 4, 8, 16, 32):
        video = torch.randn(clips, 3, clip.frames, clip.input_size, clip.input_size)
        found[str(clips)] = clips_per_second(step_of(network, video), clips, seconds)
    return found


def by_threads(size: Size, seconds: float) -> dict[str, float]:
    """Clips/s of the same step over torch's threads."""
    clip, found = size.recipe.clip, {}
    network = video_backbone(PROPOSED, size.recipe).train()
    video = torch.randn(size.clips, 3, clip.frames, clip.input_size, clip.input_size)
    for threads in range(1, CORES + 1):
        torch.set_num_threads(threads)
        found[str(threads)] = clips_per_second(step_of(network, video), size.clips, seconds)
    return found


def by_workers(size: Size, store: ClipStore, seconds: float) -> dict[str, float]:
    """Clips/s of the stage-1 loader over its processes; nothing but loading is done."""
    torch.set_num_threads(1)
    faces = store.index[(store.index["dataset"] == "LRW") & (store.index["split"] == "train")]
    found = {}
    for workers in range(CORES + 1):
        recipe = override(size.recipe, {"machine.workers": workers, "stage1.batch_size": 8})
        clips = PretrainingClips(store, faces, recipe, train=True)
        batches = endless(loader(clips, EpochBatches(len(clips), 8, 0), recipe))
        for _ in range(2 * workers):  # what they had loaded ahead
            next(batches)
        found[str(workers)] = clips_per_second(lambda batches=batches: next(batches), 8, seconds)  # type: ignore[misc]
        batches.close()  # type: ignore[attr-defined]
    return found


def _one_process(name: str, seconds: float, ready: Any, found: Any) -> None:
    torch.set_num_threads(1)
    size = next(size for small in (False, True) for size in sizes(small) if size.name == name)
    clip = size.recipe.clip
    video = torch.randn(size.clips, 3, clip.frames, clip.input_size, clip.input_size)
    step = step_of(video_backbone(PROPOSED, size.recipe).train(), video)
    step()
    ready.wait()
    found.put(clips_per_second(step, size.clips, seconds))


def by_processes(size: Size, seconds: float) -> dict[str, float]:
    """Clips/s, all together, over the processes that train at the same time, one thread each."""
    context, total = multiprocessing.get_context("spawn"), {}
    for processes in range(1, CORES + 1):
        ready, found = context.Barrier(processes), context.Queue()
        arguments = (size.name, seconds, ready, found)
        running = [context.Process(target=_one_process, args=arguments, daemon=True) for _ in range(processes)]
        for process in running:
            process.start()
        total[str(processes)] = round(sum(found.get(timeout=300) for _ in running), 1)
        for process in running:
            process.join()
    return total


def scaling(size: Size, home: Path, seconds: float) -> dict[str, dict[str, float]]:
    """Clips/s over batch, threads, loader processes and training processes."""
    store = random_store(home / "scaling", 64, 0, size.recipe.clip.crop, size.recipe.clip.canvas)
    return {
        f"batch, {size.name}": by_batch(size, seconds),
        f"threads, {size.name}": by_threads(size, seconds),
        f"loader processes, {size.name}": by_workers(size, store, seconds),
        f"training processes, {size.name}": by_processes(size, seconds),
    }


def machine() -> dict[str, Any]:
    """What was measured on; floating-point operations/s and bytes/s are the limits that cases are held against."""
    product, share = matrix_product(1e12, CORES)
    copy, part = copied(1e12)
    found = {"limits": in_turns(Case("", {OURS: product, LIMIT: copy}, threads=CORES), 2.0)["seconds"]}
    return {
        "processor": platform.processor() or platform.machine(), "cores": CORES, "python": platform.python_version(),
        "torch": torch.__version__, "opencv": cv2.__version__, "capability": torch.backends.cpu.get_cpu_capability(),
        "gemm_gflops": round(1e3 / (share * found["limits"][OURS])),
        "copy_gb_s": round(1e3 / (part * found["limits"][LIMIT]), 1),
    }  # fmt: skip


def measure(small: bool, parts: list[str], home: Path) -> dict[str, Any]:
    """All cases of the parts asked for, or of all."""
    start = time.monotonic()
    found: dict[str, Any] = {"machine": machine(), "cases": {}, "scaling": {}}
    for part, (cases_of, by_size) in PARTS.items():
        if parts and part not in parts:
            continue
        for size in sizes(small) if by_size else sizes(small)[-1:]:
            for case in cases_of(size, home):
                row = in_turns(case, size.seconds)
                found["cases"][case.name] = row
                print(line(case.name, row), flush=True)  # noqa: T201
    if not parts or "scaling" in parts:
        found["scaling"] = scaling(sizes(small)[-1], home, 0.0 if small else 2.0)
    found["seconds"] = round(time.monotonic() - start)
    return found


def line(name: str, row: dict[str, Any]) -> str:
    """One case in words."""
    text = f"{name:<44} {1e3 * row['seconds'][OURS]:>9.1f} ms"
    for ratio, shown in (("speedup", "{:.2f}x the published way"), ("of_limit", "{:.2f} of the limit")):
        if ratio in row:
            low, high = row[ratio]["low"], row[ratio]["high"]
            text += f"   {shown.format(row[ratio]['median'])} [{low:.2f}, {high:.2f}]"
    return text


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, draw, and compare with a baseline; exit 1 where a ratio got worse by more than its spread."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--small", action="store_true", help="the smallest sizes, for moments: to test the script")
    parser.add_argument("--parts", nargs="*", default=[], choices=[*PARTS, "scaling"], help="all when none is named")
    parser.add_argument("--compare", type=Path, metavar="BASELINE", help="JSON of an earlier run")
    options = parser.parse_args(arguments)
    before = read_results(options.compare) if options.compare else None
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        found = measure(options.small, options.parts, Path(folder))
    options.out.mkdir(parents=True, exist_ok=True)
    write_json(options.out / "bench.json", found)
    draw(found, options.out / "bench.png")
    if before is not None:
        sentences = worse(before, found)
        print("\n".join(sentences or ["No ratio got worse by more than its spread."]))  # noqa: T201
        sys.exit(1 if sentences else 0)


if __name__ == "__main__":
    main()
