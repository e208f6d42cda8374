"""The page in a browser: upload or record a video, see its score, timeline and driving clips. All on this machine.

    tdd app                                      # the detector of drawn faces that comes with tdd
    tdd app --checkpoint runs/mine/stage2/x      # another

Needs Gradio, the extra ``app``. Nothing is sent anywhere: no public link, no statistics, no fonts from elsewhere; what
was uploaded is deleted when the program ends.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

from tdd.app.page import NOT_MEANT, Page, judge
from tdd.errors import TddError
from tdd.evaluation.predict import VideoScorer
from tdd.machine.kit import install_command

HERE = "127.0.0.1"
FONTS = ["system-ui", "sans-serif"]
CLIPS = 3


def load_gradio() -> Any:
    """The library, told to send nothing.

    Raises:
        TddError: it is not installed.
    """
    # Read when it is imported.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    try:
        import gradio
    except ImportError as error:
        raise TddError(f"The page needs Gradio ({error}); install it with: {install_command('app')}") from error
    return gradio


def build(scorer: VideoScorer, folder: Path) -> Any:
    """The page as Gradio's blocks.

    Args:
        scorer: the detector.
        folder: for what is made for the page.

    Raises:
        TddError: Gradio is not installed.
    """
    gr = load_gradio()

    def score(video: str | None, landmarks: str | None) -> list[Any]:
        place = Path(tempfile.mkdtemp(dir=folder))
        page = judge(video, landmarks, lambda: scorer, place)
        films = [gr.Video(value=str(clip.film), label=clip.caption, visible=True) for clip in page.clips]
        films += [gr.Video(value=None, visible=False)] * (CLIPS - len(films))
        timeline = gr.Image(value=page.timeline and str(page.timeline), visible=page.timeline is not None)
        return [said(page), timeline, gr.Markdown(visible=bool(page.clips)), *films]

    with gr.Blocks(title="tdd: one video", analytics_enabled=False) as blocks:
        gr.HTML(
            f"<h1>One video, scored clip by clip</h1><p>{escape(about(scorer))}</p>"
        )  # others' weights name a recipe
        with gr.Row():
            with gr.Column(scale=2):
                video = gr.Video(sources=["upload", "webcam"], label="A video with one face", height=280)
                with gr.Accordion("Landmarks of your own", open=False):
                    points = gr.File(file_types=[".npy"], label="68 points a frame, shape (frames, 68, 2), px")
                button = gr.Button("Score it", variant="primary")
                limits = "\n".join(f"- {sentence}" for sentence in NOT_MEANT)
                gr.Markdown(f"### What the score does not mean\n\n{limits}")
            with gr.Column(scale=3):
                words = gr.HTML("The score comes here.")
                timeline = gr.Image(visible=False, show_label=False, buttons=["fullscreen"])
                heading = gr.Markdown("### The clips that drove the score", visible=False)
                with gr.Row():
                    films = [gr.Video(visible=False, autoplay=True, loop=True, height=200) for _ in range(CLIPS)]
        button.click(score, [video, points], [words, timeline, heading, *films], api_name="score", concurrency_limit=1)
    return blocks


def about(scorer: VideoScorer) -> str:
    """What detector this is."""
    kind = "of drawn faces: on videos of people its score is at most a rank" if scorer.synthetic else "of filmed faces"
    kind = kind if scorer.synthetic is not None else "whose training data is not known"
    return f"A detector {kind}. Network {scorer.backbone}, recipe {scorer.recipe.name}. Nothing leaves this machine."


def said(page: Page) -> str:
    """The words of a page, as HTML in which no name of a file is markup."""
    if page.refused:
        return f"<p role='alert'><b>Not scored.</b> {escape(page.refused)}</p>"
    warnings = "".join(f"<li>{escape(one)}</li>" for one in page.warnings)
    before = f"<p><b>Read this first</b></p><ul>{warnings}</ul>" if warnings else ""
    return f"{before}<h2>{escape(page.headline)}</h2><p>{escape(page.meaning)}</p>"


def run_app(
    scorer: VideoScorer, port: int | None = None, say: Callable[[str], None] = print, block: bool = True
) -> Any:
    """Serve the page to this machine alone, until interrupted.

    Args:
        scorer: the detector.
        port: of the page; a free one from 7860 on when ``None``.
        say: called with the sentence that names the page's address.
        block: wait until interrupted; else return at once.

    Returns:
        the blocks, to be closed, where it does not wait.

    Raises:
        TddError: Gradio is not installed, or the port is taken.
    """
    gr = load_gradio()
    folder = Path(tempfile.mkdtemp(prefix="tdd-app-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)  # however the page ends
    os.environ["GRADIO_TEMP_DIR"] = str(folder)
    blocks = build(scorer, folder)
    try:
        _, address, _ = blocks.launch(
            server_name=HERE, server_port=port, share=False, quiet=True, prevent_thread_lock=True,
            footer_links=[], run_history=False, allowed_paths=[str(folder)],
            theme=gr.themes.Default(font=FONTS, font_mono=["monospace"]),
        )  # fmt: skip
    except (OSError, OverflowError) as error:
        raise TddError(f"The page cannot be served ({error}); choose another port with --port.") from error
    say(f"The page is at {address}; Ctrl-C ends it.")
    if not block:
        return blocks
    try:
        blocks.block_thread()
    finally:
        blocks.close()
        shutil.rmtree(folder, ignore_errors=True)
    return None
