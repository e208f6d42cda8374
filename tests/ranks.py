"""Several processes that have met, in which a test calls a function; and runs in double precision, to compare them."""

import multiprocessing
import tempfile
import traceback
from pathlib import Path

import torch

import tdd.detect
import tdd.evaluation.evaluate
import tdd.pretrain
import tdd.training.auxiliary
from tdd.config import load_recipe, override
from tdd.data.store import ClipStore
from tdd.machine.ranks import Place, appoint, join, leave, rank
from tdd.models import AudioResNet
from tdd.records.plans import TABLE

SECONDS = 300
ROWS = {row.id: row for row in TABLE.rows}

_fresh = multiprocessing.get_context("forkserver")  # imports torch once, before any of its threads exist
_fresh.set_forkserver_preload([__name__])


def in_ranks(world, function, *arguments):
    """What ``function(*arguments)`` returns in each of ``world`` processes that have met, or what it raises there."""
    with tempfile.TemporaryDirectory() as folder:
        heard = _fresh.SimpleQueue()
        processes = [
            _fresh.Process(target=_rank, args=(place, heard, function, arguments), daemon=True)
            for place in (Place(n, world, n, (Path(folder) / "meet").as_uri()) for n in range(world))
        ]
        for process in processes:
            process.start()
        found = dict(heard.get() for _ in processes)
        for process in processes:
            process.join(SECONDS)
        return [found[number] for number in range(world)]


def _rank(place, heard, function, arguments):
    torch.set_num_threads(1)
    appoint(place)
    join(gpu=False)
    try:
        heard.put((place.rank, function(*arguments)))
        leave()
    except Exception as error:
        traceback.print_exc()
        heard.put((place.rank, error))


def exact(**settings):
    """The tiny recipe in double precision, in which two orders of addition differ by nothing that shows."""
    return override(load_recipe("tiny"), {"machine.precision": "64-true"} | settings)


def in_double():
    """Let clips come in double precision, too."""
    for module in (tdd.pretrain, tdd.detect, tdd.training.auxiliary, tdd.evaluation.evaluate):
        normalise = module.normalise
        module.normalise = lambda video, normalise=normalise: normalise(video).double()
    hear, measure = AudioResNet.forward, tdd.detect.Auxiliary.measure_positions
    tdd.detect.Auxiliary.measure_positions = lambda auxiliary, views: measure(auxiliary.double(), views)
    AudioResNet.forward = lambda network, log_mel: hear(network, log_mel.double())


def stage1(store, run, recipe, backbone="cnn_gru_attention", seeds=(0, 0)):
    """Stage 1 in double precision; each process with its own of ``seeds``."""
    in_double()
    return tdd.pretrain.pretrain(ClipStore(store), backbone, recipe, run, seeds[rank()])


def stage2(store, run, recipe, first):
    """Stage 2 in double precision."""
    in_double()
    return tdd.detect.detect(ClipStore(store), ROWS["ssl_0.3"], recipe, run, first)
