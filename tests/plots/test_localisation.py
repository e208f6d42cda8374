"""The figure of when videos are forged."""

import numpy as np
from PIL import Image

from tdd.config import load_recipe
from tdd.evaluation.localisation import clip_times, localise
from tdd.evaluation.selection import Protocol
from tdd.plots.localisation import _best_overlap, _chosen, draw_localisation
from tests.evaluation.test_localisation import drawn, with_videos
from tests.stores import random_store


def test_the_figure_shows_forged_videos_from_the_best_found_on(tmp_path, monkeypatch):
    monkeypatch.setattr("tdd.evaluation.localisation.SHUFFLES", 2)
    clips = drawn(videos=24, sharp=2.0)
    store = with_videos(random_store(tmp_path / "store", faces=1, videos=2), clips)
    recipe, protocol = load_recipe("tiny"), Protocol()
    timed = clip_times(clips, store, recipe, protocol)
    chosen = _chosen(timed)
    assert len(chosen) == 8 and all(int(video[1:]) % 2 for video, _ in chosen)
    overlaps = [_best_overlap(group) for _, group in chosen]
    assert overlaps == sorted(overlaps, reverse=True) and overlaps[0] > overlaps[-1]
    known = localise(clips, store, recipe, protocol)["LAV-DF"]
    path = draw_localisation(known, timed, "LAV-DF $x$", tmp_path / "a.png", synthetic=True)
    pixels = np.asarray(Image.open(path).convert("RGB"), int)
    half = pixels.shape[1] * 2 // 5
    # The forged parts, orange on white, stand on the right alone.
    shaded = (pixels[..., 0] > 230) & (pixels[..., 0] - pixels[..., 2] > 40) & (pixels[..., 0] - pixels[..., 2] < 110)
    assert shaded[:, half:].sum() > 20 * max(1, shaded[:, :half].sum())
    assert path.stat().st_size < 200_000
