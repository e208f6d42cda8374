"""Frames as the ffmpeg program shows them: pixels within 2 grey levels, and the same times."""

import gc
import struct
from fractions import Fraction

import av
import numpy as np
import pytest

from tdd.config import ClipConfig
from tdd.data.picture import Orientation
from tdd.data.video import VideoFile
from tdd.errors import TddError
from tdd.preprocess.crops import face_crops
from tests.reference import SQUARE, ffmpeg, largest_difference, need_encoder, picture, shown_by_ffmpeg, tone
from tests.videos import encode

LEVELS = 2
"""Grey levels by which a pixel may differ from ffmpeg's."""

CODECS = {
    "h264": ("mp4", "libx264", ["-preset", "ultrafast"]),
    "hevc": ("mp4", "libx265", ["-preset", "ultrafast", "-x265-params", "log-level=none:pools=1"]),
    "vp9": ("webm", "libvpx-vp9", ["-cpu-used", "8", "-deadline", "realtime"]),
    "av1": ("mkv", "libaom-av1", ["-cpu-used", "8", "-usage", "realtime"]),
    "mpeg4": ("avi", "mpeg4", ["-q:v", "3"]),
    "mjpeg": ("avi", "mjpeg", ["-q:v", "3", "-strict", "unofficial"]),
    "ffv1": ("mkv", "ffv1", []),
}
"""Name: container, encoder, options."""

EIGHT = ["yuv420p", "yuv422p", "yuv444p"]
TEN = [f"{name}10le" for name in EIGHT]
SILENT = ("mpeg4", "mjpeg")
"""Codecs that state no matrix."""

PIXELS = {"mpeg4": ["yuv420p"], "mjpeg": EIGHT}
SIZES = ("64x48", "61x47")
RANGES = ("tv", "pc")
MATRICES = {"BT.601": "smpte170m", "BT.709": "bt709", "unstated": None}


def cells(codec):
    """Every size, range, matrix and pixel format that a codec can hold."""
    return [
        (size, span, matrix, pixels)
        for size in SIZES
        for span in (RANGES if codec != "mpeg4" else ["tv"])  # MPEG-4 states no range
        for matrix in MATRICES
        for pixels in PIXELS.get(codec, EIGHT + TEN)
    ]


def encoded(folder, codec, wanted, source=picture):
    """One file for each cell of one codec, all made by one run of the program."""
    ending, encoder, options = CODECS[codec]
    need_encoder(encoder)
    inputs = {size: number for number, size in enumerate(dict.fromkeys(cell[0] for cell in wanted))}
    arguments = [part for size in inputs for part in source(size)]
    paths = []
    for size, span, matrix, pixels in wanted:
        name = MATRICES[matrix]
        paths.append(folder / f"{codec}-{size}-{span}-{name}-{pixels}.{ending}")
        filters = f"scale=out_range={span}:out_color_matrix={name or 'smpte170m'}"
        filters += "" if name else ",setparams=colorspace=unknown"
        arguments += ["-map", inputs[size], "-vf", filters]
        arguments += ["-pix_fmt", pixels, "-color_range", span, "-c:v", encoder, *options]
        arguments += ["-colorspace", name] if name else []
        arguments.append(paths[-1])
    ffmpeg(*arguments)
    return paths


def read(path):
    """Frames and times of every frame of a file, read by the package."""
    timed = [(time, frame.rgb(), frame) for time, frame in VideoFile(path)._timed(strict=True)]
    return np.stack([rgb for _, rgb, _ in timed]), [time for time, _, _ in timed], timed[0][2].decoded


def differences(folder, paths, filters=SQUARE):
    """Largest difference of each file, grey levels; the times are checked."""
    found = {}
    for path, (frames, times) in zip(paths, shown_by_ffmpeg(folder, paths, filters), strict=True):
        own, own_times, _ = read(path)
        assert own_times == times, path.name
        found[path.name] = largest_difference(own, frames)
    return found


@pytest.mark.parametrize("codec", CODECS)
def test_a_cell_of_each_codec_equals_ffmpeg(codec, tmp_path):
    wanted = [("64x48", "tv", "BT.709", "yuv420p"), ("61x47", "pc", "unstated", PIXELS.get(codec, TEN)[-1])]
    found = differences(tmp_path, encoded(tmp_path, codec, wanted))
    assert max(found.values()) <= LEVELS, found


