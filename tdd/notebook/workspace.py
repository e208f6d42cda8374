"""What a notebook needs, found or made: data, clip store, trained runs. Opened in any order, the notebooks share it.

    work = Workspace("demo")                     # synthetic benchmark; everything goes to ../runs/notebooks/demo
    work = Workspace("paper", "../data")         # real data, in the layout of data/README.md
    work.data()                                  # folder of the videos
    work.store()                                 # ClipStore
    work.stage1()                                # folder of a finished stage 1: record.json, weights
    work.stage2("ssl_0.3")                       # folder of a finished stage 2: the same, and clip_logits.csv
    work.study("ssl_0.3", "scratch")             # several rows side by side, one a core; returns the study's folder
    work.recorded("ssl-weight")                  # a recorded study: the kit's, or with real data your own
    work.detector("ssl_0.3")                     # folder of a detector's weights, to score videos with
    work.stage1(shipped=True)                    # weights that come with the kit, where they are of these settings
    work.study("ssl_0.3", shipped=True)          # the same, scored here; without shipped=True it is trained here

Each call says in one line what it found, or made and in what time, and is one call of the function that the command
line calls. On two idle cores the demo's data take about 2 minutes, its store 20 seconds, a stage 1 of the paper's
network 100 seconds and a stage 2 of it 65. What is finished is loaded; what was interrupted goes on.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from IPython.display import Pretty, display

import tdd
from tdd.config import STAGE1, STAGE2, Recipe, load_recipe
from tdd.data.clips import on_gpu
from tdd.data.store import INDEX, LABELS, ClipStore
from tdd.detect import detect
from tdd.errors import TddError
from tdd.evaluation.evaluate import evaluate_checkpoint
from tdd.machine.files import as_json, check_plan
from tdd.machine.limits import cpu_count
from tdd.machine.progress import duration
from tdd.preprocess.prepare import prepare
from tdd.pretrain import pretrain
from tdd.records.plans import TABLE, select_rows
from tdd.records.record import package_versions, read_record
from tdd.study import Job, run_study, study_jobs
from tdd.synth.trees import DONE, write_benchmark
from tdd.weights.shipped import shipped_run

TRANSLATIONS = ("ko",)
"""Folders in ``notebooks/`` of the same notebooks in other languages."""

FOLDER = Path("../runs/notebooks")
"""Seen from ``notebooks/``, where Jupyter starts a notebook."""

RECORDED = Path("benchmarks/results/2026-11-27-study")
"""The studies that come with the kit, seen from its own folder."""

SYNTHETIC_SIZES = {"demo": "demo", "tiny": "tiny"}
"""Recipes that the synthetic benchmark is made for, and the size of it."""

BACKBONE = "cnn_gru_attention"
"""The paper's own network."""


def original_folder(folder: Path) -> Path:
    """Where the paths of a notebook's cells hold: for one in ``notebooks/ko`` the folder of its English original.

    Args:
        folder: where Jupyter started the notebook.
    """
    parts = folder.parts
    for place in range(len(parts) - 1, 0, -1):
        if parts[place - 1] == "notebooks" and parts[place] in TRANSLATIONS:
            return Path(*parts[:place], *parts[place + 1 :])
    return folder


def recorded_study(study: str) -> Path:
    """Folder of a study that comes with the kit (table, ssl-weight, audit), seen from the working directory.

    Raises:
        TddError: neither the working directory nor a folder above it holds the kit's results.
    """
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / RECORDED / study).is_dir():
            return Path(os.path.relpath(folder / RECORDED / study, here))
    raise TddError(f"{RECORDED / study} is not in {here} or above it; start the notebook in a copy of the kit.")


