"""Makes one video of the embedded benchmark with its sidecars.

Real and forged videos take one path: scene, motion and speech are drawn from the footage's generator, the face is
drawn, and the same camera and the same encoder follow. A forgery replaces the drawing of the face and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from tdd.data.video import write_video
from tdd.machine.files import whole_file, write_atomically
from tdd.synth.camera import Scene, draw_scene, shoot
from tdd.synth.forgery import Forged, forge
from tdd.synth.handling import draw_handling
from tdd.synth.identity import Identity, draw_identity
from tdd.synth.motion import Motion, draw_motion
from tdd.synth.plan import Task, rng_of
from tdd.synth.render import Rendered, render
from tdd.synth.sizes import SynthSize
from tdd.synth.speech import Speech, draw_voice, speak, speak_running
from tdd.synth.visemes import MouthTrack


@dataclass(frozen=True)
class Studio:
    """What all videos of one benchmark have in common.

    Attributes:
        out: folder of the benchmark.
        size: counts and image size.
        seed: of every draw.
        strength: of the artefacts of forgery; 1 is the calibrated default, 0 leaves none.
        language: ``en`` or ``ko``.
    """

    out: Path
    size: SynthSize
    seed: int
    strength: float
    language: str


@dataclass(frozen=True)
class _Footage:
    """Scene, motion and speech of a video before anyone's face is drawn."""

    scene: Scene
    motion: Motion
    speech: Speech


def film(studio: Studio, task: Task, parts: Sequence[tuple[int, int]] | None = None, with_sound: bool = False) -> None:
    """Make one video, its landmarks and, for a fake, its masks; the mp4 is written last and marks completeness.

    Args:
        studio: of the benchmark.
        task: the video.
        parts: which frames of a fake are forged, from the first of a part to that after its last; ``None``: all.
        with_sound: of running speech; the voice of the target, in a fake too.
    """
    footage = _footage(studio, task.footage, task.person, task.n_frames, task.domain, task.word)
    person = _person(studio.seed, task.person, task.domain)
    speech, px = footage.speech, studio.size.image_px
    # Of the video, not of its footage: a fake would else repeat the noise of its real video.
    camera = rng_of(studio.seed, task.path, "camera")
    # Before the forgery, whose artefacts turn away from this very handling.
    handling = draw_handling(camera, footage.scene.unrest, task.n_frames)
    if task.method:
        source = _person(studio.seed, task.source, task.domain)
        source_mouth = _mouth(studio, task.source_footage, task.source, task.n_frames)
        artefacts = rng_of(studio.seed, task.path, "artefacts")  # apart from the camera's draws, which reals make too
        faces = forge(
            task.method,
            artefacts,
            person,
            source,
            footage.scene,
            footage.motion,
            speech.mouth,
            source_mouth,
            px,
            handling,
            studio.strength,
        )
        if parts is not None:
            faces = _forged_within(faces, render(person, footage.scene, footage.motion, speech.mouth, px), parts)
        _write_masks(studio.out / task.sidecar("masks", ".npz"), faces.masks)
        frames, landmarks = faces.frames, faces.landmarks
    else:
        drawn = render(person, footage.scene, footage.motion, speech.mouth, px)
        frames, landmarks = drawn.frames, drawn.landmarks
    with whole_file(studio.out / task.sidecar("landmarks", ".npy")) as partial, partial.open("wb") as file:
        np.save(file, landmarks.astype(np.float32))
    shot = shoot(frames, footage.scene, handling, camera)
    path = studio.out / task.path
    if task.word:
        text = f"Duration: {speech.word_end - speech.word_start:.2f} seconds\n"
        write_atomically(path.with_suffix(".txt"), text.encode())
    # FaceForensics++ and Celeb-DF-v2 ship no sound.
    write_video(path, shot, audio=speech.samples if task.word or with_sound else None, crf=int(footage.scene.crf))


def _forged_within(forged: Forged, real: Rendered, parts: Sequence[tuple[int, int]]) -> Forged:
    """A video that is forged in some parts and real elsewhere: cut together before one camera films it."""
    inside = np.zeros(len(forged.frames), bool)
    for start, end in parts:
        inside[start:end] = True
    return Forged(
        np.where(inside[:, None, None, None], forged.frames, real.frames),
        np.where(inside[:, None, None], forged.landmarks, real.landmarks),
        forged.masks & inside[:, None, None],
    )


@lru_cache(maxsize=8)  # the fakes of a target follow one another and share its footage
def _footage(studio: Studio, footage: str, person: str, n_frames: int, domain: str, word: str) -> _Footage:
    scene = draw_scene(rng_of(studio.seed, footage, "scene"), studio.size.image_px, domain)
    motion = draw_motion(rng_of(studio.seed, footage, "motion"), n_frames, domain)
    return _Footage(scene, motion, _speech(studio, footage, person, n_frames, word))


def _speech(studio: Studio, footage: str, person: str, n_frames: int, word: str) -> Speech:
    voice = draw_voice(rng_of(studio.seed, person, "voice"), studio.language)
    rng = rng_of(studio.seed, footage, "speech")
    if word:
        return speak(rng, voice, word.lower(), n_frames, studio.language)
    return speak_running(rng, voice, n_frames, studio.language)


@lru_cache(maxsize=8)  # one object for all fakes of a target: forgery._clean compares tracks by identity
def _mouth(studio: Studio, footage: str, person: str, n_frames: int) -> MouthTrack:
    """What the source's mouth does, for as long as the target's video lasts."""
    return _speech(studio, footage, person, n_frames, "").mouth


@lru_cache(maxsize=8)
def _person(seed: int, name: str, domain: str) -> Identity:
    return draw_identity(rng_of(seed, name, "face"), domain)


def _write_masks(path: Path, masks: np.ndarray) -> None:
    """Bits (T, H, W / 8), most significant first, and the shape (T, H, W) to unpack them to."""
    with whole_file(path) as partial, partial.open("wb") as file:
        np.savez_compressed(file, bits=np.packbits(masks, axis=-1), shape=np.array(masks.shape))


def read_masks(path: Path | str) -> np.ndarray:
    """Forgery masks of a video: bool, shape (T, H, W), true where the forgery may have changed a pixel."""
    with np.load(path) as stored:
        return np.unpackbits(stored["bits"], axis=-1, count=int(stored["shape"][-1])).astype(bool)
