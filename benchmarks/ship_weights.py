"""The weights that come with the package, packed from the finished runs of a study, in half precision.

    python -m benchmarks.ship_weights runs/demo --store runs/demo/store

Replaces what ``tdd/weights/shipped`` holds. With the clip store of the runs every test video is scored by the full and
by the half weights, and the largest changes of a score and of an AUC go into the record, as ``rounding``; and detectors
of older versions are told what the crops of their training looked like.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Any

from tdd.config import STAGE1, STAGE2, recipe_from_dict
from tdd.data.store import ClipStore
from tdd.evaluation.evaluate import score_test_videos, to_scoring_device
from tdd.evaluation.likeness import kept_of_training
from tdd.machine.files import read_json, write_json
from tdd.metrics import UNCALIBRATED, video_scores
from tdd.metrics.kept_calibration import known_calibration
from tdd.records.record import RECORD, read_record
from tdd.weights.checkpoints import PACKED_INFO, import_weights
from tdd.weights.detector import load_detector
from tdd.weights.packed import HALF, pack_weights
from tdd.weights.shipped import SHIPPED, shipped_name

SEED = 0
RUNS = (
    (STAGE1, "cnn_gru_attention"),
    *((STAGE2, row) for row in ("csn", "cnn_lstm", "cnn_gru_attention", "ssl_0.3", "scratch")),
)
"""What comes with the package: what notebooks 03, 04 and 08 load, and one detector of each backbone."""

MOST_BYTES = 8_000_000


def ship(runs: Path, out: Path = SHIPPED, store: ClipStore | None = None) -> dict[str, dict[str, Any]]:
    """Pack every one of ``RUNS``; nothing of ``out`` is touched before all of them are packed.

    Returns:
        for each name, the bytes it takes, and its ``rounding`` where there is a store.
    """
    new = out.with_name(f"{out.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    shipped = {}
    for kind, name in RUNS:
        run = runs / kind / f"{name}-seed{SEED}"
        record = read_record(run)
        if record is None or not record["synthetic"]:
            raise SystemExit(f"{run} is no finished run on the synthetic benchmark; give the folder of a study's runs.")
        folder = new / shipped_name(record["recipe"]["name"], kind, name)
        pack_weights(run, folder, HALF)
        told: dict[str, Any] = {"bytes": sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())}
        if store and kind == STAGE2:
            tell_crops(folder, store)
            told["rounding"] = rounding(run, folder, store)
            write_json(folder / RECORD, read_json(folder / RECORD) | {"rounding": told["rounding"]})
        shipped[folder.name] = told
    if (size := sum(one["bytes"] for one in shipped.values())) > MOST_BYTES:
        raise SystemExit(f"Together they take {size:,} bytes, and {MOST_BYTES:,} are allowed; ship fewer rows.")
    shutil.rmtree(out, ignore_errors=True)
    new.rename(out)
    return shipped


def tell_crops(folder: Path, store: ClipStore) -> None:
    """Keep in packed weights what the crops of their training looked like, where an older version did not.

    Raises:
        SystemExit: they were trained on other clips than the store's.
    """
    info = read_json(folder / PACKED_INFO)
    if info["data"]["fingerprint"] != store.fingerprint:
        raise SystemExit(f"{store.folder} is not the clip store that {folder.name} was trained on; give that one.")
    methods = recipe_from_dict(info["recipe"]).stage2.methods
    info.setdefault("crops", kept_of_training(store, methods))
    write_json(folder / PACKED_INFO, info)


def rounding(full: Path, half: Path, store: ClipStore) -> dict[str, float]:
    """How far rounded weights move what is scored.

    Returns:
        ``videos`` (test videos scored), and the largest change of a video's ``score`` and of a method's ``auc``.
    """
    tables, areas = [], []
    for folder in (full, half):
        weights = import_weights(folder, STAGE2)
        detector, recipe = load_detector(weights)
        scale = known_calibration(import_weights(half).info.get("calibration")) or UNCALIBRATED
        clips, metrics = score_test_videos(to_scoring_device(detector, recipe), store, recipe)
        videos = video_scores(clips)
        tables.append(videos.assign(score=scale.probability(videos["logit"]))["score"])
        areas.append({method: value["auc"] for method, value in metrics.items()})
    return {
        "videos": len(tables[0]),
        "score": float((tables[0] - tables[1]).abs().max()),
        "auc": max(abs(areas[0][method] - areas[1][method]) for method in areas[0]),
    }


def main() -> None:
    """Pack, and say what came of it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("runs", type=Path, help="folder with stage1/ and stage2/ of a study with recipe demo, seed 0")
    parser.add_argument("--store", type=Path, help="clip store of these runs")
    args = parser.parse_args()
    for name, told in ship(args.runs, store=ClipStore(args.store) if args.store else None).items():
        moved = told.get("rounding")
        said = (
            f"; of {moved['videos']} videos no score moves by more than {moved['score']:.1e}, no AUC by more than "
            f"{moved['auc']:.1e}"
            if moved
            else ""
        )
        print(f"{name}: {told['bytes']:,} bytes{said}")  # noqa: T201 - a script


if __name__ == "__main__":
    main()
