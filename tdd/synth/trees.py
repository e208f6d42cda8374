"""Writes the embedded benchmark as the folder trees in which LRW, FaceForensics++ and Celeb-DF-v2 are shipped."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from tdd import __version__
from tdd.errors import TddError
from tdd.machine.files import check_space, check_writable, read_json, remove_partials, write_atomically, write_json
from tdd.machine.parallel import parallel_map
from tdd.names import CELEB_DF, FACEFORENSICS, LIP_RETIMING, LRW, SYNTHETIC_METHODS
from tdd.synth import espeak
from tdd.synth.filming import Studio, film
from tdd.synth.plan import (
    CELEB_LIST,
    Task,
    celeb_test_list,
    ff_splits,
    plan_benchmark,
    plan_sha,
)
from tdd.synth.sizes import SynthSize, size_of

PLAN, DONE = "plan.json", "synth.json"
"""Settings, written first; the same and the counts, written last: the mark that the benchmark is complete."""

README = """A synthetic benchmark, made by `tdd synth`.

Every face is drawn, every voice is espeak-ng's, and every forgery is a stand-in with known artefacts that only bears
the name of the method whose place it takes. No frame, sound or person comes from LRW, FaceForensics++ or Celeb-DF-v2;
only folders, file names, list files and codecs follow theirs, so that the same code reads both. Numbers measured here
show that a programme works and how it behaves; they can neither confirm nor refute those of any paper.

landmarks/<path>.npy   68 points, float32 (T, 68, 2), pixels, for the video <path>.mp4
masks/<path>.npz       where a fake was altered: bits (T, H, W / 8) to unpack (most significant first), and the shape
plan.json, synth.json  settings; synth.json is written last, and without it the benchmark is not complete
"""


def write_benchmark(
    out: Path | str,
    size: str | SynthSize,
    seed: int = 0,
    *,
    strength: float = 1.0,
    methods: Sequence[str] | None = None,
    language: str = "en",
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write the benchmark, or what is missing of it: complete videos of an interrupted run are kept.

    The same arguments give the same bytes, whatever the number of workers and wherever a run was interrupted.

    Args:
        out: folder to write to; made if missing.
        size: ``tiny``, ``demo``, ``study``, ``full``, or counts of your own.
        seed: of every draw.
        strength: of the artefacts of forgery: 1 is the calibrated default, at 0 a fake is just another real video.
        methods: forgeries to make, from ``SYNTHETIC_METHODS`` and ``LipRetiming``; without ``Celeb-DF`` that whole data
            set is left out; ``None`` takes the size's own.
        language: ``en`` or ``ko``.
        workers: processes; ``None`` takes one for each processor, 1 works in this process.
        progress: called with the number of complete videos and of all videos.

    Returns:
        The folder.

    Raises:
        TddError: size, method or language is unknown, the folder cannot be written or holds something else, the disk is
            too small, espeak-ng is missing, or a video could not be made.
    """
    out, counts = Path(out), size_of(size)
    methods = counts.methods if methods is None else methods
    settings = _settings(counts, seed, strength, methods, language)
    tasks = plan_benchmark(counts, seed, methods, language)
    settings["plan_sha256"] = plan_sha(tasks)
    _check_folder(out, settings)
    missing = [task for task in tasks if not task.is_made(out)]
    if missing:
        espeak.synthesise("a", "en")  # says at once if speech is not to be had
        check_space(out, bytes_needed(counts, missing))
    _begin(out, settings, tasks, counts, complete=not missing)
    done, total = len(tasks) - len(missing), len(tasks)
    if progress:
        progress(done, total)
    for made in _make(Studio(out, counts, seed, strength, language), missing, workers):
        done += made
        if progress:
            progress(done, total)
    if not (out / DONE).is_file():
        write_json(out / DONE, {**settings, "videos": _video_counts(tasks)})
    return out


