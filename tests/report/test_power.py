"""How many seeds and targets a difference needs: against simulated studies, scipy's law, and bad questions."""

import numpy as np
import pytest
from scipy.stats import nct, t

from tdd.cli import main
from tdd.errors import TddError
from tdd.metrics.spread import Spread
from tdd.records.results import load_study
from tdd.report.power import Variation, power_of, power_text, seeds_needed, targets_needed, variation
from tests.fake_study import write_study
from tests.report.test_report import named, unnamed

KNOWN = Variation(between=3.0, highest=5.0, own=6.0, shared=1.0, targets=40, known=True, freedom=39.0, seeds=5)


def test_power_is_that_of_the_noncentral_law():
    total, seeds_part = (9 + 6) / 5 + 1, (9 + 6) / 5
    freedom = total**2 / (seeds_part**2 / 4 + 1 / 39)
    edge, away = t.ppf(0.975, freedom), 4 / np.sqrt(total)
    wanted = nct.sf(edge, freedom, away) + nct.cdf(-edge, freedom, away)
    assert power_of(KNOWN, 4.0, 5, 40, 3.0) == pytest.approx(wanted, abs=0.003)
    assert power_of(KNOWN, 1e-9, 5, 40, 3.0) == pytest.approx(0.05, abs=0.002)


def test_simulated_studies_see_the_difference_as_often_as_it_says():
    """Each seed has a true difference of its own; targets add what seeds share, and what each has by itself."""
    rng, seeds, targets, times, seen = np.random.default_rng(0), 6, 160, 4000, 0
    for _ in range(times):
        shared = rng.normal() * np.sqrt(KNOWN.shared * 40 / targets)
        own = rng.normal(size=seeds) * np.sqrt(KNOWN.own * 40 / targets)
        found = 4.0 + 3.0 * rng.normal(size=seeds) + own + shared
        over_seeds = found.var(ddof=1) / seeds
        total = over_seeds + 0.25
        freedom = total**2 / (over_seeds**2 / (seeds - 1) + 0.25**2 / 156)
        seen += abs(found.mean()) / np.sqrt(total) > t.ppf(0.975, freedom)
    assert power_of(KNOWN, 4.0, seeds, targets, 3.0) == pytest.approx(seen / times, abs=0.03)


@pytest.mark.parametrize("seeds", [3, 4])
def test_few_seeds_see_the_difference_as_often_as_it_says(seeds):
    """The report's own test, on drawn numbers of seeds."""
    rng, times, shared = np.random.default_rng(1), 3000, KNOWN.shared
    true = 6.0 + rng.normal(size=(times, 1)) * np.sqrt(shared)
    found = true + rng.normal(size=(times, seeds)) * np.sqrt(9 + KNOWN.own)
    tests = [Spread(shared, KNOWN.freedom, values.var(ddof=1) / seeds, seeds) for values in found]
    seen = np.mean([test.p_value(values.mean()) < 0.05 for test, values in zip(tests, found, strict=True)])
    assert power_of(KNOWN, 6.0, seeds, KNOWN.targets, 3.0) == pytest.approx(seen, abs=0.08)


def test_no_power_is_given_for_two_seeds(tmp_path):
    large = 100.0  # points: even two seeds would see it
    assert seeds_needed(KNOWN, large, 0.8, 40, 3.0) == 3
    with pytest.raises(TddError, match="2 seeds"):
        power_of(KNOWN, large, 2, 40, 3.0)
    study = load_study(named(write_study(tmp_path, seeds=(0, 1), rows=("csn", "ssl_0.3"))))
    line = next(line for line in power_text(study, 20.0, 0.8).splitlines() if line.startswith("ssl_0.3"))
    assert " –  " in line and "%" not in line


def test_the_fewest_seeds_and_targets_are_the_fewest():
    seeds = seeds_needed(KNOWN, 3.0, 0.8, 160, 3.0)
    assert power_of(KNOWN, 3.0, seeds, 160, 3.0) >= 0.8 > power_of(KNOWN, 3.0, seeds - 1, 160, 3.0)
    targets = targets_needed(KNOWN, 3.0, 0.8, 12, 3.0)
    assert power_of(KNOWN, 3.0, 12, targets, 3.0) >= 0.8 > power_of(KNOWN, 3.0, 12, targets - 1, 3.0)
    assert targets_needed(KNOWN, 1.0, 0.8, 10, 3.0) is None, "what seeds differ in, no number of targets takes away"
    assert seeds_needed(KNOWN, 1.0, 0.8, 40, 3.0) is None


def test_records_give_the_variation_back(tmp_path):
    """Runs whose scores are unrelated: nothing is shared, and the seeds differ by what videos add."""
    study = load_study(named(write_study(tmp_path, seeds=range(12), rows=("csn", "ssl_0.3"))))
    found = variation(study, "ssl_0.3", "csn", "Celeb-DF-v2")
    assert (found.seeds, found.targets, found.known) == (12, 30, True)
    assert found.shared < 0.25 * found.own and found.between < np.sqrt(found.own)
    assert found.highest > found.between


def test_targets_are_told_for_the_test_sets_that_know_them(tmp_path):
    study = named(write_study(tmp_path, seeds=(0, 1, 2), rows=("csn", "cnn_lstm", "ssl_0.3")))
    unnamed(study, "csn-*")  # each comparison has another row that knows
    unnamed(study, "*", "Celeb")
    unnamed(study, "ssl_0.3-*")
    kept = load_study(study)
    pair, other = (variation(kept, row, "csn", "FaceShifter") for row in ("cnn_lstm", "ssl_0.3"))
    assert (pair.known, pair.targets, other.known, other.targets) == (True, 15, False, 30)
    said = " ".join(power_text(kept, 3.0, 0.8).split())
    assert "FaceShifter 70; seen 70; FaceShifter 140, of videos; Celeb-DF-v2 178, of videos" in said
    without = said.partition("Who is seen is not in the records of ")[2].replace(" ", "")  # lines end at hyphens
    assert without.startswith("cnn_lstm−csn,Celeb-DF-v2;ssl_0.3−csn,FaceShifter;ssl_0.3−csn,Celeb-DF-v2;")


def test_the_command_answers_and_bad_questions_are_refused(tmp_path, capsys):
    study = write_study(tmp_path / "two", seeds=(0, 1, 2), rows=("csn", "ssl_0.3"))
    assert main(["power", "--records", str(study), "--difference", "3"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "ssl_0.3 − csn" in said and "3 points seen by 80%" in said and "Who is seen is not in these records" in said
    one = write_study(tmp_path / "one", rows=("csn", "ssl_0.3"))
    assert main(["power", "--records", str(one)]) == 2
    assert "no comparison of two rows with two seeds each" in " ".join(capsys.readouterr().err.split())
    for wrong in ({"difference": 0.0, "power": 0.8}, {"difference": 2.0, "power": 80.0}):
        with pytest.raises(TddError):
            power_text(load_study(study), **wrong)