@pytest.mark.slow
@pytest.mark.parametrize("codec", CODECS)
def test_every_codec_range_matrix_chroma_and_depth_equals_ffmpeg(codec, tmp_path):
    wanted = cells(codec)
    paths = encoded(tmp_path, codec, wanted)
    for path, cell in zip(paths, wanted, strict=True):
        frame = read(path)[2]
        span = {0: "tv", 1: "tv", 2: "pc"}[int(frame.color_range)]
        matrix = {1: "BT.709", 2: "unstated", 5: "BT.601", 6: "BT.601"}[int(frame.colorspace)]
        matrix = cell[2] if codec in SILENT else matrix
        held = (cell[0], span, matrix, frame.format.name.replace("yuvj", "yuv"))
        assert held == cell, f"{path.name} holds {held}"  # the cell is what it says
    found = differences(tmp_path, paths)
    assert max(found.values()) <= LEVELS, found


@pytest.mark.parametrize("size", ["64x48", "1280x720"])
def test_a_known_colour_comes_back_and_an_unstated_matrix_is_bt_601_at_any_size(size, tmp_path):
    colour = (200, 60, 30)

    def source(size):
        return ["-f", "lavfi", "-i", f"color=0x{bytes(colour).hex()}:s={size}:r=25:d=0.04,format=rgb24"]

    wanted = [(size, span, matrix, "yuv420p") for span in RANGES for matrix in MATRICES]
    for path in encoded(tmp_path, "h264", wanted, source):  # it writes BT.601 where it states nothing
        middle = np.median(read(path)[0][0], axis=(0, 1))
        assert np.abs(middle - colour).max() <= 3, f"{path.name}: {middle}"


def made(folder, name, *arguments):
    ffmpeg(*arguments, folder / name)
    return folder / name


X264 = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"]
B_FRAMES = [
    "-c:v",
    "libx264",
    "-preset",
    "ultrafast",
    "-bf",
    "3",
    "-b_strategy",
    "0",
    "-g",
    "12",
    "-pix_fmt",
    "yuv420p",
]
VARIABLE = ["-vf", "select='not(mod(n,7))+lt(random(1),.5)'", "-fps_mode", "vfr"]


def special(folder, kind):
    """A file of a special kind, of one second or two."""
    if kind == "interlaced H.264":
        return made(folder, "a.mp4", *picture(seconds=0.4), *X264, "-flags", "+ildct+ilme")
    if kind == "interlaced MPEG-2":
        options = ["-c:v", "mpeg2video", "-q:v", "3", "-flags", "+ildct+ilme", "-pix_fmt", "yuv420p"]
        return made(folder, "a.ts", *picture(seconds=0.4), *options)
    if kind == "interlaced FFV1":
        options = ["-vf", "setfield=tff", "-c:v", "ffv1", "-pix_fmt", "yuv420p"]
        return made(folder, "a.mkv", *picture("62x46", seconds=0.4), *options)
    if kind in ("variable mp4", "variable mkv"):
        return made(folder, f"a.{kind[-3:]}", *picture(seconds=2), *VARIABLE, *X264)
    if kind == "B-frames":
        return made(folder, "a.mkv", *picture(seconds=1), *B_FRAMES)
    if kind.startswith("B-frames copied"):
        film = made(folder, "film.mp4", *picture(seconds=1), *B_FRAMES)
        return made(folder, f"a.{kind.split()[-1]}", "-i", film, "-c", "copy")
    if kind == "MPEG-4 B-frames in avi":
        return made(folder, "a.avi", *picture(seconds=1), "-c:v", "mpeg4", "-bf", "2", "-pix_fmt", "yuv420p")
    film = made(folder, "film.mp4", *picture(seconds=2), *tone(2), *B_FRAMES, "-c:a", "aac")
    if kind == "edit list":
        return made(folder, "a.mp4", "-ss", "0.7", "-i", film, "-c", "copy", "-t", "1")
    if kind == "picture later than sound":
        later = ["-itsoffset", "0.5", "-i", film, "-i", film, "-map", "0:v", "-map", "1:a", "-c", "copy"]
        return made(folder, "a.mp4", *later)
    assert kind == "fragments"
    return made(folder, "a.mp4", "-i", film, "-c", "copy", "-movflags", "frag_keyframe+empty_moov")


SPECIAL = (
    "interlaced H.264", "interlaced MPEG-2", "interlaced FFV1", "variable mp4", "variable mkv", "B-frames",
    "B-frames copied to avi", "B-frames copied to ts", "B-frames copied to h264", "MPEG-4 B-frames in avi",
    "edit list", "picture later than sound", "fragments",
)  # fmt: skip


