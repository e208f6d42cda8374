"""Each corruption against its definition, level by level, on pixels whose answer is known."""

import cv2
import numpy as np
import pytest

from tdd.data.video import read_video, write_video
from tdd.errors import TddError
from tdd.evaluation.perturb import CORRUPTIONS, H264, LEVELS, CorruptedVideo, block_count, strength, video_seed
from tests.videos import drifting_picture, memory_filled

SIZE = (270, 300)
RNG = np.random.default_rng(0)


def picture(height=SIZE[0], width=SIZE[1], seed=0, low=60, high=200):
    """Smooth colours away from black and white, so that nothing is cut off."""
    coarse = np.random.default_rng(seed).uniform(low, high, (6, 6, 3)).astype(np.float32)
    return np.clip(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), low, high).astype(np.uint8)


def damaged(code, level, image, seed=0):
    return CORRUPTIONS[code].apply(image, strength(code, level), np.random.default_rng(seed))


def chroma(image):
    """Cb and Cr about zero, by OpenCV's own conversion."""
    planes = cv2.cvtColor(image, cv2.COLOR_RGB2YCrCb).astype(float)
    return planes[..., 0], planes[..., 1:] - 128


def test_the_suite_is_that_of_the_benchmark():
    assert {code: entry.strengths for code, entry in CORRUPTIONS.items()} == {
        "CS": (0.4, 0.3, 0.2, 0.1, 0.0),
        "CC": (0.85, 0.725, 0.6, 0.475, 0.35),
        "BW": (16, 32, 48, 64, 80),
        "GNC": (0.001, 0.002, 0.005, 0.01, 0.05),
        "GB": (7, 9, 13, 17, 21),
        "PIX": (2, 3, 4, 5, 6),
        "VC": (30, 32, 35, 38, 40),
    }


@pytest.mark.parametrize("level", LEVELS)
def test_saturation_scales_chroma_and_keeps_luma(level):
    image = picture()
    luma, colour = chroma(image)
    new_luma, new_colour = chroma(damaged("CS", level, image))
    np.testing.assert_allclose(new_luma, luma, atol=1.6)
    np.testing.assert_allclose(new_colour, colour * strength("CS", level), atol=1.6)
    if level == 5:
        assert np.ptp(damaged("CS", 5, image), axis=2).max() == 0


@pytest.mark.parametrize("level", LEVELS)
def test_contrast_multiplies_pixels(level):
    image = picture(low=0, high=255)
    np.testing.assert_allclose(damaged("CC", level, image), image * strength("CC", level), atol=0.51)


@pytest.mark.parametrize("level", LEVELS)
def test_blocks_are_grey_eight_pixels_wide_and_as_many_as_the_size_allows(level):
    image = np.zeros((2 * 256 + 9, 900, 3), np.uint8)
    out = damaged("BW", level, image, seed=level)
    assert set(np.unique(out)) == {0, 128}
    rounds = 16 * level
    assert block_count(*out.shape[:2], rounds) == 2 * rounds
    covered = (out[..., 0] > 0).sum() / 64
    # blocks may lie on one another: by chance about n^2 (15 / 8)^2 * 64 / (2 * area) fewer
    assert 0.88 * 2 * rounds <= covered <= 2 * rounds
    count, _, stats, _ = cv2.connectedComponentsWithStats((out[..., 0] > 0).astype(np.uint8))
    assert stats[1:, cv2.CC_STAT_WIDTH].min() == stats[1:, cv2.CC_STAT_HEIGHT].min() == 8 and count > 1


@pytest.mark.parametrize(("side", "blocks"), [(255, 0), (256, 16), (511, 16), (512, 32)])
def test_frames_below_256_pixels_get_no_block(side, blocks):
    assert block_count(side, 2000, 16) == block_count(2000, side, 16) == blocks
    image = picture(side, side)
    assert (damaged("BW", 1, image) == image).all() == (blocks == 0)


def plane_variances(image):
    """By the definition: bytes of Y, Cb and Cr in studio range, over 255."""
    luma, colour = chroma(image)
    planes = np.stack([luma * 219 / 255, *(np.moveaxis(colour, 2, 0) * 224 / 255)]) / 255
    correlation = np.corrcoef(planes.reshape(3, -1))[np.triu_indices(3, 1)]
    return planes.reshape(3, -1).var(1), np.abs(correlation).max()


@pytest.mark.parametrize("level", LEVELS)
def test_noise_has_its_variance_in_each_plane_and_they_do_not_correlate(level):
    variances, correlation = plane_variances(damaged("GNC", level, np.full((400, 400, 3), 128, np.uint8)))
    # at level 5 the channels deviate by some 100 of 255, and black and white cut almost half of the variance off
    np.testing.assert_allclose(variances, strength("GNC", level), rtol=0.08 if level < 5 else 0.5)
    assert correlation < (0.03 if level < 5 else 0.2)


