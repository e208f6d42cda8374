"""Which videos an embedded benchmark holds: people, footage, forgeries and file names, drawn before any is made."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from tdd.names import (
    CELEB_DF,
    CELEB_DF_METHOD,
    FACEFORENSICS,
    FACEFORENSICS_METHODS,
    LIP_RETIMING,
    LRW,
    SPLITS,
    SYNTHETIC_METHODS,
)
from tdd.synth.sizes import SynthSize
from tdd.synth.speech import words_of

CELEB_LIST = f"{CELEB_DF}/List_of_testing_videos.txt"


@dataclass(frozen=True)
class Task:
    """One video to make.

    Attributes:
        path: of the mp4, relative to the benchmark's folder, with forward slashes; also the video's id.
        person: id of the person who is filmed.
        footage: id of scene, motion and speech; a fake shares it with the real video that it manipulates.
        n_frames: T, frames at 25 per second.
        domain: ``studio`` or ``celebrity``: people, cameras and places to draw from.
        word: the word said in the middle; empty for running speech without sound in the file.
        method: one of ``SYNTHETIC_METHODS``, or ``LipRetiming``; empty for a real video.
        source: id of the person whose face or expression is put in.
        source_footage: id of the source's footage.
    """

    path: str
    person: str
    footage: str
    n_frames: int
    domain: str = "studio"
    word: str = ""
    method: str = ""
    source: str = ""
    source_footage: str = ""

    def sidecar(self, folder: str, suffix: str) -> str:
        """Path of a file beside the data sets that belongs to this video, as ``landmarks/<path>.npy``."""
        return str(PurePosixPath(folder) / PurePosixPath(self.path).with_suffix(suffix))

    def outputs(self) -> list[str]:
        """Every file that belongs to the video, relative to the benchmark's folder; the video is the last."""
        masks = [self.sidecar("masks", ".npz")] if self.method else []
        text = [str(PurePosixPath(self.path).with_suffix(".txt"))] if self.word else []
        return [self.sidecar("landmarks", ".npy"), *masks, *text, self.path]

    def is_made(self, out: Path) -> bool:
        """Whether all of that is in the benchmark's folder."""
        return all((out / name).is_file() for name in self.outputs())


def rng_of(seed: int, *names: str) -> np.random.Generator:
    """The random generator of a named thing, the same in any order of work and in any process."""
    digest = hashlib.sha256("\n".join(names).encode()).digest()  # hash() would differ from process to process
    return np.random.default_rng([seed, int.from_bytes(digest[:8], "big")])


def plan_benchmark(
    size: SynthSize, seed: int, methods: Sequence[str] = SYNTHETIC_METHODS, language: str = "en"
) -> list[Task]:
    """All videos of a benchmark, the fakes of a target after its real video.

    Raises:
        TddError: the language is unknown or has too few words.
    """
    words = words_of(language, size.words)
    tasks = _lrw(size, seed, words)
    for number, _ in enumerate(ff_names(size)):
        forged = [method for method in (*FACEFORENSICS_METHODS, LIP_RETIMING) if method in methods]
        tasks += _ff_target(size, seed, number, forged)
    return tasks + (_celeb(size, seed) if CELEB_DF_METHOD in methods else [])


def plan_sha(tasks: Sequence[Task]) -> str:
    """SHA-256 of a plan, as hexadecimal digits."""
    return hashlib.sha256(json.dumps([asdict(task) for task in tasks]).encode()).hexdigest()


def ff_names(size: SynthSize) -> list[str]:
    """Names of all FaceForensics++-like targets: ``000``, ``001`` and so on; numbers 2 i and 2 i + 1 are a pair."""
    return [f"{number:03d}" for number in range(2 * sum(size.ff_pairs))]


def ff_splits(size: SynthSize) -> dict[str, list[list[str]]]:
    """The pairs of each split, as the FaceForensics repository lists them."""
    names = ff_names(size)
    pairs = [names[k : k + 2] for k in range(0, len(names), 2)]
    ends = np.cumsum(size.ff_pairs)
    return {split: pairs[end - count : end] for split, count, end in zip(SPLITS, size.ff_pairs, ends, strict=True)}


