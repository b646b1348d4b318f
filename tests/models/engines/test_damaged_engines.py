"""What an engine is built into is made again where it is damaged: the exported network, and OpenVINO's own cache."""

from pathlib import Path

import numpy as np
import pytest

from models.engines.features import encode
from models.engines.interface import ONNX
from models.engines.openvino_engine import OpenVinoEngine
from models.lifecycle.compile import compile_engine
from models.lifecycle.model import Model
from schemas.files import sha256_of
from tests.models.engines.compiled_models import PROMISE
from tests.models.tiny import examples, model_folder, tiny_preset


@pytest.fixture(scope="module")
def folder(backbone_name: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    card = model_folder(folder, tiny_preset(backbone_name), threshold=0.75)
    listings = examples(40)
    splits = {"validation": listings, "calibration": listings, "test": listings}
    compile_engine(Model(folder, card), "openvino", **splits, promise=PROMISE, threads=1)
    return folder


@pytest.mark.parametrize("damage", ["gone", "one bit"])
def test_a_lost_network_is_exported_again_as_the_same_file(folder: Path, damage: str) -> None:
    file = folder / "engines" / ONNX
    before = file.read_bytes()
    assert Model.open(folder).restore_network("openvino") is None  # nothing to do
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    assert Model.open(folder).choose_engine("auto").name == "torch"
    assert Model.open(folder).restore_network("openvino") == file
    assert file.read_bytes() == before
    assert Model.open(folder).choose_engine("auto").name == "openvino"
    assert Model.open(folder).restore_network("torch") is None


def test_the_exported_network_names_no_folder_of_this_machine(folder: Path) -> None:
    assert str(Path(__file__).parents[3]).encode() not in (folder / "engines" / ONNX).read_bytes()


@pytest.mark.parametrize("damage", ["cut", "one byte", "empty", "no checksum"])
def test_a_damaged_cache_of_openvino_changes_no_number(folder: Path, damage: str) -> None:
    onnx, listings = folder / "engines" / ONNX, examples(8)
    expected = encode(OpenVinoEngine(onnx, threads=1), listings)
    (blob,) = (onnx.parent / "openvino-cache").glob("*.blob")
    content = bytearray(blob.read_bytes())
    content[len(content) // 2] ^= 255
    if damage == "no checksum":  # of an earlier version
        blob.with_suffix(".sha256").unlink()
    else:
        blob.write_bytes({"cut": content[:1000], "empty": b""}.get(damage, content))
    found = encode(OpenVinoEngine(onnx, threads=1), listings)
    for name, values in expected._asdict().items():
        assert np.array_equal(values, found._asdict()[name])
    assert blob.with_suffix(".sha256").read_text(encoding="ascii") == sha256_of(blob)
