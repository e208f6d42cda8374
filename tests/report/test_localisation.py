"""When videos are forged, by row of a study: means over seeds of what the records hold."""

import numpy as np
import pandas as pd
import pytest

from tdd.cli import main
from tdd.evaluation.localisation import CONSTANT, DETECTOR, LABELS, PERFECT, SHOWN, SHUFFLED, WITHIN
from tdd.records.results import load_study
from tdd.report.localisation import localisation_frame, localisation_text
from tests.fake_study import edit_json, write_study

KINDS = (DETECTOR, CONSTANT, SHUFFLED, WITHIN, PERFECT)


def localised(tmp_path):
    """A study of two rows and three seeds whose records say when videos are forged."""
    study = write_study(tmp_path, seeds=(0, 1, 2), rows=("csn", "ssl_0.3"))
    for place, row in enumerate(("csn", "ssl_0.3")):
        for seed in range(3):
            scores = {
                kind: {name: (number + place + seed + 10 * k) / 100 for number, name in enumerate(SHOWN)}
                for k, kind in enumerate(KINDS)
            }
            known = {"LAV-DF": {"videos": 4, "fakes": 2, "parts": 2, "scores": scores}}
            edit_json(study / "stage2" / f"{row}-seed{seed}" / "record.json", localisation=known)
    return study


def test_figures_are_means_over_seeds(tmp_path):
    frame = localisation_frame(load_study(localised(tmp_path))).set_index(["row", "figure"])
    # Of csn: number + seed, in percent; of ssl_0.3 one more; of a floor the mean over all six runs.
    assert frame.loc[("csn", "ap_0.75"), "percent"] == pytest.approx(1 + 1)
    assert frame.loc[("ssl_0.3", "ap_0.75"), "percent"] == pytest.approx(1 + 2)
    assert frame.loc[("csn", "ap_0.75"), "sd"] == pytest.approx(np.std([0, 1, 2], ddof=1))
    assert frame.loc[(PERFECT, "ar_10"), "percent"] == pytest.approx(6 + 1.5 + 40)


def test_report_prints_and_writes_them(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("tdd.plots.draw_figures", lambda *_: [])
    study = localised(tmp_path)
    assert main(["report", str(study), "--out", str(tmp_path / "out")]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    head = next(k for k, line in enumerate(lines) if line.startswith("LAV-DF: when forged, % AP@0.5"))
    assert lines[head + 2].startswith("CSN (baseline), ssl_weight 1.0 1.0 ± 1.0 2.0 ± 1.0")
    assert lines[head + 4].startswith(f"{LABELS[CONSTANT]} 11.5 12.5")
    (path,) = (tmp_path / "out").rglob("localisation.csv")
    assert len(pd.read_csv(path)) == (2 + 4) * len(SHOWN)


def test_studies_without_parts_say_nothing(tmp_path):
    frame = localisation_frame(load_study(write_study(tmp_path, rows=("csn",))))
    assert frame.empty and localisation_text(frame) == ""