@pytest.mark.parametrize("kind", SPECIAL)
def test_special_files_equal_ffmpeg(kind, tmp_path):
    need_encoder("libx264")
    path = special(tmp_path, kind)
    found = differences(tmp_path, [path])
    assert found[path.name] <= LEVELS
    # 25 fps is the package's own rule: the frame whose time is nearest, the earlier of two.
    _, times, first = read(path)
    assert first.interlaced_frame == kind.startswith("interlaced")
    for number, frame in enumerate(VideoFile(path).shown("timestamps")):
        instant = times[0] + Fraction(number, 25)
        assert frame.source == min(range(len(times)), key=lambda n: (abs(times[n] - instant), n))


TURNS = [(turn, mirrored) for turn in (0, 90, 180, 270) for mirrored in (False, True)]


def turned(source, folder, turn, mirrored, ending="mp4"):
    flip = ["-display_hflip"] if mirrored else []
    name = f"{turn}{mirrored}.{ending}"
    return made(folder, name, "-display_rotation", turn, *flip, "-i", source, "-c", "copy")


@pytest.mark.parametrize(("size", "pixels"), [("64x48", "yuv420p"), ("61x47", "yuv444p"), ("64x48", "yuv422p")])
def test_all_eight_orientations_equal_ffmpeg(size, pixels, tmp_path):
    need_encoder("libx264")
    source = made(tmp_path, "a.mp4", *picture(size, 0.08), "-c:v", "libx264", "-crf", "5", "-pix_fmt", pixels)
    paths = [turned(source, tmp_path, *way) for way in TURNS]
    found = differences(tmp_path, paths)
    assert max(found.values()) <= LEVELS, found
    upright = read(source)[0][0].astype(int)
    ways = {}
    for path in paths:
        first = read(path)[0][0]
        for transposed in (False, True):
            for x in (1, -1):
                for y in (1, -1):
                    laid = (upright.swapaxes(0, 1) if transposed else upright)[::y, ::x]
                    if laid.shape == first.shape and np.abs(laid - first).mean() < 8:
                        ways[path] = (transposed, x, y)
    assert len(set(ways.values())) == 8  # by numpy's word too, each is another one


@pytest.mark.parametrize(
    ("matrix", "expected"),
    [
        ([[65536, 0], [0, 65536]], Orientation()),
        ([[0, 0], [0, 0]], Orientation()),
        ([[65536, 0], [0, 0]], Orientation()),
        ([[-65536, 0], [0, 65536]], Orientation(mirrored=True)),
        ([[131072, 0], [0, -32768]], Orientation(upended=True)),
        ([[0, 65536], [-65536, 0]], Orientation(transposed=True, mirrored=True)),
        ([[300, 65535], [65535, -300]], Orientation(transposed=True)),
    ],
)
def test_a_display_matrix_is_an_orientation(matrix, expected):
    assert Orientation.of_matrix(np.array(matrix)) == expected


def with_exif(source, path, orientation=0):
    """Copy a film of JPEGs, an Exif block with an orientation (0: none) put into each."""
    entry = struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0)
    block = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 1) + entry + bytes(4)
    with av.open(str(source)) as film, av.open(str(path), "w") as out:
        stream = out.add_stream_from_template(film.streams.video[0])
        for packet in film.demux():
            if packet.dts is None:
                continue
            start, rest = bytes(packet)[:2], bytes(packet)[2:]
            copy = av.Packet(start + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + rest)
            copy.pts, copy.dts, copy.time_base = packet.pts, packet.dts, packet.time_base
            copy.stream, copy.duration, copy.is_keyframe = stream, packet.duration, True
            out.mux(copy)
    return path


def test_a_frame_is_mirrored_whatever_else_lies_beside_it(tmp_path):
    jpegs = ["-c:v", "mjpeg", "-q:v", "2", "-pix_fmt", "yuvj444p"]
    plain = made(tmp_path, "plain.mov", *picture("64x48", 0.08), *jpegs)
    upright = np.array(read(plain)[0])
    marked = with_exif(plain, tmp_path / "marked.mov")
    assert np.array_equal(read(marked)[0], upright)
    mirrored = made(tmp_path, "mirrored.mov", "-display_hflip", "-i", marked, "-c", "copy")
    assert largest_difference(read(mirrored)[0], upright[:, :, ::-1]) <= LEVELS
    # 2: mirrored, 6: to be turned with the clock
    assert largest_difference(read(with_exif(plain, tmp_path / "2.mov", 2))[0], upright[:, :, ::-1]) <= LEVELS
    turned_by_exif = read(with_exif(plain, tmp_path / "6.mov", 6))[0]
    assert largest_difference(turned_by_exif, np.rot90(upright, -1, (1, 2))) <= LEVELS


