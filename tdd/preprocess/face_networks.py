"""The networks of the face-alignment package: detectors of faces, and the one that finds 68 landmarks (2D-FAN-4)."""

from __future__ import annotations

import importlib
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from tdd.errors import TddError
from tdd.preprocess.face_weights import DETECTORS, LANDMARKS

PACKAGE = "face-alignment 1.5"
# On a CPU a look takes 1.1 s at this size and 4.8 s at 1280 x 720 (benchmarks/results/landmarks.md).
LARGEST_SIDE = 640
"""Pixels of the longer side of the picture that a detector sees; a larger frame is made smaller, and its boxes not."""

DETECTOR_MODULES = {
    "sfd": "sfd.SFDDetector",
    "blazeface": "blazeface.BlazeFaceDetector",
    "retinaface": "retinaface.RetinaFaceDetector",
    "yunet": "yunet.YuNetDetector",
}


class Detector(Protocol):
    """Finds faces in one picture.

    Attributes:
        reference_scale: width and height, added up, of a face whose scale is 1 for the landmark network, px.
    """

    reference_scale: float

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Faces in an RGB uint8 picture of shape (H, W, 3): left, top, right, bottom, px, and score; shape (N, 5)."""


Network = Callable[[Tensor], Tensor]
"""Crops, float32 in [0, 1], shape (N, 3, 256, 256), to heat maps of shape (N, 68, 64, 64)."""


class PackageDetector:
    """A detector of face-alignment on pictures of a bounded size."""

    def __init__(self, name: str, weights: dict[str, Path], device: str) -> None:
        """Load it.

        Raises:
            TddError: the package is missing, the name unknown, or the weights are not of that network.
        """
        if name not in DETECTORS:
            raise TddError(f"detector {name!r} is unknown; choose one of {', '.join(DETECTORS)}.")
        module, _, kind = DETECTOR_MODULES[name].partition(".")
        build = getattr(_package(f"detection.{module}.{module}_detector"), kind)
        files = [weights[file.name] for file in DETECTORS[name]]
        # Not strict: only BlazeFace has anchors.
        arguments = dict(zip(("path_to_detector", "path_to_anchor"), map(str, files), strict=False))
        # YuNet runs in OpenCV, on the CPU alone, and warns of any other device.
        self.detector = _loaded(lambda: build("cpu" if name == "yunet" else device, **arguments), files[0])
        self.reference_scale = float(self.detector.reference_scale)

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """As :class:`Detector` says."""
        shrink = min(1.0, LARGEST_SIDE / max(image.shape[:2]))
        if shrink < 1:
            image = cv2.resize(image, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
        with torch.inference_mode():
            found = self.detector.detect_from_image(image)
        boxes = np.asarray(found, np.float64).reshape(-1, 5) if len(found) else np.zeros((0, 5))
        boxes[:, :4] /= shrink
        return boxes


def load_network(path: Path, device: str) -> Network:
    """Load the landmark network from a file of parameters, or from a TorchScript archive (``.zip``).

    Raises:
        TddError: the package is missing, or the file is not of that network.
    """
    network: nn.Module
    if path.suffix == ".zip":
        network = _loaded(lambda: torch.jit.load(str(path), map_location=device), path)
    else:
        network = _package("models.fan").FAN(4)
        # Tensors alone: a pickle from the web could run code.
        state = _loaded(lambda: torch.load(path, map_location="cpu", weights_only=True), path)
        _loaded(lambda: network.load_state_dict(state), path)
        # as the crops lie in memory; torch's own stubs do not know the argument
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return LandmarkNetwork(network.to(device).eval())


class LandmarkNetwork:
    """The last heat maps of a stacked hourglass network."""

    def __init__(self, network: nn.Module) -> None:
        self.network = network

    def __call__(self, crops: Tensor) -> Tensor:
        """Heat maps of shape (N, 68, 64, 64)."""
        maps = self.network(crops)
        last: Tensor = maps[-1] if isinstance(maps, list | tuple) else maps
        return last


def need_package() -> None:
    """Check that face-alignment is there.

    Raises:
        TddError: it is not; the sentence says how it is installed.
    """
    _package("models.fan")


def _package(module: str) -> Any:
    try:
        return importlib.import_module(f"face_alignment.{module}")
    except ImportError as error:
        raise TddError(
            f"{PACKAGE}, which finds faces and their landmarks, cannot be used ({error}); install it with: pip install "
            "--no-deps -r requirements-faces.txt (without its dependencies: they would replace this package's OpenCV), "
            "or give the landmarks of every video."
        ) from error


def _loaded(load: Callable[[], Any], path: Path) -> Any:
    """What ``load`` gives; whatever a wrong file makes it raise becomes one sentence."""
    try:
        return load()
    except (RuntimeError, ValueError, KeyError, TypeError, OSError, EOFError, AttributeError, cv2.error) as error:
        raise _not_weights(path, error) from error
    except pickle.UnpicklingError as error:
        raise _not_weights(path, error) from error


def _not_weights(path: Path, error: Exception) -> TddError:
    first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return TddError(f"{path} does not hold the weights that its name says ({first}); delete it and fetch {_url(path)}.")


def _url(path: Path) -> str:
    files = [LANDMARKS, *(file for files in DETECTORS.values() for file in files)]
    return next((file.url for file in files if file.name == path.name), LANDMARKS.url)
