import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import openvino as ov
import pytest

from models.engines.features import classify, encode
from models.engines.interface import ONNX, Features, InferenceEngine
from models.engines.onnx.export import INPUTS, OUTPUTS
from models.engines.openvino_engine import OpenVinoEngine, identity
from models.engines.torch_engine import TorchEngine
from models.lifecycle.card import CARD, read_card
from models.lifecycle.compile import certify_feeds, compile_engine
from models.lifecycle.engine_card import EngineCard
from models.lifecycle.gate import Gate, compare
from models.lifecycle.model import Model
from models.network.cma_clip import CmaClip
from models.rules.certificates import Certificates, Promise
from models.training.presets import Preset
from schemas.errors import ConfigurationError, UserError
from tests.models.engines.compiled_models import PROMISE, Compiled, batch, close, in_float32
from tests.models.tiny import CONTEXT, certificates, examples, model_folder, tiny_preset


@pytest.fixture(scope="module")
def compiled(backbone_name: str, tmp_path_factory: pytest.TempPathFactory) -> Compiled:
    """Built where a damaged ONNX file was left behind: `cma compile` is the way out that its error names."""
    folder = tmp_path_factory.mktemp("model")
    card = model_folder(folder, tiny_preset(backbone_name), threshold=0.75)
    (folder / "engines").mkdir()
    (folder / "engines" / ONNX).write_bytes(b"damaged")
    listings = examples(40)
    splits = {"validation": listings, "calibration": listings, "test": listings}
    return Compiled(folder, card, compile_engine(Model(folder, card), "openvino", **splits, promise=PROMISE, threads=1))


@pytest.fixture
def fresh(preset: Preset, tmp_path: Path) -> Compiled:
    """A model that was never compiled, with an engine card that a test may write."""
    card = model_folder(tmp_path, preset, threshold=0.75)
    passed = Gate(40, 1.0, 0.0)
    return Compiled(tmp_path, card, EngineCard("openvino", identity(), card.weights, passed, certificates(0.5), {}))


def test_the_onnx_file_is_the_network(compiled: Compiled) -> None:
    model = ov.Core().read_model(compiled.onnx)
    assert tuple(port.any_name for port in model.inputs) == INPUTS
    assert tuple(port.any_name for port in model.outputs) == OUTPUTS == Features._fields
    reference = TorchEngine(compiled.network)
    for listings, length in ((1, 2), (1, CONTEXT), (3, 5), (7, 3)):
        given = batch(listings, length)
        close(in_float32(compiled.onnx, given), reference(given.pictures, given.tokens, given.present), 1e-4)


def test_a_missing_modality_is_masked_in_the_onnx_file_too(compiled: Compiled) -> None:
    given = batch(3, 6)  # the first has no picture, the second no title
    repainted = replace(given, pictures=255 - given.pictures)
    retitled = replace(given, tokens=np.where(np.isin(given.tokens, (7, 9)), 11, given.tokens))
    before, painted, titled = (in_float32(compiled.onnx, batch) for batch in (given, repainted, retitled))
    assert np.array_equal(before.title_out[0], painted.title_out[0])
    assert np.array_equal(before.image_out[1], titled.image_out[1])
    assert not np.allclose(before.title_out[2], painted.title_out[2], atol=1e-5)
    assert not np.allclose(before.image_out[2], titled.image_out[2], atol=1e-5)


def test_the_openvino_engine_passes_its_gate(compiled: Compiled) -> None:
    assert compiled.built.gate.passed, compiled.built.gate
    assert compiled.built.identity.backend == "openvino" and compiled.built.weights == compiled.card.weights
    assert repr(EngineCard.read(compiled.folder, "openvino")) == repr(compiled.built)  # NaN is not equal to itself
    assert set(compiled.built.metrics) == {"color", "pattern"}
    assert compiled.built.certificates.feeds["shop"]["color"].certificate.listings == 39  # one has no label


def test_engines_keep_the_order_of_listings_whatever_the_batch(compiled: Compiled) -> None:
    listings = examples(9)
    engine: InferenceEngine = OpenVinoEngine(compiled.onnx, threads=1)
    for runner, tolerance in ((engine, 0.05), (TorchEngine(compiled.network), 1e-5)):
        whole = encode(runner, listings)
        told = list[int]()
        close(encode(runner, listings, batch=2, progress=told.append), whole, tolerance)
        assert told == [2, 2, 2, 2, 1]
        row = listings.take(np.array([4]))
        close(encode(runner, row), Features(*(part[4:5] for part in whole)), tolerance)


class Faulty:
    """The reference with errors put into I′."""

    batch = 64
    streams = 1

    def __init__(self, network: CmaClip, error: float) -> None:
        self._engine = TorchEngine(network)
        self._error = error
        self.identity = self._engine.identity

    def __call__(self, pictures: np.ndarray, tokens: np.ndarray, present: np.ndarray) -> Features:
        features = self._engine(pictures, tokens, present)
        noise = self._error * np.random.default_rng(0).normal(size=features.image_out.shape)
        return features._replace(image_out=(features.image_out + noise).astype(np.float32))


@pytest.mark.parametrize(("error", "passes"), [(0.0, True), (3.0, False), (float("nan"), False)])
def test_the_gate_refuses_an_engine_that_calculates_wrongly(compiled: Compiled, error: float, passes: bool) -> None:
    network, listings = compiled.network, examples(40)
    outputs = [
        classify(network, encode(engine, listings), listings.present)
        for engine in (TorchEngine(network), Faulty(network, error))
    ]
    assert compare(*outputs).passed is passes


