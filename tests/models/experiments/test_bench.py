from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from models.engines.interface import Features
from models.engines.torch_engine import TorchEngine
from models.experiments.bench import MatrixProduct, NaiveEngine, untrained_model, work_of
from models.lifecycle.tagger import Tagger
from models.training.presets import Preset
from schemas.frames import work_schema
from tests.models.tiny import CONTEXT, TAXONOMY, examples, jpeg, tiny_network


@pytest.mark.parametrize("shape", [{}, {"reads_agreement": True}, {"sequence_attention": False}])
def test_the_naive_program_has_the_references_features(
    preset: Preset, shape: dict[str, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    preset = replace(preset, architecture=replace(preset.architecture, **shape))
    given = examples(5)
    arrays = (given.pictures, given.tokens, given.present)
    network = tiny_network(preset)
    if "reads_agreement" in shape:
        torch.nn.init.normal_(network.sequence_attention.agreement.weight)  # it starts at 0
    expected = TorchEngine(network)(*arrays)
    naive, lengths, titles = NaiveEngine(network), list[int](), network.backbone.titles
    monkeypatch.setattr(network.backbone, "titles", lambda tokens: (lengths.append(tokens.shape[1]), titles(tokens))[1])
    for name, one, other in zip(Features._fields, naive(*arrays), expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5, err_msg=name)
    assert lengths == [CONTEXT]


def test_the_work_of_a_listing_by_hand(preset: Preset) -> None:
    """ViT of 4 patches and a class token, width 16, one layer; a text tower of one layer; two layers of attention."""
    patches, tokens, d = 5, 6, 16
    given = examples(3)
    trimmed = replace(given, tokens=np.pad(given.tokens[2:].repeat(3, 0)[:, :tokens], ((0, 0), (0, 2))))
    trimmed.tokens[:, :tokens] = [49406, 5, 6, 7, 8, 49407]

    def layer(rows: int, sequence: int, *, queries_apart: bool) -> int:
        query_key_value = (rows + 2 * sequence if queries_apart else 3 * sequence) * d * d
        return query_key_value + rows * d * d + 2 * rows * sequence * d + 2 * rows * 4 * d * d

    tower = (patches - 1) * 3 * 16 * 16 * d + layer(patches, patches, queries_apart=False) + patches * d * d
    text = layer(tokens, tokens, queries_apart=False) + tokens * d * d
    both = patches + tokens
    attention = layer(both, both, queries_apart=True) + layer(2, both, queries_apart=True)
    expected = 2 * (tower + text + attention)
    assert work_of(tiny_network(preset), trimmed, batch=2) == pytest.approx(expected, rel=0.01)


def test_a_model_with_random_weights_certifies_nothing(preset: Preset, tmp_path: Path) -> None:
    card = untrained_model(tmp_path / "model", preset, TAXONOMY)
    tagger = Tagger.load(tmp_path / "model", engine="torch", threads=1)
    row = ("shop", "1", "hash", "fingerprint", "a red dress", jpeg(), "red", None)
    (tags,) = tagger.tag(pl.DataFrame([row], schema=work_schema(TAXONOMY.names), orient="row"))["tags"].to_list()
    assert [(tag["attribute"], tag["accepted"]) for tag in tags] == [("color", False), ("pattern", False)]
    assert not card.certificates.feeds


def test_matrix_products_take_time() -> None:
    threads = torch.get_num_threads()
    assert 1e8 < MatrixProduct("cpu").rate() < 1e16
    assert torch.get_num_threads() == threads
