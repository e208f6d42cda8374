"""Networks at a recipe's size: what its section ``model`` may say."""

import pytest

from tdd.config import load_recipe, override
from tdd.errors import TddError
from tdd.models.build import audio_network, build_predictor, video_backbone

RECIPE = load_recipe("tiny")


def of(section, name, value):
    place = f"model.{section}.{name}"
    return override(RECIPE, {place: value})


@pytest.mark.parametrize("name", ["csn", "cnn_lstm", "cnn_gru_attention", "vivit"])
def test_sizes_under_a_name_that_no_network_has_are_refused_whichever_is_built(name):
    """Passed over, they would leave a network at its published size, ten times the one that was meant."""
    with pytest.raises(
        TddError, match=r"model\.backbones holds 'cnn_gru'.*by the name of a network: cnn_gru_attention"
    ):
        video_backbone(name, of("backbones", "cnn_gru.hidden", 8))


@pytest.mark.parametrize(
    ("build", "recipe", "sentence"),
    [
        (audio_network, of("audio", "widht", 4), r"model\.audio takes no widht; it takes width, layers\."),
        (audio_network, of("audio", "layers", 3), r"model\.audio makes no network"),
        (audio_network, of("audio", "width", 0), "audio: width must hold positive integers"),
        (build_predictor, of("predictor", "head", 2), r"model\.predictor takes no head; it takes dim, heads, "),
        (build_predictor, of("predictor", "out_channels", 2), r"model\.predictor takes no out_channels"),
    ],
)
def test_sizes_that_make_no_network_are_told_in_a_sentence(build, recipe, sentence):
    with pytest.raises(TddError, match=sentence):
        build(recipe)


@pytest.mark.parametrize(
    ("sizes", "sentence"),
    [
        (4, r"model\.backbones holds 'csn': 4; give keyword arguments"),
        ({"stages": 3}, r"model\.backbones\.csn makes no network"),
        ({"depth": 3}, "csn takes no argument depth"),
    ],
)
def test_sizes_of_a_backbone_are_its_keyword_arguments(sizes, sentence):
    with pytest.raises(TddError, match=sentence):
        video_backbone("csn", override(RECIPE, {"model.backbones": {"csn": sizes}}))
