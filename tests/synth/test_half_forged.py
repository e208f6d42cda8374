"""Videos of which some parts are forged: where the list says so, and nowhere else."""

import json
import shutil

import numpy as np
import pytest

from tdd.cli import main
from tdd.data.video import FPS, read_audio, read_video
from tdd.errors import TddError
from tdd.preprocess.localised import list_lavdf
from tdd.synth.filming import Studio, film, read_masks
from tdd.synth.half_forged import FRAMES, GAP, SHARE, draw_parts, plan_half_forged, write_half_forged_set
from tdd.synth.plan import Task
from tdd.synth.sizes import size_of


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    with pytest.MonkeyPatch.context() as short:
        short.setattr("tdd.synth.half_forged.FRAMES", (30, 34))
        short.setattr("tdd.synth.half_forged.GAP", 6)
        yield write_half_forged_set(tmp_path_factory.mktemp("half"), 2, "tiny", seed=1, workers=1)


def test_parts_are_half_of_the_video_and_apart():
    rng = np.random.default_rng(0)
    shares, counts, starts = [], [], []
    for _ in range(300):
        frames = int(rng.integers(FRAMES[0], FRAMES[1] + 1))
        parts = draw_parts(rng, frames)
        lengths = [end - start for start, end in parts]
        assert parts[0][0] >= 0 and parts[-1][1] <= frames and min(lengths) > 0
        assert len(parts) == 1 or parts[1][0] - parts[0][1] >= GAP
        shares.append(sum(lengths) / frames)
        counts.append(len(parts))
        starts.append(parts[0][0] / frames)
    assert min(shares) > SHARE[0] - 0.01 and max(shares) < SHARE[1] + 0.01
    assert np.mean(shares) == pytest.approx(0.5, abs=0.02)
    assert np.mean(counts) == pytest.approx(1.5, abs=0.1)
    assert min(starts) == 0 and max(starts) > 0.4


def test_the_list_has_the_fields_of_lav_df(written):
    entries = json.loads((written / "LAV-DF" / "metadata.json").read_text())
    assert [entry["file"] for entry in entries] == [f"test/{n:06d}.mp4" for n in range(4)]
    assert [entry["n_fakes"] > 0 for entry in entries] == [False, True, False, True]
    assert entries[1]["original"] == "test/000000.mp4" and entries[0]["original"] is None
    for entry in entries:
        frames, _ = read_video(written / "LAV-DF" / entry["file"])
        points = np.load(written / "landmarks" / "LAV-DF" / entry["file"].replace(".mp4", ".npy"))
        assert len(frames) == len(points) == entry["video_frames"] == entry["duration"] * FPS
        assert entry["modify_video"] == bool(entry["fake_periods"]) and entry["split"] == "test"
    settings = json.loads((written / "synth.json").read_text())
    assert settings["videos"] == {"LAV-DF/real": 2, "LAV-DF/fake": 2}


def test_masks_are_where_the_list_says(written):
    entry = json.loads((written / "LAV-DF" / "metadata.json").read_text())[1]
    inside = np.zeros(entry["video_frames"], bool)
    for start, end in entry["fake_periods"]:
        inside[round(start * FPS) : round(end * FPS)] = True
    masks = read_masks(written / "masks" / "LAV-DF" / entry["file"].replace(".mp4", ".npz"))
    np.testing.assert_array_equal(masks.any((1, 2)), inside)


