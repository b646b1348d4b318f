"""CLIP's two towers: embeddings of every patch and token in the joint space. The only file that imports open_clip."""

import logging
import warnings
from collections.abc import Callable
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, cast

import open_clip
import torch
from jaxtyping import Float, Int, Num
from open_clip.timm_model import TimmModel
from open_clip.transformer import TextTransformer, VisionTransformer
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.nn import functional as F

from models.network import small_convnet as small_convnet  # registers the trunk of `cma-small` with timm
from models.network.architecture import PictureTowerShape, TitleTowerShape
from models.network.embeddings import ImageSequence, Normalisation, TitleSequence, patch_embeddings
from models.network.picture_tower import PictureTower, build_picture_tower
from models.network.title_tower import TitleTower
from schemas.errors import ConfigurationError

CONFIGS = Path(__file__).parent / "configs"
_POOLS = ("argmax", "eos", "last")  # open_clip's names for where a title ends
_LOADING_FAULTS = (
    *(RuntimeError, OSError, ValueError, KeyError, EOFError, UnpicklingError, SafetensorError, UserWarning),
    *(AttributeError, TypeError, StopIteration),  # the file holds something else than named tensors
)


class ClipBackbone(nn.Module):
    """An open_clip model whose text tower is a `TextTransformer`; its own projections lead into the joint space. A
    `picture_tower` or `title_tower` of the same joint width stands in for the model's own."""

    def __init__(
        self,
        clip: open_clip.CustomTextCLIP,
        picture_tower: PictureTower | None = None,
        title_tower: TitleTower | None = None,
    ) -> None:
        super().__init__()
        visual: Any = picture_tower or clip.visual
        text = clip.text
        has_tokens = isinstance(text, TextTransformer) and text.pool_type in _POOLS
        if not has_tokens or text.cls_emb is not None or text.use_pad_mask:
            raise ConfigurationError(f"model.backbone: the text tower {type(text).__name__} has no token embeddings")
        if not isinstance(visual, VisionTransformer | TimmModel | PictureTower):
            raise ConfigurationError(f"model.backbone: the image tower {type(visual).__name__} has no patch embeddings")
        self.visual: Any = visual
        self.text: Any = title_tower or text
        if isinstance(visual, VisionTransformer):
            visual.output_tokens = True
        self.feature_cache: Callable[[Tensor], Tensor] | None = None  # stands in for the trunk while that is frozen
        self.logit_scale = clip.logit_scale
        self.title_dropout = 0.0
        height, width = visual.image_size
        self.image_size: tuple[int, int] = (int(height), int(width))
        self.context_length: int = clip.context_length
        self.width: int = _joint_width(clip)
        # Under a causal mask, padding after the end changes nothing.
        self.trims_titles: bool = text.attn_mask is not None and text.pool_type != "last"
        preprocess = picture_tower.preprocess_cfg if picture_tower else open_clip.get_model_preprocess_cfg(clip)
        self.normalise: nn.Module = Normalisation(mean=preprocess["mean"], std=preprocess["std"])

    def images(self, pictures: Num[Tensor, "B H W 3"]) -> ImageSequence:
        """The embeddings of RGB pictures, 0–255 (uint8, or floats where an augmentation mixed them), not normalised."""
        if isinstance(self.visual, PictureTower):
            return cast(ImageSequence, self.visual(self.features(pictures)))
        normal = self.normalise(pictures).permute(0, 3, 1, 2)
        if isinstance(self.visual, VisionTransformer):
            pooled, patches = self.visual(normal)
            if self.visual.final_ln_after_pool:
                patches = self.visual.ln_post(patches)
            if self.visual.proj is not None:
                patches = patches @ self.visual.proj
        else:
            features = self.visual.trunk.forward_features(normal)
            pooled = self.visual.head(self.visual.trunk.forward_head(features))
            patches = patch_embeddings(self.visual, features)
        return ImageSequence(torch.cat([pooled[:, None], patches], dim=1), pooled)

    def features(self, pictures: Num[Tensor, "B H W 3"]) -> Float[Tensor, "B P F"]:
        """What the picture tower's trunk gives for pictures as in `images`, from the cache if there is one. Only a
        `PictureTower` has features."""
        return self.feature_cache(pictures) if self.feature_cache else self.computed_features(pictures)

    def computed_features(self, pictures: Num[Tensor, "B H W 3"]) -> Float[Tensor, "B P F"]:
        """The same, always from the trunk."""
        assert isinstance(self.visual, PictureTower)
        return self.visual.features(self.normalise(pictures).permute(0, 3, 1, 2), pictures)

    def titles(self, tokens: Int[Tensor, "B T"]) -> TitleSequence:
        """The embeddings of token ids that are padded with zeros to any length up to the context length."""
        if not self.trims_titles:
            tokens = F.pad(tokens, (0, self.context_length - tokens.shape[1]))
        if isinstance(self.text, TitleTower):
            return self.text(tokens, dropout=self.title_dropout)
        text, length = self.text, tokens.shape[1]
        causal = None if text.attn_mask is None else text.attn_mask[:length, :length]
        embedded = text.token_embedding(tokens) + text.positional_embedding[:length]
        embedded = F.dropout(embedded, self.title_dropout, self.text.training)
        sequence = text.ln_final(text.transformer(embedded, attn_mask=causal))
        if isinstance(text.text_projection, nn.Linear):
            sequence = text.text_projection(sequence)
        elif text.text_projection is not None:
            sequence = sequence @ text.text_projection
        positions = torch.arange(length, device=tokens.device)
        if text.pool_type == "last":
            end = positions[-1].expand(tokens.shape[0])
        elif text.pool_type == "eos":
            end = (tokens == text.eos_id).int().argmax(dim=-1)
        else:
            end = tokens.argmax(dim=-1)
        return TitleSequence.of(sequence, end)


