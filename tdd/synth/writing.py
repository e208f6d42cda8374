"""Fills a folder with planned videos: what is there is kept, the rest is made, and a mark says that all is there."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from tdd import __version__
from tdd.errors import TddError
from tdd.machine.files import check_space, check_writable, read_json, remove_partials, write_atomically, write_json
from tdd.machine.parallel import parallel_map
from tdd.names import LIP_RETIMING, SYNTHETIC_METHODS
from tdd.synth import espeak
from tdd.synth.filming import Studio, film
from tdd.synth.plan import Task
from tdd.synth.sizes import SynthSize
from tdd.synth.speech import known_language

PLAN, DONE = "plan.json", "synth.json"
"""Settings, written first; the same and the counts, written last: the mark that all videos are there."""

README = """A synthetic benchmark, made by `tdd synth`.

Every face is drawn, every voice is espeak-ng's, and every forgery is a stand-in with known artefacts that only bears
the name of the method whose place it takes. No frame, sound or person comes from LRW, FaceForensics++ or Celeb-DF-v2;
only folders, file names, list files and codecs follow theirs, so that the same code reads both. Numbers measured here
show that a programme works and how it behaves; they can neither confirm nor refute those of any paper.

landmarks/<path>.npy   68 points, float32 (T, 68, 2), pixels, for the video <path>.mp4
masks/<path>.npz       where a fake was altered: bits (T, H, W / 8) to unpack (most significant first), and the shape
plan.json, synth.json  settings; synth.json is written last, and without it the benchmark is not complete
"""

SIDECARS = ("landmarks", "masks")

Parts = tuple[tuple[int, int], ...]
"""Forged frames of a video: the first of a part, and the one after its last."""


@dataclass(frozen=True)
class Order:
    """What a folder is to hold.

    Attributes:
        settings: as :func:`settings_of` gives them, and whatever else the videos depend on.
        tasks: the videos.
        lists: text of every list file, by its path in the folder.
        counts: number of videos by folder and kind, for the mark.
        owned: folders that must not be there before ``plan.json`` is.
        parts: forged frames of the fakes that are not forged throughout, by ``path``.
        with_sound: whether running speech is in the files.
    """

    settings: Mapping[str, Any]
    tasks: Sequence[Task]
    lists: Mapping[str, str]
    counts: Mapping[str, int]
    owned: Sequence[str]
    parts: Mapping[str, Parts] = field(default_factory=dict)
    with_sound: bool = False


def settings_of(
    what: str, size: SynthSize, seed: int, strength: float, methods: Sequence[str], language: str
) -> dict[str, Any]:
    """What videos depend on, as ``plan.json`` keeps it.

    Raises:
        TddError: an unknown method or language, a strength that is negative or no number, or a negative seed.
    """
    known = (*SYNTHETIC_METHODS, LIP_RETIMING)
    unknown = [method for method in methods if method not in known]
    if unknown:
        raise TddError(f"method {unknown[0]!r} is unknown; the benchmark forges {', '.join(known)}.")
    if not (math.isfinite(strength) and strength >= 0):
        raise TddError(f"strength is {strength}; give a number from 0 (no artefact) up, 1 being the default.")
    if seed < 0:
        raise TddError(f"seed is {seed}; give a whole number from 0 up.")
    return {
        "what": what,
        "version": __version__,
        "size": size.as_dict(),
        "seed": seed,
        "strength": float(strength),
        # In a fixed order: the same methods in another are no other settings.
        "methods": [method for method in known if method in methods],
        "language": known_language(language),
    }


def fill(
    out: Path,
    order: Order,
    size: SynthSize,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Make what is missing of an order; the same order gives the same bytes, however often it was interrupted.

    Args:
        out: the folder; made if missing.
        order: what it is to hold.
        size: image size.
        workers: processes; ``None`` takes one for each processor, 1 works in this process.
        progress: called with the number of complete videos and of all videos.

    Returns:
        ``out``.

    Raises:
        TddError: the folder cannot be written or holds something else, the disk is too small, espeak-ng is missing, or
            a video could not be made.
    """
    _check_folder(out, order)
    missing = [task for task in order.tasks if not task.is_made(out)]
    if missing:
        espeak.synthesise("a", "en")  # says at once if speech is not to be had
        check_space(out, bytes_needed(size, missing))
    _begin(out, order, complete=not missing)
    done, total = len(order.tasks) - len(missing), len(order.tasks)
    if progress:
        progress(done, total)
    settings = order.settings
    studio = Studio(out, size, settings["seed"], settings["strength"], settings["language"])
    people: dict[str, list[Task]] = {}
    for task in missing:  # the videos of a person share textures, and those of a target whole clean renders
        people.setdefault(task.person, []).append(task)
    for made in parallel_map(
        partial(_film_some, studio, order.parts, order.with_sound), list(people.values()), workers
    ):
        done += made
        if progress:
            progress(done, total)
    if not (out / DONE).is_file():
        write_json(out / DONE, {**settings, "videos": dict(order.counts)})
    return out


def _check_folder(out: Path, order: Order) -> None:
    """Make the folder, and refuse one that cannot be written or that holds other data."""
    check_writable(out)
    if not (out / PLAN).is_file():
        foreign = [name for name in (*order.owned, *SIDECARS) if (out / name).exists()]
        if foreign:
            raise TddError(f"{out} holds {foreign[0]} that this command did not write; choose an empty folder.")
        return
    stored = read_json(out / PLAN)
    differing = [key for key, value in order.settings.items() if stored.get(key) != value]
    if differing:
        key = differing[0]
        raise TddError(
            f"{out} was made with other settings ({key}: {_short(stored.get(key))}, now "
            f"{_short(order.settings[key])}); choose another folder or delete this one."
        )


def _short(value: object) -> str:
    return str(value["name"]) if isinstance(value, dict) and "name" in value else str(value)


def bytes_needed(size: SynthSize, tasks: Sequence[Task]) -> int:
    """Estimate of the disk space of some videos with their sidecars, bytes; on the safe side."""
    video = 100 + 0.012 * size.image_px**2  # about twice what crf 20 to 31 took at 96, 160 and 256 pixels
    # 64 kbit/s of AAC are 320 bytes a frame.
    landmarks, masks, sound = 68 * 2 * 4, 1.5 * size.image_px, 350
    return sum(math.ceil(task.n_frames * (video + landmarks + masks + sound)) + 8192 for task in tasks)


def _begin(out: Path, order: Order, complete: bool) -> None:
    """Write settings, README and list files; what follows is the videos."""
    if not complete:
        (out / DONE).unlink(missing_ok=True)  # it must not mark what is being mended
        remove_partials(out)
    if not (out / PLAN).is_file():
        write_json(out / PLAN, dict(order.settings))
    for name, text in {"README.txt": README, **order.lists}.items():
        if not (out / name).is_file():
            write_atomically(out / name, text.encode())


def _film_some(studio: Studio, parts: Mapping[str, Parts], with_sound: bool, tasks: Sequence[Task]) -> int:
    """Make some videos one after another; returns how many."""
    for task in tasks:
        try:
            film(studio, task, parts.get(task.path), with_sound)
        except Exception as error:
            raise TddError(f"{task.path} could not be made ({type(error).__name__}: {error}).") from error
    return len(tasks)
