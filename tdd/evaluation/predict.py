"""A video in, a score and a timeline out: what prepare and evaluate do to a test video, without a store."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from tdd.config import TIMESTAMPS
from tdd.data.augment import eval_view, normalise
from tdd.data.clips import on_gpu
from tdd.data.video import FPS, VideoFile
from tdd.errors import TddError
from tdd.evaluation.listing import Listing, find_videos, pair_landmarks
from tdd.evaluation.prediction import DrivingClip, Prediction, mean_span
from tdd.machine.console import legible
from tdd.machine.files import disk_errors_told, sha256, whole_file
from tdd.machine.limits import NO_MEMORY, out_of_memory
from tdd.machine.parallel import Progress
from tdd.metrics import UNCALIBRATED
from tdd.metrics.kept_calibration import known_calibration
from tdd.models.backbones.cnn_gru_attention import CnnGruAttention
from tdd.names import FACEFORENSICS_FAMILY
from tdd.preprocess.crops import face_crops
from tdd.preprocess.faces import FaceLandmarker
from tdd.preprocess.folders import is_there
from tdd.preprocess.landmarks import eye_distance, read_mean_face, read_points
from tdd.preprocess.probe import is_picture
from tdd.preprocess.quality import CropWatch, doubts
from tdd.preprocess.set_aside import reason_of
from tdd.weights.checkpoints import Weights, import_weights, weights_files
from tdd.weights.detector import load_detector

COLUMNS = (
    "video", "score", "low", "high", "calibrated", "logit", "clips", "seconds", "highest_clip", "warnings", "reason",
)  # fmt: skip
"""Of the table of a folder. ``low`` to ``high``: 95% interval of the score; ``highest_clip``: its start, s."""

BATCH = 4
"""Clips in one forward pass; has no effect on the scores."""

DRIVING = 3
"""Clips that are kept to be shown."""

FEW_CLIPS = 4
LARGEST_ZOOM = 2.0
"""Faces that the alignment enlarges more than this are called small."""
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:[/\\]")
"""How an address begins (https:), of which a path keeps one slash; a disk of Windows has one letter."""
RATE_SLACK = 0.01
"""Frames per second by which a video may miss 25 without a word."""


def running_clips(crops: Iterable[np.ndarray], length: int) -> Iterator[tuple[int, np.ndarray]]:
    """Cut frames into the clips of :func:`tdd.evaluation.selection.clip_starts` while they come, one held at a time.

    Args:
        crops: frames, each of shape (crop, crop, 3); as many as a clip or more.
        length: frames in a clip.

    Yields:
        first frame of the clip, and the clip, shape (length, crop, crop, 3).
    """
    # Not emptied after each clip: the last one is moved back, and begins among frames of the clip before.
    held: deque[np.ndarray] = deque(maxlen=length)
    count = 0
    for count, crop in enumerate(crops, 1):
        held.append(crop)
        if count % length == 0:
            yield count - length, np.stack(held)
    if count % length:
        yield count - length, np.stack(held)


class _Reading:
    """How far a video is read that may be read twice: for its landmarks, then for its clips."""

    def __init__(self, path: Path, times: int, progress: Progress | None) -> None:
        self.total = 0
        if progress:  # else nobody asks for the length, and the file need not be opened for it
            header = VideoFile(path).look()
            self.total = times * round(header.seconds * header.fps)
        self.progress = progress if self.total else None
        self.before = 0
        """Frames of the readings that have ended."""

    def frames(self, count: int) -> None:
        """``count`` frames are read in this reading."""
        if self.progress:
            self.progress(min(self.before + count, self.total), self.total)  # what a header says is often not exact


class VideoScorer:
    """A detector with all that it needs to score video files.

    Attributes:
        recipe: the one stored with the weights; its clips are cut.
        target: the mean face that faces are aligned to, px of the canvas, shape (68, 2).
        calibration: logit to chance of a fake; ``None`` where the weights hold none.
    """

    def __init__(
        self,
        checkpoint: Path,
        mean_face_file: Path | None = None,
        load_landmarker: Callable[[], FaceLandmarker] = FaceLandmarker,
    ) -> None:
        """Load stage-2 weights.

        Args:
            checkpoint: folder of the weights.
            mean_face_file: ``.npy`` of shape (68, 2), px of the canvas: what the training clips were aligned to; needed
                where the weights do not hold it.
            load_landmarker: called for the first video without given landmarks.

        Raises:
            TddError: no stage-2 weights there, damaged ones, or no mean face.
        """
        weights = import_weights(checkpoint, "stage2")
        self.checkpoint = checkpoint
        self.detector, self.recipe = load_detector(weights)
        self.detector.to("cuda" if on_gpu(self.recipe.machine) else "cpu")
        self.backbone = weights.backbone
        self.target = _mean_face(weights, checkpoint, mean_face_file, self.recipe.clip.canvas)
        kept = weights.info.get("calibration") or {}
        self.calibration = known_calibration(kept)
        self.false_positives = kept.get("false_positives", {})
        self.calibrated_on = tuple(kept.get("datasets", FACEFORENSICS_FAMILY))
        self.synthetic = weights.info.get("data", {}).get("synthetic")
        self.load_landmarker = load_landmarker

    @cached_property
    def described(self) -> dict[str, str]:
        """``backbone``, ``recipe`` and ``weights`` (SHA-256)."""
        digest = sha256(weights_files(self.checkpoint)[1])
        return {"backbone": self.backbone, "recipe": self.recipe.name, "weights": digest}

    @cached_property
    def landmarker(self) -> FaceLandmarker:
        """Finds landmarks where none are given.

        Raises:
            TddError: its networks cannot be loaded.
        """
        return self.load_landmarker()

    def score(self, path: Path, landmarks: Path | None = None, progress: Progress | None = None) -> Prediction:
        """Score one video; see :func:`predict_video`.

        Args:
            path: of the video.
            landmarks: as :func:`predict_video` takes them.
            progress: called with (frames read, frames to be read), which is twice the video where its landmarks are to
                be found; not called where the file does not say how long it is.

        Raises:
            TddError: as :func:`predict_video`.
        """
        _require_video(path)
        told = _Reading(path, 1 if landmarks else 2, progress)
        points, source, warnings = self._landmarks(path, landmarks, told)
        video = VideoFile(path)
        watch = CropWatch(self.target, self.recipe.clip.crop)
        table, attention, driving, frames = self._clips(video, points, watch, told)
        if not np.isfinite(table["logit"]).all():
            raise TddError(f"{path}: the detector in {self.checkpoint} gives no number; its training diverged.")
        table["score"] = (self.calibration or UNCALIBRATED).probability(table["logit"])
        return Prediction(
            video=legible(path.name), frames=frames, seconds=frames / FPS, logit=float(table["logit"].mean()),
            logit_span=mean_span(table["logit"].to_numpy()), calibration=self.calibration,
            false_positives=self.false_positives, calibrated_on=self.calibrated_on, clips=table,
            attention=attention, driving=driving, points=points, landmarks=source, detector=self.described,
            warnings=(*self._warnings(video, points, len(table)), *_crop_warnings(watch), *warnings),
        )  # fmt: skip

    def _landmarks(self, path: Path, given: Path | None, told: _Reading) -> tuple[np.ndarray, str, list[str]]:
        """Landmarks of every frame of the file, where they come from, and what is to be said of them."""
        if given is not None:
            return read_points(given), "given", []
        found = self.landmarker.video(path, told.frames)
        told.before = len(found.points)
        quality, warnings = found.quality, []
        if quality.faces > 1:
            warnings.append(
                f"The video shows {quality.faces} faces, and only the largest over the whole video was scored, about "
                f"{quality.face_px:.0f} px wide."
            )
        if quality.interpolated:
            warnings.append(
                f"No face was found in {quality.interpolated} of {len(found.points)} frames; their landmarks were "
                f"filled in from their neighbours, {quality.longest_gap} frames in a row at most."
            )
        how = f"found with {self.landmarker.name} in {quality.found_share:.0%} of the frames"
        return found.points, how, warnings

    def _clips(
        self, video: VideoFile, points: np.ndarray, watch: CropWatch, told: _Reading
    ) -> tuple[pd.DataFrame, np.ndarray | None, tuple[DrivingClip, ...], int]:
        """Table of clips without scores, attention, driving clips, and the number of frames."""
        clip = self.recipe.clip
        starts: list[int] = []
        logits: list[float] = []
        maps: list[np.ndarray] = []
        driving: list[DrivingClip] = []
        crops = face_crops(video, points, self.target, clip, watch.see)
        for batch in _batches(running_clips(crops, clip.frames)):
            found, attention = self._forward(torch.from_numpy(np.stack([eval_view(faces, clip) for _, faces in batch])))
            driving += [DrivingClip(len(logits) + i, faces) for i, (_, faces) in enumerate(batch)]
            starts += [start for start, _ in batch]
            logits += found
            # The faces of all others are let go, so that memory does not grow with the video.
            driving = sorted(driving, key=lambda one: -logits[one.clip])[:DRIVING]
            maps += [] if attention is None else [attention]
            told.frames(video.decoded)
        first = np.array(starts)
        table = pd.DataFrame({"start": first / FPS, "end": (first + clip.frames) / FPS, "logit": logits})
        return table, np.concatenate(maps) if maps else None, tuple(driving), starts[-1] + clip.frames

    @torch.inference_mode()
    def _forward(self, views: Tensor) -> tuple[list[float], np.ndarray | None]:
        """Logits of clips (B, 3, T, H, W), uint8, and the attention that their frames receive, (B, T), if any."""
        views = normalise(views.to(next(self.detector.parameters()).device))
        backbone = self.detector.backbone
        # Under finding A1 the steps are not frames, and their attention says nothing about time.
        if not isinstance(backbone, CnnGruAttention) or backbone.attention is None or backbone.time_axis != "per_frame":
            return self.detector(views).float().tolist(), None
        features, weights = backbone.attend(views)  # one pass for both
        return self.detector.head(features).float().tolist(), weights.mean(dim=1).float().cpu().numpy()

    def _warnings(self, video: VideoFile, points: np.ndarray, clips: int) -> Iterator[str]:
        if self.synthetic:
            yield (
                "A detector of drawn faces, trained on the synthetic benchmark alone: at most a rank, its score "
                "says nothing about videos of people."
            )
        elif self.synthetic is None:
            yield "What the detector was trained on is not recorded with its weights."
        if clips < FEW_CLIPS:
            yield f"The video holds {clips} clip{'s' * (clips != 1)} of a second; a score of so few says little."
        if abs(video.stated_fps - FPS) > RATE_SLACK:
            kept = self.recipe.clip.frame_rate == TIMESTAMPS
            how = "frames were repeated or left out" if kept else "its speed was changed"
            yield f"The video has {video.stated_fps:.2f} frames per second and the detector takes {FPS}: {how}."
        if video.brighter:
            yield (
                f"The video is {video.brighter}, and its picture was drawn without the conversion that a player makes: "
                "pale, unlike what detectors are trained on. Convert it to common colours (SDR) first."
            )
        own, wanted = eye_distance(points), eye_distance(self.target[None])
        if wanted > LARGEST_ZOOM * own:
            yield (
                f"The face is small: its eyes are {own:.0f} px apart and were brought to {wanted:.0f} px, so that fine "
                "traces of a forgery cannot be seen."
            )


def predict_video(
    path: Path, checkpoint: Path, landmarks: Path | None = None, mean_face_file: Path | None = None
) -> Prediction:
    """Score one video with stage-2 weights.

    The whole video is cut into the clips that the evaluation takes of a test video, so the clip logits are those of
    ``tdd evaluate`` for the same frames.

    Args:
        path: a video file with one face.
        checkpoint: folder of stage-2 weights.
        landmarks: ``.npy`` of shape (frames of the file, 68, 2), px; found in the video when ``None``.
        mean_face_file: see :class:`VideoScorer`.

    Raises:
        TddError: weights or video that cannot be used; a video shorter than a clip; landmarks that do not fit it, or
            that cannot be found.
    """
    return VideoScorer(checkpoint, mean_face_file).score(path, landmarks)


def predict_folder(
    folder: Path,
    scorer: VideoScorer,
    landmarks: Path | None = None,
    progress: Progress | None = None,
    listing: Listing | None = None,
) -> list[dict[str, Any]]:
    """Score every video below a folder; arguments, rows and errors as of :func:`predict_each`.

    Args:
        folder: of the videos.
        scorer: the detector.
        landmarks: folder of the landmarks.
        progress: called with (videos done, videos in all).
        listing: the videos.
    """
    listing = find_videos(folder) if listing is None else listing
    rows: list[dict[str, Any]] = []
    for row in predict_each(folder, scorer, landmarks, listing):
        rows.append(row)
        if progress:
            progress(len(rows), len(listing.videos))
    return rows


def predict_each(
    folder: Path, scorer: VideoScorer, landmarks: Path | None = None, listing: Listing | None = None
) -> Iterator[dict[str, Any]]:
    """Score every video below a folder, one after the other; one that cannot be scored does not stop the rest.

    Args:
        folder: of the videos.
        scorer: the detector.
        landmarks: folder with the same subfolders, where each video's landmarks lie under its name, as
            :func:`tdd.evaluation.listing.pair_landmarks` says; found in the videos when ``None``.
        listing: the videos, as :func:`tdd.evaluation.listing.find_videos` gives them; looked for when ``None``.

    Yields:
        for each video, sorted by path, :meth:`Prediction.to_row` with ``video`` as path in the folder; or ``video`` and
        the ``reason`` why there is no score.

    Raises:
        TddError: the folder holds no video, ``landmarks`` is no folder, or landmarks are to be found and the networks
            for that cannot be loaded.
    """
    listing = find_videos(folder) if listing is None else listing
    videos = [path.relative_to(folder) for path in listing.videos]
    if not videos:
        raise TddError(" ".join([f"{folder} holds no video that FFmpeg opens.", *listing.notes]))
    if landmarks is None:
        _ = scorer.landmarker  # what is missing for it is said once, not for every video
    elif not landmarks.is_dir():
        raise TddError(f"{landmarks} is no folder; for a folder of videos give that of their landmarks, FILE.npy each.")
    points = {} if landmarks is None else pair_landmarks(videos, landmarks)
    for name in videos:
        given = points.get(name)
        try:
            if isinstance(given, TddError):
                raise given
            row = scorer.score(folder / name, given).to_row()
        except Exception as error:
            row = {"reason": f"{NO_MEMORY}." if out_of_memory(error) else reason_of(error)}
        yield row | {"video": legible(name.as_posix())}


def write_table(rows: list[dict[str, Any]], path: Path) -> None:
    """Write rows of :func:`predict_folder` as CSV with the columns ``COLUMNS``, empty where a row has no value.

    Raises:
        TddError: ``path`` cannot be written.
    """
    with disk_errors_told(path.parent), whole_file(path) as unfinished:
        pd.DataFrame(rows, columns=list(COLUMNS)).to_csv(unfinished, index=False)


def _require_video(path: Path) -> None:
    """Check that a path is one of a file, and no picture's.

    Raises:
        TddError: it is not; the sentence says what it is instead.
    """
    if is_there(path):
        if is_picture(path):
            raise TddError(f"{path} is a picture, and a score takes a second of film; give a video.")
        return
    if _ADDRESS.match(str(path)):
        raise TddError(
            f"{path} is an address, and nothing is fetched; save the video on this machine and give its path."
        )
    raise TddError(f"{path} is no file; give a video, or a folder of videos.")


def _crop_warnings(watch: CropWatch) -> Iterator[str]:
    """What speaks against the crops that were scored."""
    for doubt in doubts(watch.columns()):
        yield f"{doubt[0].upper()}{doubt[1:]}: the crops may be wrong, and the score with them."


def _mean_face(weights: Weights, checkpoint: Path, file: Path | None, canvas: int) -> np.ndarray:
    if file is not None:
        return read_mean_face(file, canvas)
    if weights.mean_face is None:
        raise TddError(
            f"The weights in {checkpoint} do not hold the mean face that their training clips were aligned to; give it "
            "with --mean-face (mean_face.npy of the clip store; RealForensics' own is its 20words_mean_face.npy)."
        )
    return weights.mean_face


def _batches(clips: Iterator[tuple[int, np.ndarray]]) -> Iterator[list[tuple[int, np.ndarray]]]:
    batch = []
    for clip in clips:
        batch.append(clip)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
