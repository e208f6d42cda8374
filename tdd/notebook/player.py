"""Films inside a page: two beside each other on one clock, chosen from a list, without a kernel and without a server.

Three kinds of page have to be served. Where scripts run (Jupyter with a kernel, a trusted notebook, Colab, a static
site), the two films share one set of controls: play, one frame back or on, a place in time, slow motion; of more than
two films each side has a list. Where scripts do not run (an untrusted notebook), two plain players stand there. Where
no film is shown at all (GitHub), the strip of frames below is what is left (:func:`tdd.notebook.page.play`).
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from tdd.data.clock import FPS
from tdd.data.video import write_video

SIDE_BY_SIDE = 2


def film_page(films: Mapping[str, np.ndarray], audio: np.ndarray | None, width: int) -> str:
    """HTML that plays the films; each is in it once, as H.264.

    Args:
        films: a name to its frames at 25 fps, RGB uint8, shape (T, H, W, 3), H and W even.
        audio: of each, mono at 16 kHz, float in [-1, 1], shape (N,); ``None`` for silence.
        width: of a player at most, px; on a narrow page they become narrower.
    """
    sources = {name: _source(frames, audio) for name, frames in films.items()}
    shown = dict(list(sources.items())[:SIDE_BY_SIDE])
    players = "".join(_player(name, source, audio is None, width) for name, source in shown.items())
    others = {name: source for name, source in sources.items() if name not in shown}
    script = _script(others) if len(shown) == SIDE_BY_SIDE else ""
    return (
        f'<div class="tdd-films"><div style="display: flex; flex-wrap: wrap; gap: 12px">{players}</div>{script}</div>'
    )


def _source(frames: np.ndarray, audio: np.ndarray | None) -> str:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "film.mp4"
        # Small rather than quick: the bytes stand in the page, which is committed.
        write_video(path, frames, audio=audio, crf=25, preset="slow")
        return f"data:video/mp4;base64,{b64encode(path.read_bytes()).decode()}"


def _player(name: str, source: str, silent: bool, width: int) -> str:
    start = "muted autoplay" if silent else ""  # browsers start nothing by themselves that can be heard
    return (
        f'<figure style="margin: 0; flex: 1 1 280px; max-width: {width}px"><video controls loop playsinline {start} '
        f'aria-label="Film: {escape(name)}" title="{escape(name)}" style="width: 100%" src="{source}"></video>'
        f"<figcaption>{escape(name)}</figcaption></figure>"
    )


def _script(others: Mapping[str, str]) -> str:
    """The other films, and what ties the two players together."""
    listed = json.dumps(list(others.items())).replace("<", "\\u003c")  # a name must not end the script
    code = _CODE.replace("FPS", str(FPS))
    return f'<script type="application/json">{listed}</script><script>{code}</script>'


_CODE = """
(() => {
  const make = (tag, facts) => Object.assign(document.createElement(tag), facts);
  for (const box of document.querySelectorAll(".tdd-films:not([data-ready])")) {
    const others = box.querySelector("script[type='application/json']");
    if (!others) continue;
    box.dataset.ready = "yes";
    const sides = [...box.querySelectorAll("video")], [left, right] = sides;
    const films = [...sides.map(side => [side.title, side.src]), ...JSON.parse(others.textContent)];
    const length = () => Math.min(...sides.map(side => side.duration || Infinity));
    const last = () => Math.max(0, Math.round(length() * FPS) - 1);
    const frame = () => Math.min(last(), Math.floor(left.currentTime * FPS + 0.01));
    const stop = () => sides.forEach(side => side.pause());
    const seek = place => sides.forEach(side => { side.currentTime = place; });
    const step = count => { stop(); seek((Math.min(last(), Math.max(0, frame() + count)) + 0.5) / FPS); };
    const start = () => { right.currentTime = left.currentTime; sides.forEach(side => side.play().catch(() => {})); };

    const go = make("button", { title: "play or pause" });
    const back = make("button", { textContent: "◀ frame", onclick: () => step(-1) });
    const on = make("button", { textContent: "frame ▶", onclick: () => step(1) });
    const place = make("input", { type: "range", min: 0, value: 0, title: "place in time" });
    const count = make("span", {});
    const speed = make("select", { title: "speed" });
    for (const [text, value] of [["full speed", 1], ["half speed", 0.5], ["quarter speed", 0.25]])
      speed.append(make("option", { textContent: text, value }));
    const show = () => {
      go.textContent = left.paused ? "▶ play" : "❚❚ pause";
      place.max = last(); place.value = frame();
      count.textContent = `frame ${frame() + 1} of ${last() + 1}`;
    };
    const watch = () => {
      show();
      if (left.paused) return;
      if (left.ended || right.ended || left.currentTime >= length()) { seek(0); start(); }
      else if (!right.seeking && Math.abs(left.currentTime - right.currentTime) > 0.5 / FPS)
        right.currentTime = left.currentTime;
      requestAnimationFrame(watch);
    };
    go.onclick = () => left.paused ? start() : stop();
    place.oninput = () => { stop(); seek((+place.value + 0.5) / FPS); };
    speed.onchange = () => sides.forEach(side => { side.defaultPlaybackRate = side.playbackRate = +speed.value; });
    left.addEventListener("play", watch);
    for (const kind of ["pause", "seeked", "loadedmetadata"]) left.addEventListener(kind, show);
    right.addEventListener("loadedmetadata", show);
    right.muted = true;  // one sound is enough
    sides.forEach((side, number) => {
      side.controls = side.loop = false;
      if (films.length < 3) return;
      const list = make("select", { style: "font-size: 1.1em" });
      list.setAttribute("aria-label", number ? "right film" : "left film");
      films.forEach(([name], value) => list.append(make("option", { textContent: name, value })));
      list.value = number;
      list.onchange = () => {
        const moment = left.currentTime, playing = !left.paused;
        stop();
        [side.title, side.src] = films[list.value];
        side.setAttribute("aria-label", `Film: ${side.title}`);
        side.addEventListener("loadeddata", () => { seek(moment); if (playing) start(); }, { once: true });
      };
      side.nextElementSibling.replaceChildren(list);
    });
    const bar = make("div", { style: "display: flex; flex-wrap: wrap; gap: 8px; align-items: center; margin: 6px 0" });
    place.style.flex = "1 1 160px"; place.style.maxWidth = "320px";
    bar.append(go, back, on, place, count, speed);
    box.append(bar);
    show();
    if (!left.paused) watch();
  }
})();
"""
