import pytest
import torch

from tdd.training.collapse import (
    CollapseWatch,
    clip_retrieval,
    collapse_warnings,
    feature_spread,
    frame_retrieval,
    retrieval_chance,
    variance_split,
)


def test_spread_is_one_for_noise_and_zero_for_a_constant():
    noise = torch.randn(64, 128, 10, generator=torch.Generator().manual_seed(0))
    assert feature_spread(noise) == pytest.approx(1, abs=0.02)
    assert feature_spread(torch.ones(64, 128, 10)) == pytest.approx(0, abs=1e-4)


def test_retrieval_of_the_clip_itself_is_perfect_and_of_noise_is_chance():
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(640, 16, 5, generator=generator), torch.randn(640, 16, 5, generator=generator)
    assert clip_retrieval(a, 3 * a) == 1
    assert clip_retrieval(a, b) == pytest.approx(1 / 32, abs=0.03)


@pytest.mark.parametrize("clips", [5, 32, 40, 96])
def test_a_wrong_order_is_never_right(clips):
    a = torch.randn(clips, 16, 5, generator=torch.Generator().manual_seed(0))
    assert clip_retrieval(a, a) == 1
    assert clip_retrieval(a, a.roll(1, 0)) == 0


@pytest.mark.parametrize(("clips", "chance"), [(1, 1), (4, 1 / 4), (32, 1 / 32), (40, 1 / 40), (100, 3 / 100)])
def test_chance_is_what_retrieval_finds_without_knowing(clips, chance):
    """The last group takes the clips that are left over: 40 are compared with one another, and 36 of 100."""
    rng = torch.Generator().manual_seed(0)
    draws = range(4000 // clips)
    found = [clip_retrieval(*torch.randn(2, clips, 4, 1, generator=rng).unbind()) for _ in draws]
    assert retrieval_chance(clips) == pytest.approx(chance)
    assert sum(found) / len(found) == pytest.approx(chance, abs=0.025)


@pytest.mark.parametrize(
    ("clips", "said"), [(4, "(chance 25.0%)"), (2, "(chance 50.0%)"), (1, None), (40, None), (320, None)]
)
def test_the_watch_goes_by_the_chance_of_the_clips_that_it_looks_at(clips, said):
    found = collapse_warnings(history(retrieval=[0.25, 0.25], position_share=[0.3, 0.9]), 60, clips)
    assert bool(found) == (said is not None) and all(said in sentence for sentence in found)
    assert CollapseWatch(60, clips).warnings(history(retrieval=[0.25, 0.25], position_share=[0.3, 0.9])) == found
    fallen = collapse_warnings(history(retrieval=[0.9, 0.3]), 60, clips)
    assert bool(fallen) == (clips > 1) and all(f"(chance {100 / clips:.1f}%)" in one for one in fallen if clips < 64)


def test_frame_retrieval_needs_features_that_follow_time():
    a = torch.randn(4, 16, 25, generator=torch.Generator().manual_seed(0))
    assert frame_retrieval(a, a) == 1
    assert frame_retrieval(a.mean(2, keepdim=True).expand_as(a), a) == pytest.approx(1 / 25)


def history(**values):
    """One entry an epoch; ``None`` where nothing was measured."""
    rows = zip(*values.values(), strict=True)
    return [
        {"epoch": epoch} | {key: value for key, value in zip(values, row, strict=True) if value is not None}
        for epoch, row in enumerate(rows)
    ]


@pytest.mark.parametrize(
    ("values", "words", "said"),
    [
        ({"target_std": [0.15, 0.24, 0.32, 0.7, 0.6]}, 60, None),  # a low start that rises, as healthy runs have
        ({"target_std": [0.9, 0.7, 0.29]}, 60, "after epoch 3 the spread of the targets is 0.29"),
        ({"target_std": [0.1, 0.1, 0.05]}, 60, "after epoch 2 the spread"),  # never spread out at all
        ({"target_std": [0.9, None, 0.1]}, 60, "after epoch 3 the spread"),
        ({"target_std": [0.9, float("nan")]}, 60, "after epoch 2 the spread of the targets is nan"),
        ({"retrieval": [0.03, 0.5, 0.45, 0.3]}, 60, None),
        ({"retrieval": [0.03, 0.5, 0.25]}, 60, "after epoch 3 clip retrieval is 25%, down from 50% (chance 3.1%)"),
        ({"retrieval": [0.03, 0.2, 0.03]}, 60, None),  # was never well above chance
        ({"retrieval": [0.03, 0.03], "position_share": [0.1, 0.59]}, 60, None),
        ({"retrieval": [0.03, 0.3], "position_share": [0.3, 0.9]}, 60, None),  # counts, and finds clips all the same
        (
            {"retrieval": [0.03, 0.04, 0.02], "position_share": [0.4, 0.63, 0.7]},
            60,
            "after epoch 2 the position in the clip explains 63% of the targets' variance, and clip retrieval is 4%",
        ),
        ({"prober": [0.1, 0.4, 0.02]}, 60, "after epoch 3 the word prober's accuracy is 2%, down from 40%"),
        ({"prober": [0.25, 0.4, 0.25]}, 4, None),
        ({"loss": [1.0, 2.0]}, 60, None),
        ({"target_std": []}, 60, None),
    ],
)
def test_the_watch_warns_of_what_fell_and_of_nothing_else(values, words, said):
    found = collapse_warnings(history(**values), words)
    assert len(found) == (said is not None)
    assert all(said in sentence and sentence.count(". ") == 0 and sentence.endswith(".") for sentence in found)


def test_each_warning_comes_once_and_earlier_ones_stay_first():
    whole = history(
        target_std=[0.9, 0.8, 0.7, 0.2, 0.1], retrieval=[0.5, 0.1, 0.1, 0.1, 0.1], prober=[0.4, 0.4, 0.4, 0.4, 0.1]
    )
    final = collapse_warnings(whole, 60)
    assert [len(collapse_warnings(whole[:epochs], 60)) for epochs in range(6)] == [0, 0, 1, 1, 2, 3]
    for epochs in range(6):
        part = collapse_warnings(whole[:epochs], 60)
        assert part == final[: len(part)]


@pytest.mark.parametrize("own", [0.31, 1.0, 3.0])
def test_the_mean_cosine_of_two_features_is_one_less_the_spread_squared(own):
    """The reason given for SPREAD_FLOOR."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(1, 256, 1, generator=generator) + own * torch.randn(400, 256, 1, generator=generator)
    unit = torch.nn.functional.normalize(features[:, :, 0], dim=1)
    cosine = ((unit @ unit.T).sum() - 400) / (400 * 399)
    assert cosine.item() == pytest.approx(1 - feature_spread(features) ** 2, abs=0.01)


def test_the_variance_of_targets_splits_into_place_clip_and_moment():
    rng = torch.Generator().manual_seed(0)
    clips, frames = torch.randn(200, 16, 1, generator=rng), torch.randn(1, 16, 25, generator=rng)
    noise = torch.randn(200, 16, 25, generator=rng)

    def shares(target):
        split = variance_split(target)
        assert sum(split.values()) == pytest.approx(1, abs=1e-5)
        return [split["position_share"], split["clip_share"], split["moment_share"]]

    assert shares(frames.expand(200, 16, 25)) == pytest.approx([1, 0, 0], abs=1e-5)
    assert shares(clips.expand(200, 16, 25)) == pytest.approx([0, 1, 0], abs=1e-5)
    assert shares(noise) == pytest.approx([1 / 200, 1 / 25, 1 - 1 / 200 - 1 / 25], abs=0.003)
    third = shares(frames + clips + noise)
    assert all(0.2 < share < 0.45 for share in third)
    assert variance_split(5 * noise)["moment_share"] == pytest.approx(variance_split(noise)["moment_share"], abs=1e-5)


def test_the_watch_takes_half_precision_and_words_that_training_does_not_say():
    rng = torch.Generator().manual_seed(0)
    target = torch.randn(40, 16, 25, generator=rng)
    watch = CollapseWatch(4)
    assert watch.compute() == {}
    for part in target.split(8):
        watch.update(part.bfloat16(), part.bfloat16(), part.bfloat16(), torch.tensor([0, 1, 2, 3] * 2), word(8))
    found = watch.compute()
    assert found["retrieval"] == found["retrieval_centred"] == found["frame_retrieval"] == 1
    assert found["prober"] == 0.5  # of the two known words of four, one is named right
    assert watch.compute() == {}


def word(clips):
    return torch.tensor([0, 3, -1, -1] * (clips // 4))


def test_retrieval_on_centred_targets_finds_clips_behind_what_all_of_them_share():
    rng = torch.Generator().manual_seed(0)
    shared, own = torch.randn(1, 16, 25, generator=rng), torch.randn(64, 16, 25, generator=rng)
    other = torch.randn(
        1, 16, 25, generator=rng
    )  # the prediction's own idea of the position: wrong, and the same for all
    watch = CollapseWatch(4)
    watch.update(9 * other + own, 9 * shared + own, own, torch.zeros(64), torch.zeros(64))
    found = watch.compute()
    assert found["position_share"] > 0.95 and found["retrieval_centred"] == 1 > found["retrieval"]
