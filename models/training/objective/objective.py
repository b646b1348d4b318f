"""The loss of a micro-batch. Its terms follow from the parts that the stage moves."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from models.engines.machine import has_bf16
from models.inputs.examples import Examples
from models.inputs.preprocessing import trim
from models.network.cma_clip import CmaClip
from models.network.embeddings import ImageSequence, TitleSequence
from models.training.objective.augmentation import augment, drop_modalities, drop_tokens, mirror, mix, swap
from models.training.objective.losses import classification_loss, contrastive_loss, matching_loss
from models.training.parts import Stage
from models.training.presets import Preset
from models.training.saved.tower_cache import FrozenOutputs

PICTURE, TITLE, BOTH = range(3)  # the inputs of the teacher's soft targets


class Counts(NamedTuple):
    """Counts of a whole batch, by which the losses of its micro-batches are divided: its labelled listings per task,
    those of them with a picture and those with a title, and its micro-batches."""

    labelled: Float[Tensor, " K"]
    pictured: Float[Tensor, " K"]
    titled: Float[Tensor, " K"]
    chunks: int


class MicroBatch(NamedTuple):
    """The listings at `rows`: which of picture and title they have, their labels (−1: none), the counts of their
    batch."""

    rows: np.ndarray
    present: Bool[Tensor, "B 2"]
    labels: Int64[Tensor, "B K"]
    counts: Counts

    def labels_with(self, modality: int) -> Int64[Tensor, "B K"]:
        """The labels of the listings that have a picture (0) or a title (1); −1 for the others."""
        return self.labels.masked_fill(~self.present[:, modality, None], -1)


@dataclass(frozen=True, kw_only=True)
class Objective:
    """The loss of a micro-batch, as a function of the rows of its listings and of the counts of its batch.

    Classification losses are means over the batch. Contrastive and matching losses compare the listings of a
    micro-batch with each other, and are means over the micro-batches.
    """

    network: CmaClip
    preset: Preset
    stage: Stage
    examples: Examples
    device: torch.device
    frozen: FrozenOutputs | None  # cached outputs of the frozen parts

    def counts(self, rows: np.ndarray, chunks: int) -> Counts:
        """The counts of the batch of these rows, which is cut into `chunks` micro-batches."""
        known = self.examples.labels[rows] >= 0
        present = self.examples.present[rows]
        numbers = known.sum(0), (known & present[:, :1]).sum(0), (known & present[:, 1:]).sum(0)
        labelled, pictured, titled = (torch.tensor(n, dtype=torch.float32, device=self.device) for n in numbers)
        return Counts(labelled, pictured, titled, chunks)

    def __call__(self, rows: np.ndarray, counts: Counts) -> Float[Tensor, ""]:
        present, labels = self._tensor(self.examples.present[rows]), self._tensor(self.examples.labels[rows])
        batch, stage = MicroBatch(rows, present, labels, counts), self.stage
        if self.frozen is not None and stage.moves_heads_only:
            logits = self.network.classify(*self.frozen.outputs(rows), present).logits
            return self._classification(logits, labels, counts.labelled, self._soft_targets(rows, BOTH))
        with torch.autocast(self.device.type, torch.bfloat16, enabled=has_bf16(self.device)):
            if not stage.moves_towers or stage.moves_both_towers:
                return self._pairs(batch)
            if "image_tower" in stage.parts:
                return self._pictures_only(batch)
            return self._title_probes(batch, self._titles(rows))

    def _pairs(self, batch: MicroBatch) -> Float[Tensor, ""]:
        """The loss of a stage that moves both towers or neither: of heads, probes and embeddings, as far as they
        move."""
        network, preset, present = self.network, self.preset, batch.present
        if self.frozen is None:
            image, title = network.backbone.images(self._pictures(batch)), self._titles(batch.rows)
        else:
            image, title = self.frozen.towers(batch.rows)
        loss = torch.zeros((), device=self.device)
        if "heads" in self.stage.parts:
            loss = loss + self._fused(batch, image, title)
        if "probes" in self.stage.parts:
            logits, targets = self._probe(network.image_probes, image), self._soft_targets(batch.rows, PICTURE)
            loss = loss + self._classification(logits, batch.labels_with(0), batch.counts.pictured, targets)
            loss = loss + self._title_probes(batch, title)
        if preset.contrastive_weight and self.stage.moves_both_towers:
            both = present.all(dim=1)
            embeddings = network.aligned(image.embedding[both], title.embedding[both])
            alike = contrastive_loss(*embeddings, network.backbone.logit_scale.exp())
            loss = loss + preset.contrastive_weight * alike / batch.counts.chunks
        return loss

    def _title_probes(self, batch: MicroBatch, title: TitleSequence) -> Float[Tensor, ""]:
        logits, targets = self._probe(self.network.title_probes, title), self._soft_targets(batch.rows, TITLE)
        return self._classification(logits, batch.labels_with(1), batch.counts.titled, targets)

    def _pictures_only(self, batch: MicroBatch) -> Float[Tensor, ""]:
        """The image tower's loss; a share `mixup` of the micro-batches has its pictures and losses mixed in pairs."""
        pictures, known, counted = self._pictures(batch), batch.labels_with(0), batch.counts.pictured
        mixed = float(torch.rand(())) < self.preset.mixup
        partner, keep = mix(len(batch.rows), device=self.device)
        if mixed:
            pictures = keep * pictures + (1 - keep) * pictures[partner]
        logits = self._probe(self.network.image_probes, self.network.backbone.images(pictures))
        targets = self._soft_targets(batch.rows, PICTURE)
        loss = self._classification(logits, known, counted, targets)
        if mixed:
            other = targets and [task[partner] for task in targets]
            loss = keep * loss + (1 - keep) * self._classification(logits, known[partner], counted, other)
        return loss

    def _pictures(self, batch: MicroBatch) -> Tensor:
        pictures = self._tensor(self.examples.pictures[batch.rows])[_stand_ins(batch.present[:, 0])]
        if not self.preset.augment:
            return pictures
        return mirror(pictures) if self.network.backbone.feature_cache else augment(pictures)

    def _titles(self, rows: np.ndarray) -> TitleSequence:
        tokens, backbone = self.examples.tokens[rows], self.network.backbone
        trimmed = self._tensor(trim(tokens) if backbone.trims_titles else tokens)
        return backbone.titles(drop_tokens(trimmed, self.preset.token_dropout))

    def _probe(self, probes: nn.ModuleList, tower: ImageSequence | TitleSequence) -> list[Tensor]:
        embedding = tower.embedding if self.preset.probes_train_towers else tower.embedding.detach()
        return [probe(embedding) for probe in probes]

    def _fused(self, batch: MicroBatch, image: ImageSequence, title: TitleSequence) -> Float[Tensor, ""]:
        """The heads' loss and the matching loss, with a share of the pictures and titles swapped. A listing under
        another's title has the soft targets of its picture alone; one with another's picture, those of its title."""
        network, preset = self.network, self.preset
        shown = drop_modalities(batch.present, preset.modality_dropout, preset.of_titles)
        pictures = titles = itself = torch.arange(len(batch.rows), device=self.device)
        if preset.swapped:
            pictures, titles = swap(shown.all(dim=1), preset.swapped, preset.of_titles)
            image = ImageSequence(*(part[pictures] for part in image))
            title = TitleSequence(*(part[titles] for part in title))
        own = shown & torch.stack([pictures == itself, titles == itself], dim=1)
        source = torch.where(own.all(dim=1), BOTH, torch.where(own[:, 0], PICTURE, TITLE))
        encoded = network.attend(image, title, shown)
        classified = network.classify(encoded.image_out, encoded.title_out, shown)
        targets = self._soft_targets(batch.rows, source)
        loss = self._classification(classified.logits, batch.labels, batch.counts.labelled, targets)
        if preset.matching_weight:
            matching = matching_loss(classified.match, own.all(dim=1), shown.all(dim=1))
            loss = loss + preset.matching_weight * matching / batch.counts.chunks
        return loss

    def _soft_targets(self, rows: np.ndarray, source: int | Int64[Tensor, " B"]) -> list[Tensor] | None:
        """Per task the teacher's probabilities, (B, C), from `source`: PICTURE, TITLE or BOTH. None without
        distillation."""
        if self.examples.soft_targets is None or not self.preset.distillation:
            return None
        targets = self._tensor(self.examples.soft_targets[rows])[torch.arange(len(rows), device=self.device), source]
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


def _stand_ins(has_picture: Bool[Tensor, " B"]) -> Int64[Tensor, " B"]:
    """The row whose picture each row shows: its own, or another's where it has none. Attention masks such a picture;
    but batch normalisation sees every picture of a batch, and blank ones would shift its statistics."""
    rows = torch.arange(len(has_picture), device=has_picture.device)
    if has_picture.any():
        missing = ~has_picture
        rows[missing] = rows[has_picture][rows[: int(missing.sum())] % int(has_picture.sum())]
    return rows
