"""NVIDIA's engine: a plan is built once for a card and a set of batch shapes, and replayed as CUDA graphs."""
