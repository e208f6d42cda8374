"""The command line: ``tdd COMMAND``. What each command does is in :mod:`tdd.commands`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tdd
from tdd import commands
from tdd.errors import AlreadySaidError, TddError
from tdd.machine.console import legible, make_console, replace_unknown_characters
from tdd.machine.limits import NO_MEMORY, out_of_memory
from tdd.machine.source import commit
from tdd.machine.stopping import TERMINATED, Terminated, termination_raised

_WEIGHTS = "a folder, a name of `tdd checkpoint list`, or hf://USER/NAME on the Hugging Face Hub"

_DRAWN = "demo-ssl_0.3"

USER_ERROR = 2
INTERRUPTED = 130


class _Version(argparse.Action):
    """Says version and commit; git is asked for the latter here alone, and not to show a help."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        sys.stdout.write(f"tdd {tdd.__version__}, commit {commit() or 'unknown'}\n")
        parser.exit()


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = argparse.ArgumentParser(prog="tdd", description=tdd.__doc__)
    parser.add_argument("--version", action=_Version, nargs=0, help="show version and commit, and end")
    parsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    demo = parsers.add_parser("demo", help="synthetic videos to the paper's seven-row table, end to end")
    sizes = "tiny (a minute), demo (minutes, default), study (an hour a seed) or full (needs a GPU)"
    demo.add_argument("--size", default="demo", help=sizes)
    demo.add_argument("--out", type=Path, help="folder for everything (default: runs/SIZE)")
    demo.add_argument("--rows", nargs="+", metavar="ROW", help="rows of the table, by id (default: all)")
    demo.add_argument("--seeds", nargs="+", type=int, default=[0], metavar="SEED", help="one set of runs for each")
    _add_workers(demo)
    demo.set_defaults(run=commands.demo, resumes=True)

    _add_synth(parsers)
    _add_prepare(parsers)

    inspect = parsers.add_parser("inspect", help="pictures of a clip store: faces, landmarks, sizes, lengths")
    inspect.add_argument("store", type=Path, metavar="STORE", help="folder of the clip store")
    inspect.add_argument("--root", type=Path, help="data root; draws the frames with their landmarks, too")
    inspect.add_argument(
        "--against", type=Path, metavar="STORE", help="say how its crops differ from the training videos of this store"
    )
    inspect.add_argument("--out", type=Path, required=True, help="folder of the pictures")
    inspect.set_defaults(run=commands.inspect)

    _add_data(parsers)

    _add_study(parsers)

    recipe = parsers.add_parser("recipe", help="show a recipe: every value, where it comes from, what it means")
    recipe.add_argument("action", choices=["show"])
    _add_recipe(recipe, "recipe", nargs="?")
    recipe.set_defaults(run=commands.show_recipe)

    _add_evaluate(parsers)
    _add_robustness(parsers)
    _add_checkpoint(parsers)
    _add_predict(parsers)
    _add_app(parsers)

    report = parsers.add_parser("report", help="tables and figures of studies, from their run records alone")
    report.add_argument("folder", type=Path, metavar="DIR", help="a study, or the folder of several")
    report.add_argument("--out", type=Path, help="folder for report and figures (default: each study's own)")
    report.add_argument(
        "--reference", metavar="ROW", help="compare all rows with this one (default: the comparisons stated beforehand)"
    )
    report.add_argument("--store", type=Path, help="folder of the clip store, for the attention maps")
    report.add_argument("--summary", type=Path, metavar="DIR", help="also copy plans, records and scores there")
    report.set_defaults(run=commands.report)

    power = parsers.add_parser("power", help="how many seeds and targets a difference needs, from records of a study")
    power.add_argument("--records", type=Path, required=True, metavar="DIR", help="a study, or the folder of several")
    power.add_argument("--difference", type=float, default=2.0, metavar="POINTS", help="of AUC to be seen (default: 2)")
    power.add_argument("--power", type=float, default=0.8, help="share of such studies that see it (default: 0.8)")
    power.add_argument("--reference", metavar="ROW", help="all rows against this one (default: as stated beforehand)")
    power.set_defaults(run=commands.power)
    return parser