def test_a_compiled_engine_is_opened_with_its_own_certificates(compiled: Compiled) -> None:
    for name in ("auto", "openvino"):
        engine, found = compiled.model.open_engine(name, threads=1)
        assert engine.identity == compiled.built.identity
        assert found == compiled.built.certificates
        assert compiled.model.choose_engine(name) == ("openvino", None)
    engine, found = compiled.model.open_engine("torch", threads=1)
    assert engine.identity.backend == "torch" and found == compiled.card.certificates


def certify(model: Compiled, name: str, *feeds: str, promise: Promise = PROMISE) -> Certificates:
    listings = replace(examples(40), feeds=np.array(["new"] * 40))
    splits = {"validation": listings, "calibration": listings}
    _, made = certify_feeds(model.model, name, **splits, feeds=feeds, promise=promise, threads=1)
    return made


def test_a_new_feed_is_certified_beside_the_others_on_the_engine_that_tags(compiled: Compiled, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(compiled.folder, folder)
    model, before = replace(compiled, folder=folder), compiled.built.certificates
    made = certify(model, "openvino", "new")
    assert list(made.feeds) == ["shop", "new"] and made.feeds["shop"] == before.feeds["shop"]
    assert made.pooled == before.pooled
    assert made.id("shop") == before.id("shop") and made.id("new") != before.id("new")
    assert made.feeds["new"]["color"].certificate.listings == 39
    for name, expected in (("auto", made), ("torch", compiled.card.certificates)):
        assert Model(folder, compiled.card).open_engine(name, threads=1)[1] == expected
    rest = replace(EngineCard.read(folder, "openvino"), certificates=before)
    assert repr(rest) == repr(compiled.built)
    with pytest.raises(ConfigurationError, match=r"tag\.certify has changed .* without naming feeds"):
        certify(model, "openvino", "new", promise=Promise(by="value"))
    assert list(certify(model, "openvino", promise=Promise(by="value")).feeds) == ["new"]  # all, of what is labelled


def test_the_reference_keeps_its_certificates_with_the_model_until_it_is_compiled(fresh: Compiled) -> None:
    made = certify(fresh, "torch", "new")
    assert read_card(fresh.folder) == replace(fresh.card, certificates=made)
    assert sorted(path.name for path in fresh.folder.iterdir() if not path.is_dir()) == [CARD, "model.safetensors"]
    replace(fresh.built, backend="torch").write(fresh.folder)
    again = certify(fresh, "auto", "new")
    assert again.feeds["shop"] == fresh.built.certificates.feeds["shop"]
    assert read_card(fresh.folder).certificates == made
    _, found = Model.open(fresh.folder).open_engine("auto", threads=1)
    assert found == again


@pytest.mark.parametrize("trouble", ["has not been compiled", "was compiled from other weights", "failed its gate"])
def test_an_engine_that_may_not_be_used_gives_way_or_says_why(fresh: Compiled, trouble: str) -> None:
    if trouble == "was compiled from other weights":
        replace(fresh.built, weights="0" * 64).write(fresh.folder)
    elif trouble == "failed its gate":
        replace(fresh.built, gate=Gate(40, 0.5, 0.2)).write(fresh.folder)
    engine, found = fresh.model.open_engine("auto", threads=1)
    assert engine.identity.backend == "torch" and found == fresh.card.certificates
    backend, why = fresh.model.choose_engine("auto")
    assert backend == "torch" and why and trouble in why
    with pytest.raises(UserError, match=trouble):
        fresh.model.open_engine("openvino", threads=1)


@pytest.mark.parametrize("damage", ["", "[]", "{}", '{"gate": {"passed": true}}'])
def test_a_damaged_engine_card_is_as_good_as_none(fresh: Compiled, damage: str) -> None:
    (fresh.folder / "engines").mkdir()
    (fresh.folder / "engines" / "openvino.json").write_text(damage)
    engine, _ = fresh.model.open_engine("auto", threads=1)
    assert engine.identity.backend == "torch"


@pytest.mark.parametrize("damage", ["gone", "empty", "cut", "one bit"])
def test_a_damaged_onnx_file_is_named(compiled: Compiled, tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "model"
    shutil.copytree(compiled.folder, folder)
    file = folder / "engines" / ONNX
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes({"empty": b"", "cut": content[:5000]}.get(damage, content))
    if damage == "gone":
        file.unlink()
    with pytest.raises(UserError, match=rf"has lost its network: .*{ONNX}.* run `cma compile`"):
        Model(folder, compiled.card).open_engine("openvino", threads=1)
    engine, found = Model(folder, compiled.card).open_engine("auto", threads=1)
    assert engine.identity.backend == "torch" and found == compiled.card.certificates
    _, why = Model(folder, compiled.card).choose_engine("auto")
    assert why is not None and why.startswith("the openvino engine has lost its network")


def test_a_file_that_is_no_network_is_named(tmp_path: Path) -> None:
    (tmp_path / ONNX).write_bytes(b"no network")
    with pytest.raises(UserError, match=ONNX):
        OpenVinoEngine(tmp_path / ONNX, threads=1)


def test_an_engine_certified_elsewhere_is_not_used(compiled: Compiled, tmp_path: Path) -> None:
    shutil.copytree(compiled.folder, tmp_path / "model")
    folder = tmp_path / "model"
    there = replace(compiled.built.identity, device="another processor")
    replace(compiled.built, identity=there).write(folder)
    with pytest.raises(UserError, match=r"was compiled and certified as openvino .* on another processor"):
        Model(folder, compiled.card).open_engine("openvino", threads=1)
    engine, found = Model(folder, compiled.card).open_engine("auto", threads=1)
    assert engine.identity.backend == "torch"
    assert found == compiled.card.certificates