def celeb_test_list(tasks: Sequence[Task]) -> str:
    """Text of ``List_of_testing_videos.txt``: 1 is real and 0 is fake, the reverse of every other data set."""
    inside = [task for task in tasks if task.path.startswith(f"{CELEB_DF}/")]
    lines = (f"{0 if task.method else 1} {task.path.removeprefix(f'{CELEB_DF}/')}" for task in inside)
    return "".join(f"{line}\n" for line in lines)


def _lrw(size: SynthSize, seed: int, words: Sequence[str]) -> list[Task]:
    tasks = []
    counts = (size.lrw_train, size.lrw_val, size.lrw_test)
    for split, count, people in zip(SPLITS, counts, size.lrw_speakers, strict=True):
        # Every speaker says about the same number of clips, in shuffled order, so that no word belongs to a speaker.
        speakers = rng_of(seed, LRW, split).permutation(np.arange(count) % max(people, 1))
        for k, speaker in enumerate(speakers):
            word = words[k % len(words)].upper()
            path = f"{LRW}/lipread_mp4/{word}/{split}/{word}_{k // len(words) + 1:05d}.mp4"
            tasks.append(Task(path, f"{LRW}/{split}/speaker{speaker:04d}", path, size.lrw_frames, word=word))
    return tasks


def _running_frames(size: SynthSize, seed: int, footage: str) -> int:
    return int(rng_of(seed, footage, "frames").integers(size.ff_frames[0], size.ff_frames[1] + 1))


def _ff_target(size: SynthSize, seed: int, number: int, methods: Sequence[str]) -> list[Task]:
    name, other = f"{number:03d}", f"{number ^ 1:03d}"  # the partner of 2 i is 2 i + 1
    footage, other_footage = f"{FACEFORENSICS}/{name}", f"{FACEFORENSICS}/{other}"
    frames = _running_frames(size, seed, footage)
    tasks = [Task(f"{FACEFORENSICS}/original_sequences/youtube/c23/videos/{name}.mp4", footage, footage, frames)]
    for method in methods:
        path = f"{FACEFORENSICS}/manipulated_sequences/{method}/c23/videos/{name}_{other}.mp4"
        tasks.append(
            Task(path, footage, footage, frames, method=method, source=other_footage, source_footage=other_footage)
        )
    return tasks


def _celeb(size: SynthSize, seed: int) -> list[Task]:
    people = size.celeb_people
    tasks = []
    for k in range(size.celeb_real):
        footage = f"{CELEB_DF}/id{k % people}_{k // people:04d}"
        path = f"{CELEB_DF}/Celeb-real/id{k % people}_{k // people:04d}.mp4"
        frames = _running_frames(size, seed, footage)
        tasks.append(Task(path, f"{CELEB_DF}/id{k % people}", footage, frames, "celebrity"))
    for k in range(size.youtube_real):
        path = f"{CELEB_DF}/YouTube-real/{k:05d}.mp4"
        frames = _running_frames(size, seed, path)
        tasks.append(Task(path, path, path, frames, "celebrity"))
    return tasks + [_celeb_fake(size, seed, k) for k in range(size.celeb_fake)]


def _celeb_fake(size: SynthSize, seed: int, k: int) -> Task:
    """The ``k``-th swap: targets in turn, over their real videos, each time with the next person as source."""
    people = size.celeb_people
    videos = max(1, -(-size.celeb_real // people))
    target, turn = k % people, k // people
    # 1 to people - 1 places further on: never the target.
    source, video = (target + 1 + turn % (people - 1)) % people, turn % videos
    footage, source_footage = f"{CELEB_DF}/id{target}_{video:04d}", f"{CELEB_DF}/id{source}_{video:04d}"
    path = f"{CELEB_DF}/Celeb-synthesis/id{target}_id{source}_{video:04d}.mp4"
    frames = _running_frames(size, seed, footage)
    people_ids = (f"{CELEB_DF}/id{target}", f"{CELEB_DF}/id{source}")
    return Task(path, people_ids[0], footage, frames, "celebrity", "", CELEB_DF_METHOD, people_ids[1], source_footage)
