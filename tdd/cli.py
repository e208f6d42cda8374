"""The command line: ``tdd COMMAND``. Each command is one call of the function that the notebooks call."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

import tdd
from tdd.errors import TddError

if TYPE_CHECKING:
    from tdd.cluster import RayCluster
    from tdd.predict import VideoScorer

USER_ERROR = 2
INTERRUPTED = 130


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = argparse.ArgumentParser(prog="tdd", description=tdd.__doc__)
    parser.add_argument("--version", action="version", version=f"tdd {tdd.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    demo = commands.add_parser("demo", help="synthetic videos to the paper's seven-row table, end to end")
    demo.add_argument("--size", default="demo", help="tiny (a minute), demo (minutes, default) or full (needs a GPU)")
    demo.add_argument("--out", type=Path, help="folder for everything (default: runs/SIZE)")
    demo.add_argument("--rows", nargs="+", metavar="ROW", help="rows of the table, by id (default: all)")
    demo.add_argument("--seeds", nargs="+", type=int, default=[0], metavar="SEED", help="one set of runs for each")
    _add_workers(demo)
    demo.set_defaults(run=_demo)

    synth = commands.add_parser("synth", help="write the synthetic benchmark as the data sets' owners ship theirs")
    synth.add_argument("--size", default="demo", help="tiny, demo or full")
    synth.add_argument("--out", type=Path, required=True, help="folder that gets the trees")
    synth.add_argument("--seed", type=int, default=0, help="of everything that is drawn")
    synth.add_argument("--strength", type=float, default=1.0, help="of the forgeries' artefacts; 0 leaves none")
    synth.add_argument("--language", default="en", help="en or ko")
    _add_workers(synth)
    synth.set_defaults(run=_synth)

    prepare = commands.add_parser("prepare", help="data sets in their owners' layouts to a store of aligned clips")
    prepare.add_argument("--root", type=Path, required=True, help="data root (data/README.md)")
    prepare.add_argument("--out", type=Path, required=True, help="folder of the clip store")
    prepare.add_argument("--recipe", default="paper", help="a recipe's name or file; gives size and frame rate")
    prepare.add_argument(
        "--mean-face",
        type=Path,
        metavar="FILE.npy",
        help="68 points, px of the canvas, to align to (default: computed)",
    )
    _add_landmarks(prepare)
    _add_workers(prepare)
    _add_engine(prepare)
    prepare.set_defaults(run=_prepare)

    inspect = commands.add_parser("inspect", help="pictures of a clip store: faces, landmarks, sizes, lengths")
    inspect.add_argument("store", type=Path, metavar="STORE", help="folder of the clip store")
    inspect.add_argument("--root", type=Path, help="data root; draws the frames with their landmarks, too")
    inspect.add_argument("--out", type=Path, required=True, help="folder of the pictures")
    inspect.set_defaults(run=_inspect)

    _add_data(commands)

    _add_study(commands)

    recipe = commands.add_parser("recipe", help="show a recipe: every value, where it comes from, what it means")
    recipe.add_argument("action", choices=["show"])
    recipe.add_argument("recipe", nargs="?", default="paper", help="a recipe's name or file (default: paper)")
    recipe.set_defaults(run=_recipe)

    _add_evaluate(commands)
    _add_robustness(commands)
    _add_checkpoint(commands)
    _add_predict(commands)

    report = commands.add_parser("report", help="tables and figures of studies, from their run records alone")
    report.add_argument("folder", type=Path, metavar="DIR", help="a study, or the folder of several")
    report.add_argument("--out", type=Path, help="folder for report and figures (default: each study's own)")
    report.add_argument("--store", type=Path, help="folder of the clip store, for the attention maps")
    report.add_argument("--summary", type=Path, metavar="DIR", help="also copy plans, records and scores there")
    report.set_defaults(run=_report)
    return parser


def _add_study(commands: Any) -> None:
    study = commands.add_parser("study", help="train and score the rows of a study on a clip store")
    study.add_argument("name", metavar="NAME", help="table, ssl-weight, audit or ablation")
    study.add_argument("--store", type=Path, required=True, help="folder of the clip store")
    study.add_argument("--out", type=Path, required=True, help="folder of all runs; studies in one folder share them")
    study.add_argument("--recipe", default="paper", help="a recipe's name or file (default: paper)")
    study.add_argument("--rows", nargs="+", metavar="ROW", help="rows of the study, by id (default: all)")
    study.add_argument("--seeds", nargs="+", type=int, default=[0], metavar="SEED", help="one set of runs for each")
    _add_workers(study)
    _add_engine(study)
    study.set_defaults(run=_study)


def _add_data(commands: Any) -> None:
    data = commands.add_parser("data", help="hold data sets on a disk against their official lists, or fetch lists")
    actions = data.add_subparsers(dest="action", required=True, metavar="ACTION")

    check = actions.add_parser(
        "check",
        help="counts, missing, unexpected and unreadable videos; exit code 0 complete, 1 incomplete, 2 unusable",
    )
    check.add_argument("root", type=Path, metavar="ROOT", help="data root (data/README.md)")
    check.add_argument("--json", type=Path, metavar="FILE", help="write the whole report there")
    check.add_argument(
        "--deep", action="store_true", help="decode the first frame of every video, not its header alone"
    )
    _add_workers(check)
    check.set_defaults(run=_check_data)

    fetch = actions.add_parser("fetch-splits", help="the official split lists of FaceForensics++, into their place")
    fetch.add_argument("root", type=Path, metavar="ROOT", help="data root (data/README.md)")
    fetch.add_argument("--url", help="folder of a mirror (default: the owners' repository)")
    fetch.set_defaults(run=_fetch_splits)


def _add_checkpoint(commands: Any) -> None:
    checkpoint = commands.add_parser("checkpoint", help="bring published weights in, or look at weights")
    actions = checkpoint.add_subparsers(dest="action", required=True, metavar="ACTION")

    load = actions.add_parser("import", help="a published .pth, .ckpt or .safetensors file to weights of this package")
    load.add_argument("file", type=Path, metavar="FILE", help="stage 1 or stage 2, of RealForensics or of the paper")
    load.add_argument("--out", type=Path, required=True, help="folder for the weights")
    load.add_argument("--backbone", help="refuse a file of another backbone")
    load.add_argument(
        "--time-axis", help="CNN-LSTM and CNN-GRU: as_released (how the released code trained; default) or per_frame"
    )
    load.add_argument(
        "--mean-face", type=Path, metavar="FILE.npy", help="68 points, px of the canvas, that its clips were aligned to"
    )
    load.set_defaults(run=_import)

    show = actions.add_parser("show", help="what a folder of weights holds")
    show.add_argument("folder", type=Path, metavar="FOLDER", help="of a finished stage, or of imported weights")
    show.set_defaults(run=_show)


def _add_evaluate(commands: Any) -> None:
    evaluate = commands.add_parser("evaluate", help="score a clip store's test videos with stage-2 weights")
    evaluate.add_argument("--checkpoint", type=Path, required=True, help="folder of stage-2 weights")
    evaluate.add_argument("--store", type=Path, required=True, help="folder of the clip store")
    evaluate.add_argument("--out", type=Path, required=True, help="folder for clip logits and record")
    _add_selection(evaluate)
    evaluate.add_argument("--whole-video", action="store_true", help="all frames of FaceForensics++ too")
    evaluate.add_argument(
        "--clip-stride", type=int, default=0, metavar="N", help="a clip every N frames (default: end to end)"
    )
    evaluate.add_argument(
        "--frame-step", type=int, default=1, metavar="N", help="see every N-th frame only, that is 25/N fps"
    )
    evaluate.set_defaults(run=_evaluate)


def _add_robustness(commands: Any) -> None:
    robustness = commands.add_parser("robustness", help="AUC by level of seven corruptions of the test videos")
    robustness.add_argument("--root", type=Path, required=True, help="data root that the store was made from")
    robustness.add_argument("--store", type=Path, required=True, help="folder of the clip store")
    robustness.add_argument("--checkpoint", type=Path, required=True, help="folder of stage-2 weights")
    robustness.add_argument("--out", type=Path, required=True, help="folder for clip logits, table, figure and record")
    robustness.add_argument("--corruptions", nargs="+", default=[], metavar="CODE", help="CS CC BW GNC GB PIX VC")
    robustness.add_argument("--levels", nargs="+", type=int, default=[], metavar="LEVEL", help="1 to 5 (default: all)")
    robustness.add_argument("--videos", type=int, default=0, metavar="N", help="of each class, drawn (default: all)")
    robustness.add_argument("--seed", type=int, default=0, help="of everything that is drawn")
    _add_selection(robustness)
    _add_workers(robustness)
    robustness.set_defaults(run=_robustness)


def _add_selection(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--datasets", nargs="+", default=[], metavar="NAME", help="data sets (default: all but LRW)")
    parser.add_argument("--methods", nargs="+", default=[], metavar="NAME", help="forgery methods (default: all)")


def _add_predict(commands: Any) -> None:
    predict = commands.add_parser("predict", help="score a video, or a folder of videos, with stage-2 weights")
    predict.add_argument("video", type=Path, metavar="VIDEO", help="a video file, or a folder of them")
    predict.add_argument("--checkpoint", type=Path, required=True, help="folder of stage-2 weights")
    predict.add_argument(
        "--landmarks",
        type=Path,
        metavar="FILE.npy",
        help="68 points in every frame, px, shape (frames, 68, 2); for a folder: the folder that holds them under the "
        "videos' names (default: found)",
    )
    _add_finder(predict)
    predict.add_argument(
        "--mean-face", type=Path, metavar="FILE.npy", help="what faces are aligned to, where the weights do not hold it"
    )
    predict.add_argument("--json", type=Path, metavar="FILE", help="write the whole prediction there")
    predict.add_argument("--png", type=Path, metavar="FILE", help="draw the clip scores over time there")
    predict.add_argument("--csv", type=Path, metavar="FILE", help="one row a video; needed for a folder")
    predict.set_defaults(run=_predict)


def _add_workers(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--workers", type=int, help="processes (default: one a core)")


def _add_landmarks(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--landmarks",
        choices=["auto", "given"],
        default="auto",
        help="find them where none are given, or take given ones alone (default: auto)",
    )
    _add_finder(parser)


def _add_finder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--detector", default="sfd", help="of faces: sfd (default), blazeface, retinaface or yunet")
    parser.add_argument(
        "--weights", type=Path, metavar="FOLDER", help="of the networks that find landmarks (default: the cache)"
    )
    parser.add_argument(
        "--longest-gap", type=float, default=0.4, metavar="SECONDS", help="without a face, filled in (default: 0.4)"
    )


def _add_engine(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--engine", choices=["local", "ray"], default="local", help="this machine's processes, or a Ray cluster"
    )
    parser.add_argument("--ray-address", metavar="HOST:PORT", help="of the cluster (default: RAY_ADDRESS, else here)")


def _cluster(args: argparse.Namespace, gpus: float | None = 0.0) -> RayCluster | None:
    from tdd.cluster import RayCluster

    if args.engine == "ray":
        return RayCluster(args.ray_address, gpus)
    if args.ray_address:
        raise TddError("--ray-address is of use with --engine ray only; add it.")
    return None


def _demo(args: argparse.Namespace, console: Console) -> None:
    from tdd.demo import run_demo

    report = run_demo(args.size, args.out or Path("runs") / args.size, console, args.rows, args.seeds, args.workers)
    console.print(report.to_text(), highlight=False, markup=False)


def _synth(args: argparse.Namespace, console: Console) -> None:
    from tdd.progress import step
    from tdd.synth.trees import write_benchmark

    with step("Synthetic videos", console) as progress:
        write_benchmark(
            args.out, args.size, args.seed,
            strength=args.strength, language=args.language, workers=args.workers, progress=progress,
        )  # fmt: skip


def _prepare(args: argparse.Namespace, console: Console) -> None:
    from tdd.config import load_recipe
    from tdd.preprocess.catalog import count_table
    from tdd.preprocess.prepare import prepare
    from tdd.progress import step

    cluster, clip = _cluster(args), load_recipe(args.recipe).clip
    if args.landmarks == "auto":
        _find_landmarks(args, console, cluster)
    with step("Aligned faces", console, "videos") as progress:
        done = prepare(args.root, args.out, clip, args.workers, progress, args.mean_face, cluster)
    console.print(count_table(done.store.index).to_string(), highlight=False)
    console.print(
        f"{len(done.store.index)} videos in {args.out}, {done.made} of them made now, {len(done.failed)} left out."
    )
    for row in done.failed.head(5).itertuples():
        console.print(f"  left out: {row.video_id}: {row.reason}", highlight=False, markup=False)


def _report_fetch(console: Console) -> Callable[[str, int, int], None]:
    """Says on the console how far a download is: name, bytes fetched, bytes in all."""
    return lambda name, fetched, total: console.print(
        f"  {name}: {fetched / 1e6:.0f} of {total / 1e6:.0f} MB fetched", highlight=False
    )


def _find_landmarks(args: argparse.Namespace, console: Console, cluster: RayCluster | None) -> None:
    from tdd.preprocess.faces import FaceSettings
    from tdd.preprocess.finding import LandmarkFinder, find_landmarks, without_landmarks
    from tdd.progress import step

    finder = LandmarkFinder(FaceSettings(args.detector, longest_gap=args.longest_gap), args.weights)
    if without_landmarks(args.root, args.out):
        with step("Landmarks", console, "videos") as progress:
            done = find_landmarks(args.root, args.out, finder, args.workers, progress, cluster, _report_fetch(console))
        console.print(f"Landmarks of {done.found} videos found, {done.refused} refused.", highlight=False)


def _inspect(args: argparse.Namespace, console: Console) -> None:
    from tdd.data.store import ClipStore
    from tdd.plots.store import inspect_store

    for path in inspect_store(ClipStore(args.store), args.out, args.root):
        console.print(path, highlight=False, markup=False)


def _check_data(args: argparse.Namespace, console: Console) -> int:
    from tdd.files import write_json
    from tdd.preprocess.check import check_root
    from tdd.preprocess.check_text import print_check
    from tdd.progress import step

    with step("Opening every video", console) as progress:
        report = check_root(args.root, args.deep, args.workers, progress)
    print_check(report, console)
    if args.json:
        try:
            write_json(args.json, report.to_dict())
        except OSError as error:
            raise TddError(f"{args.json} cannot be written ({error.strerror}); choose another file.") from error
    return int(report.verdict)


def _fetch_splits(args: argparse.Namespace, console: Console) -> None:
    from tdd.preprocess.fetch import SPLITS_URL, fetch_splits

    written = fetch_splits(args.root, args.url or SPLITS_URL)
    for path in written:
        console.print(f"{path}: fetched", highlight=False, markup=False)
    if not written:
        console.print("The official lists are all there.")


def _study(args: argparse.Namespace, console: Console) -> None:
    from tdd.config import load_recipe
    from tdd.data.store import ClipStore
    from tdd.progress import step
    from tdd.studies import plan_study
    from tdd.study import StudyProgress, run_study, study_jobs

    recipe = load_recipe(args.recipe)
    cluster = _cluster(args, gpus={"cpu": 0.0, "gpu": 1.0}.get(recipe.machine.accelerator))
    plan = plan_study(args.name, recipe, ClipStore(args.store), args.rows)
    jobs = study_jobs(plan.rows, args.seeds, recipe)
    with step(f"Study {plan.name}, {len(jobs)} runs", console) as progress:
        relay = StudyProgress(
            jobs, args.out, lambda said: console.print(f"  {said}", highlight=False, markup=False), progress
        )
        failures = run_study(
            plan, args.seeds, args.store, recipe, args.out, args.out / plan.name, args.workers, relay,
            cluster.engine(args.store, args.out) if cluster else None,
        )  # fmt: skip
    if failures:
        raise TddError(f"{len(failures)} of {len(jobs)} runs failed. " + " ".join(failures))


def _recipe(args: argparse.Namespace, console: Console) -> None:
    from tdd.config import load_recipe
    from tdd.origins import describe_recipe

    console.print(describe_recipe(load_recipe(args.recipe)), end="", highlight=False, markup=False)


def _evaluate(args: argparse.Namespace, console: Console) -> None:
    from tdd.data.store import ClipStore
    from tdd.evaluate import evaluate_checkpoint
    from tdd.evaluation_text import evaluation_text
    from tdd.progress import step
    from tdd.selection import Protocol

    protocol = Protocol(tuple(args.datasets), tuple(args.methods), args.whole_video, args.clip_stride, args.frame_step)
    with step("Scoring the test videos", console, "clips") as progress:
        record = evaluate_checkpoint(args.checkpoint, ClipStore(args.store), args.out, protocol, progress)
    console.print(evaluation_text(record), highlight=False, markup=False)


def _robustness(args: argparse.Namespace, console: Console) -> None:
    from tdd.data.store import ClipStore
    from tdd.plots.robustness import draw_robustness
    from tdd.progress import step
    from tdd.robustness import measure_robustness
    from tdd.robustness_text import robustness_text
    from tdd.selection import Protocol

    protocol = Protocol(tuple(args.datasets), tuple(args.methods))
    with step("Damaging and scoring the test videos", console, "videos") as progress:
        record = measure_robustness(
            args.root, ClipStore(args.store), args.checkpoint, args.out,
            corruptions=args.corruptions, levels=args.levels, videos=args.videos, protocol=protocol, seed=args.seed,
            workers=args.workers, progress=progress,
        )  # fmt: skip
    console.print(robustness_text(record), highlight=False, markup=False)
    console.print(draw_robustness(record, args.out / "robustness.png"), highlight=False, markup=False)


def _import(args: argparse.Namespace, console: Console) -> None:
    from tdd.importing import import_published

    done = import_published(args.file, args.out, args.backbone, args.time_axis, args.mean_face)
    console.print(f"{args.out} now holds {done.to_text()}", highlight=False, markup=False)


def _show(args: argparse.Namespace, console: Console) -> None:
    from tdd.inspection import weights_text

    console.print(weights_text(args.folder), highlight=False, markup=False)


def _predict(args: argparse.Namespace, console: Console) -> None:
    from tdd.files import disk_errors_told, write_json
    from tdd.plots.timeline import draw_timeline
    from tdd.predict import write_table

    if args.video.is_dir():
        _predict_folder(args, console)
        return
    prediction = _scorer(args, console).score(args.video, args.landmarks)
    console.print(prediction.to_text(), highlight=False, markup=False)
    if args.json:
        with disk_errors_told(args.json.parent):
            write_json(args.json, prediction.to_dict())
    if args.png:
        with disk_errors_told(args.png.parent):
            draw_timeline(prediction, args.png)
    if args.csv:
        write_table([prediction.to_row()], args.csv)


def _scorer(args: argparse.Namespace, console: Console) -> VideoScorer:
    from tdd.predict import VideoScorer
    from tdd.preprocess.faces import FaceLandmarker, FaceSettings

    settings = FaceSettings(args.detector, longest_gap=args.longest_gap)

    def load() -> FaceLandmarker:
        return FaceLandmarker(settings, args.weights, report=_report_fetch(console))

    return VideoScorer(args.checkpoint, args.mean_face, load)


def _predict_folder(args: argparse.Namespace, console: Console) -> None:
    from tdd.predict import predict_folder, write_table
    from tdd.progress import step

    if args.json or args.png or not args.csv:
        raise TddError(f"{args.video} is a folder: give --csv FILE for its videos; --json and --png go with one video.")
    scorer = _scorer(args, console)
    with step("Scoring the videos", console, "videos") as progress:
        rows = predict_folder(args.video, scorer, args.landmarks, progress)
    write_table(rows, args.csv)
    failed = [row for row in rows if "reason" in row]
    console.print(f"{len(rows) - len(failed)} of {len(rows)} videos scored; {args.csv}", highlight=False, markup=False)
    for row in failed[:5]:
        console.print(f"  not scored: {row['reason']}", highlight=False, markup=False)
    if len(failed) == len(rows):
        raise TddError(
            f"None of the {len(rows)} videos in {args.video} could be scored; the reasons are in {args.csv}."
        )


def _report(args: argparse.Namespace, console: Console) -> None:
    from tdd.plots import draw_figures
    from tdd.report import write_report
    from tdd.results import find_studies
    from tdd.summary import write_summary

    for place in find_studies(args.folder):
        out = args.out / place.relative_to(args.folder) if args.out else place
        report = write_report(place, out / "report")
        console.print(f"{report.study.title}: {place}", highlight=False, markup=False)
        console.print(report.to_text(), highlight=False, markup=False)
        for path in (*report.files, *draw_figures(place, out / "figures", args.store)):
            console.print(path, highlight=False, markup=False)
    if args.summary:
        write_summary(args.folder, args.summary)
        console.print(f"{args.summary} holds plans, records and scores.", highlight=False, markup=False)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; a user's error is one sentence and exit code 2."""
    args = build_parser().parse_args(arguments)
    console = Console(soft_wrap=True)
    try:
        code = args.run(args, console)
    except TddError as error:
        Console(stderr=True, soft_wrap=True).print(f"tdd: {error}", highlight=False, markup=False, style="red")
        return USER_ERROR
    except KeyboardInterrupt:
        Console(stderr=True).print("Interrupted; the same command goes on from here.")
        return INTERRUPTED
    return code or 0


if __name__ == "__main__":
    sys.exit(main())
