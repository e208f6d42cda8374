"""What each command does: one call of the function that the notebooks call, and its result on the console."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from tdd.errors import TddError
from tdd.machine.console import legible

if TYPE_CHECKING:
    from tdd.config import Recipe
    from tdd.data.store import ClipStore
    from tdd.evaluation.predict import VideoScorer
    from tdd.machine.cluster import RayCluster


def _cluster(args: argparse.Namespace, gpus: float | None = 0.0) -> RayCluster | None:
    from tdd.machine.cluster import RayCluster

    if args.engine == "ray":
        return RayCluster(args.ray_address, gpus)
    if args.ray_address:
        raise TddError("--ray-address is of use with --engine ray only; add it.")
    return None


def demo(args: argparse.Namespace, console: Console) -> None:
    """Synthetic videos to the table, end to end."""
    from tdd.demo import results_text, run_demo

    out = args.out or Path("runs") / args.size
    made = run_demo(args.size, out, console, args.rows, args.seeds, args.workers)
    console.print(made.to_text())
    console.print(legible(results_text(out)))


def synth(args: argparse.Namespace, console: Console) -> None:
    """Write the synthetic benchmark, or a test set of half-forged videos."""
    from tdd.machine.progress import step
    from tdd.synth.half_forged import write_half_forged_set
    from tdd.synth.trees import write_benchmark

    how = {"strength": args.strength, "language": args.language, "workers": args.workers}
    with step("Synthetic videos", console) as progress:
        if args.half_forged is None:
            write_benchmark(args.out, args.size, args.seed, **how, progress=progress)
        else:
            write_half_forged_set(args.out, args.half_forged, args.size, args.seed, **how, progress=progress)


def prepare_store(args: argparse.Namespace, console: Console) -> None:
    """Data sets to a clip store."""
    from tdd.config import load_recipe
    from tdd.machine.progress import step

    cluster, recipe = _cluster(args), load_recipe(args.recipe, args.set)
    with step(legible(f"Looking for videos in {args.root}"), console):
        # Here, for they take a second: the first line is to come at once.
        from tdd.preprocess.catalog import catalog_rows, read_catalog
        from tdd.preprocess.faces import FaceSettings
        from tdd.preprocess.finding import LandmarkFinder, find_landmarks, without_landmarks
        from tdd.preprocess.prepare import prepare
        from tdd.preprocess.space import Storing, told_before
        from tdd.preprocess.strays import unread_folders

        finder = LandmarkFinder(FaceSettings(args.detector, longest_gap=args.longest_gap), args.weights)
        for name, reason in unread_folders(args.root):
            console.print(legible(f"  {name} {reason}."))
        catalog, storing = read_catalog(args.root), Storing(args.compact, args.frames)
        scored = recipe.evaluation.faceforensics_frames
        told = told_before(args.root, args.out, catalog_rows(catalog), recipe.clip, storing, scored)
        wanting = without_landmarks(args.root, args.out, catalog) if args.landmarks == "auto" else []
    console.print(told)
    if wanting:
        with step("Landmarks", console, "videos") as progress:
            looked = find_landmarks(
                args.root, args.out, finder, args.workers, progress, cluster, _report_fetch(console), wanting
            )
        console.print(f"Landmarks of {looked.found} videos found, {looked.refused} refused.")
    with step("Aligned faces", console, "videos") as progress:
        done = prepare(
            args.root, args.out, recipe.clip, args.workers, progress, args.mean_face, cluster, catalog, storing
        )
    console.print(done.to_text())


def _report_fetch(console: Console) -> Callable[[str, int, int], None]:
    """Says on the console how far a download is: name, bytes fetched, bytes in all."""
    return lambda name, fetched, total: console.print(f"  {name}: {fetched / 1e6:.0f} of {total / 1e6:.0f} MB fetched")


def inspect(args: argparse.Namespace, console: Console) -> None:
    """Pictures of a clip store."""
    from tdd.data.store import ClipStore
    from tdd.plots.store import inspect_store
    from tdd.preprocess.quality import crop_warnings

    store = ClipStore(args.store)
    for path in inspect_store(store, args.out, args.root):
        console.print(path)
    for sentence in crop_warnings(store.index):
        console.print(f"Warning: {sentence}")
    if args.against:
        _compare_crops(store, ClipStore(args.against), args.out, console)


def _compare_crops(store: ClipStore, other: ClipStore, out: Path, console: Console) -> None:
    """Say how the crops of a store differ from those of another, and draw both."""
    from tdd.evaluation.likeness import against
    from tdd.evaluation.sanity import CROPS_PICTURE, checks_text
    from tdd.machine.files import disk_errors_told
    from tdd.plots.likeness import draw_crops

    compared = against(store, other, CROPS_PICTURE)
    checks = [check.to_dict() for check in compared.checks]
    with disk_errors_told(out):
        draw_crops(store, compared.groups, out / CROPS_PICTURE, None, checks, (other, compared.training))
    console.print(out / CROPS_PICTURE)
    for sentence in checks_text(checks):
        console.print(legible(sentence))


def check_data(args: argparse.Namespace, console: Console) -> int:
    """Hold data sets against their official lists, or a store against its digests; the exit code is the verdict."""
    from tdd.machine.progress import step

    if (args.root is None) == (args.store is None):
        raise TddError("Give a data root, or a clip store with --store: one of the two.")
    _check_outputs(args, "json")
    if args.store:
        return _check_store(args, console)
    with step(legible(f"Opening every video in {args.root}"), console) as progress:
        # Here, for they take a second: the first line is to come at once.
        from tdd.preprocess.check import check_root
        from tdd.preprocess.check_text import print_check

        report = check_root(args.root, args.deep, args.workers, progress)
    print_check(report, console)
    _write_check(args.json, report.to_dict())
    return int(report.verdict)


def _check_store(args: argparse.Namespace, console: Console) -> int:
    from tdd.machine.progress import step

    with step(legible(f"Reading every array in {args.store}"), console) as progress:
        from tdd.preprocess.check_store import check_store, print_store_check

        report = check_store(args.store, args.workers, progress)
    print_store_check(report, console)
    _write_check(args.json, report.to_dict())
    return report.exit_code


def _check_outputs(args: argparse.Namespace, *kinds: str) -> None:
    """Refuse, before anything long, files of ``--json``, ``--png`` or ``--csv`` that cannot or must not be written."""
    from tdd.machine.files import require_target

    for kind in kinds:
        path = getattr(args, kind)
        if path:
            require_target(path, f".{kind}", f"--{kind}")


def _write_check(path: Path | None, report: dict[str, Any]) -> None:
    from tdd.machine.files import write_json

    if path:
        try:
            write_json(path, report)
        except OSError as error:
            raise TddError(f"{path} cannot be written ({error.strerror}); choose another file.") from error


def first_manifest(args: argparse.Namespace, console: Console) -> None:
    """A first manifest of any folder of videos, guessed from names."""
    from tdd.preprocess.first_manifest import write_first_manifest

    for line in write_first_manifest(args.folder).to_text().splitlines():
        console.print(legible(line), highlight=False, markup=False)


def fetch_lists(args: argparse.Namespace, console: Console) -> None:
    """FaceForensics++'s split lists into their place."""
    from tdd.preprocess.fetch import SPLITS_URL, fetch_splits

    written = fetch_splits(args.root, args.url or SPLITS_URL)
    for path in written:
        console.print(f"{path}: fetched")
    if not written:
        console.print("The official lists are all there.")


