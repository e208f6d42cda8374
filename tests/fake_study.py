"""Study folders of the shape that the study writes, with drawn scores instead of trained networks."""

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

ROWS = {
    "csn": ("CSN (baseline)", "csn", 1.0),
    "cnn_lstm": ("CNN-LSTM", "cnn_lstm", 1.0),
    "cnn_gru_attention": ("CNN-GRU + attention", "cnn_gru_attention", 1.0),
    "ssl_0.0": ("ssl_weight 0.0", "cnn_gru_attention", 0.0),
    "ssl_0.3": ("ssl_weight 0.3", "cnn_gru_attention", 0.3),
    "ssl_0.5": ("ssl_weight 0.5", "cnn_gru_attention", 0.5),
    "ssl_0.7": ("ssl_weight 0.7", "cnn_gru_attention", 0.7),
    "scratch": ("from scratch, no stage 1", "cnn_gru_attention", 0.0),
}
METHODS = ("Deepfakes", "FaceSwap", "Face2Face", "NeuralTextures", "FaceShifter")


def clip_logits(rng: np.random.Generator, videos: int, separation: float) -> pd.DataFrame:
    """Two clips a video; each method's logits lie ``separation`` standard deviations above the reals'."""
    rows = []
    groups = [("FaceForensics++", "real", 0, 0.0), ("Celeb-DF-v2", "real", 0, 0.0)]
    groups += [("FaceForensics++", method, 1, separation) for method in METHODS]
    groups += [("Celeb-DF-v2", "Celeb-synthesis", 1, separation / 2)]
    for dataset, method, label, shift in groups:
        for video in range(videos):
            centre = rng.normal() + shift
            for start in (0, 25):
                name = f"{dataset}/{method}/{video:03d}"
                rows.append((name, dataset, method, label, "test", start, centre + rng.normal() / 4))
    return pd.DataFrame(rows, columns=["video_id", "dataset", "method", "label", "split", "start", "logit"])


def record(kind: str, name: str, seed: int, row: dict | None, history: list[dict], fingerprint: str) -> dict:
    return {
        "schema": 1,
        "kind": kind,
        "name": name,
        "row": row,
        "seed": seed,
        "synthetic": True,
        "recipe": {},
        "data": {"fingerprint": fingerprint},
        "code": {"version": "0", "commit": None},
        "packages": {},
        "started": "2024-01-01T00:00:00",
        "seconds": 1.0,
        "history": history,
        "metrics": {},
        "checks": [],
    }


def write_stage1(folder: Path, backbone: str, seed: int, epochs: int = 12, name: str = "") -> None:
    rng = np.random.default_rng([seed, len(backbone)])
    rise = 1 - np.exp(-np.arange(epochs) / 4)
    history = [
        {
            "epoch": epoch,
            "loss": -0.1 - 1.3 * rise[epoch],
            "loss_video": -0.05 - 0.6 * rise[epoch],
            "loss_audio": -0.05 - 0.7 * rise[epoch],
            "target_std": 0.2 + 0.6 * rise[epoch] + rng.normal() / 50,
            "retrieval": 0.03 + 0.5 * rise[epoch] + rng.normal() / 50,
            "frame_retrieval": 0.04 + 0.2 * rise[epoch],
            "prober": 0.02 + 0.4 * rise[epoch] + rng.normal() / 50,
        }
        for epoch in range(epochs)
    ]
    content = record("stage1", f"{name or backbone}-seed{seed}", seed, {"backbone": backbone}, history, "lrw")
    content["recipe"], content["data"]["words"] = {"clip": {"frames": 25}}, 60
    content["checks"] = [
        {
            "name": "retrieval",
            "value": 0.51,
            "target": 0.4,
            "relation": ">=",
            "passed": True,
            "sentence": f"clip retrieval in 32 of {backbone} is 0.51, at least 0.4 wanted (chance 0.03)",
        }
    ]
    target = folder / "stage1" / f"{name or backbone}-seed{seed}"
    target.mkdir(parents=True)
    (target / "record.json").write_text(json.dumps(content))


def write_study(
    folder: Path,
    *,
    seeds: Iterable[int] = (0,),
    rows: Iterable[str] = tuple(ROWS),
    videos: int = 30,
    synthetic: bool = True,
    **more: object,
) -> Path:
    """Write a whole study without data; ``videos`` per class and test set, ``more`` for ``study.json``."""
    runs, stage1 = {}, {}
    for seed in seeds:
        for backbone in sorted({ROWS[row][1] for row in rows}):
            write_stage1(folder, backbone, seed)
        for place, row in enumerate(rows):
            label, backbone, weight = ROWS[row]
            path = f"stage2/{row}-seed{seed}"
            runs[f"{row}/seed{seed}"] = path
            if row != "scratch":
                stage1[f"{row}/seed{seed}"] = f"stage1/{backbone}-seed{seed}"
            facts = {
                "id": row,
                "label": label,
                "backbone": backbone,
                "ssl_weight": weight,
                "overrides": {},
                "from_stage1": row != "scratch",
            }
            (folder / path).mkdir(parents=True)
            content = record("stage2", row, seed, facts, [{"epoch": 0, "loss": 0.7}], "faces")
            content["synthetic"] = synthetic
            (folder / path / "record.json").write_text(json.dumps(content))
            rng = np.random.default_rng([seed, place])
            clip_logits(rng, videos, 1.0 + 0.12 * place).to_csv(folder / path / "clip_logits.csv", index=False)
    plan = {
        "schema": 1,
        "recipe": "demo",
        "size": "demo",
        "synthetic": synthetic,
        "seeds": list(seeds),
        "rows": list(rows),
        "runs": runs,
        "stage1": stage1,
        **more,
    }
    (folder / "study.json").write_text(json.dumps(plan))
    return folder


def edit_json(path: Path, **changes: object) -> None:
    content = json.loads(path.read_text())
    content.update(changes)
    path.write_text(json.dumps(content))
