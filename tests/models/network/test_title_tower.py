"""Vectors of tokens from what pictures show and labels say."""

import numpy as np
import torch

from models.network.title_tower import TitleTower

START, END = 98, 99


def unlabelled(titles: int) -> np.ndarray:
    return np.full((titles, 2), -1)


def tower() -> TitleTower:
    torch.manual_seed(0)
    return TitleTower(vocabulary=100, components=4, width=6).eval()


def title(*words: int) -> list[int]:
    return [START, *words, END, *[0] * (4 - len(words))]


def fitted() -> TitleTower:
    """Tokens 1 and 2 are dresses, 3 and 4 shoes, by their pictures; no title has two of them. Token 5 is in all."""
    random = np.random.default_rng(0)
    words = random.integers(1, 5, 200)
    tokens = np.array([title(5, word) for word in words.tolist()])
    shown = np.where(words <= 2, 1.0, -1.0)[:, None] + 0.1 * random.normal(size=(200, 6))
    built = tower()
    built.fit(tokens, unlabelled(200), shown)
    return built


def alike(built: TitleTower, one: list[int], other: list[int]) -> float:
    sums = torch.stack([built.vectors[torch.tensor(words)].float().sum(dim=0) for words in (one, other)])
    return float(torch.nn.functional.cosine_similarity(*sums, dim=0))


def test_tokens_whose_pictures_are_alike_have_alike_vectors_though_they_never_meet() -> None:
    built = fitted()
    assert built.fitted
    assert alike(built, [1], [2]) > 0.9
    assert alike(built, [3], [4]) > 0.9
    assert alike(built, [1], [3]) < -0.5


def test_tokens_that_no_title_had_and_the_ends_are_zero() -> None:
    built = fitted()
    assert built.vectors[[0, 6, 50, START, END]].abs().max() == 0
    assert built.vectors[:6].abs().sum(dim=1).count_nonzero() == 5


@torch.no_grad()
def test_the_end_of_the_text_is_the_sum_of_the_title() -> None:
    built = fitted()
    tokens = torch.tensor([title(1, 5), title(3)])
    sequence, embedding, end, valid = built(tokens)
    assert end.tolist() == [3, 2]
    assert valid.tolist() == [[True] * 4 + [False] * 2, [True] * 3 + [False] * 3]
    total = built.vectors[[1, 5]].float().sum(dim=0) / built.idf[[1, 5]].norm()
    expected = built.projection(total)
    torch.testing.assert_close(embedding[0], expected)
    torch.testing.assert_close(sequence[0, 3], expected)
    longer = built(torch.cat([tokens, torch.zeros(2, 3, dtype=torch.int64)], dim=1))
    torch.testing.assert_close(longer.embedding, embedding)


def test_the_sums_of_titles_have_a_mean_square_of_1_and_a_rare_word_is_short() -> None:
    random = np.random.default_rng(0)
    words = np.append(random.integers(1, 5, 200), 6)
    tokens = np.array([title(word) for word in words.tolist()])
    shown = np.eye(7)[np.where(words == 6, 1, words)] + 0.1 * random.normal(size=(201, 7))
    built = tower()
    built.fit(tokens, unlabelled(201), shown)
    numbers = built.vectors[torch.from_numpy(words)].float() / built.idf[torch.from_numpy(words), None]
    assert 0.9 < (numbers - numbers.mean(dim=0)).square().mean() < 1.1
    assert numbers[-1].norm() < 0.5 * numbers[:-1].norm(dim=1).min()


@torch.no_grad()
def test_an_unknown_title_is_what_the_projection_makes_of_nothing() -> None:
    built = fitted()
    torch.testing.assert_close(built(torch.tensor([title(50)])).embedding[0], built.projection.bias)


def test_without_pictures_tokens_of_alike_titles_are_alike() -> None:
    random = np.random.default_rng(0)
    kinds = ([1, 2, 3], [4, 6, 7])
    tokens = np.array([title(*random.permutation(kinds[row % 2])[:2].tolist()) for row in range(200)])
    built = TitleTower(vocabulary=100, components=1, width=6)
    built.fit(tokens, unlabelled(200))
    assert alike(built, [1], [2]) > 0.9
    assert alike(built, [1], [4]) < -0.5


def labelled(words: np.ndarray, labels: np.ndarray) -> TitleTower:
    """A word of each title says its label; the picture tells only 1 and 2 from 3 and 4. The other words are noise."""
    random = np.random.default_rng(0)
    noise = random.integers(10, 90, (len(words), 2)).tolist()
    tokens = np.array([title(word, *others) for word, others in zip(words.tolist(), noise, strict=True)])
    shown = np.where(words <= 2, 1.0, -1.0)[:, None] + 0.1 * random.normal(size=(len(words), 6))
    built = TitleTower(vocabulary=100, components=2, width=6)
    built.fit(tokens, np.stack([np.full(len(words), -1), labels], axis=1), shown)
    return built


def test_labels_tell_words_apart_that_pictures_do_not() -> None:
    words = np.random.default_rng(1).integers(1, 5, 1000)
    named = np.where(np.arange(1000) % 3 == 0, -1, words % 2)
    assert alike(labelled(words, named), [1], [2]) < 0.5
    assert alike(labelled(words, np.full(1000, -1)), [1], [2]) > 0.9


def test_labels_that_titles_do_not_say_count_next_to_nothing() -> None:
    words = np.random.default_rng(1).integers(1, 5, 1000)
    drawn = np.random.default_rng(2).integers(0, 2, 1000)
    assert alike(labelled(words, drawn), [1], [2]) > 0.9


def test_one_title_or_one_value_is_enough_to_fit() -> None:
    built = tower()
    built.fit(np.array([title(1), title(1), title(1)]), np.array([[0, 0], [0, 1], [0, -1]]), np.eye(3))
    assert built.fitted
    assert built.vectors.isfinite().all()