def test_outside_its_parts_a_fake_is_filmed_as_its_real_would_be(tmp_path):
    """The same path of the video, hence the same camera: real and forged differ inside the part alone, up to coding."""
    films = {}
    for name, method, parts in (("real", "", None), ("half", "FaceSwap", [(10, 20)]), ("whole", "FaceSwap", None)):
        studio = Studio(tmp_path / name, size_of("tiny"), 0, 1.0, "en")
        task = Task("a.mp4", "p", "f", 30, method=method, source="q" * bool(method), source_footage="g" * bool(method))
        film(studio, task, parts)
        films[name] = read_video(studio.out / "a.mp4")[0].astype(float)
    change = {name: np.abs(films["half"] - films[name]).mean((1, 2, 3)) for name in ("real", "whole")}
    before, inside, after = np.r_[0:9], np.r_[11:19], np.r_[23:30]
    for other, same in (("real", (before, after)), ("whole", (inside,))):
        differs = [part for part in (before, inside, after) if not any(part is one for one in same)]
        apart = min(change[other][part].mean() for part in differs)
        # The encoder carries a little of one part over into the next.
        assert max(change[other][part].mean() for part in same) < 0.6 * apart


def test_what_is_there_is_kept_and_the_same_is_made_again(written):
    video = written / "LAV-DF" / "test" / "000003.mp4"
    before, stamp = video.read_bytes(), (written / "LAV-DF" / "test" / "000001.mp4").stat().st_mtime_ns
    video.unlink()
    told = []
    write_half_forged_set(written, 2, "tiny", seed=1, workers=1, progress=lambda *done: told.append(done))
    assert video.read_bytes() == before and told == [(3, 4), (4, 4)]
    assert (written / "LAV-DF" / "test" / "000001.mp4").stat().st_mtime_ns == stamp
    with pytest.raises(TddError, match=r"made with other settings \(seed: 1, now 2\)"):
        write_half_forged_set(written, 2, "tiny", seed=2)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"strength": -1.0}, "strength is -1.0"),
        ({"strength": float("nan")}, "strength is nan"),
        ({"seed": -1}, "seed is -1"),
        ({"language": "fr"}, "language 'fr' is unknown to the synthetic benchmark"),
        ({"size": "huge"}, "size 'huge' is unknown"),
    ],
)
def test_what_the_benchmark_refuses_is_refused_here_and_leaves_nothing(tmp_path, arguments, sentence):
    with pytest.raises(TddError, match=sentence):
        write_half_forged_set(tmp_path / "out", 2, **{"size": "tiny", **arguments})
    assert not (tmp_path / "out").exists()


def test_a_set_that_is_being_mended_has_no_mark(written, tmp_path, monkeypatch):
    copied = shutil.copytree(written, tmp_path / "copied")
    (copied / "LAV-DF" / "test" / "000002.mp4").unlink()
    monkeypatch.setattr("tdd.synth.writing.film", lambda *_: 1 / 0)
    with pytest.raises(TddError, match=r"LAV-DF/test/000002\.mp4 could not be made \(ZeroDivisionError"):
        write_half_forged_set(copied, 2, "tiny", seed=1, workers=1)
    assert (copied / "plan.json").is_file() and not (copied / "synth.json").exists()


def test_people_are_nobody_of_the_benchmark_and_methods_take_turns():
    tasks = [task for task, _ in plan_half_forged(8, 0)]
    assert {task.method for task in tasks} == {"", "Deepfakes", "FaceSwap", "Face2Face", "NeuralTextures"}
    assert all(task.person.startswith("LAV-DF/") and task.source != task.person for task in tasks)


def test_another_s_videos_are_not_written_over(tmp_path):
    (tmp_path / "LAV-DF").mkdir()
    assert main(["synth", "--half-forged", "2", "--size", "tiny", "--out", str(tmp_path)]) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["LAV-DF"]


def test_too_few_are_refused(tmp_path):
    with pytest.raises(TddError, match="1 half-forged videos make no test set"):
        write_half_forged_set(tmp_path / "none", 1)
    assert not list(tmp_path.iterdir())


def test_the_reader_of_lav_df_finds_all_of_it_with_sound(written):
    found = list(list_lavdf(written))
    assert [video.label for video in found].count(1) * 2 == len(found) and all(video.audio for video in found)
    for video in found:
        assert np.abs(read_audio(written / video.path)).max() > 0.05