def build_backbone(
    name: str,
    *,
    pretrained: str | None,
    random_weights: bool = False,
    picture_tower: PictureTowerShape | None = None,
    picture_weights: str | None = None,
    title_tower: TitleTowerShape | None = None,
) -> ClipBackbone:
    """The towers of an open_clip model (see `build_clip`), of which a `PictureTower` with `picture_weights` (see
    `build_trunk`) or a `TitleTower` replaces one. May raise ConfigurationError."""
    clip = build_clip(name, pretrained=pretrained, random_weights=random_weights)
    width, pictures, titles = _joint_width(clip), None, None
    if picture_tower:
        pictures = build_picture_tower(picture_tower, weights=picture_weights, width=width)
    if title_tower:
        titles = TitleTower(vocabulary=clip.vocab_size, components=title_tower.components, width=width)
    return ClipBackbone(clip, pictures, titles)


def build_clip(name: str, *, pretrained: str | None, random_weights: bool) -> open_clip.CustomTextCLIP:
    """An open_clip model by name, `hf-hub:` name or `local-dir:`, with a pretrained tag or checkpoint file.

    With `random_weights` none are loaded, and `pretrained` only decides how pictures are normalised. ConfigurationError
    where the model is unknown or has no embeddings of patches and tokens, or its weights are missing or partial.
    """
    open_clip.add_model_config(CONFIGS)
    if ":" not in name and name not in open_clip.list_models():
        raise ConfigurationError(
            f"model.backbone: open_clip has no model {name!r}; `open_clip.list_models()` lists its names"
        )

    def is_news(record: logging.LogRecord) -> bool:
        return not (random_weights and "No pretrained weights" in record.getMessage())

    logging.root.addFilter(is_news)  # open_clip warns on the root logger
    try:
        with warnings.catch_warnings():
            # open_clip only warns where weights were trained with another activation.
            warnings.filterwarnings("error", message="QuickGELU mismatch")
            clip = open_clip.create_model(
                name,
                pretrained=None if random_weights else pretrained,
                load_weights=not random_weights,
                require_pretrained=not random_weights,
                pretrained_text=not random_weights,
                force_custom_text=True,
                force_preprocess_cfg=_normalisation(name, pretrained),
            )
    except _LOADING_FAULTS as error:
        raise ConfigurationError(
            f"model.pretrained: the weights {pretrained!r} of {name} could not be loaded ({error}). Give a tag that "
            f"open_clip knows ({', '.join(open_clip.list_pretrained_tags_by_model(name)) or 'it has none'}) and can "
            "download, or the path of a checkpoint file."
        ) from error
    finally:
        logging.root.removeFilter(is_news)
    return cast(open_clip.CustomTextCLIP, clip)


def _joint_width(clip: open_clip.CustomTextCLIP) -> int:
    return int(clip.text.output_dim or clip.text.width)


def _normalisation(name: str, pretrained: str | None) -> dict[str, Any]:
    """Mean and standard deviation of the pictures that a tag was trained on. For a checkpoint file, those of the
    model's tags if they agree (open_clip would take CLIP's). Empty: the model's own configuration decides."""
    tag = open_clip.get_pretrained_cfg(name, pretrained) if pretrained else {}
    siblings = (open_clip.get_pretrained_cfg(name, other) for other in open_clip.list_pretrained_tags_by_model(name))
    found = {(tuple(known["mean"]), tuple(known["std"])) for known in ([tag] if tag else siblings)}
    return dict(zip(("mean", "std"), found.pop(), strict=True)) if len(found) == 1 else {}


def title_tokenizer(name: str) -> open_clip.tokenizer.SimpleTokenizer:
    """The tokenizer of an open_clip model: B titles → (B, context_length) ids. May raise ConfigurationError."""
    open_clip.add_model_config(CONFIGS)
    try:
        return cast(open_clip.tokenizer.SimpleTokenizer, open_clip.get_tokenizer(name))
    except (ImportError, OSError) as error:  # SigLIP's come from Hugging Face, through their package
        raise ConfigurationError(
            f"model.backbone: the tokenizer of {name} could not be loaded ({error}). If it needs `transformers`: "
            "uv pip install transformers sentencepiece"
        ) from error
