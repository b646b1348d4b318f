import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter
from safetensors.torch import load_file
from torch import Tensor
from torch.optim.optimizer import register_optimizer_step_pre_hook

from models.engines.features import classify, encode
from models.engines.interface import Features
from models.engines.torch_engine import TorchEngine
from models.inputs.examples import Examples
from models.network.cma_clip import CmaClip
from models.training.objective import objective
from models.training.objective.objective import _stand_ins
from models.training.objective.validation import matching_accuracy, mean_accuracy
from models.training.presets import PRESETS, Preset
from models.training.train import History, Progress, train
from schemas.errors import UserError
from tests.models.tiny import TAXONOMY, examples, tiny_network, tiny_preset, unlabelled

State = dict[str, Tensor]
READ = TypeAdapter(Preset)
CPU = torch.device("cpu")
PREFIXES = {
    "image_tower": ("backbone.visual.",),
    "title_tower": ("backbone.text.",),
    "probes": ("image_probes.", "title_probes."),
    "image_probes": ("image_probes.",),
    "title_probes": ("title_probes.",),
    "sequence_attention": ("sequence_attention.",),
    "modality_attention": ("modality_attentions.",),
    "heads": ("heads.",),
}


def state(network: CmaClip) -> State:
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}


def changed(before: State, after: State) -> set[str]:
    return {name for name in before if not torch.equal(before[name], after[name])}


def run(network: CmaClip, preset: Preset, folder: Path, train_on: Examples, validation: Examples) -> History:
    folder.mkdir(exist_ok=True)
    return train(network, preset, train_on, validation, folder=folder, device=CPU)


def stages(preset: Preset, *names: str, **changes: object) -> Preset:
    chosen = tuple(replace(stage, **changes) for stage in preset.stages if stage.name in names)
    return replace(preset, stages=chosen)


@pytest.mark.parametrize(
    ("name", "size", "expected"),
    [
        (
            "vit-b-32",
            (32, 32),
            {
                "warm-up": {"probes", "sequence_attention", "modality_attention", "heads"},
                "end-to-end": {*PREFIXES},
                "tuning": {"modality_attention", "heads"},
            },
        ),
        (
            "small",
            (192, 120),
            {
                "titles": {"title_tower", "title_probes"},
                "pictures": {"image_tower", "image_probes"},
                "warm-up": {"probes", "sequence_attention", "modality_attention", "heads"},
                "end-to-end": {*PREFIXES},
                "tuning": {"modality_attention", "heads"},
            },
        ),
    ],
)
def test_each_stage_moves_its_parts_and_nothing_else(
    name: str, size: tuple[int, int], expected: dict[str, set[str]], backbone_name: str, tmp_path: Path
) -> None:
    backbone = backbone_name if name == "vit-b-32" else "cma-small"
    preset = tiny_preset(backbone, name)
    network = tiny_network(preset)
    network.backbone.logit_scale.data.fill_(5.0)  # above CLIP's limit: only a stage that trains it may lower it
    before = state(network)
    run(network, preset, tmp_path, examples(16, size=size), unlabelled(4, size=size))
    assert [stage.name for stage in preset.stages] == list(expected)
    for stage, parts in expected.items():
        after: State = load_file(tmp_path / f"{stage}.safetensors")
        moved = changed(before, after)
        prefixes = {prefix for part in parts for prefix in PREFIXES[part]}
        both = {"image_tower", "title_tower"} <= parts
        allowed = (*prefixes, *["matching."] * ("sequence_attention" in parts), *["alignments."] * both)
        strangers = {key for key in moved - {"backbone.logit_scale"} if not key.startswith(allowed)}
        assert not strangers, stage
        assert all(any(key.startswith(prefix) for key in moved) for prefix in prefixes), stage
        assert ("backbone.logit_scale" in moved) <= both, stage
        statistics = {key for key in before if "running" in key or "num_batches" in key}
        assert statistics & moved == (statistics if "image_tower" in parts else set()), stage
        before = after
    assert not changed(before, state(network))


