"""Tensors: the CMA-CLIP network, its training and calibration, its engines and the tagger that runs them."""
