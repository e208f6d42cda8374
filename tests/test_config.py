import ast
import dataclasses
import math
import re
from pathlib import Path

import pytest
import yaml

import tdd
from tdd.config import (
    EVALUATION,
    STAGE1,
    STAGE2,
    OptimiserConfig,
    Recipe,
    choices,
    load_recipe,
    override,
    recipe_from_dict,
    recipe_names,
    scaled_rate,
)
from tdd.errors import TddError
from tdd.records.origins import describe_recipe


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_loads_and_survives_a_round_trip(name):
    recipe = load_recipe(name)
    assert recipe.name == name
    assert recipe_from_dict(recipe.to_dict()) == recipe


def test_the_paper_recipe_has_the_papers_numbers():
    recipe = load_recipe("paper")
    assert (recipe.clip.frames, recipe.clip.crop, recipe.clip.view_crop, recipe.clip.input_size) == (25, 150, 140, 112)
    assert (recipe.stage1.batch_size, recipe.stage1.epochs, recipe.stage1.clips) == (256, 150, 5000)
    assert recipe.stage1.momentum == pytest.approx(1 - 0.001 * 256 / 96)
    assert scaled_rate(OptimiserConfig(), 64) == pytest.approx(3.5e-4)


def test_every_field_is_read_somewhere_outside_the_configuration():
    read = set()
    for path in Path(tdd.__file__).parent.rglob("*.py"):
        if path.name != "config.py":
            nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            read |= {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    indirect = {"ema_base", "ema_batch", "learning_rate"}  # read by a property or function of the configuration itself
    config = ast.parse((Path(tdd.__file__).parent / "config.py").read_text(encoding="utf-8"))
    functions = [
        node for node in ast.walk(config) if isinstance(node, ast.FunctionDef) and node.name != "__post_init__"
    ]
    inside = {node.attr for function in functions for node in ast.walk(function) if isinstance(node, ast.Attribute)}

    def fields(cls):
        for field in dataclasses.fields(cls):
            value = getattr(cls(), field.name)
            yield from fields(type(value)) if dataclasses.is_dataclass(value) else [field.name]

    unread = [name for name in fields(Recipe) if name not in read and not (name in indirect and name in inside)]
    assert unread == []


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"stage3": {}}, "no setting 'stage3'"),
        ({"stage1": {"batchsize": 3}}, "no setting 'batchsize'"),
        ({"stage1": {"batch_size": "many"}}, "recipe.stage1.batch_size must be a whole number, not 'many'"),
        ({"noise": {"flip": True}}, "recipe.noise.flip must be a number, not True"),
        ({"clip": {"view_crop": 200}}, "view_crop <= crop"),
        ({"noise": {"flip": 1.5}}, r"noise\.flip lies from 0 to 1, not 1\.5"),
        ({"stage2": {"labelled_share": 2.0}}, r"stage2\.labelled_share lies from 0 to 1, not 2"),
        ({"machine": {"accelerator": "cdua"}}, "machine.accelerator is auto or cpu or gpu or cuda, not 'cdua'"),
        ({"machine": {"precision": "fp8"}}, "machine.precision is 32-true or bf16-mixed or 16-mixed or 64-true"),
        ({"machine": {"precision": "bf16-true"}}, "bf16-mixed and 16-mixed keep weights in single precision"),
        ({"stage1": {"centre_targets": "two-way"}}, "stage1.centre_targets is none or position or both, not 'two-way'"),
        ({"stage2": {"teacher_statistics": "both"}}, "stage2.teacher_statistics is batch or running"),
        ({"clip": {"frame_rate": "fast"}}, "timestamps or relabelled, not 'fast'"),
        ({"stage1": {"warmup_epochs": 150}}, "warmup_epochs"),
        ({"stage1": {"ema_base": 0.1}}, "EMA momentum"),
        ({"stage2": {"batch_size": 1}}, "batch norm"),
        ({"stage1": 3}, "must be a mapping"),
        ({"stage2": {"methods": "Deepfakes"}}, r"recipe\.stage2\.methods must be a list, not 'Deepfakes'"),
        ({"stage2": {"methods": ["Deepfakes", 3]}}, r"recipe\.stage2\.methods must hold text, not "),
        ({"stage1": {"audio": 1}}, r"recipe\.stage1\.audio must be true or false, not 1"),
        ({"clip": {"frame_rate": 25}}, r"recipe\.clip\.frame_rate must be text, not 25"),
        ({"model": {"audio": [4]}}, r"recipe\.model\.audio must be a mapping, not \[4\]"),
    ],
)
def test_wrong_recipes_are_refused_in_one_sentence(values, sentence):
    with pytest.raises(TddError, match=sentence):
        recipe_from_dict(values)