def study(args: argparse.Namespace, console: Console) -> None:
    """Train and score the rows of a study."""
    from tdd.config import load_recipe
    from tdd.data.store import ClipStore
    from tdd.machine.progress import step
    from tdd.machine.ranks import losses_told
    from tdd.records.plans import plan_study
    from tdd.study import StudyProgress, run_study, study_jobs

    devices = [] if args.devices is None else [f"machine.devices={args.devices}"]
    recipe = load_recipe(args.recipe, [*args.set, *devices])
    _join(args, recipe, console)
    cluster = _cluster(args, gpus={"cpu": 0.0, "gpu": 1.0}.get(recipe.machine.accelerator))
    plan = plan_study(args.name, recipe, ClipStore(args.store), args.rows)
    jobs = study_jobs(plan.rows, args.seeds, recipe)
    with losses_told(), step(f"Study {plan.name}, {len(jobs)} runs", console) as progress:
        relay = StudyProgress(jobs, args.out, lambda said: console.print(f"  {said}"), progress)
        failures = run_study(
            plan, args.seeds, args.store, recipe, args.out, args.out / plan.name, args.workers, relay,
            cluster.engine(args.store, args.out) if cluster else None,
        )  # fmt: skip
    if failures:
        raise TddError(f"{len(failures)} of {len(jobs)} runs failed. " + " ".join(failures))


