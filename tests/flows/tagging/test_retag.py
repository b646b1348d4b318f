"""Tags made from kept features, without pictures or an engine, are those of a full run to the last bit."""

import shutil
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from catalog_io.catalog.snapshot import query
from flows.ingestion.ingest import ingest
from flows.project.project import Project
from flows.tagging.tag import tag
from models.lifecycle.card import write_card
from models.lifecycle.weights import save_weights
from schemas.errors import UserError

ALL_BUT_WHEN = """select * exclude (run_id, tagged_at) from tags order by feed, listing_id, attribute"""
FLAGS = "select * exclude (run_id) from noise_flags order by all"


def stored(project: Project) -> list[pl.DataFrame]:
    return [query(project.home, sql) for sql in (ALL_BUT_WHEN, FLAGS)]


def with_other_heads(project: Project) -> None:
    """Heads, probes, temperatures, thresholds and rules for noise as no training left them; the encoder as it was."""
    model = project.model()
    folder, card, network = model.folder, model.card, model.network
    for part in (network.heads, network.image_probes, network.modality_attentions):
        for parameter in part.parameters():
            parameter.data.mul_(1.25)
    card = replace(card, weights=save_weights(network, folder))
    write_card(replace(card, noise=replace(card.noise, thresholds=dict.fromkeys(card.noise.thresholds, 0.3))), folder)
    built = model.engine_card("openvino")
    assert built is not None
    made = built.certificates

    def changed(calibrations):  # type: ignore[no-untyped-def]
        return {
            name: replace(one, temperature=1.7, thresholds=[0.4] * len(one.thresholds))
            for name, one in calibrations.items()
        }

    feeds = {feed: changed(calibrations) for feed, calibrations in made.feeds.items()}
    made = replace(made, pooled=changed(made.pooled), feeds=feeds)
    replace(built, weights=card.weights, certificates=made).write(folder)


def test_new_heads_thresholds_and_rules_need_no_picture(project_copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = Project.open(project_copy)
    first = tag(project)
    assert first.from_features == 0
    before = stored(project)
    with_other_heads(project)

    shutil.copytree(project_copy.parent, project_copy.parent.parent / "full")
    monkeypatch.setenv("CMA_TAG__FEATURES", "false")
    full = Project.open(project_copy.parent.parent / "full" / "cma.toml")
    shutil.rmtree(full.home / "features")
    assert tag(full).from_features == 0
    assert not (full.home / "features").exists()

    monkeypatch.delenv("CMA_TAG__FEATURES")
    shutil.rmtree(project.home / "pictures")
    second = tag(Project.open(project_copy))
    assert second.selected == second.tagged == second.from_features == first.tagged
    assert (second.accepted_tags, second.flags) != (first.accepted_tags, first.flags)
    for kept, whole, old in zip(stored(project), stored(full), before, strict=True):
        assert kept.equals(whole)
        assert not kept.equals(old)


def test_what_changed_or_was_damaged_goes_through_the_engine(project_copy: Path) -> None:
    project = Project.open(project_copy)
    whole = tag(project)
    feed = project_copy.parent / "catalogue" / "listings.csv"
    lines = feed.read_text(encoding="utf-8").splitlines()
    healthy = query(project.home, "select listing_id from listings where image_hash is not null").to_series().to_list()
    row = next(n for n, line in enumerate(lines) if line.split(",")[0] in healthy)
    lines[row] = lines[row].replace(lines[row].split(",")[2], "Quite Another Title")
    feed.write_text("\n".join(lines) + "\n", encoding="utf-8")
    ingest(project)
    assert (tag(project).selected, whole.selected) == (1, 800)

    with_other_heads(project)
    damaged = max(project.home.glob("features/*/*.parquet"), key=lambda path: path.stat().st_size)
    rows = pl.read_parquet(damaged)["input_hash"].is_in(project.catalog.input_hashes().implode()).sum()
    content = bytearray(damaged.read_bytes())
    content[8 : len(content) // 2] = bytes(len(content) // 2 - 8)  # what the index reads may be whole or not
    damaged.write_bytes(bytes(content))
    try:
        again = tag(project)
    except UserError as fault:
        assert str(damaged) in str(fault)
        again = tag(project)
    assert again.selected == again.tagged == again.from_features + rows == 800  # the edited one, too
