"""An open project: its settings, taxonomy, catalogue, stored pictures and models, and the record of its runs."""

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self

from catalog_io.catalog.catalog import Catalog
from catalog_io.pictures.shards import DamagedShards, PictureShards
from flows.project.progress import console
from flows.project.runs import Run, recorded
from flows.project.settings import Settings, find_config, load_settings
from schemas.errors import ConfigurationError, UserError
from schemas.taxonomy import Taxonomy

if TYPE_CHECKING:
    from models.lifecycle.model import Model


@dataclass(frozen=True)
class Project:
    """A project file, its settings and its taxonomy; the catalogue and the pictures open when they are used."""

    config: Path
    settings: Settings
    taxonomy: Taxonomy

    @classmethod
    def open(cls, config: Path | None = None) -> Self:
        """Reads the project file, which `find_config` finds, and its taxonomy. Nothing is created yet."""
        path = find_config(config)
        settings = load_settings(path)
        return cls(path, settings, Taxonomy.load(settings.taxonomy) if settings.taxonomy else Taxonomy.packaged())

    @property
    def home(self) -> Path:
        return self.settings.home

    @cached_property
    def catalog(self) -> Catalog:
        """The catalogue; created where there is none."""
        catalog = Catalog(self.home)
        catalog.create(self.taxonomy)
        return catalog

    @cached_property
    def shards(self) -> PictureShards:
        return PictureShards(self.home)

    @property
    def picture_features(self) -> Path:
        """The folder that keeps the features of picture towers, of up to `model.cache_gb`. It may be removed at any
        time."""
        return self.home / "cache" / "picture-features"

    def require_feeds(self, names: Iterable[str]) -> None:
        """ConfigurationError where the project file has no feed of one of these names."""
        for name in names:
            if name not in self.settings.feeds:
                known = ", ".join(self.settings.feeds) or "none"
                raise ConfigurationError(f"there is no feed {name!r} in {self.config}; its feeds: {known}")

    def model_folder(self, version: str | None = None) -> Path:
        """The folder of a registered model (None: of the champion). UserError where there is none."""
        for row in self.catalog.models():
            if row.champion if version is None else row.model_version == version:
                return self.home / row.path
        if version is None:
            raise UserError("there is no model yet: train one with `cma train`")
        raise UserError(f"there is no model {version!r}: `cma models` lists them")

    def model(self, version: str | None = None) -> "Model":
        """A registered model (None: the champion). UserError where there is none."""
        from models.lifecycle.model import Model

        return Model.open(self.model_folder(version))

    @contextmanager
    def run(self, flow: str) -> Iterator[Run]:
        """Records a run of a flow in the catalogue (see `flows.project.runs`). UserError where the home cannot be
        written. Shards that turn out to be damaged are given up."""
        self.catalog.require_writable()
        with recorded(self.catalog, flow) as run:
            try:
                yield run
            except DamagedShards as fault:
                self.give_up_shards(fault.shards)
                raise

    def give_up_shards(self, shards: Collection[str]) -> None:
        """Forgets the pictures of damaged shards, which the next ingest then fetches again, and says so."""
        if lost := self.catalog.lose_pictures(shards):
            console.print(
                f"{lost} stored pictures are lost, because {len(shards)} files in {self.shards.folder} are missing or "
                f"damaged ({min(shards)}): the next `cma ingest` fetches them again",
                markup=False,
            )


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class ConservationError(AssertionError):
    """Listings were lost or counted twice: a fault of the program, never of the data."""


def conserve(what: str, total: int, parts: Mapping[str, int]) -> None:
    """Checks that the counts of `parts` add up to `total`; ConservationError otherwise."""
    if total != sum(parts.values()):
        counted = " + ".join(f"{count} {name}" for name, count in parts.items())
        raise ConservationError(f"{total} {what}, but {counted} = {sum(parts.values())}")