def _join(args: argparse.Namespace, recipe: Recipe, console: Console) -> None:
    """Meet the processes that torchrun or srun began beside this one, and leave the talking to the first."""
    from tdd.data.clips import on_gpu
    from tdd.machine.launch import begins_ranks
    from tdd.machine.ranks import join, leads, world

    several = begins_ranks(recipe.machine.devices)
    join(on_gpu(recipe.machine))
    if args.engine == "ray" and (several or world() > 1):
        raise TddError("A Ray cluster gives each run one device; leave out --devices, or --engine ray.")
    console.quiet = not leads()


def show_recipe(args: argparse.Namespace, console: Console) -> None:
    """Every value of a recipe and its origin."""
    from tdd.config import load_recipe
    from tdd.records.origins import describe_recipe

    console.print(describe_recipe(load_recipe(args.recipe, args.set)), end="")


def evaluate(args: argparse.Namespace, console: Console) -> None:
    """Score test videos with weights of stage 2."""
    from tdd.data.store import ClipStore
    from tdd.evaluation.evaluate import evaluate_checkpoint
    from tdd.evaluation.selection import Protocol
    from tdd.evaluation.texts import evaluation_text
    from tdd.machine.files import disk_errors_told
    from tdd.machine.progress import step
    from tdd.plots.evaluation import draw_evaluation
    from tdd.weights.shipped import find_weights

    protocol = Protocol(tuple(args.datasets), tuple(args.methods), args.whole_video, args.clip_stride, args.frame_step)
    store = ClipStore(args.store)
    with step("Scoring the test videos", console, "clips") as progress:
        record = evaluate_checkpoint(find_weights(args.checkpoint), store, args.out, protocol, progress)
    console.print(evaluation_text(record))
    with disk_errors_told(args.out):
        pictures = draw_evaluation(record, store, args.out, protocol)
    for path in pictures:
        console.print(path)


def robustness(args: argparse.Namespace, console: Console) -> None:
    """AUC by level of corruption."""
    from tdd.data.store import ClipStore
    from tdd.evaluation.robustness import measure_robustness
    from tdd.evaluation.selection import Protocol
    from tdd.evaluation.texts import robustness_text
    from tdd.machine.progress import step
    from tdd.plots.robustness import draw_robustness
    from tdd.weights.shipped import find_weights

    protocol = Protocol(tuple(args.datasets), tuple(args.methods))
    with step("Damaging and scoring the test videos", console, "videos") as progress:
        record = measure_robustness(
            args.root, ClipStore(args.store), find_weights(args.checkpoint), args.out,
            corruptions=args.corruptions, levels=args.levels, videos=args.videos, protocol=protocol, seed=args.seed,
            workers=args.workers, progress=progress,
        )  # fmt: skip
    console.print(robustness_text(record))
    console.print(draw_robustness(record, args.out / "robustness.png"))


def import_weights(args: argparse.Namespace, console: Console) -> None:
    """A published file to weights of this package."""
    from tdd.weights.importing import import_published

    done = import_published(args.file, args.out, args.backbone, args.time_axis, args.mean_face)
    console.print(f"{args.out} now holds {done.to_text()}")


def show_weights(args: argparse.Namespace, console: Console) -> None:
    """What a folder of weights holds."""
    from tdd.weights.inspection import weights_text
    from tdd.weights.shipped import find_weights

    console.print(weights_text(find_weights(args.weights)))


def list_weights(args: argparse.Namespace, console: Console) -> None:  # noqa: ARG001 - one signature for all commands
    """The weights that come with the package."""
    from tdd.weights.shipped import shipped_text

    console.print(shipped_text())


def export_weights(args: argparse.Namespace, console: Console) -> None:
    """A detector as a repository of the Hugging Face Hub."""
    from tdd.weights.hub import export_to_hub
    from tdd.weights.packed import HALF
    from tdd.weights.shipped import find_weights

    out = export_to_hub(find_weights(args.weights), args.hub, HALF if args.half else None)
    console.print(f"{out} holds the weights and their model card, README.md: read it, then: hf upload USER/NAME {out}")


def predict(args: argparse.Namespace, console: Console) -> None:
    """Score a video, or each video of a folder."""
    from tdd.machine.files import disk_errors_told, write_json
    from tdd.machine.progress import step

    if args.video.is_dir():
        _predict_folder(args, console)
        return
    _check_outputs(args, "json", "png", "csv")
    with step("Loading the detector", console):
        # Here, for they take some seconds: the first line is to come at once.
        from tdd.evaluation.predict import write_table
        from tdd.plots.timeline import draw_timeline

        scorer = _scorer(args, console)
    with step(legible(f"Scoring {args.video}"), console) as progress:
        prediction = scorer.score(args.video, args.landmarks, progress)
    console.print(prediction.to_text())
    if args.json:
        with disk_errors_told(args.json.parent):
            write_json(args.json, prediction.to_dict())
    if args.png:
        with disk_errors_told(args.png.parent):
            draw_timeline(prediction, args.png)
    if args.csv:
        write_table([prediction.to_row()], args.csv)
    for path in filter(None, (args.json, args.png, args.csv)):
        console.print(legible(str(path)))


