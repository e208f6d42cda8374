"""Frames of a talking head: textures painted once, warped by pose and speech, with mouth and eyes painted per frame."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from tdd.errors import TddError
from tdd.synth import geometry
from tdd.synth.camera import Scene
from tdd.synth.expression import paint_eyes, paint_mouth
from tdd.synth.identity import Identity
from tdd.synth.layers import Layers, build_layers
from tdd.synth.motion import Motion
from tdd.synth.surface import Canvas

if TYPE_CHECKING:
    from tdd.synth.visemes import MouthTrack

SHOULDERS_FOLLOW = 0.35  # how much of the head's drift the shoulders share
LOWER_FACE = [*range(3, 14), *range(31, 36)]  # landmarks around everything that speech moves
EYES = list(range(36, 48))
BEHIND = -0.25  # depth of the hair behind the head, face units


@dataclass(frozen=True, eq=False)
class Rendered:
    """A clean video: frames (T, S, S, 3) uint8 RGB and landmarks (T, 68, 2) float32 pixels (x, y)."""

    frames: np.ndarray
    landmarks: np.ndarray


def render(identity: Identity, scene: Scene, motion: Motion, mouth: "MouthTrack", size: int) -> Rendered:
    """Render a talking person without camera noise.

    `motion` and `mouth` have T frames, `size` is the side S of the frames and must be the scene's. Raises TddError
    otherwise.
    """
    if size != scene.size:
        raise TddError(f"the scene was drawn for {scene.size}-pixel frames, not {size}; draw a scene of that size")
    if len(motion) != len(mouth.opening):
        raise TddError(
            f"motion has {len(motion)} frames and the mouth track {len(mouth.opening)}; give both the same number"
        )
    layers = build_layers(identity, scene, size)
    landmarks = geometry.landmarks(identity, layers.relief, motion, mouth, size)
    painter = _Painter(identity, scene, motion, mouth, layers, landmarks)
    return Rendered(np.stack([painter.frame(t) for t in range(len(motion))]), landmarks)


def _texels(points: np.ndarray, canvas: Canvas) -> np.ndarray:
    return ((points + canvas.extent) * canvas.density - 0.5).astype(np.float32)


def _lay(image: np.ndarray, layer: np.ndarray) -> np.ndarray:
    """A premultiplied layer (h, w, 4) over an image (h, w, 3), uint8."""
    clear = cv2.cvtColor(255 - layer[..., 3], cv2.COLOR_GRAY2RGB)
    return cv2.add(cv2.cvtColor(layer, cv2.COLOR_RGBA2RGB), cv2.multiply(image, clear, scale=1 / 255))


class _Painter:
    """Everything about a video that is computed for all frames at once, and the painting of one frame."""

    def __init__(
        self,
        identity: Identity,
        scene: Scene,
        motion: Motion,
        mouth: "MouthTrack",
        layers: Layers,
        landmarks: np.ndarray,
    ) -> None:
        self.identity, self.scene, self.motion, self.mouth, self.layers = identity, scene, motion, mouth, layers
        self.size, self.landmarks = scene.size, landmarks
        self.shape = geometry.mouth_shape(identity.inner, mouth)
        self.unit = np.asarray(motion.scale) * scene.size
        flat = geometry.derotated(motion, scene.size)
        self.face = geometry.unproject(flat, layers.relief, motion).astype(np.float32)
        self.body = self._body_points(flat)

    def _body_points(self, flat: np.ndarray) -> np.ndarray:
        """Texels (T, n, n, 2) of the body layer: hair and neck follow the head, shoulders mostly stay."""
        m, size = self.motion, self.size
        head = flat - BEHIND * np.stack([np.sin(m.yaw), np.sin(m.pitch)], -1)[:, None, None]
        centre = geometry.frame_centre(m, size)
        rest = centre.mean(0) + SHOULDERS_FOLLOW * (centre - centre.mean(0))
        nodes = np.stack(np.meshgrid(*[geometry.grid_nodes(size)] * 2), -1)
        torso = (nodes - rest[:, None, None]) / self.unit.mean()  # shoulders do not grow as the head comes near
        low = np.clip((torso[..., 1:] - 0.7) / 0.8, 0, 1)
        low = low * low * (3 - 2 * low)
        return _texels(head + (torso - head) * low, self.layers.body_canvas)

    def frame(self, t: int) -> np.ndarray:
        """Frame t, (S, S, 3) uint8 RGB."""
        layers, size = self.layers, self.size
        # Beyond the body's texture clothes go on; beyond the head's there is nothing: hence two kinds of border.
        body = cv2.remap(
            layers.body, geometry.expand(self.body[t], size), None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        image = _lay(self.scene.background, body)
        uv = geometry.expand(self.face[t], size)
        raised = geometry.brow_raise(self.identity.inner, float(self.motion.brow[t]), uv[..., 1])
        resting = uv.copy()
        resting[..., 1] += raised
        lower = self._box(t, LOWER_FACE, 0.15)
        place = self._talk(t, uv[lower], resting[lower])
        texels = _texels(resting, layers.head_canvas)
        image = _lay(image, cv2.remap(layers.head, texels, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT))
        track = self.mouth
        shape = self.shape.at(t)
        paint_mouth(
            image[lower],
            self.identity.inner,
            shape,
            float(track.tongue[t]),
            float(track.teeth[t]),
            place,
            self.unit[t],
            layers.mouth_light,
        )
        eyes = self._box(t, EYES, 0.08)
        gaze = float(self.motion.gaze_x[t]), float(self.motion.gaze_y[t])
        # `uv`, not `resting`: raised brows move the skin and leave the eyes.
        paint_eyes(
            image[eyes], self.identity, uv[eyes], float(self.motion.blink[t]), gaze, self.unit[t], layers.eye_light
        )
        if layers.glasses is not None:
            worn = cv2.remap(layers.glasses, texels, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
            image = _lay(image, worn)
        return image

    def _talk(
        self, t: int, uv: np.ndarray, resting: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Move `resting` (a view of the region) by the mouth's shape; return what `paint_mouth` needs."""
        inner, shape = self.identity.inner, self.shape.at(t)
        u0, v0, top, bottom = geometry.neutral(inner, shape, self.identity.outer.chin, uv[..., 0], uv[..., 1])
        resting[..., 0], resting[..., 1] = u0, v0
        return u0, uv[..., 1], top, bottom

    def _box(self, t: int, points: list[int], margin: float) -> tuple[slice, slice]:
        """Image region around landmarks with a margin in face units."""
        chosen, grow = self.landmarks[t, points], margin * self.unit[t]
        # At least two pixels, even for a face outside the frame.
        low = np.clip(np.floor(chosen.min(0) - grow), 0, self.size - 2).astype(int)
        high = np.clip(np.ceil(chosen.max(0) + grow) + 1, low + 2, self.size).astype(int)
        return slice(low[1], high[1]), slice(low[0], high[0])