def test_frames_leave_memory_without_a_search_for_circles(tmp_path):
    path = encode(tmp_path / "a.mp4", [np.zeros((48, 64, 3), np.uint8)] * 12, rotation=90)
    gc.collect()
    gc.disable()
    try:
        for frame in VideoFile(path).shown("timestamps"):
            frame.rgb()
        left = [thing for thing in gc.get_objects() if isinstance(thing, av.VideoFrame)]
        assert len(left) <= 1  # the last, which "frame" still names
    finally:
        gc.enable()


def test_a_picture_that_is_to_be_shown_askew_is_refused(tmp_path):
    source = encode(tmp_path / "a.mp4", [np.zeros((48, 64, 3), np.uint8)] * 2, rotation=45)
    with pytest.raises(TddError, match="askew"):
        read(source)
    with pytest.raises(TddError, match="askew"):
        VideoFile(source).look(first_frame=True)


SHAPES = ["5/3", "128/117", "8/9", "1/2", "2/1", "1000/1001"]


@pytest.mark.parametrize("ending", ["mp4", "mkv", "avi"])
def test_every_pixel_shape_becomes_square_as_ffmpeg_does_it(ending, tmp_path):
    need_encoder("libx264")
    paths = []
    for number, shape in enumerate(SHAPES):
        options = ["-vf", f"setsar={shape}", *X264]
        paths.append(made(tmp_path, f"{number}.{ending}", *picture("96x160", 0.08), *options))
    found = differences(tmp_path, paths)
    assert max(found.values()) <= LEVELS, found
    # The longer side of a pixel is kept, the shorter drawn out, to the nearest whole number.
    sizes = [read(path)[0].shape[1:3] for path in paths]
    assert sizes == [(160, 160), (160, 105), (180, 96), (320, 96), (160, 192), (160, 96)]


def test_pixel_shape_and_orientation_together_equal_ffmpeg(tmp_path):
    need_encoder("libx264")
    source = made(tmp_path, "a.mp4", *picture("96x160", 0.08), "-vf", "setsar=5/3", *X264)
    found = differences(tmp_path, [turned(source, tmp_path, *way) for way in TURNS])
    assert max(found.values()) <= LEVELS, found


def test_pixels_of_a_senseless_shape_are_refused(tmp_path):
    need_encoder("libx264")
    path = made(tmp_path, "a.mp4", *picture(seconds=0.08), "-vf", "setsar=9/1", *X264)
    for use in (read, lambda path: VideoFile(path).look()):
        with pytest.raises(TddError, match="9 times as wide as high"):
            use(path)


def test_landmarks_are_in_square_pixels(tmp_path):
    need_encoder("libx264")
    smooth = ["-f", "lavfi", "-i", "gradients=s=160x160:r=25:d=0.4:c0=red:c1=blue:n=2:seed=3:x0=0:y0=0:x1=159:y1=90"]
    options = ["-c:v", "libx264", "-crf", "1", "-pix_fmt", "yuv444p"]
    square = made(tmp_path, "square.mp4", *smooth, *options)
    narrow = made(tmp_path, "narrow.mp4", *smooth, "-vf", "scale=96:160,setsar=5/3", *options)
    rng = np.random.default_rng(0)
    points = np.repeat(rng.uniform(40, 120, (1, 68, 2)), 10, 0).astype(np.float32)
    crops = [
        np.stack(list(face_crops(VideoFile(path), points, points[0], ClipConfig(frames=5, crop=64, canvas=160))))
        for path in (square, narrow)
    ]
    assert np.abs(crops[0].astype(int) - crops[1]).mean() < 2


def test_a_picture_that_changes_its_size_is_fitted_into_the_first(tmp_path):
    need_encoder("libx264")
    sizes = ["64x48", "128x96", "48x64"]
    parts = [made(tmp_path, f"{size}.ts", *picture(size, 0.2), *X264, "-bf", "0") for size in sizes]
    path = tmp_path / "a.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    fit = "scale=64:48:force_original_aspect_ratio=decrease:flags=bicubic,format=rgb24,pad=64:48:(ow-iw)/2:(oh-ih)/2"
    ((frames, _),) = shown_by_ffmpeg(tmp_path, [path], fit)
    shown = list(VideoFile(path).shown("relabelled"))
    assert len(shown) == 15 and {frame.size for frame in shown} == {(48, 64)}
    own = np.stack([frame.rgb() for frame in shown])
    assert largest_difference(own, frames) <= LEVELS
    assert not own[12, :, :14].any() and not own[12, :, -14:].any() and own[12, :, 20:44].any()  # black at the sides
