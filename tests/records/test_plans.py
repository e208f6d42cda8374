"""The plans of the studies, on stores of several sizes."""

import dataclasses

import pandas as pd
import pytest

from tdd.config import EVALUATION_FINDINGS, STAGE1_FINDINGS, FindingsConfig, load_recipe, override
from tdd.errors import TddError
from tdd.records.paper import ROWS
from tdd.records.plans import BASELINE, FINDINGS, PROPOSED, SCRATCH, STUDIES, finding_rows, plan_study
from tdd.records.rows import stage1_digest, stage1_recipe

PAPER, DEMO = load_recipe("paper"), load_recipe("demo")


class Store:
    """As much of a clip store as a plan reads: ``words`` x ``each`` training faces, and some that say no word."""

    def __init__(self, words, each, wordless=0):
        self.index = pd.DataFrame({"word": [f"W{i}" for i in range(words)] * each + [""] * wordless}).assign(
            dataset="LRW", split="train", audio=True, label=0
        )


LRW = Store(500, 40)


@pytest.mark.parametrize("name", STUDIES)
@pytest.mark.parametrize("recipe", [PAPER, DEMO])
def test_every_row_of_every_study_builds_its_recipe(name, recipe):
    plan = plan_study(name, recipe, LRW)
    ids = [row.id for row in plan.rows]
    assert len(set(ids)) == len(ids) and plan.reference in ids
    for row in plan.rows:
        assert row.recipe(recipe).name == recipe.name


def test_rows_of_one_id_are_the_same_in_every_study():
    found = {}
    for name in STUDIES:
        for row in plan_study(name, PAPER, LRW).rows:
            facts = (row.backbone, row.ssl_weight, row.overrides, row.from_stage1)
            assert found.setdefault(row.id, facts) == facts


def test_the_table_is_the_papers_with_two_controls():
    rows = plan_study("table", PAPER, LRW).rows
    assert rows == (*ROWS, SCRATCH, BASELINE) and not SCRATCH.from_stage1


@pytest.mark.parametrize("name", STUDIES)
def test_the_trivial_baseline_stands_last_in_every_table(name):
    last = plan_study(name, PAPER, LRW).rows[-1]
    assert last.trivial and last.id == BASELINE.id and last.label.startswith(BASELINE.label)


def test_the_sweep_goes_from_0_to_1_in_tenths_and_holds_the_papers_rows():
    rows = plan_study("ssl-weight", PAPER, LRW).rows[:-1]
    assert [row.ssl_weight for row in rows] == [pytest.approx(k / 10) for k in range(11)]
    assert {"cnn_gru_attention", "ssl_0.0", "ssl_0.3", "ssl_0.5", "ssl_0.7"} <= {row.id for row in rows}


def test_each_finding_is_switched_on_alone_and_all_make_the_released_recipe():
    fields = [field.name for field in dataclasses.fields(FindingsConfig)]
    assert [switch for switch, _ in FINDINGS.values()] == fields
    *single, every = finding_rows()
    for number, (row, name) in enumerate(zip(single, fields, strict=True), start=1):
        on = row.recipe(PAPER).findings
        assert row.id == f"A{number}" and [n for n in fields if getattr(on, n)] == [name]
    assert every.recipe(PAPER).findings == load_recipe("released").findings


def test_rows_that_score_anothers_detector_differ_from_it_in_evaluation_alone():
    for row in finding_rows():
        if row.detector_of:
            neutral = override(row.recipe(PAPER), {f"findings.{name}": False for name in EVALUATION_FINDINGS})
            assert neutral == row.detector_of.recipe(PAPER)
            assert (row.backbone, row.ssl_weight) == (row.detector_of.backbone, row.detector_of.ssl_weight)