class Workspace:
    """Finds or makes what a notebook needs, for one recipe, one source of videos and one seed."""

    def __init__(
        self, recipe: str | Path = "demo", data: str | Path | None = None, seed: int = 0, folder: str | Path = FOLDER
    ) -> None:
        """Open or begin the folder of this recipe and these data.

        A notebook in ``notebooks/ko`` has the code of its original, and so the original's paths: the working directory
        becomes the original's folder.

        Args:
            recipe: a recipe's name or file.
            data: root of real data; ``None`` makes the synthetic benchmark.
            seed: of every training.
            folder: holds one folder for each recipe and source of videos.

        Raises:
            TddError: no such recipe, a recipe for real data without any, or a folder begun with another recipe.
        """
        os.chdir(original_folder(Path.cwd()))
        self.recipe, self.seed = load_recipe(recipe), seed
        # Two torch threads on two busy cores wait for each other: forty steps took ten minutes (docs/LOG.md).
        if self.recipe.machine.threads:  # a notebook's own steps run as the recipe's do
            torch.set_num_threads(self.recipe.machine.threads)
        self.source = None if data is None else Path(data)
        if self.source is None and self.recipe.name not in SYNTHETIC_SIZES:
            raise TddError(
                f"Recipe '{self.recipe.name}' is for real data: set DATA to their folder (data/README.md), or RECIPE "
                f"to {' or '.join(SYNTHETIC_SIZES)} for the synthetic benchmark."
            )
        parts = [self.recipe.name, *([self.source.resolve().name] if self.source else [])]
        self.folder = Path(folder) / "-".join(parts)
        check_plan(self.folder / "workspace.json", {"data": str(data)} | _flat(self.recipe))

    @property
    def device(self) -> torch.device:
        """Where the recipe lets networks run."""
        return torch.device("cuda" if on_gpu(self.recipe.machine) else "cpu")

    def data(self) -> Path:
        """Folder of the videos; the synthetic benchmark is made when it is not there."""
        if self.source is not None:
            return self.source
        folder = self.folder / "data"
        with line("Synthetic videos", folder, found=(folder / DONE).is_file()) as progress:
            write_benchmark(folder, SYNTHETIC_SIZES[self.recipe.name], progress=progress)
        return folder

    def store(self) -> ClipStore:
        """The clip store, prepared from the videos when it is not there."""
        folder = self.folder / "store"
        found = (folder / INDEX).is_file()
        data = None if found else self.data()  # a finished store needs no videos
        with line("Clip store", folder, found) as progress:
            if data:
                prepare(data, folder, self.recipe.clip, progress=progress)
        return ClipStore(folder)

    def recorded(self, study: str) -> Path:
        """Folder of a recorded study: of those that come with the kit or, with real data, of this workspace's own."""
        return recorded_study(study) if self.source is None else self.folder / study

    def shipped(self, kind: str, name: str) -> Path | None:
        """Folder of the weights that come with the kit for a run of this workspace, ``None`` where there are none.

        They are of the synthetic benchmark, one recipe and one seed: see :mod:`tdd.weights.shipped`.

        Args:
            kind: ``stage1`` or ``stage2``.
            name: of the backbone, or of the table's row.
        """
        return None if self.source else shipped_run(self.recipe, kind, name, self.seed)

    def detector(self, row: str = "ssl_0.3") -> Path:
        """Folder of a detector's weights: those that come with the kit, else of a stage 2 that is trained when needed.

        Raises:
            TddError: no such row, or the run there was trained on other clips.
        """
        come = self.shipped(STAGE2, row)
        if come is None:
            return self.stage2(row)
        _say_shipped(f"Stage 2, row {row}", come)
        return come

    def stage1(self, backbone: str = BACKBONE, shipped: bool = False) -> Path:
        """Folder of a finished stage 1, trained when it is not there.

        Args:
            backbone: of the row.
            shipped: take the weights that come with the kit instead, where there are any of these settings.

        Raises:
            TddError: the run there was trained on other clips.
        """
        come = self.shipped(STAGE1, backbone) if shipped else None
        if come:
            _say_shipped(f"Stage 1 of {backbone}", come)
            return come
        store, run = self.store(), self.folder / f"stage1/{backbone}-seed{self.seed}"
        with line(f"Stage 1 of {backbone}", run, _is_finished(run, store)) as progress:
            pretrain(store, backbone, self.recipe, run, self.seed, progress)
        return run

    def stage2(self, row: str = "ssl_0.3") -> Path:
        """Folder of a finished stage 2 of a table's row, trained with its stage 1 when it is not there.

        Raises:
            TddError: no such row, or the run there was trained on other clips.
        """
        (wanted,) = select_rows(TABLE, [row]).rows
        store, run = self.store(), self.folder / f"stage2/{row}-seed{self.seed}"
        found = _is_finished(run, store)
        # Where stage 2 is finished, a stage 1 would be trained for nothing.
        stage1 = None if found or not wanted.from_stage1 else self.stage1(wanted.backbone)
        with line(f"Stage 2, row {row}", run, found) as progress:
            detect(store, wanted, self.recipe, run, stage1, self.seed, progress)
        return run

    def study(self, *rows: str, shipped: bool = False) -> Path:
        """The study's folder, with a finished ``stage2/ROW-seedSEED`` of every row, run side by side, one a core.

        Args:
            rows: of the table.
            shipped: score the test videos with the weights that come with the kit instead, where there are any of these
                settings for every row; each folder then holds record and clip logits, and no weights.

        Raises:
            TddError: no such row, a run there with other settings or clips, or runs that failed.
        """
        come = {row: self.shipped(STAGE2, row) for row in rows} if shipped else {}
        if come and all(come.values()):
            return self._score_shipped({row: folder for row, folder in come.items() if folder})
        store, plan = self.store(), select_rows(TABLE, rows)
        jobs = study_jobs(plan.rows, [self.seed], self.recipe)
        found = all(read_record(self.folder / job.run) for job in jobs)
        shares: dict[str, float] = {}
        with line(f"Runs of {', '.join(rows)}", self.folder, found) as progress:

            def relay(job: Job, share: float) -> None:
                shares[job.run] = share
                progress(sum(shares.values()), len(jobs))

            failures = run_study(plan, [self.seed], store.folder, self.recipe, self.folder, self.folder, progress=relay)
        if failures:
            raise TddError(" ".join(failures))
        return self.folder

    def _score_shipped(self, weights: dict[str, Path]) -> Path:
        """Score the test videos of this workspace: its faces were drawn on this machine, and may round otherwise."""
        store, folder = self.store(), self.folder / "shipped"
        for row, come in weights.items():
            run = folder / f"stage2/{row}-seed{self.seed}"
            _say_shipped(f"Stage 2, row {row}", come)
            with line(f"Test videos scored with {come.name}", run, found=bool(read_record(run))) as progress:
                evaluate_checkpoint(come, store, run, progress=progress)
        return folder