def test_the_best_checkpoint_is_kept_and_starts_the_next_stage(preset: Preset, tmp_path: Path) -> None:
    """Validation labels are what the untrained network answers, so whatever training on other labels does is worse."""
    network = tiny_network(preset)
    validation = examples(12, seed=1)
    answers = classify(network, encode(TorchEngine(network), validation), validation.present).logits
    validation = replace(validation, labels=np.stack([logits.argmax(axis=1) for logits in answers], axis=1))
    learned = examples(16)
    learned = replace(learned, labels=(validation.labels[:1] + 1) % np.array([3, 2]) * np.ones((16, 1), dtype=np.int64))
    before = state(network)
    preset = replace(
        stages(preset, "warm-up", "tuning"),
        stages=(
            replace(preset.stages[0], epochs=3, learning_rate=0.05),
            replace(preset.stages[2], epochs=1, learning_rate=0.0),
        ),
    )
    history = run(network, preset, tmp_path, learned, validation)
    first, *rest = history.accuracy["warm-up"]
    assert first == 1.0 and len(rest) == 3 and max(rest) < 1.0
    assert not changed(before, load_file(tmp_path / "warm-up.safetensors"))
    assert history.accuracy["tuning"] == [1.0, 1.0]
    assert not changed(before, state(network))


def test_training_learns(preset: Preset, tmp_path: Path) -> None:
    listings = examples(24)
    network = tiny_network(preset)
    longer = stages(preset, "warm-up", epochs=12, learning_rate=0.02)
    history = run(network, longer, tmp_path, listings, listings).accuracy["warm-up"]
    assert max(history) > history[0] + 0.2


@contextmanager
def gradients() -> Iterator[list[list[Tensor]]]:
    """What the optimiser is given, one list of gradients a step."""
    seen: list[list[Tensor]] = []

    def look(optimizer: torch.optim.Optimizer, *_: object) -> None:
        seen.append([p.grad.clone() for group in optimizer.param_groups for p in group["params"] if p.grad is not None])

    handle = register_optimizer_step_pre_hook(look)
    try:
        yield seen
    finally:
        handle.remove()


def test_accumulated_batches_equal_a_big_one(preset: Preset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objective, "has_bf16", lambda device: False)  # its rounding depends on the batch
    everything = stages(preset, "end-to-end")
    listings = examples(9).take(np.arange(3, 9))  # with picture, title and all labels, so that all chunks weigh alike
    steps = []
    for micro_batch in (6, 2):
        with gradients() as seen:
            chosen = replace(everything, batch=6, micro_batch=micro_batch)
            run(tiny_network(preset), chosen, tmp_path / str(micro_batch), listings, unlabelled(2))
        steps.append(seen)
    big, accumulated = steps
    assert len(big) == len(accumulated) == 1
    torch.testing.assert_close(accumulated[0], big[0], rtol=1e-3, atol=1e-6)


def test_fewer_listings_than_a_batch_still_train(preset: Preset, tmp_path: Path) -> None:
    network = tiny_network(preset)
    before, steps = state(network), list[Progress]()
    chosen = replace(stages(preset, "warm-up"), batch=1024, micro_batch=64)
    train(network, chosen, examples(3), unlabelled(2), folder=tmp_path, device=CPU, progress=steps.append)
    assert steps == [Progress("warm-up", 1, 1, 0.0)]
    assert changed(before, state(network))


def test_training_is_seeded(backbone_name: str, tmp_path: Path) -> None:
    """With everything of `small` that draws lots: dropout, augmentation, dropped tokens and modalities."""
    preset = tiny_preset(backbone_name, "small")
    preset = replace(preset, architecture=replace(preset.architecture, dropout=0.3))
    runs = []
    for number, seed in enumerate((0, 0, 1)):
        network = preset.build(TAXONOMY, load_pretrained=False)
        folder = tmp_path / str(number)
        history = run(network, replace(preset, seed=seed), folder, examples(20), examples(8, seed=1))
        runs.append((state(network), history.accuracy))
    (first, first_history), (second, second_history), (other, _) = runs
    assert not changed(first, second) and first_history == second_history
    assert changed(first, other)


def test_tuning_runs_the_towers_once_whatever_its_epochs(preset: Preset, tmp_path: Path) -> None:
    network = tiny_network(preset)
    calls = list[int]()
    network.backbone.visual.register_forward_hook(lambda module, given, out: calls.append(len(given[0])))
    run(network, stages(preset, "tuning", epochs=5), tmp_path, examples(20), examples(8, seed=1))
    assert calls == [1, 20, 8]  # the first listing alone tells shapes