@pytest.mark.parametrize(
    ("path", "value", "same"),
    [(f"findings.{name}", True, name not in STAGE1_FINDINGS) for name, _ in FINDINGS.values()]
    + [
        ("stage2.epochs", 7, True),
        ("evaluation.faceforensics_frames", 50, True),
        ("machine.workers", 1, True),
        ("model.backbones.csn.width", 8, True),
        ("model.backbones.cnn_gru_attention.attention", False, False),
        ("stage1.clips", 500, False),
        ("stage1.audio", False, False),
        ("clip.input_size", 96, False),
    ],
)
def test_stage_1_is_shared_where_nothing_that_it_reads_differs(path, value, same):
    other = override(PAPER, {path: value})
    assert (stage1_digest(other, PROPOSED.backbone) == stage1_digest(PAPER, PROPOSED.backbone)) is same
    assert stage1_digest(PAPER, "csn") != stage1_digest(PAPER, "cnn_lstm")
    assert stage1_recipe(stage1_recipe(other, "csn"), "csn") == stage1_recipe(other, "csn")


@pytest.mark.parametrize(
    ("store", "recipe", "counts"),
    [
        (LRW, PAPER, [500, 1000, 2000, 20000]),
        (Store(60, 10), DEMO, [60, 120, 300]),
        (Store(60, 2), DEMO, [60]),
        (Store(4, 2), DEMO, []),
        (Store(7, 50, 450), DEMO, [100, 200, 400]),
    ],
)
def test_numbers_of_stage_1_clips_follow_what_there_is(store, recipe, counts):
    rows = plan_study("ablation", recipe, store).rows
    assert [row.overrides["stage1.clips"] for row in rows if "stage1.clips" in row.overrides] == counts


@pytest.mark.parametrize(
    ("recipe", "names", "reals"),
    [
        (PAPER, ["centre_position", "centre_both", "pairs_batch", "pairs_draws", "projector_stage1"], [1, 1]),
        (DEMO, ["centre_none", "centre_position", "pairs_none", "pairs_batch", "projector_stage1"], [4, 1]),
    ],
)
def test_the_ablation_has_a_row_for_every_other_value_of_a_switch(recipe, names, reals):
    rows = plan_study("ablation", recipe, LRW).rows
    switched = [row for row in rows if row.id.startswith(("centre", "pairs", "projector"))]
    assert [row.id for row in switched] == names
    assert all(row.recipe(recipe) != recipe for row in switched)
    assert [row.recipe(recipe).stage2.real_repeats for row in switched if row.id.startswith("pairs")] == reals
    shared = {stage1_digest(row.recipe(recipe), row.backbone) for row in switched if not row.id.startswith("centre")}
    assert shared == {stage1_digest(recipe, PROPOSED.backbone)}


def test_few_labels_differ_from_the_whole_in_nothing_else():
    rows = {row.id: row for row in plan_study("few-labels", DEMO, LRW).rows}
    for name in ("ssl_0.3", "ssl_0.0", "scratch"):
        few, whole = rows[f"few_{name}"].recipe(DEMO), rows[name].recipe(DEMO)
        assert few.stage2.labelled_share == 0.1 and whole.stage2.labelled_share == 1
        assert dataclasses.replace(few, stage2=whole.stage2) == whole
        assert dataclasses.replace(few.stage2, labelled_share=1.0) == whole.stage2
        assert stage1_digest(few, "cnn_gru_attention") == stage1_digest(whole, "cnn_gru_attention")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"stage1.clip": 5}, "no setting 'clip'"),
        ({"stage1.clips.x": 5}, "'clips' is a value"),
        ({"stage1.clips": "a"}, "a whole number"),
    ],
)
def test_overrides_that_no_setting_has_are_refused(changes, words):
    with pytest.raises(TddError, match=words):
        override(PAPER, changes)


def test_unknown_studies_and_rows_are_refused():
    with pytest.raises(TddError, match="no study 'tables'; the studies are: table, ssl-weight, audit, ablation, few"):
        plan_study("tables", PAPER, LRW)
    with pytest.raises(TddError, match=r"Unknown row 'A9'; the rows are: ssl_0\.3, A1"):
        plan_study("audit", PAPER, LRW, ["A9", "A1"])
