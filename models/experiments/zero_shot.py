"""Zero-shot classification with CLIP's towers (Radford et al. 2021): the value whose prompt is nearest to the
picture."""

import numpy as np
import torch
from jaxtyping import Float
from torch.nn import functional as F

from models.engines.features import encode
from models.engines.torch_engine import TorchEngine
from models.inputs.examples import Examples
from models.inputs.preprocessing import Processor
from models.network.cma_clip import CmaClip
from schemas.taxonomy import Taxonomy

_NONE = "other"  # in the place of the value: the prompt for none of the values


class ZeroShot:
    """Classifies pictures without labels. Towers that were not trained on pairs of picture and title answer by
    chance."""

    def __init__(self, network: CmaClip, taxonomy: Taxonomy, processor: Processor) -> None:
        self._engine = TorchEngine(network)
        network.eval()
        device = network.backbone.logit_scale.device
        with torch.inference_mode():
            self._scale = float(network.backbone.logit_scale.exp())
            self._prompts = []
            for attribute in taxonomy.attributes:
                tokens = processor.tokens([attribute.prompt.format(value) for value in (*attribute.values, _NONE)])
                embedded = network.backbone.titles(torch.from_numpy(tokens).to(device)).embedding
                self._prompts.append(F.normalize(embedded.float(), dim=-1).cpu().numpy())

    def logits(self, examples: Examples) -> list[Float[np.ndarray, "N _"]]:
        """Per attribute the scaled cosines of each picture and each answer's prompt; titles are ignored."""
        pictures = encode(self._engine, examples).image_embedding
        pictures = pictures / np.linalg.norm(pictures, axis=1, keepdims=True)
        return [self._scale * pictures @ prompts.T for prompts in self._prompts]
