"""What runs the network: `torch` is the reference, `openvino` the CPU's, `tensorrt` and `cuda` NVIDIA cards'."""

from models.engines.protocol import EngineIdentity, Features, InferenceEngine

__all__ = ["EngineIdentity", "Features", "InferenceEngine"]
