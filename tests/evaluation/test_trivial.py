"""The trivial baseline finds what any one-line programme finds, and nothing else."""

import dataclasses

import numpy as np
import pytest

from tdd.config import load_recipe
from tdd.data.store import ClipStore, write_clip, write_index
from tdd.evaluation.selection import evaluation_clips
from tdd.evaluation.trivial import score_trivially
from tdd.machine.files import write_json
from tdd.records.plans import BASELINE
from tests.stores import METHODS, random_store

RECIPE = load_recipe("tiny")


def bright_store(folder, difference):
    """Fakes are brighter than reals by ``difference`` grey levels, and in nothing else."""
    rng, rows = np.random.default_rng(0), []
    for method in (*METHODS, "Celeb-DF"):
        sets = (
            (("Celeb-DF-v2", "test"),)
            if method == "Celeb-DF"
            else (("FaceForensics++", "train"), ("FaceForensics++", "test"))
        )
        sets += (("Celeb-DF-v2", "test"),) if method == "real" else ()
        for dataset, split in sets:
            for number in range(12):
                level = rng.integers(80, 120) + (difference if method != "real" else 0)
                pixels = rng.integers(level - 40, level + 40, (28, 8, 8, 3)).astype(np.uint8)
                row = {"video_id": f"{dataset}/{method}/{split}{number}", "dataset": dataset, "method": method}
                row |= {"split": split, "word": "", "label": int(method != "real"), "path": "", "identities": ""}
                rows.append(write_clip(folder, row, pixels))
    write_json(folder / "plan.json", {"synthetic": True, "canvas": 72, "crop": 42, "frame_rate": "timestamps"})
    write_index(folder, rows)
    return ClipStore(folder)


@pytest.mark.parametrize(("difference", "low", "high"), [(60, 0.99, 1.0), (0, 0.2, 0.8)])
def test_it_finds_brightness_and_only_where_there_is_some(tmp_path, difference, low, high):
    record = score_trivially(bright_store(tmp_path / "store", difference), BASELINE, RECIPE, tmp_path / "run")
    assert record["kind"] == "trivial" and len(record["metrics"]) == 6
    assert all(low <= values["auc"] <= high for values in record["metrics"].values())


def test_every_test_clip_is_scored_once_and_a_second_call_reads_the_record(tmp_path):
    store = random_store(tmp_path / "store")
    record = score_trivially(store, BASELINE, RECIPE, tmp_path / "run")
    lines = (tmp_path / "run" / "clip_logits.csv").read_text().splitlines()
    assert len(lines) - 1 == len(evaluation_clips(store, RECIPE))
    other = dataclasses.replace(RECIPE, name="other")
    assert score_trivially(store, BASELINE, other, tmp_path / "run") == record