def _add_synth(parsers: Any) -> None:
    synth = parsers.add_parser("synth", help="write the synthetic benchmark as the data sets' owners ship theirs")
    synth.add_argument("--size", default="demo", help="tiny, demo, study or full")
    synth.add_argument("--out", type=Path, required=True, help="folder that gets the trees")
    synth.add_argument("--seed", type=int, default=0, help="of everything that is drawn")
    synth.add_argument("--strength", type=float, default=1.0, help="of the forgeries' artefacts; 0 leaves none")
    synth.add_argument("--language", default="en", help="en or ko")
    synth.add_argument(
        "--half-forged",
        type=int,
        metavar="N",
        help="instead, a test set of N videos that are forged in parts, and their reals, laid out as LAV-DF",
    )
    _add_workers(synth)
    synth.set_defaults(run=commands.synth, resumes=True)


def _add_prepare(parsers: Any) -> None:
    prepare = parsers.add_parser("prepare", help="data sets in their owners' layouts to a store of aligned clips")
    prepare.add_argument("--root", type=Path, required=True, help="data root (data/README.md)")
    prepare.add_argument("--out", type=Path, required=True, help="folder of the clip store")
    _add_recipe(prepare, "--recipe", "; gives size and frame rate")
    prepare.add_argument(
        "--mean-face",
        type=Path,
        metavar="FILE.npy",
        help="68 points, px of the canvas, to align to (default: computed)",
    )
    prepare.add_argument(
        "--compact", action="store_true", help="keep frames in a third of the bytes, without loss; slower to read"
    )
    prepare.add_argument(
        "--frames",
        type=int,
        default=0,
        metavar="N",
        help="keep the first N frames of training videos and of FaceForensics++ (110 are scored; default: all)",
    )
    _add_landmarks(prepare)
    _add_workers(prepare)
    _add_engine(prepare)
    prepare.set_defaults(run=commands.prepare_store, resumes=True)


def _add_study(parsers: Any) -> None:
    study = parsers.add_parser("study", help="train and score the rows of a study on a clip store")
    study.add_argument("name", metavar="NAME", help="table, ssl-weight, audit, ablation or few-labels")
    study.add_argument("--store", type=Path, required=True, help="folder of the clip store")
    study.add_argument("--out", type=Path, required=True, help="folder of all runs; studies in one folder share them")
    _add_recipe(study, "--recipe")
    study.add_argument(
        "--devices",
        type=int,
        metavar="N",
        help="GPUs a run (processes on a CPU) that train one network together (default: 1); machine.devices for short. "
        "Begun by torchrun or srun, all their processes do",
    )
    study.add_argument("--rows", nargs="+", metavar="ROW", help="rows of the study, by id (default: all)")
    study.add_argument("--seeds", nargs="+", type=int, default=[0], metavar="SEED", help="one set of runs for each")
    _add_workers(study)
    _add_engine(study)
    study.set_defaults(run=commands.study, resumes=True)


def _add_data(parsers: Any) -> None:
    data = parsers.add_parser("data", help="check the data sets on a disk, write a manifest, or fetch lists")
    actions = data.add_subparsers(dest="action", required=True, metavar="ACTION")

    check = actions.add_parser(
        "check",
        help="counts, missing, unexpected and unreadable videos; exit code 0 complete, 1 incomplete, 2 unusable",
    )
    check.add_argument("root", type=Path, nargs="?", metavar="ROOT", help="data root (data/README.md)")
    check.add_argument(
        "--store", type=Path, help="a clip store in place of ROOT: every stored array is read and held to its digest"
    )
    check.add_argument("--json", type=Path, metavar="FILE", help="write the whole report there")
    check.add_argument(
        "--deep", action="store_true", help="decode the first frame of every video, not its header alone"
    )
    _add_workers(check)
    check.set_defaults(run=commands.check_data)

    manifest = actions.add_parser("manifest", help="a first manifest.csv of any folder of videos, guessed from names")
    manifest.add_argument("folder", type=Path, metavar="FOLDER", help="of the videos; it gets the manifest")
    manifest.set_defaults(run=commands.first_manifest)

    fetch = actions.add_parser("fetch-splits", help="the official split lists of FaceForensics++, into their place")
    fetch.add_argument("root", type=Path, metavar="ROOT", help="data root (data/README.md)")
    fetch.add_argument("--url", help="folder of a mirror (default: the owners' repository)")
    fetch.set_defaults(run=commands.fetch_lists)