def _settings(size: SynthSize, seed: int, strength: float, methods: Sequence[str], language: str) -> dict[str, object]:
    known = (*SYNTHETIC_METHODS, LIP_RETIMING)
    unknown = [method for method in methods if method not in known]
    if unknown:
        raise TddError(f"method {unknown[0]!r} is unknown; the benchmark forges {', '.join(known)}.")
    if not (math.isfinite(strength) and strength >= 0):
        raise TddError(f"strength is {strength}; give a number from 0 (no artefact) up, 1 being the default.")
    if seed < 0:
        raise TddError(f"seed is {seed}; give a whole number from 0 up.")
    # In a fixed order: the same methods in another are no other settings.
    chosen = [method for method in known if method in methods]
    return {
        "what": "synthetic benchmark of tdd: drawn faces, stand-ins for forgeries",
        "version": __version__,
        "size": size.as_dict(),
        "seed": seed,
        "strength": float(strength),
        "methods": chosen,
        "language": language,
    }


def _check_folder(out: Path, settings: dict[str, object]) -> None:
    """Make the folder, and refuse one that cannot be written or that holds other data."""
    check_writable(out)
    if not (out / PLAN).is_file():
        foreign = [name for name in (LRW, FACEFORENSICS, CELEB_DF, "landmarks", "masks") if (out / name).exists()]
        if foreign:
            raise TddError(f"{out} holds {foreign[0]} that this command did not write; choose an empty folder.")
        return
    stored = read_json(out / PLAN)
    differing = [key for key, value in settings.items() if stored.get(key) != value]
    if differing:
        key = differing[0]
        raise TddError(
            f"{out} was made with other settings ({key}: {_short(stored.get(key))}, now {_short(settings[key])}); "
            "choose another folder or delete this one."
        )


def _short(value: object) -> str:
    return str(value["name"]) if isinstance(value, dict) and "name" in value else str(value)


def bytes_needed(size: SynthSize, tasks: Sequence[Task]) -> int:
    """Estimate of the disk space of some videos with their sidecars, bytes; on the safe side."""
    video = 100 + 0.012 * size.image_px**2  # about twice what crf 20 to 31 took at 96, 160 and 256 pixels
    # 64 kbit/s of AAC are 320 bytes a frame.
    landmarks, masks, sound = 68 * 2 * 4, 1.5 * size.image_px, 350
    return sum(math.ceil(task.n_frames * (video + landmarks + masks + sound)) + 8192 for task in tasks)


def _begin(out: Path, settings: dict[str, object], tasks: Sequence[Task], size: SynthSize, complete: bool) -> None:
    """Write settings, README and list files; what follows is the videos."""
    if not complete:
        (out / DONE).unlink(missing_ok=True)  # it must not mark what is being mended
        remove_partials(out)
    if not (out / PLAN).is_file():
        write_json(out / PLAN, settings)
    texts = {"README.txt": README}
    if sum(size.ff_pairs):
        texts |= {f"{FACEFORENSICS}/splits/{name}.json": json.dumps(pairs) for name, pairs in ff_splits(size).items()}
    if any(task.path.startswith(f"{CELEB_DF}/") for task in tasks):
        texts[CELEB_LIST] = celeb_test_list(tasks)
    for name, text in texts.items():
        if not (out / name).is_file():
            write_atomically(out / name, text.encode())


def _video_counts(tasks: Sequence[Task]) -> dict[str, int]:
    """Number of videos in each folder that a user may look for."""
    counts: dict[str, int] = {}
    for task in tasks:
        folder = task.path.split("/")[0] + (f"/{task.method}" if task.method else "/real")
        counts[folder] = counts.get(folder, 0) + 1
    return counts


def _make(studio: Studio, tasks: Sequence[Task], workers: int | None) -> Iterator[int]:
    """Make videos, in this process or in several; yields how many each finished piece of work held."""
    people: dict[str, list[Task]] = {}
    for task in tasks:  # the videos of a person share textures, and those of a target whole clean renders
        people.setdefault(task.person, []).append(task)
    yield from parallel_map(partial(_film_chunk, studio), list(people.values()), workers)


def _film_chunk(studio: Studio, tasks: Sequence[Task]) -> int:
    """Make some videos one after another; returns how many."""
    for task in tasks:
        try:
            film(studio, task)
        except Exception as error:
            raise TddError(f"{task.path} could not be made ({type(error).__name__}: {error}).") from error
    return len(tasks)
