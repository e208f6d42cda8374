"""The networks of the face-alignment package: detectors of faces, and the one that finds 68 landmarks (2D-FAN-4)."""

from __future__ import annotations

import importlib
import pickle
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from tdd.errors import TddError
from tdd.machine.files import sha256
from tdd.machine.kit import install_command
from tdd.preprocess.face_weights import DETECTORS, LANDMARKS, WITHOUT
from tdd.preprocess.heatmaps import centres_and_sides, crop_face, points_of

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


MOST_CROPS = {"cuda": 16, "cpu": 2}
"""Crops in one call of the landmark network; a CPU's caches hold few (benchmarks/results/landmarks.md)."""

Network = Callable[[Tensor], Tensor]
"""Crops, float32 in [0, 1], shape (N, 3, 256, 256), to heat maps of shape (N, 68, 64, 64)."""


class PackageDetector:
    """A detector of face-alignment on pictures of a bounded size.

    Attributes:
        reference_scale: width and height, added up, of a face whose scale is 1 for the landmark network, px.
    """

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
        """Boxes and scores, as :class:`tdd.preprocess.finders.Detector` says."""
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


class HeatMapPoints:
    """Landmarks as the places where a network's heat maps are highest; how sure they are: how high that is.

    Attributes:
        most_crops: in one call of the network.
    """

    def __init__(self, network: Network, reference_scale: float, device: str) -> None:
        """Take a loaded network.

        Args:
            network: on ``device``.
            reference_scale: of the detector whose boxes are given, see :class:`PackageDetector`.
            device: as torch names it.
        """
        self.network, self.reference_scale, self.device = network, reference_scale, device
        # Any other kind of device is taken for a GPU.
        self.most_crops = MOST_CROPS.get(torch.device(device).type, MOST_CROPS["cuda"])

    def __call__(self, images: Sequence[np.ndarray], boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """As :class:`tdd.preprocess.finders.PointFinder` says."""
        centres, sides = centres_and_sides(boxes, self.reference_scale)
        crops = [crop_face(image, c, side) for image, c, side in zip(images, centres, sides, strict=True)]
        points, heights = points_of(self.heat_maps(np.stack(crops)), centres, sides)
        return points, heights.mean(1)

    def heat_maps(self, crops: np.ndarray) -> np.ndarray:
        """Run the landmark network on many crops together.

        Args:
            crops: RGB uint8, shape (N, 256, 256, 3).

        Returns:
            float32, shape (N, 68, 64, 64).
        """
        maps = []
        with torch.inference_mode():
            for start in range(0, len(crops), self.most_crops):
                # To the device as bytes, a quarter of what floats would be.
                some = torch.from_numpy(crops[start : start + self.most_crops]).to(self.device)
                maps.append(self.network(some.permute(0, 3, 1, 2).float() / 255).float().cpu().numpy())
        return np.concatenate(maps)


def load_networks(name: str, files: dict[str, Path], device: str | None) -> tuple[PackageDetector, HeatMapPoints]:
    """The detector of that name, and what finds the landmarks of its faces.

    Args:
        name: of the detector.
        files: the weights of both networks, by file name.
        device: as torch names it; a GPU when ``None`` and there is one.

    Raises:
        TddError: the package is missing, or a file is not of its network.
    """
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    detector = PackageDetector(name, files, device)
    return detector, HeatMapPoints(load_network(files[LANDMARKS.name], device), detector.reference_scale, device)


def networks_plan(files: dict[str, Path]) -> dict[str, Any]:
    """What the landmarks depend on: the package, and the files."""
    return {
        "package": f"face-alignment {metadata.version('face-alignment')}",
        "weights": {path.name: sha256(path)[:16] for path in files.values()},
    }


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
            f"{PACKAGE}, which finds faces and their landmarks, cannot be used ({error}); install it with: "
            f"{install_command('faces')} (requirements.txt has all of it), or give the landmarks of every video. "
            f"{WITHOUT}"
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
