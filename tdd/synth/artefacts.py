"""What forgeries do to pixels: masks from landmarks, small warps, low resolution, and blending inside the mask only."""

from collections.abc import Callable

import cv2
import numpy as np

SHIFT = 4  # fractional bits of OpenCV's drawing coordinates
Box = tuple[slice, slice]


def soft_mask(size: int, polygon: np.ndarray, feather: float) -> tuple[np.ndarray, Box]:
    """Mask of a polygon (K, 2) in pixels, feathered over about `feather` pixels, and the box that holds it.

    Returns the float32 mask (h, w) in 0..1 of the box and the box's (rows, columns).
    """
    pad = int(np.ceil(3 * feather)) + 2  # OpenCV ends its kernel for 8 bits at 3 sigma: beyond, the mask is zero
    # At least 8 pixels, even for a face outside the frame: OpenCV takes no empty picture.
    low = np.clip(np.floor(polygon.min(0)).astype(int) - pad, 0, size - 8)
    high = np.clip(np.ceil(polygon.max(0)).astype(int) + pad, low + 8, size)
    mask = np.zeros((high[1] - low[1], high[0] - low[0]), np.uint8)
    points = np.round((polygon - low) * (1 << SHIFT)).astype(np.int32)
    cv2.fillPoly(mask, [points], (255,), cv2.LINE_AA, SHIFT)
    mask = cv2.GaussianBlur(mask, (0, 0), feather)
    return mask.astype(np.float32) / 255, (slice(low[1], high[1]), slice(low[0], high[0]))


def face_polygon(landmarks: np.ndarray, shrink: float = 0.9, lift: float = 0.35) -> np.ndarray:
    """Convex hull (K, 2) of a face (68, 2): the jaw drawn in towards the nose, the brows lifted towards the hair."""
    centre = landmarks[27:36].mean(0)
    jaw = centre + (landmarks[1:16] - centre) * shrink
    brows = landmarks[17:27] + (landmarks[17:27].mean(0) - centre) * lift
    return cv2.convexHull(np.concatenate([jaw, brows]).astype(np.float32))[:, 0]


def lower_polygon(landmarks: np.ndarray) -> np.ndarray:
    """Convex hull (K, 2) of the face below the nose, jaw included."""
    centre = landmarks[48:68].mean(0)
    jaw = centre + (landmarks[3:14] - centre) * 0.94
    return cv2.convexHull(np.concatenate([jaw, landmarks[31:36]]).astype(np.float32))[:, 0]


def mouth_polygon(landmarks: np.ndarray, grow: float = 1.5) -> np.ndarray:
    """Convex hull (K, 2) of the mouth, grown, with the base of the nose."""
    lips = landmarks[48:60]
    centre = lips.mean(0)
    ring = centre + (lips - centre) * [grow, grow * 1.3]
    return cv2.convexHull(np.concatenate([ring, landmarks[31:36]]).astype(np.float32))[:, 0]


REGIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "face": face_polygon,
    "lower": lower_polygon,
    "mouth": mouth_polygon,
}


def pixel_grid(box: Box) -> tuple[np.ndarray, np.ndarray]:
    """Pixel coordinates x (1, w) and y (h, 1) of a box in the frame, float32."""
    rows, columns = box
    x = np.arange(columns.start, columns.stop, dtype=np.float32)[None]
    return x, np.arange(rows.start, rows.stop, dtype=np.float32)[:, None]


def pulled(frame: np.ndarray, box: Box, dx: np.ndarray, dy: np.ndarray) -> np.ndarray:
    """The box of a frame, each pixel taken from (dx, dy) pixels further on."""
    x, y = pixel_grid(box)
    place = cv2.merge([np.ascontiguousarray(dx + x), np.ascontiguousarray(dy + y)])
    # Lanczos, for linear interpolation softens, and sharpness alone would then tell the patch.
    return cv2.remap(frame, place, None, cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REFLECT_101)


def coarse(patch: np.ndarray, scale: float) -> np.ndarray:
    """A patch (h, w, 3) sampled down to `scale` of its size and up again."""
    h, w = patch.shape[:2]
    small = cv2.resize(patch, (max(4, round(w * scale)), max(4, round(h * scale))), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (w, h), interpolation=cv2.INTER_LINEAR)


def paste(frame: np.ndarray, box: Box, mask: np.ndarray, patch: np.ndarray) -> None:
    """Blend a float32 patch (h, w, 3) into a uint8 frame in place; where the mask is zero nothing changes."""
    base = frame[box].astype(np.float32)
    base += (patch - base) * mask[..., None]
    # Clipped first: Lanczos undershoots at dark edges, and convertScaleAbs would turn what is negative bright.
    frame[box] = cv2.convertScaleAbs(np.clip(base, 0, 255, out=base))
