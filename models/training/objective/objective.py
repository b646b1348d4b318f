"""The loss of one micro-batch in a stage: which terms there are follows from which parts move."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from models.engines.machine import has_bf16
from models.inputs.examples import Examples
from models.inputs.preprocessing import trim
from models.network.cma_clip import CmaClip
from models.network.towers import ImageSequence, TitleSequence
from models.training.objective.augmentation import augment, drop_modalities, drop_tokens, mix, swap
from models.training.objective.losses import classification_loss, contrastive_loss, matching_loss
from models.training.presets import Preset, Stage
from models.training.saved.tower_cache import FrozenOutputs

PICTURE, TITLE, BOTH = range(3)  # what the teacher's soft targets were computed from


class Counts(NamedTuple):
    """Of a whole batch: its labelled listings per task, of them those with a picture and with a title; and how many
    micro-batches it is cut into."""

    labelled: Float[Tensor, " K"]
    pictured: Float[Tensor, " K"]
    titled: Float[Tensor, " K"]
    chunks: int


@dataclass(frozen=True, kw_only=True)
class Objective:
    """Losses of classification are means over the batch; contrastive and matching losses compare the listings of a
    micro-batch with each other, and are means over the micro-batches."""

    network: CmaClip
    preset: Preset
    stage: Stage
    examples: Examples
    device: torch.device
    frozen: FrozenOutputs | None  # cached outputs of the frozen parts

    def counts(self, rows: np.ndarray, chunks: int) -> Counts:
        known = self.examples.labels[rows] >= 0
        present = self.examples.present[rows]
        numbers = known.sum(0), (known & present[:, :1]).sum(0), (known & present[:, 1:]).sum(0)
        labelled, pictured, titled = (torch.tensor(n, dtype=torch.float32, device=self.device) for n in numbers)
        return Counts(labelled, pictured, titled, chunks)

    def __call__(self, rows: np.ndarray, counts: Counts) -> Float[Tensor, ""]:
        present = self._tensor(self.examples.present[rows])
        labels = self._tensor(self.examples.labels[rows])
        if self.frozen is not None and self.stage.moves_heads_only:
            image_out, title_out = self.frozen.outputs(rows)
            logits = self.network.classify(image_out, title_out, present).logits
            return self._classification(logits, labels, counts.labelled, self._soft_targets(rows, BOTH))
        with torch.autocast(self.device.type, torch.bfloat16, enabled=has_bf16(self.device)):
            return self._loss(rows, present, labels, counts)

    def _loss(
        self, rows: np.ndarray, present: Bool[Tensor, "B 2"], labels: Int64[Tensor, "B K"], counts: Counts
    ) -> Float[Tensor, ""]:
        stage = self.stage
        if not stage.moves_towers or stage.moves_both_towers:
            return self._pairs(rows, present, labels, counts)
        if "image_tower" in stage.parts:
            return self._pictures_only(rows, present, labels, counts)
        title_logits = self._probe_title(self._titles(rows))
        known = _labels_where(labels, present[:, 1])
        return self._classification(title_logits, known, counts.titled, self._soft_targets(rows, TITLE))

    def _pairs(
        self, rows: np.ndarray, present: Bool[Tensor, "B 2"], labels: Int64[Tensor, "B K"], counts: Counts
    ) -> Float[Tensor, ""]:
        network, preset, parts = self.network, self.preset, self.stage.parts
        if self.frozen is None:
            image, title = network.backbone.images(self._pictures(rows, present)), self._titles(rows)
        else:
            image, title = self.frozen.towers(rows)
        loss = torch.zeros((), device=self.device)
        if "heads" in parts:
            loss = loss + self._fused(rows, image, title, present, labels, counts)
        if "probes" in parts:
            image_logits, title_logits = self._probe_image(image), self._probe_title(title)
            pictured, titled = _labels_where(labels, present[:, 0]), _labels_where(labels, present[:, 1])
            loss = loss + self._classification(
                image_logits, pictured, counts.pictured, self._soft_targets(rows, PICTURE)
            )
            loss = loss + self._classification(title_logits, titled, counts.titled, self._soft_targets(rows, TITLE))
        if preset.contrastive_weight and self.stage.moves_both_towers:
            both = present.all(dim=1)
            alike = contrastive_loss(image.embedding[both], title.embedding[both], network.backbone.logit_scale.exp())
            loss = loss + preset.contrastive_weight * alike / counts.chunks
        return loss

    def _pictures_only(
        self, rows: np.ndarray, present: Bool[Tensor, "B 2"], labels: Int64[Tensor, "B K"], counts: Counts
    ) -> Float[Tensor, ""]:
        """The image tower's loss; a share `mixup` of the micro-batches has its pictures and losses mixed in pairs."""
        pictures, known = self._pictures(rows, present), _labels_where(labels, present[:, 0])
        mixed = float(torch.rand(())) < self.preset.mixup
        partner, keep = mix(len(rows), device=self.device)
        if mixed:
            pictures = keep * pictures + (1 - keep) * pictures[partner]
        logits = self._probe_image(self.network.backbone.images(pictures))
        targets = self._soft_targets(rows, PICTURE)
        loss = self._classification(logits, known, counts.pictured, targets)
        if mixed:
            other = targets and [task[partner] for task in targets]
            loss = keep * loss + (1 - keep) * self._classification(logits, known[partner], counts.pictured, other)
        return loss

    def _pictures(self, rows: np.ndarray, present: Bool[Tensor, "B 2"]) -> Tensor:
        pictures = self._tensor(self.examples.pictures[rows])[_stand_ins(present[:, 0])]
        return augment(pictures) if self.preset.augment else pictures

    def _titles(self, rows: np.ndarray) -> TitleSequence:
        tokens, backbone = self.examples.tokens[rows], self.network.backbone
        trimmed = self._tensor(trim(tokens) if backbone.trims_titles else tokens)
        return backbone.titles(drop_tokens(trimmed, self.preset.token_dropout))

    def _probe_image(self, image: ImageSequence) -> list[Tensor]:
        moves = self.preset.probes_train_towers
        return [probe(image.embedding if moves else image.embedding.detach()) for probe in self.network.image_probes]

    def _probe_title(self, title: TitleSequence) -> list[Tensor]:
        moves = self.preset.probes_train_towers
        return [probe(title.embedding if moves else title.embedding.detach()) for probe in self.network.title_probes]

    def _fused(
        self,
        rows: np.ndarray,
        image: ImageSequence,
        title: TitleSequence,
        present: Bool[Tensor, "B 2"],
        labels: Int64[Tensor, "B K"],
        counts: Counts,
    ) -> Float[Tensor, ""]:
        """The heads' loss and the matching loss, with a share of the pictures and titles swapped. A listing under
        another's title has the soft targets of its picture alone; one with another's picture, those of its title."""
        network, preset = self.network, self.preset
        shown = drop_modalities(present, preset.modality_dropout)
        pictures = titles = itself = torch.arange(len(rows), device=self.device)
        if preset.swapped:
            pictures, titles = swap(shown.all(dim=1), preset.swapped / 2)
            image = ImageSequence(*(part[pictures] for part in image))
            title = TitleSequence(*(part[titles] for part in title))
        own = shown & torch.stack([pictures == itself, titles == itself], dim=1)
        by = torch.where(own.all(dim=1), BOTH, torch.where(own[:, 0], PICTURE, TITLE))
        encoded = network.attend(image, title, shown)
        classified = network.classify(encoded.image_out, encoded.title_out, shown)
        loss = self._classification(classified.logits, labels, counts.labelled, self._soft_targets(rows, by))
        if preset.matching_weight:
            matching = matching_loss(classified.match, own.all(dim=1), shown.all(dim=1))
            loss = loss + preset.matching_weight * matching / counts.chunks
        return loss

    def _soft_targets(self, rows: np.ndarray, by: int | Int64[Tensor, " B"]) -> list[Tensor] | None:
        """Per task, the teacher's probabilities (B, C) by PICTURE, TITLE or BOTH; None without distillation."""
        if self.examples.soft_targets is None or not self.preset.distillation:
            return None
        targets = self._tensor(self.examples.soft_targets[rows])[torch.arange(len(rows), device=self.device), by]
        return list(targets.split(list(self.network.classes), dim=1))

    def _classification(
        self, logits: list[Tensor], labels: Tensor, counts: Tensor, soft_targets: list[Tensor] | None
    ) -> Float[Tensor, ""]:
        preset = self.preset
        return classification_loss(
            logits,
            labels,
            counts,
            smoothing=preset.label_smoothing,
            soft_targets=soft_targets,
            distillation=preset.distillation,
        )

    def _tensor(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).to(self.device)


def _labels_where(labels: Int64[Tensor, "B K"], has: Bool[Tensor, " B"]) -> Int64[Tensor, "B K"]:
    """The labels of the listings that have a modality; −1 for the others."""
    return labels.masked_fill(~has[:, None], -1)


def _stand_ins(has_picture: Bool[Tensor, " B"]) -> Int64[Tensor, " B"]:
    """The row whose picture each row shows: its own, or another's where it has none. Attention masks such a picture;
    but batch normalisation sees every picture of a batch, and blank ones would shift its statistics."""
    rows = torch.arange(len(has_picture), device=has_picture.device)
    if has_picture.any():
        missing = ~has_picture
        rows[missing] = rows[has_picture][rows[: int(missing.sum())] % int(has_picture.sum())]
    return rows
