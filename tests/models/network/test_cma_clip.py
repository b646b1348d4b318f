"""What the network has beside the paper's."""

import torch

from tests.models.tiny import WIDTH, tiny_network, tiny_preset


@torch.no_grad()
def test_embeddings_are_compared_in_the_joint_space_until_training_moves_their_alignments(backbone_name: str) -> None:
    network = tiny_network(tiny_preset(backbone_name))
    picture, title = torch.randn(2, 3, WIDTH)
    assert all(map(torch.equal, network.aligned(picture, title), (picture, title)))
    network.alignments[0].weight.mul_(2)
    assert torch.equal(network.aligned(picture, title)[0], 2 * picture)