def test_titles_that_drop_out_are_encoded_anew_at_every_step(preset: Preset, tmp_path: Path) -> None:
    network = tiny_network(preset)
    calls = list[float]()
    network.backbone.visual.register_forward_hook(lambda *_: calls.append(network.backbone.title_dropout))
    tuning = stages(preset, "tuning", epochs=3)
    dropping = replace(tuning, stages=tuple(replace(stage, title_dropout=0.5) for stage in tuning.stages))
    run(network, dropping, tmp_path, examples(20), examples(8, seed=1))
    steps = 3 * round(20 / preset.batch)
    assert calls.count(0.5) >= steps


def test_image_only_listings_train(backbone_name: str, tmp_path: Path) -> None:
    listings = examples(16)
    listings = replace(listings, present=np.tile([True, False], (16, 1)))
    network = tiny_network(tiny_preset(backbone_name, "small"))
    run(network, tiny_preset(backbone_name, "small"), tmp_path, listings, unlabelled(4))
    assert all(torch.isfinite(tensor).all() for tensor in state(network).values())


def test_mean_accuracy_skips_tasks_without_labels() -> None:
    logits = [np.eye(3)[[0, 1, 2, 2]], np.eye(2)[[0, 0, 0, 0]], np.eye(2)[[0, 1, 0, 1]]]
    labels = np.array([[0, -1, 0], [1, -1, -1], [0, -1, -1], [-1, -1, -1]])
    assert mean_accuracy(logits, labels) == pytest.approx((2 / 3 + 1) / 2)
    assert mean_accuracy(logits, np.full((4, 3), -1)) == 0.0


def test_matching_accuracy_by_hand() -> None:
    """Of three listings with both, the second's picture is liker to the third's title than to its own."""
    image, title = np.eye(2)[[0, 1, 1]] * 5, np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 2.0]])
    present = np.array([[True, True]] * 3)
    features = Features(*np.zeros((2, 3, 2), np.float32), image.astype(np.float32), title.astype(np.float32))
    assert matching_accuracy(features, present) == pytest.approx(5 / 6)
    present[1] = [True, False]
    assert matching_accuracy(features, present) == 1.0
    assert matching_accuracy(features, present & False) == 0.0


def test_the_reference_preset_is_the_papers() -> None:
    reference = PRESETS["vit-b-32"]
    assert [(stage.name, stage.learning_rate) for stage in reference.stages] == [
        ("warm-up", 1e-5),
        ("end-to-end", 1e-5),
        ("tuning", 1e-5),
    ]
    assert (reference.optimizer, reference.weight_decay, reference.batch) == ("adam", 1e-4, 1024)
    assert (reference.architecture.attention_layers, reference.architecture.attention_heads) == (12, 8)
    assert READ.validate_python(asdict(reference)) == reference
    assert [stage.epochs for stage in reference.stages] == [20, 20, 20]


@pytest.mark.parametrize("name", ["food-101", "fashion-gen"])
def test_the_public_data_sets_train_without_tuning(name: str) -> None:
    stages = [(stage.name, stage.epochs, stage.learning_rate) for stage in PRESETS[name].stages]
    assert stages == [("warm-up", 100, 1e-5), ("end-to-end", 300, 1e-5)]


def test_a_preset_with_removed_options_is_read_if_they_were_off() -> None:
    stored = json.loads(json.dumps(asdict(PRESETS["small"])))
    assert READ.validate_python({**stored, "noise_tolerance": 0.0, "logit_adjustment": 0.0}) == PRESETS["small"]
    with pytest.raises(UserError, match="logit_adjustment"):
        READ.validate_python({**stored, "logit_adjustment": 0.5})
    with pytest.raises(ValueError, match="never_an_option"):
        READ.validate_python({**stored, "never_an_option": 0.0})


def test_a_missing_picture_shows_anothers_while_it_is_masked() -> None:
    has = torch.tensor([False, True, False, True, False])
    assert _stand_ins(has).tolist() == [1, 1, 3, 3, 1]
    assert _stand_ins(torch.tensor([True, True])).tolist() == [0, 1]
    assert _stand_ins(torch.tensor([False, False])).tolist() == [0, 1]