@pytest.mark.parametrize("level", LEVELS)
def test_blur_of_a_point_is_a_gaussian_of_its_width(level):
    image = np.zeros((61, 61, 3), np.uint8)
    image[30, 30] = 255
    kernel = int(strength("GB", level))
    x = np.arange(kernel) - kernel // 2
    bell = np.exp(-(x**2) / (2 * (kernel / 6) ** 2))
    wanted = np.zeros((61, 61))
    reach = slice(30 - kernel // 2, 31 + kernel // 2)
    wanted[reach, reach] = 255 * np.outer(bell, bell) / bell.sum() ** 2
    np.testing.assert_allclose(damaged("GB", level, image)[..., 0], wanted, atol=1)


@pytest.mark.parametrize("level", LEVELS)
def test_pixelation_keeps_the_size_and_loses_what_is_finer_than_its_factor(level):
    factor = int(strength("PIX", level))
    assert damaged("PIX", level, picture(97, 131)).shape == (97, 131, 3)
    flat = np.full((60, 60, 3), 77, np.uint8)
    assert (damaged("PIX", level, flat) == 77).all()
    image = np.random.default_rng(1).integers(0, 256, (120, 120, 3), dtype=np.uint8)
    out = damaged("PIX", level, image).astype(float)
    spectrum = np.abs(np.fft.fft(out[..., 0] - out[..., 0].mean(), axis=1)).mean(0)[:61]
    kept = spectrum[: 60 // factor + 1].mean()
    assert kept > 2 * spectrum[60 // factor + 10 :].mean()
    assert (damaged("PIX", level, picture(3, 3)).shape) == (3, 3, 3)


def moving(count=30, height=96, width=128):
    noise = np.random.default_rng(3).integers(0, 30, (height, width, 3))
    base = picture(height, width + count).astype(int)
    return [np.clip(base[:, n : n + width] + noise, 0, 255).astype(np.uint8) for n in range(count)]


def test_bitrate_and_likeness_fall_with_the_level_of_compression():
    frames, sizes, errors = moving(), [], []
    for level in (0, *LEVELS):
        codec = H264(strength("VC", level) if level else 0)
        out = [frame.to_ndarray(format="rgb24") for frame in codec.through(frames)]
        assert len(out) == len(frames)
        sizes.append(codec.written)
        errors.append(np.mean((np.stack(out).astype(float) - np.stack(frames)) ** 2))
    assert sizes == sorted(sizes, reverse=True) and len(set(sizes)) == len(sizes)
    assert errors == sorted(errors) and errors[-1] > 2 * errors[0]


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    path = tmp_path_factory.mktemp("video") / "a b.mp4"
    write_video(path, moving(20, 258, 270), crf=10)
    return path


def shown(path, code, level, seed=(0,)):
    return np.stack([frame.rgb() for frame in CorruptedVideo(path, code, level, seed).shown("timestamps")])


@pytest.mark.parametrize("code", CORRUPTIONS)
def test_level_0_is_the_video_itself_and_higher_levels_are_further_from_it(code, video):
    plain = read_video(video)[0]
    np.testing.assert_array_equal(shown(video, code, 0), plain)
    distances = [np.abs(shown(video, code, level).astype(float) - plain).mean() for level in (1, 3, 5)]
    assert 0 < distances[0] < distances[1] < distances[2]
    assert shown(video, code, 5).shape == plain.shape


@pytest.mark.parametrize("code", CORRUPTIONS)
def test_the_same_seed_gives_the_same_pixels(code, video):
    first = shown(video, code, 2, video_seed(0, "a"))
    np.testing.assert_array_equal(first, shown(video, code, 2, video_seed(0, "a")))
    drawn = code in ("BW", "GNC")
    assert (first != shown(video, code, 2, video_seed(0, "b"))).any() == drawn
    assert (first != shown(video, code, 2, video_seed(1, "a"))).any() == drawn


def test_frames_differ_in_their_noise_and_a_repeated_frame_does_not(tmp_path):
    write_video(tmp_path / "grey.mp4", [np.full((64, 64, 3), 128, np.uint8)] * 12, fps=12, crf=0)
    frames = shown(tmp_path / "grey.mp4", "GNC", 3)
    video = CorruptedVideo(tmp_path / "grey.mp4", "GNC", 3)
    sources = [frame.source for frame in video.shown("timestamps")]
    assert len(frames) == 2 * len(set(sources)) == 2 * video.decoded
    for one, two, same in zip(frames, frames[1:], np.diff(sources) == 0, strict=False):
        assert (one == two).all() == same


def test_compressed_frames_keep_their_order_and_odd_sizes(tmp_path):
    frames = [np.full((52, 66, 3), 20 + 9 * n, np.uint8) for n in range(20)]
    out = list(H264(30).through([frame[:51, :65] for frame in frames]))
    levels = [frame.to_ndarray(format="rgb24")[:51, :65].mean() for frame in out]
    np.testing.assert_allclose(levels, [20 + 9 * n for n in range(20)], atol=3)
    write_video(tmp_path / "v.mp4", frames)
    video = CorruptedVideo(tmp_path / "v.mp4", "VC", 1)
    means = [(frame.source, frame.rgb().mean()) for frame in video.shown("timestamps")]
    np.testing.assert_allclose([mean for _, mean in means], [20 + 9 * n for n, _ in means], atol=4)
    assert [n for n, _ in means] == list(range(20)) and video.decoded == 20


def test_compression_does_not_depend_on_what_memory_held_before():
    frames, made = drifting_picture(), set()
    for byte in (0, 1, 85, 170, 255):
        with memory_filled(byte):
            made.add(b"".join(frame.to_ndarray().tobytes() for frame in H264(30).through(frames)))
    assert len(made) == 1


def test_unknown_corruptions_levels_and_broken_files_are_told(tmp_path):
    with pytest.raises(TddError, match="'JPEG'; the suite has: CS, CC, BW, GNC, GB, PIX, VC"):
        CorruptedVideo("a.mp4", "JPEG", 1)
    for level in (6, -1):
        with pytest.raises(TddError, match="is not one of 1, 2, 3, 4, 5"):
            CorruptedVideo("a.mp4", "CS", level)
    (tmp_path / "a.mp4").write_bytes(b"no video")
    with pytest.raises(TddError, match=r"a\.mp4 cannot be decoded"):
        shown(tmp_path / "a.mp4", "VC", 1)