def app(args: argparse.Namespace, console: Console) -> None:
    """A page in the browser for one video."""
    from tdd.machine.progress import step

    with step("Loading the detector", console):
        from tdd.app.interface import load_gradio, run_app

        load_gradio()
        scorer = _scorer(args, console)
    run_app(scorer, args.port, console.print)


def _scorer(args: argparse.Namespace, console: Console) -> VideoScorer:
    from tdd.evaluation.predict import VideoScorer
    from tdd.preprocess.faces import FaceLandmarker, FaceSettings
    from tdd.weights.shipped import find_weights

    settings = FaceSettings(args.detector, longest_gap=args.longest_gap)

    def load() -> FaceLandmarker:
        return FaceLandmarker(settings, args.weights, report=_report_fetch(console))

    return VideoScorer(find_weights(args.checkpoint), args.mean_face, load)


def _predict_folder(args: argparse.Namespace, console: Console) -> None:
    from tdd.machine.progress import step

    if args.json or args.png or not args.csv:
        raise TddError(f"{args.video} is a folder: give --csv FILE for its videos; --json and --png go with one video.")
    _check_outputs(args, "csv")
    with step(legible(f"Looking for videos in {args.video}"), console):
        from tdd.evaluation.listing import find_videos

        listing = find_videos(args.video)
    for note in listing.notes:
        console.print(legible(f"  {note}"))
    with step("Loading the detector", console):
        from tdd.evaluation.predict import predict_each, write_table

        scorer = _scorer(args, console)
    rows: list[dict[str, Any]] = []
    failed: list[dict[str, Any]] = []
    try:
        with step("Scoring the videos", console, "videos") as progress:
            for row in predict_each(args.video, scorer, args.landmarks, listing):
                rows.append(row)
                progress(len(rows), len(listing.videos))
    finally:  # Ctrl-C after hours: what was scored is kept
        if rows:
            write_table(rows, args.csv)
            failed = [row for row in rows if "reason" in row]
            told = f"{len(rows) - len(failed):,} of {len(listing.videos):,} videos scored"
            console.print(legible(f"{told}, {len(failed):,} could not be; {args.csv}"))
    for row in failed[:5]:
        console.print(legible(f"  not scored: {row['reason']}"))
    if len(failed) == len(rows):
        raise TddError(
            f"None of the {len(rows)} videos in {args.video} could be scored; the reasons are in {args.csv}."
        )


def report(args: argparse.Namespace, console: Console) -> None:
    """Tables and figures of the studies in a folder."""
    from tdd.plots import draw_figures
    from tdd.records.results import find_studies, made_with, require_row
    from tdd.records.summary import write_summary
    from tdd.report.localisation import write_localisation
    from tdd.report.write import write_report

    places = find_studies(args.folder)
    if args.reference:
        require_row(places, args.reference)
    tables, figures = (made_with(name, args.reference) for name in ("report", "figures"))
    for place in places:
        out = args.out / place.relative_to(args.folder) if args.out else place
        report = write_report(place, out / tables, args.reference)
        console.print(f"{report.study.title}: {place}")
        console.print(report.to_text())
        when, more = write_localisation(report.study, out / tables, {row.id: row.label for row in report.rows})
        if when:
            console.print(when)
        drawn = draw_figures(place, out / figures, args.store, args.reference, report)
        for path in (*report.files, *more, *drawn):
            console.print(path)
    if args.summary:
        write_summary(args.folder, args.summary)
        console.print(f"{args.summary} holds plans, records and scores.")


def power(args: argparse.Namespace, console: Console) -> None:
    """How many seeds and targets a difference needs, from the records of studies."""
    from tdd.records.results import compared_with, find_studies, load_study, require_row
    from tdd.report.power import power_text

    places = find_studies(args.records)
    if args.reference:
        require_row(places, args.reference)
    for place in places:
        study = load_study(place)
        study = compared_with(study, args.reference) if args.reference else study
        console.print(f"{study.title}: {place}")
        console.print(power_text(study, args.difference, args.power))
