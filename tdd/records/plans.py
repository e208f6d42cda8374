"""The studies by name: which rows each one compares, and with which row the others are compared."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from tdd.config import EVALUATION_FINDINGS, NONE, Recipe, choices
from tdd.data.speech import talking_faces
from tdd.data.store import ClipStore
from tdd.errors import TddError
from tdd.records.paper import CONTRASTS, CONTROL, ROWS
from tdd.records.rows import Row

PROPOSED = next(row for row in ROWS if row.id == "ssl_0.3")
"""The paper's proposal, CNN-GRU + attention with ssl_weight 0.3: the baseline of ``audit`` and ``ablation``."""

SCRATCH = Row(CONTROL, "no stage 1", PROPOSED.backbone, 0.0, from_stage1=False)
"""Not in the paper: the same detector without stage 1, so that a table can say what stage 1 adds."""

BASELINE = Row("trivial", "trivial statistics", "none", 0.0, from_stage1=False, trivial=True)
"""Not in the paper: what a logistic regression on brightness, sharpness and amount of change scores."""

FINDINGS = {
    "A1": ("channels_as_time", "channels as time"),
    "A2": ("repel_teacher", "teacher repels"),
    "A3": ("random_teacher", "random teacher"),
    "A4": ("no_stage1_clips", "no stage-1 clips, shift of 83"),
    "A5": ("full_lrw_schedule", "schedule of all of LRW"),
    "A6": ("drop_last_clips", "last clips not scored"),
    "A7": ("short_celeb_list", "two Celeb-DF reals left out"),
}
"""Number of a finding in the audit of the released code: its switch in a recipe, and a short label."""

SWEEP = tuple(step / 10 for step in range(11))  # divided: 3 * 0.1 is not the paper's 0.3
"""Values of ssl_weight in the fine sweep (no unit)."""

LRW_COUNTS = (500, 1_000, 2_000, 5_000)
"""Stage-1 clips of the ablation where there are more than the largest of them; then all."""
SHARES = (8, 4, 2)
"""Where there are fewer: all of them divided by these."""


SWITCHES = {
    "stage1.centre_targets": ("centre", "targets of stage 1 centred: {}"),
    "stage2.pairs": ("pairs", "pairs of fake and real: {}"),
    "stage2.projector": ("projector", "auxiliary projector: {}"),
}
"""Settings whose every other value is a row of the ablation: beginning of the row's name, and its label."""


@dataclass(frozen=True)
class Plan:
    """A study before it is run. ``rows`` are in the order of its table."""

    name: str
    title: str
    rows: tuple[Row, ...]
    reference: str
    """Id of the row that the others are compared with."""
    contrasts: tuple[tuple[str, str], ...] = ()
    """What is compared, stated before anything is run: ids of two rows, first less second; empty: every row less the
    reference. One family for Holm's correction."""


def plan_study(name: str, recipe: Recipe, store: ClipStore, chosen: Iterable[str] | None = None) -> Plan:
    """The named study on a clip store.

    Args:
        name: of ``STUDIES``.
        recipe: of its runs; the numbers of stage-1 clips in ``ablation`` depend on it.
        store: holds the stage-1 clips that ``ablation`` counts.
        chosen: ids of rows, to run those only; all when ``None``.

    Raises:
        TddError: an unknown study, or an id that none of its rows has.
    """
    if name not in STUDIES:
        raise TddError(f"There is no study '{name}'; the studies are: {', '.join(STUDIES)}.")
    return select_rows(STUDIES[name](recipe, store), chosen)


def select_rows(plan: Plan, chosen: Iterable[str] | None) -> Plan:
    """The plan with the named rows only, in its own order; all of it when ``None``.

    Its comparisons stay whole, for those of rows that are run later are stated now.

    Raises:
        TddError: a name that is no row's.
    """
    if chosen is None:
        return plan
    names, known = set(chosen), [row.id for row in plan.rows]
    for name in sorted(names.difference(known)):
        raise TddError(f"Unknown row '{name}'; the rows are: {', '.join(known)}.")
    return replace(plan, rows=tuple(row for row in plan.rows if row.id in names))


TABLE = Plan("table", "the paper's table", (*ROWS, SCRATCH, BASELINE), "csn", CONTRASTS)
"""The paper's seven rows, and the controls."""

_PROPOSAL = replace(PROPOSED, label="baseline (ssl_weight 0.3)")


def _table(_recipe: Recipe, _store: ClipStore) -> Plan:
    return TABLE


def _ssl_weight(_recipe: Recipe, _store: ClipStore) -> Plan:
    known = {row.ssl_weight: row for row in ROWS if row.backbone == PROPOSED.backbone}
    rows = tuple(
        replace(known[weight], label=f"ssl_weight {weight}")
        if weight in known
        else Row(f"ssl_{weight}", f"ssl_weight {weight}", PROPOSED.backbone, weight)
        for weight in SWEEP
    )
    return Plan("ssl-weight", "weight of the auxiliary loss", (*rows, BASELINE), "ssl_0.0")