def _add_checkpoint(parsers: Any) -> None:
    checkpoint = parsers.add_parser("checkpoint", help="bring published weights in, look at weights, or hand them on")
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
    load.set_defaults(run=commands.import_weights)

    show = actions.add_parser("show", help="what weights hold")
    show.add_argument("weights", metavar="WEIGHTS", help=f"of a finished stage, or imported ones: {_WEIGHTS}")
    show.set_defaults(run=commands.show_weights)

    shipped = actions.add_parser("list", help="the weights that come with tdd: detectors of drawn faces")
    shipped.set_defaults(run=commands.list_weights)

    export = actions.add_parser("export", help="a detector as a repository of the Hugging Face Hub; uploads nothing")
    export.add_argument("weights", metavar="WEIGHTS", help=f"of stage 2: {_WEIGHTS}")
    export.add_argument("--hub", type=Path, required=True, metavar="OUT", help="new folder for weights and model card")
    export.add_argument("--half", action="store_true", help="half precision: half the size")
    export.set_defaults(run=commands.export_weights)


def _add_evaluate(parsers: Any) -> None:
    evaluate = parsers.add_parser("evaluate", help="score a clip store's test videos with stage-2 weights")
    evaluate.add_argument("--checkpoint", required=True, metavar="WEIGHTS", help=f"of stage 2: {_WEIGHTS}")
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
    evaluate.set_defaults(run=commands.evaluate)


def _add_robustness(parsers: Any) -> None:
    robustness = parsers.add_parser("robustness", help="AUC by level of seven corruptions of the test videos")
    robustness.add_argument("--root", type=Path, required=True, help="data root that the store was made from")
    robustness.add_argument("--store", type=Path, required=True, help="folder of the clip store")
    robustness.add_argument("--checkpoint", required=True, metavar="WEIGHTS", help=f"of stage 2: {_WEIGHTS}")
    robustness.add_argument("--out", type=Path, required=True, help="folder for clip logits, table, figure and record")
    robustness.add_argument("--corruptions", nargs="+", default=[], metavar="CODE", help="CS CC BW GNC GB PIX VC")
    robustness.add_argument("--levels", nargs="+", type=int, default=[], metavar="LEVEL", help="1 to 5 (default: all)")
    robustness.add_argument("--videos", type=int, default=0, metavar="N", help="of each class, drawn (default: all)")
    robustness.add_argument("--seed", type=int, default=0, help="of everything that is drawn")
    _add_selection(robustness)
    _add_workers(robustness)
    robustness.set_defaults(run=commands.robustness)


