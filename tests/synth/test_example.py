"""The video that is real at first and forged from its middle on."""

import numpy as np
import pytest

from tdd.data.video import read_video
from tdd.errors import TddError
from tdd.synth.example import write_half_forged


def test_the_forgery_begins_in_the_middle(tmp_path):
    """Two methods over one scene agree before it, up to coding, and nowhere after it."""
    paths = [write_half_forged(tmp_path / f"{m}.mp4", m, 2, "tiny") for m in ("FaceSwap", "NeuralTextures")]
    one, two = (read_video(path)[0].astype(float) for path in paths)
    assert len(one) == len(two) == 50
    change = np.abs(one - two).mean((1, 2, 3))
    assert change[:20].max() < 0.5 * change[25:].min()
    first, second = (np.load(path.with_suffix(".npy")) for path in paths)
    assert first.shape == (50, 68, 2) and first.dtype == np.float32
    np.testing.assert_array_equal(first[:25], second[:25])


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    files = [write_half_forged(tmp_path / f"{n}.mp4", seconds=2, size="tiny", seed=s) for n, s in enumerate((3, 3, 4))]
    assert files[0].read_bytes() == files[1].read_bytes() != files[2].read_bytes()


def test_an_unknown_method_is_refused_and_nothing_is_written(tmp_path):
    with pytest.raises(TddError, match="the benchmark forges Deepfakes"):
        write_half_forged(tmp_path / "a.mp4", "Face3Face", size="tiny")
    assert not list(tmp_path.iterdir())
