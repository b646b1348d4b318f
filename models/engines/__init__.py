"""What runs the network: `torch` is the reference, `openvino` the CPU's, `tensorrt` NVIDIA's."""

from models.engines.protocol import EngineIdentity, Features, InferenceEngine

__all__ = ["EngineIdentity", "Features", "InferenceEngine"]
