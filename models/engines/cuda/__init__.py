"""PyTorch on an NVIDIA card, and what TensorRT shares with it: shapes, pinned buffers and captured graphs."""