def _say_shipped(title: str, come: Path) -> None:
    display(Pretty(f"{title}: {come.name}, which comes with the kit (drawn faces, half precision); not trained here"))


def _flat(recipe: Recipe) -> dict[str, Any]:
    """The recipe's settings by dotted name, so that a difference is named and not drowned."""
    sections = as_json(recipe.to_dict())
    return {
        f"{section}.{key}": value
        for section, values in sections.items()
        if isinstance(values, dict)
        for key, value in values.items()
    }


def _is_finished(run: Path, store: ClipStore) -> bool:
    record = read_record(run)
    if record is None:
        return False
    if record["data"]["fingerprint"] != store.fingerprint:
        raise TddError(f"{run} was trained on other clips than {store.folder} holds; delete one of them.")
    if record["data"].get(LABELS, store.labels) != store.labels:  # an older version kept none
        raise TddError(
            f"{run} was trained with other labels or splits than the videos in {store.folder} have now; delete it to "
            "train it again."
        )
    return True


def versions(work: Workspace) -> Pretty:
    """One line: recipe, data, seed, machine, and the versions that can move a number."""
    source = "synthetic benchmark" if work.source is None else f"data in {work.source}"
    machine = torch.cuda.get_device_name() if work.device.type == "cuda" else f"CPU, {cpu_count()} cores"
    packages = ", ".join(f"{name} {version}" for name, version in package_versions().items())
    return Pretty(
        f"recipe {work.recipe.name}, {source}, seed {work.seed}; {machine}\n"
        f"tdd {tdd.__version__}, Python {platform.python_version()}, {packages}"
    )


@contextmanager
def line(title: str, place: Path, found: bool) -> Iterator[Callable[[float, float], None]]:
    """One line of a page: what was found, or what is being made, how far it is, and at last how long it took.

    The line is rewritten in place.

    Args:
        title: what is made.
        place: where it lies.
        found: whether it was there.

    Yields:
        the function to call with (done, total).
    """
    started = spoken = time.monotonic()
    handle = display(Pretty(f"{title}: {f'found in {place}' if found else 'beginning'}"), display_id=True)

    def say(sentence: str) -> None:
        if handle:  # there is none outside a notebook
            handle.update(Pretty(f"{title}: {sentence}"))

    def progress(done: float, total: float) -> None:
        nonlocal spoken
        now = time.monotonic()
        if now - spoken > 1 and 0 < done < total:  # each update is a message to the page
            spoken = now
            say(f"{done / total:.0%}, about {duration((now - started) * (total - done) / done)} left")

    yield progress
    if not found:
        say(f"made in {duration(time.monotonic() - started)}, in {place}")
