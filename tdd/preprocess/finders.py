"""What finds faces and their 68 points, by the detector's name: face-alignment's networks, or dlib, weights and all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from tdd.errors import TddError
from tdd.preprocess.face_weights import DETECTORS, DLIB, LANDMARKS, Report, find_weights

NAMES = (*DETECTORS, DLIB)
"""Detectors that can be chosen; the landmarks of all but dlib are those of face-alignment's network."""


class Detector(Protocol):
    """Finds faces in one picture."""

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Faces in an RGB uint8 picture of shape (H, W, 3): left, top, right, bottom, px, and score; shape (N, 5)."""


class PointFinder(Protocol):
    """Finds the landmarks of faces whose boxes are about known."""

    def __call__(self, images: Sequence[np.ndarray], boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Landmarks of one face in each picture.

        Args:
            images: RGB uint8, each of shape (H, W, 3).
            boxes: where the face of each is: left, top, right, bottom, px, shape (N, 4).

        Returns:
            points, px (the first pixel's middle is 0), shape (N, 68, 2), and how sure they are, from 0 to 1, shape
            (N,), both float32.
        """


@dataclass(frozen=True)
class Finders:
    """A detector, and the finder of landmarks that takes its boxes."""

    detector: Detector
    points: PointFinder


def check_name(name: str) -> None:
    """Refuse a detector that does not exist.

    Raises:
        TddError: ``name`` is none of ``NAMES``.
    """
    if name not in NAMES:
        raise TddError(f"detector {name!r} is unknown; choose one of {', '.join(NAMES)}.")


# Each of the two is imported only where it is chosen: dlib needs no torch, and face-alignment no dlib.
def load_finders(
    name: str, weights: Path | None = None, device: str | None = None, report: Report | None = None
) -> Finders:
    """Load the detector of that name and what finds its landmarks.

    Args:
        name: one of ``NAMES``.
        weights: folder that holds the weights; the cache of face-alignment, or dlib's package, when ``None``.
        device: as :class:`tdd.preprocess.faces.FaceLandmarker` takes it.
        report: told of downloads.

    Raises:
        TddError: the name is unknown, a package is missing, or weights are not to be had.
    """
    check_name(name)
    if name == DLIB:
        from tdd.preprocess.dlib_faces import load_dlib

        return Finders(*load_dlib(weights))
    from tdd.preprocess.face_networks import load_networks, need_package

    need_package()
    return Finders(*load_networks(name, find_weights((*DETECTORS[name], LANDMARKS), weights, report), device))


def finders_plan(name: str, weights: Path | None = None, report: Report | None = None) -> dict[str, Any]:
    """Packages and weights (the first digits of their SHA-256) that landmarks depend on; fetches what is missing.

    Arguments and errors as :func:`load_finders`.
    """
    check_name(name)
    if name == DLIB:
        from tdd.preprocess.dlib_faces import dlib_plan

        return dlib_plan(weights)
    from tdd.preprocess.face_networks import need_package, networks_plan

    need_package()
    return networks_plan(find_weights((*DETECTORS[name], LANDMARKS), weights, report))


def finder_name(name: str) -> str:
    """How a detector is called in a sentence: with the package of its landmarks."""
    return DLIB if name == DLIB else f"face-alignment ({name})"
