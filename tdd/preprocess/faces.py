"""68 landmarks for every frame of a video, of its main face: detect now and then, follow in between, fill small gaps.

Detector and landmark network are those of the face-alignment package (Bulat and Tzimiropoulos, ICCV 2017, arXiv
1703.07332), or dlib's (:mod:`tdd.preprocess.dlib_faces`). The detector looks at every few frames; in between, each
face's box lies on the straight way from one look to the next, so that its crops wait for nothing and go through the
landmark network together. Where the landmarks then do not fit the box, the detector looks at that very frame.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tdd.config import RELABELLED
from tdd.data.video import VideoFile
from tdd.errors import TddError
from tdd.preprocess.face_weights import Report
from tdd.preprocess.finders import Finders, check_name, finder_name, load_finders
from tdd.preprocess.gaps import fill_gaps, longest_gap, require_found
from tdd.preprocess.landmarks import face_size
from tdd.preprocess.tracking import FARTHEST, Tracker, distance, largest_boxes, main_face, side_of

MOST_FACES = 3
"""Faces that are followed at a time, the largest."""

SMALLEST_SIDE = 32
"""Pixels of the shorter side of a picture in which faces can be looked for, its longer one no longer than below."""

LONGEST_SHAPE = 20.0
"""Longer side by shorter one of such a picture: beyond, nothing is left of it when a detector makes it smaller."""

BLOCK_BYTES = 2**28
"""Bytes of decoded frames that are held at most; of very large frames fewer lie between two looks."""

FIT_OFFSET, FIT_SIZES = 0.5, (0.4, 1.6)
"""Landmarks fit a box when their middle is no farther than so many sides from its own, and their extent is between
these shares of its side."""


@dataclass(frozen=True)
class FaceSettings:
    """How faces are found.

    Raises:
        TddError: a value makes no sense.
    """

    detector: str = "sfd"
    """``sfd`` (face-alignment's default), ``blazeface``, ``retinaface`` or ``yunet``, each with face-alignment's
    landmarks; or ``dlib``, with its own: no download, on a CPU, weaker on faces seen from the side."""
    every: int = 8
    """Frames from one look of the detector to the next."""
    confidence: float = 0.3
    """Below it landmarks are not believed: mean height of the heat maps, or dlib's score as a share."""
    longest_gap: float = 0.4
    """Seconds without the face that are filled in by interpolation."""
    least_found: float = 0.6
    """Share of a video's frames in which its main face must be found."""

    def __post_init__(self) -> None:
        check_name(self.detector)
        if self.every < 1:
            raise TddError(f"every is {self.every}; the detector looks at every frame (1) or at fewer (2, 3, ...).")
        if not self.longest_gap >= 0:  # nan is not
            raise TddError(f"longest_gap (--longest-gap) is {self.longest_gap}; it is seconds, 0 or more.")
        if not (0 <= self.confidence <= 1 and 0 < self.least_found <= 1):
            raise TddError(
                f"confidence {self.confidence} and least_found {self.least_found} are shares: between 0 and 1, the "
                "second above 0."
            )


@dataclass(frozen=True)
class FaceQuality:
    """How well the main face of a video was found."""

    found_share: float
    """Share of the frames in which it was."""
    interpolated: int
    """Frames filled in."""
    longest_gap: int
    """Frames in the longest run of those."""
    detector_score: float
    """The detector's, mean over its looks."""
    confidence: float
    """Mean over the frames in which it was found, of the heat maps' mean height or of dlib's score as a share."""
    faces: int
    """Faces found in at least a tenth of the frames."""
    face_px: float
    """Mean of the width and height of its landmarks, median over the frames, px."""


@dataclass(frozen=True)
class FoundLandmarks:
    """What :meth:`FaceLandmarker.video` finds."""

    points: np.ndarray
    """float32, shape (frames of the file, 68, 2): x, y, px of each frame, turned as its metadata say."""
    quality: FaceQuality


@dataclass
class _Sighting:
    """One face in one frame."""

    face: int
    frame: int
    box: np.ndarray
    points: np.ndarray = field(default_factory=lambda: np.zeros((68, 2), np.float32))
    confidence: float = 0.0


class FaceLandmarker:
    """Finds the landmarks of the main face in videos."""

    def __init__(
        self,
        settings: FaceSettings | None = None,
        weights: Path | None = None,
        device: str | None = None,
        report: Report | None = None,
        finders: Finders | None = None,
    ) -> None:
        """Load what finds faces.

        Args:
            settings: how faces are found.
            weights: folder that holds the weights; the cache of face-alignment, or dlib's package, when ``None``.
            device: ``cpu``, ``cuda`` or ``cuda:1``; a GPU when ``None`` and there is one. dlib takes none.
            report: told of downloads.
            finders: others than those of the settings.

        Raises:
            TddError: a package is missing, or its weights are not to be had.
        """
        self.settings = settings or FaceSettings()
        self.finders = finders or load_finders(self.settings.detector, weights, device, report)

    @property
    def name(self) -> str:
        """What finds the landmarks, as it is called in a sentence."""
        return finder_name(self.settings.detector)

    def video(self, path: Path | str, told: Callable[[int], None] | None = None) -> FoundLandmarks:
        """Landmarks of a video's main face in every frame of the file: the one whose area, added up, is the largest.

        The video is read once, in pieces.

        Args:
            path: of the video.
            told: called with the number of frames that are done, after every piece.

        Raises:
            TddError: the video cannot be read, or its main face was not found often enough or for too long; the
                sentence says where.
        """
        video = VideoFile(path)
        tracker = Tracker()
        sightings: list[_Sighting] = []
        areas: dict[int, float] = {}
        for images in self._blocks(video):
            # The main face as known so far: for no other is a second look worth its time.
            for sighting in self._follow(tracker, images, video.decoded - len(images), main_face(areas)):
                sightings.append(sighting)
                areas[sighting.face] = areas.get(sighting.face, 0.0) + side_of(sighting.box) ** 2
            if told:
                told(video.decoded)
        own = [sighting for sighting in sightings if sighting.face == main_face(areas)]
        found = np.zeros(video.decoded, bool)
        frames = [sighting.frame for sighting in own]
        found[frames] = True
        require_found(found, video.stated_fps, self.settings.longest_gap, self.settings.least_found, str(video.path))
        points = np.zeros((len(found), 68, 2), np.float32)
        points[frames] = [sighting.points for sighting in own]
        # 2 at least, for a single find may be a false one.
        often = np.bincount([sighting.face for sighting in sightings]) >= max(2, len(found) / 10)
        scores = tracker.tracks[own[0].face].scores
        return FoundLandmarks(fill_gaps(points, found), _quality(found, own, scores, int(often.sum())))

    def _blocks(self, video: VideoFile) -> Iterator[list[np.ndarray]]:
        """The first frame, then runs of frames, each up to the one at which the detector looks."""
        block: list[np.ndarray] = []
        length = 1
        for frame in video.shown(RELABELLED):  # every frame of the file, for each has its row of landmarks
            block.append(frame.rgb())
            _check_size(block[-1], frame.source, str(video.path))
            if len(block) == length:
                yield block
                length = max(1, min(self.settings.every, BLOCK_BYTES // block[0].nbytes))
                block = []
        if block:
            yield block

    def _follow(self, tracker: Tracker, images: list[np.ndarray], first: int, main: int | None) -> Iterator[_Sighting]:
        """The faces of a run of frames, all but those whose landmarks do not fit."""
        last = first + len(images) - 1
        before = {track.number: track.expected(first - 1) for track in tracker.alive(last)}
        seen = tracker.look(last, largest_boxes(self.finders.detector(images[-1]), MOST_FACES))
        after = {track.number: track.box for track in seen}
        expected: list[_Sighting] = []
        for number in sorted(before.keys() | after.keys()):
            for step in range(len(images)):
                start, end = before.get(number), after.get(number)
                # Share 0 is the look before, at frame first - 1; share 1 is this one.
                box = _between(start, end, (step + 1) / len(images), tracker.tracks[number].expected(first + step))
                expected.append(_Sighting(number, first + step, box))
        tried = self._landmarks(images, first, expected)
        good = [sighting for sighting in tried if self._fits(sighting)]
        found = {(sighting.face, sighting.frame) for sighting in good}
        lost = [s for s in expected if s.face == main and (main, s.frame) not in found]
        again = (self._look_again(images[s.frame - first], s, expected) for s in lost)
        looked = self._landmarks(images, first, [sighting for sighting in again if sighting])
        good += [sighting for sighting in looked if self._fits(sighting)]
        yield from _one_each(good, expected)

    def _look_again(self, image: np.ndarray, lost: _Sighting, expected: list[_Sighting]) -> _Sighting | None:
        """The box that the detector finds nearer to where ``lost`` was expected than to any other face."""
        others = [s.box for s in expected if s.frame == lost.frame and s.face != lost.face]
        near: list[tuple[float, np.ndarray]] = []
        for box in largest_boxes(self.finders.detector(image), MOST_FACES)[:, :4]:
            apart = distance(lost.box, box)
            if apart <= min([FARTHEST, *(distance(other, box) for other in others)]):
                near.append((apart, box))
        if not near:
            return None
        return _Sighting(lost.face, lost.frame, min(near, key=lambda pair: pair[0])[1])

    def _landmarks(self, images: list[np.ndarray], first: int, wanted: list[_Sighting]) -> list[_Sighting]:
        """The same sightings with their landmarks."""
        if not wanted:
            return []
        boxes = np.stack([sighting.box for sighting in wanted])
        points, confidences = self.finders.points([images[s.frame - first] for s in wanted], boxes)
        return [
            dataclasses.replace(sighting, points=p, confidence=float(c))
            for sighting, p, c in zip(wanted, points, confidences, strict=True)
        ]

    def _fits(self, sighting: _Sighting) -> bool:
        low, high = sighting.points.min(0), sighting.points.max(0)
        centre = (sighting.box[:2] + sighting.box[2:]) / 2
        side = side_of(sighting.box)
        offset = float(np.linalg.norm((low + high) / 2 - centre)) / side
        size = float(max(high - low)) / side
        believed = sighting.confidence >= self.settings.confidence
        return believed and offset <= FIT_OFFSET and FIT_SIZES[0] <= size <= FIT_SIZES[1]


def _check_size(image: np.ndarray, frame: int, video: str) -> None:
    height, width = image.shape[:2]
    short, long = sorted((height, width))
    if short < SMALLEST_SIDE or long > LONGEST_SHAPE * short:
        raise TddError(
            f"{video}: frame {frame} is {width} x {height} px, and faces can be looked for in pictures from "
            f"{SMALLEST_SIDE} px on, one side no more than {LONGEST_SHAPE:g} times the other; leave the video out, or "
            "give its landmarks."
        )


def _between(start: np.ndarray | None, end: np.ndarray | None, share: float, expected: np.ndarray) -> np.ndarray:
    """A face's box between two looks, ``share`` of the way; where the second did not see it, as it moved before."""
    if end is None:
        return expected
    # New at this look: it is tried at the same place in the frames before.
    return end if start is None else start * (1 - share) + end * share


def _quality(found: np.ndarray, own: list[_Sighting], scores: list[float], faces: int) -> FaceQuality:
    return FaceQuality(
        found_share=float(found.mean()),
        interpolated=int((~found).sum()),
        longest_gap=longest_gap(found),
        detector_score=float(np.mean(scores)),
        confidence=float(np.mean([sighting.confidence for sighting in own])),
        faces=max(1, faces),
        face_px=face_size(np.stack([sighting.points for sighting in own])),
    )


def _one_each(good: list[_Sighting], expected: list[_Sighting]) -> Iterator[_Sighting]:
    """Leave out a face whose landmarks lie on another face's, which is nearer to where that one was expected."""
    boxes = {(s.face, s.frame): s.box for s in expected}

    def off(sighting: _Sighting) -> float:
        middle = (sighting.points.min(0) + sighting.points.max(0)) / 2
        box = boxes[sighting.face, sighting.frame]
        return float(np.linalg.norm(middle - (box[:2] + box[2:]) / 2)) / side_of(box)

    for mine in good:
        rivals = (s for s in good if s.frame == mine.frame and s.face != mine.face)
        same = (s for s in rivals if np.abs(s.points - mine.points).mean() < side_of(mine.box) / 10)
        if all((off(mine), mine.face) <= (off(other), other.face) for other in same):
            yield mine
