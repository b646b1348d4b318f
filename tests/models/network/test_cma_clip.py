"""What the network has beside the paper's."""

from dataclasses import replace

import torch
from torch import nn

from tests.models.tiny import WIDTH, tiny_network, tiny_preset


@torch.no_grad()
def test_embeddings_are_compared_in_the_joint_space_until_training_moves_their_alignments(backbone_name: str) -> None:
    network = tiny_network(tiny_preset(backbone_name))
    picture, title = torch.randn(2, 3, WIDTH)
    assert all(map(torch.equal, network.aligned(picture, title), (picture, title)))
    network.alignments[0].weight.mul_(2)
    assert torch.equal(network.aligned(picture, title)[0], 2 * picture)


@torch.no_grad()
def test_agreement_is_of_listings_with_picture_and_title_only(backbone_name: str) -> None:
    preset = tiny_preset(backbone_name)
    network = tiny_network(replace(preset, architecture=replace(preset.architecture, reads_agreement=True)))
    width, size, length = WIDTH, network.backbone.image_size, network.backbone.context_length
    pictures, tokens = torch.randint(0, 256, (3, *size, 3), dtype=torch.uint8), torch.ones(3, length, dtype=torch.int64)
    present = torch.tensor([[True, True], [True, False], [False, True]])
    told: list[torch.Tensor] = []
    nn.Module.register_forward_pre_hook(network.sequence_attention.agreement, lambda _, given: told.append(given[0]))
    network.encode(pictures, tokens, present)
    assert told[0].shape == (3, width) and not told[0][1:].any()
    image, title = network.backbone.images(pictures).embedding, network.backbone.titles(tokens).embedding
    cosine = torch.cosine_similarity(image, title)[0]
    torch.testing.assert_close(told[0][0].sum() / width, cosine)