def _variant(name: str, label: str, overrides: dict[str, Any], detector_of: Row | None = None) -> Row:
    """The proposed row with some settings of its own."""
    return Row(name, label, PROPOSED.backbone, PROPOSED.ssl_weight, overrides, detector_of=detector_of)


def finding_rows() -> tuple[Row, ...]:
    """The proposed row under each finding alone, then under all.

    Those that only change which clips are scored (A6, A7) score its detector anew.
    """
    rows = [
        _variant(
            number, f"{number}: {label}", {f"findings.{switch}": True},
            PROPOSED if switch in EVALUATION_FINDINGS else None,
        )
        for number, (switch, label) in FINDINGS.items()
    ]  # fmt: skip
    every = {f"findings.{switch}": True for switch, _ in FINDINGS.values()}
    return (*rows, _variant("A1-A7", "A1 to A7 together", every))


def _audit(_recipe: Recipe, _store: ClipStore) -> Plan:
    return Plan(
        "audit", "findings of the audit of the released code", (_PROPOSAL, *finding_rows(), BASELINE), PROPOSED.id
    )


def _ablation(recipe: Recipe, store: ClipStore) -> Plan:
    network = f"model.backbones.{PROPOSED.backbone}"
    rows = (
        _PROPOSAL,
        replace(next(row for row in ROWS if row.id == "ssl_0.0"), label="no auxiliary loss"),
        SCRATCH,
        replace(next(row for row in finding_rows() if row.id == "A3"), label="random teacher"),
        _variant("no_attention", "no attention", {f"{network}.attention": False}),
        _variant("no_gru", "no GRU", {f"{network}.recurrent": "none"}),
        _variant("lstm_for_gru", "LSTM for GRU", {f"{network}.recurrent": "lstm"}),
        _variant("audio_free", "stage 1 without audio", {"stage1.audio": False}),
        *(
            _variant(f"clips_{count}", f"{count:,} stage-1 clips", {"stage1.clips": count})
            for count in _counts(recipe, store)
        ),
        *_switched(recipe),
        BASELINE,
    )
    return Plan("ablation", "parts taken away or changed", rows, PROPOSED.id)


def _switched(recipe: Recipe) -> list[Row]:
    """The proposed row with each value that the recipe has not, of the settings that this package adds."""
    rows = []
    for path, (name, label) in SWITCHES.items():
        section, setting = path.split(".")
        own = getattr(getattr(recipe, section), setting)
        for value in choices(path):
            changes: dict[str, Any] = {path: value}
            if path == "stage2.pairs" and NONE in (own, value):
                # Without pairs, as many reals as fakes all the same: the row is to differ in who stands beside whom.
                changes["stage2.real_repeats"] = len(recipe.stage2.methods) if value == NONE else 1
            if value != own:
                rows.append(_variant(f"{name}_{value}", label.format(value), changes))
    return rows


def _counts(recipe: Recipe, store: ClipStore) -> list[int]:
    """Numbers of stage-1 clips to try beside the recipe's own: as many of each word, and at least one batch."""
    faces = talking_faces(store.index, recipe.stage1.datasets, "train")
    every, named = len(faces), faces["word"] != ""
    words, wordless = faces.loc[named, "word"].nunique(), not named.all()
    wanted = (*LRW_COUNTS, every) if every > max(LRW_COUNTS) else (*(every // share for share in SHARES), every)
    # pick_words takes as many of each word; without clips that have none it would give less than other numbers promise.
    step = 1 if wordless else words
    even = {max(words + int(wordless), count // step * step) if count < every else every for count in wanted}
    return sorted(
        count for count in even if count >= recipe.stage1.batch_size and count != (recipe.stage1.clips or every)
    )


FEW = 0.1
"""Share of the labelled people in the study of few labels."""


def _few_labels(_recipe: Recipe, _store: ClipStore) -> Plan:
    without = next(row for row in ROWS if row.id == "ssl_0.0")
    full = (_PROPOSAL, replace(without, label="no auxiliary loss"), SCRATCH)
    few = tuple(
        replace(row, id=f"few_{row.id}", label=f"{row.label}, a tenth of the labels",
                overrides={"stage2.labelled_share": FEW})
        for row in full
    )  # fmt: skip
    pairs = ((PROPOSED.id, CONTROL), (without.id, CONTROL))
    contrasts = (*((f"few_{first}", f"few_{second}") for first, second in pairs), *pairs)
    trivial = replace(BASELINE, label=f"{BASELINE.label}, all labels")
    return Plan("few-labels", "stage 1 where labels are few", (*full, *few, trivial), f"few_{CONTROL}", contrasts)


STUDIES: dict[str, Callable[[Recipe, ClipStore], Plan]] = {
    "table": _table,
    "ssl-weight": _ssl_weight,
    "audit": _audit,
    "ablation": _ablation,
    "few-labels": _few_labels,
}
"""Name -> what makes the plan from a recipe and a clip store."""
