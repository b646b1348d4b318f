import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from models.engines.openvino_engine import identity
from models.lifecycle.engine_card import EngineCard
from models.lifecycle.gate import Gate
from models.lifecycle.model import Model
from models.training.presets import Preset
from tests.models.tiny import certificates, examples, model_folder

WITHOUT_PYTORCH = """
import sys
from pathlib import Path
from models.lifecycle.model import Model
model = Model.open(Path(sys.argv[1]))
assert model.version and model.certificates("openvino") == model.card.certificates
assert model.reason_against("openvino") == "has not been compiled" and model.reason_against("torch") is None
assert "torch" not in sys.modules
"""


def test_a_model_is_opened_and_its_engines_are_judged_without_pytorch(preset: Preset, tmp_path: Path) -> None:
    model_folder(tmp_path, preset)
    subprocess.run([sys.executable, "-c", WITHOUT_PYTORCH, str(tmp_path)], check=True)


def test_engine_cards_are_read_once(preset: Preset, tmp_path: Path) -> None:
    card = model_folder(tmp_path, preset)
    built = EngineCard("openvino", identity(), card.weights, Gate(40, 1.0, 0.0), certificates(0.5), {})
    built.write(tmp_path)
    model = Model.open(tmp_path)
    assert model.engine_card("openvino") == built
    replace(built, gate=Gate(40, 0.0, 1.0)).write(tmp_path)
    assert model.reason_against("openvino") is None and model.certificates("openvino") == built.certificates
    assert "failed its gate" in str(Model.open(tmp_path).reason_against("openvino"))
    model.store_certificates("openvino", certificates(0.25))
    assert Model.open(tmp_path).certificates("openvino") == model.certificates("openvino") == certificates(0.25)


def test_the_reference_engine_predicts_with_the_model_as_it_was_trained(preset: Preset, tmp_path: Path) -> None:
    model_folder(tmp_path, preset)
    model, listings = Model.open(tmp_path), examples(5)
    engine, found = model.open_engine("torch", threads=1)
    assert engine.identity.backend == model.engine_identity("torch").backend == "torch"
    assert found == model.card.certificates
    predictions = model.predict(engine, listings)
    assert [logits.shape for logits in predictions.logits] == [(5, 4), (5, 3)]
    assert model.network is model.network and not model.network.training
