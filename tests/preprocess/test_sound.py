"""Sound is needed where stage 1 hears it, and nowhere else."""

import pytest

from tdd.preprocess.prepare import prepare
from tests.data.test_streams import with_damaged_sound
from tests.preprocess.test_prepare import CLIP
from tests.preprocess.trees import add_video, write_root


@pytest.mark.parametrize("which", [-1, 3])
def test_damaged_sound_sets_a_video_aside_only_where_stage_1_needs_it(which, tmp_path):
    root = write_root(tmp_path / "data")
    heard = "LRW/lipread_mp4/ABOUT/train/ABOUT_00001.mp4"
    unheard = "FaceForensics++/original_sequences/youtube/c23/videos/000.mp4"
    for path in (heard, unheard):
        add_video(root, path, audio=True)
        with_damaged_sound(root / path, which)
    done = prepare(root, tmp_path / "store", CLIP, workers=1)
    reasons = done.failed.set_index("path")["reason"]
    assert list(reasons.index) == [heard] and "The sound of" in reasons[heard] and "is damaged" in reasons[heard]
    assert "FaceForensics++/real/c23/000" in set(done.store.index["video_id"])


def test_a_silent_training_clip_is_set_aside(tmp_path):
    root = write_root(tmp_path / "data")
    silent = "LRW/lipread_mp4/ABOUT/train/ABOUT_00001.mp4"
    add_video(root, silent, audio=False)
    reasons = prepare(root, tmp_path / "store", CLIP, workers=1).failed.set_index("path")["reason"]
    assert list(reasons.index) == [silent] and "is missing: the file holds none" in reasons[silent]