def numbers(section, where=""):
    """Path and default of every number of a recipe; a switch is none."""
    for field in dataclasses.fields(section):
        value, path = getattr(section, field.name), f"{where}{field.name}"
        if dataclasses.is_dataclass(value):
            yield from numbers(value, f"{path}.")
        elif type(value) in (int, float):
            yield path, value


@pytest.mark.parametrize(("path", "default"), list(numbers(Recipe())))
def test_no_number_is_below_what_it_can_be_or_no_number(path, default):
    """A negative count would end a training at once, or look at all videos but the last, and say nothing."""
    wrong = [-1.0, math.nan, math.inf] if isinstance(default, float) else [-1]
    for value in wrong:
        with pytest.raises(TddError, match=rf"Recipe 'paper': {re.escape(path)} (is|lies from) .*, not "):
            override(Recipe(), {path: value})


def words(section, where=""):
    """Path and default of every word of a recipe, and of every list of words but those that the data names."""
    for field in dataclasses.fields(section):
        value, path = getattr(section, field.name), f"{where}{field.name}"
        if dataclasses.is_dataclass(value):
            yield from words(value, f"{path}.")
        elif type(value) in (str, tuple) and path not in ("name", "stage1.datasets", "stage2.methods"):
            yield path, value


@pytest.mark.parametrize(("path", "default"), list(words(Recipe())))
def test_no_word_is_one_that_the_setting_does_not_know(path, default):
    """A misspelled word would be passed over, or be told of after hours."""
    known = choices(path)
    assert len(known) > 1 and (default in known if isinstance(default, str) else set(default) <= set(known))
    for word in ("auot", "", known[0].upper()):
        said = rf"^Recipe 'paper': {re.escape(path)} is {' or '.join(known)}, not '{word}'; correct the recipe"
        with pytest.raises(TddError, match=said):
            override(Recipe(), {path: word if isinstance(default, str) else [known[0], word]})


@pytest.mark.parametrize(
    "path",
    ["machine.checkpoint_epochs", "evaluation.batch_size", "stage1.ema_batch", "model.projection", "clip.frames"],
)
def test_what_is_divided_by_or_counted_from_one_is_not_zero(path):
    with pytest.raises(TddError, match=rf"{re.escape(path)} is 1 or more, not 0"):
        override(Recipe(), {path: 0})


def test_unknown_names_and_broken_files_are_refused(tmp_path):
    with pytest.raises(TddError, match="known recipes: colab, demo"):
        load_recipe("nosuch")
    with pytest.raises(TddError, match="no recipe file"):
        load_recipe(tmp_path / "absent.yaml")
    broken = tmp_path / "broken.yaml"
    broken.write_text("stage1: [", encoding="utf-8")
    with pytest.raises(TddError, match="not valid YAML"):
        load_recipe(broken)
    broken.write_bytes("name: größe".encode("latin-1"))
    with pytest.raises(TddError, match="Recipe 'broken' is not valid YAML"):
        load_recipe(broken)
    broken.write_text("\ufeffstage2: {epochs: 7}", encoding="utf-8")  # as Notepad saves it
    assert load_recipe(broken).stage2.epochs == 7


