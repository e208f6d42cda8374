"""Weights from the Hugging Face Hub, and to it: packed weights with a model card. Nothing is uploaded here."""

from __future__ import annotations

from pathlib import Path

from tdd.errors import TddError
from tdd.machine.files import write_atomically
from tdd.records.record import RECORD
from tdd.weights.card import model_card
from tdd.weights.checkpoints import AUDIO, PACKED_INFO, PACKED_WEIGHTS, import_weights
from tdd.weights.packed import pack_weights

SCHEME = "hf://"
CARD = "README.md"


def export_to_hub(run: Path, out: Path, precision: str | None = None) -> Path:
    """Write a detector as a repository of the Hugging Face Hub: ``model.safetensors``, ``config.json``, ``record.json``
    and the model card ``README.md``; ``hf upload USER/NAME OUT`` puts it there.

    Args:
        run: folder of stage-2 weights.
        out: new or empty folder, which :func:`tdd.weights.checkpoints.import_weights` reads as well. What it holds is
            what gets uploaded, and the card is called README.md.
        precision: as :func:`tdd.weights.packed.pack_weights`.

    Returns:
        ``out``.

    Raises:
        TddError: no stage-2 weights in ``run``, an ``out`` that is a file or holds something, or that cannot be
            written.
    """
    if out.is_file() or (out.is_dir() and any(not path.name.startswith(".") for path in out.iterdir())):
        raise TddError(f"{out} is there already and holds something, which would be overwritten; give a new folder.")
    import_weights(run, "stage2")  # a card of a video classifier fits nothing else
    card = model_card(pack_weights(run, out, precision), import_weights(out).mean_face is not None)
    write_atomically(out / CARD, card.encode())
    return out


def fetch_weights(address: str) -> Path:
    """The folder of weights behind ``hf://USER/NAME`` or ``hf://USER/NAME@REVISION``, downloaded or in the Hub's cache.

    Raises:
        TddError: no such address, huggingface_hub is not installed, or the Hub does not give the files.
    """
    repository, _, revision = address.removeprefix(SCHEME).partition("@")
    if len([part for part in repository.split("/") if part]) != 2 or repository.count("/") != 1:
        raise TddError(f"{address} names no repository of the Hugging Face Hub; write {SCHEME}USER/NAME.")
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise TddError(
            f"{address} needs the package huggingface_hub: install it (pip install huggingface_hub); or fetch the "
            f"files in another way and name their folder: {PACKED_INFO} and {PACKED_WEIGHTS}."
        ) from error
    wanted = [PACKED_INFO, PACKED_WEIGHTS, RECORD, CARD, f"{AUDIO}/*"]
    try:
        return Path(snapshot_download(repository, revision=revision or None, allow_patterns=wanted))
    except Exception as error:  # its own errors, those of the network's library, and of the disk
        said = str(error).strip().partition("\n")[0]
        raise TddError(
            f"{address} could not be fetched ({type(error).__name__}: {said}); check the name and the network, or "
            f"fetch it where there is one (hf download {repository} --local-dir DIR) and name that folder."
        ) from error