def _add_selection(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--datasets", nargs="+", default=[], metavar="NAME", help="data sets (default: all but LRW)")
    parser.add_argument("--methods", nargs="+", default=[], metavar="NAME", help="forgery methods (default: all)")


def _add_predict(parsers: Any) -> None:
    predict = parsers.add_parser("predict", help="score a video, or a folder of videos, with stage-2 weights")
    predict.add_argument("video", type=Path, metavar="VIDEO", help="a video file, or a folder of them")
    predict.add_argument("--checkpoint", required=True, metavar="WEIGHTS", help=f"of stage 2: {_WEIGHTS}")
    predict.add_argument(
        "--landmarks",
        type=Path,
        metavar="FILE.npy",
        help="68 points in every frame, px, shape (frames, 68, 2); for a folder: the folder that holds them under the "
        "videos' names, a.npy or a.mp4.npy for a.mp4 (default: found)",
    )
    _add_finder(predict)
    predict.add_argument(
        "--mean-face", type=Path, metavar="FILE.npy", help="what faces are aligned to, where the weights do not hold it"
    )
    predict.add_argument("--json", type=Path, metavar="FILE", help="write the whole prediction there")
    predict.add_argument("--png", type=Path, metavar="FILE", help="draw the clip scores over time there")
    predict.add_argument("--csv", type=Path, metavar="FILE", help="one row a video; needed for a folder")
    predict.set_defaults(run=commands.predict)


def _add_app(parsers: Any) -> None:
    app = parsers.add_parser("app", help="a page in the browser for one video: upload or record it, see its score")
    app.add_argument(
        "--checkpoint", default=_DRAWN, metavar="WEIGHTS", help=f"of stage 2: {_WEIGHTS} (default: {_DRAWN})"
    )
    _add_finder(app)
    app.add_argument("--mean-face", type=Path, metavar="FILE.npy", help="where the weights do not hold it")
    app.add_argument("--port", type=int, metavar="N", help="of the page, on this machine alone (default: a free one)")
    app.set_defaults(run=commands.app)


def _add_recipe(parser: argparse.ArgumentParser, name: str, use: str = "", **how: Any) -> None:
    parser.add_argument(name, default="paper", help=f"a recipe's name or file{use} (default: paper)", **how)
    parser.add_argument(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        metavar="SETTING=VALUE",
        help="change settings of the recipe, as machine.workers=8; their names: tdd recipe show",
    )


def _add_workers(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--workers",
        type=_workers,
        metavar="N",
        help="processes (default: one a core; 1: this process alone; at most two a core, and as many as memory holds)",
    )


def _workers(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of processes; give 1 or more, or leave it out")
    return int(text)


def _add_landmarks(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--landmarks",
        choices=["auto", "given"],
        default="auto",
        help="find them where none are given, or take given ones alone (default: auto)",
    )
    _add_finder(parser)


def _add_finder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--detector",
        default="sfd",
        help="of faces: sfd (default), blazeface, retinaface or yunet, with face-alignment's landmarks; or dlib, with "
        "its own, which needs no download and no GPU, and is weaker on faces seen from the side, wide open mouths and "
        "small faces",
    )
    parser.add_argument(
        "--weights", type=Path, metavar="FOLDER", help="of what finds landmarks (default: the cache, or dlib's package)"
    )
    parser.add_argument(
        "--longest-gap", type=float, default=0.4, metavar="SECONDS", help="without a face, filled in (default: 0.4)"
    )


def _add_engine(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--engine", choices=["local", "ray"], default="local", help="this machine's processes, or a Ray cluster"
    )
    parser.add_argument("--ray-address", metavar="HOST:PORT", help="of the cluster (default: RAY_ADDRESS, else here)")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; a user's error is one sentence and exit code 2."""
    replace_unknown_characters()
    args = build_parser().parse_args(arguments)
    try:
        with termination_raised():
            code = args.run(args, make_console())
    except AlreadySaidError:
        return USER_ERROR
    except TddError as error:
        make_console(stderr=True).print(f"tdd: {legible(str(error))}", style="red")
        return USER_ERROR
    except OSError as error:  # what no command foresees: a path of another user, a name that is too long
        said = f"{error.filename or 'a file'} cannot be used ({error.strerror or error})."
        make_console(stderr=True).print(f"tdd: {legible(said)}", style="red")
        return USER_ERROR
    except Exception as error:
        if not out_of_memory(error):
            raise
        make_console(stderr=True).print(f"tdd: {NO_MEMORY} ({legible(str(error))}).", style="red")
        return USER_ERROR
    except KeyboardInterrupt:
        said = "Interrupted; the same command goes on from here." if "resumes" in args else "Interrupted."
        make_console(stderr=True).print(said)
        return INTERRUPTED
    except Terminated:
        said = "; the same command goes on from here." if "resumes" in args else "."
        make_console(stderr=True).print(f"Ended by SIGTERM{said}")
        return TERMINATED
    return code or 0


if __name__ == "__main__":
    sys.exit(main())