def test_a_file_of_differences_is_a_recipe(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("stage2: {epochs: 7, methods: [Deepfakes]}", encoding="utf-8")
    recipe = load_recipe(path)
    assert (recipe.name, recipe.stage2.epochs, recipe.stage2.methods) == ("mine", 7, ("Deepfakes",))


def test_a_recipe_may_differ_from_another_than_the_papers(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("base: demo\nstage2: {epochs: 7, optimiser: {weight_decay: 0.5}}", encoding="utf-8")
    mine, demo = load_recipe(path), load_recipe("demo")
    assert (mine.name, mine.stage2.epochs, mine.stage2.optimiser.weight_decay) == ("mine", 7, 0.5)
    kept = dataclasses.replace(mine.stage2, epochs=demo.stage2.epochs, optimiser=demo.stage2.optimiser)
    assert dataclasses.replace(mine, name="demo", stage2=kept) == demo
    assert mine.stage2.optimiser.learning_rate == demo.stage2.optimiser.learning_rate
    further = tmp_path / "further.yaml"
    further.write_text(f"base: {path}\nstage1: {{clips: 40}}", encoding="utf-8")
    assert (load_recipe(further).stage1.clips, load_recipe(further).stage2) == (40, mine.stage2)
    path.write_text(f"base: {further}", encoding="utf-8")
    with pytest.raises(TddError, match="is its own base"):
        load_recipe(path)
    path.write_text("base: demonstration", encoding="utf-8")
    with pytest.raises(TddError, match="Unknown recipe 'demonstration'"):
        load_recipe(path)


def test_settings_change_a_recipe_and_its_name_unless_they_are_the_machines():
    changed = load_recipe("demo", ["machine.workers=3", "machine.precision = bf16-mixed"])
    assert (changed.machine.workers, changed.machine.precision, changed.name) == (3, "bf16-mixed", "demo")
    settings = ["stage1.clips=120", "stage1.optimiser.learning_rate=8e-4", "stage2.methods=[FaceSwap]", "noise.flip=1"]
    other = load_recipe("demo", settings)
    assert (other.stage1.clips, other.stage1.optimiser.learning_rate, other.noise.flip) == (120, 8e-4, 1.0)
    assert other.stage2.methods == ("FaceSwap",) and other.name.startswith("demo, stage1.clips=120, ")
    assert recipe_from_dict(yaml.safe_load(describe_recipe(other))) == other
    assert dataclasses.replace(load_recipe("demo"), machine=changed.machine) == changed


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("machine.workers", "sets nothing; write a setting and its value"),
        ("=3", "sets nothing"),
        ("machine.worker=3", "has no setting 'worker'; its settings are: accelerator"),
        ("machine.workers=many", "workers must be a whole number, not 'many'"),
        ("stage1.epochs.first=3", "'epochs' is a value"),
        ("stage1.epochs=1", "warmup_epochs must be below"),
        ("stage2.methods=[", "is not valid YAML"),
    ],
)
def test_wrong_settings_are_refused_in_one_sentence(setting, sentence):
    with pytest.raises(TddError, match=sentence):
        load_recipe("paper", [setting])


@pytest.mark.parametrize("name", recipe_names())
def test_a_shown_recipe_reads_back_and_every_setting_has_an_origin(name, tmp_path):
    text = describe_recipe(load_recipe(name))
    (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
    assert load_recipe(tmp_path / f"{name}.yaml") == load_recipe(name)
    settings = [line for line in text.splitlines()[1:] if not line.endswith(":")]
    assert all("  # " in line for line in settings)
    assert len(settings) == sum(1 for _ in _settings(load_recipe(name)))
    changed = [line for line in settings if f"# recipe {name}." in line]
    assert (changed == []) == (name == "paper")


def _settings(section):
    for field in dataclasses.fields(section):
        value = getattr(section, field.name)
        if dataclasses.is_dataclass(value):
            yield from _settings(value)
        elif field.name != "name":
            yield field.name


def test_what_a_run_depends_on_is_said_in_one_place():
    recipe = load_recipe("demo")
    changes = {  # what is changed, and whether stage 1 and stage 2 of CSN depend on it
        "machine.workers": (3, False, False), "machine.precision": ("bf16-mixed", True, True),
        "stage1.clips": (100, True, True), "stage2.epochs": (9, False, True), "evaluation.batch_size": (3, False, True),
        "noise.time_mask_stage2": (0.9, False, True), "noise.flip": (0.1, True, True),
        "findings.channels_as_time": (True, True, True), "findings.random_teacher": (True, False, True),
        "model.backbones.csn.width": (5, True, True), "model.backbones.cnn_lstm.hidden": (5, False, False),
        "name": ("other", False, False),
    }  # fmt: skip
    for path, (value, *reads) in changes.items():
        other = override(recipe, {path: value})
        for kind, read in zip((STAGE1, STAGE2), reads, strict=True):
            assert (other.read_by(kind, "csn") != recipe.read_by(kind, "csn")) is read, (path, kind)
    assert override(recipe, {"noise.flip": 0.1}).read_by(EVALUATION, "csn") != recipe.read_by(EVALUATION, "csn")
