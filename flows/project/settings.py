"""`cma.toml`: the settings of a project. Each can also be set by environment, such as `CMA_TAG__ENGINE`."""

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from catalog_io.feeds.settings import FeedSettings
from catalog_io.pictures.fetching.settings import FetchSettings
from flows.project.local_folder import LocalFolder
from models.engines.nvidia.tensorrt.presence import TensorRtSettings
from models.engines.table import EngineName
from models.training.presets import Preset, preset
from schemas.errors import ConfigurationError
from schemas.secrets import redacted

CONFIG_NAME = "cma.toml"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class IngestSettings(_Section):
    """Reading feeds and storing pictures: `[ingest]`."""

    picture_size: int = Field(default=256, ge=16, le=4096)
    """Pixels on the short side of a stored picture."""
    workers: int = Field(default=0, ge=0)
    """Processes that fetch and shrink pictures; 0: one a core."""
    dask: str = ""
    """Address of a Dask scheduler; empty: a local cluster."""
    recheck_days: float = Field(default=7, ge=0)
    """Days until a remote server is asked whether a picture has changed."""


class ModelSettings(_Section):
    """Training and promotion: `[model]`."""

    preset: str = "vit-b-32"
    """`vit-b-32`: the paper's network; `lite`: trains in minutes on a CPU; `small`: without others' weights."""
    backbone: str | None = None
    """Another open_clip model."""
    pretrained: str | None = None
    """The backbone's weights: an open_clip tag or a checkpoint file."""
    picture_tower: str | None = None
    """A timm model whose maps become the patches, in place of the preset's image tower."""
    picture_weights: str | None = None
    """The picture tower's weights: `imagenet`, those that were published with it, or a checkpoint file."""
    image_size: tuple[int, int] | None = None
    """Height and width in pixels of the pictures that a picture tower reads."""
    epochs: dict[str, int] = {}
    """Epochs by the name of a stage."""
    processes: int = Field(default=0, ge=0)
    """Processes that train together; 0: one a CUDA card, else one."""
    cache_gb: float = Field(default=20, ge=0)
    """Gigabytes on disk for the outputs of frozen parts while training, and for features of pictures."""
    promote: Literal["auto", "never"] = "auto"
    """auto: a new model becomes the champion where it is not worse; never: only by `cma models promote`."""
    promotion_margin: float = Field(default=0.02, ge=0, lt=1)
    """A loss of accuracy or recall up to this size does not prevent promotion."""

    def chosen_preset(self, epochs: Mapping[str, int] | None = None) -> Preset:
        """The preset with these settings, and with `epochs` by stage. ConfigurationError where they do not fit it."""
        return preset(
            self.preset,
            backbone=self.backbone,
            pretrained=self.pretrained,
            picture_tower=self.picture_tower,
            picture_weights=self.picture_weights,
            image_size=self.image_size,
            epochs={**self.epochs, **(epochs or {})},
        )


class TagSettings(_Section):
    """Certification and tagging: `[tag]`."""

    target_precision: float = Field(default=0.90, gt=0, lt=1)
    """Share of accepted tags that must be right."""
    confidence: float = Field(default=0.95, gt=0, lt=1)
    """Confidence that this share is reached, by a binomial test on held-out listings."""
    certify: Literal["attribute", "value"] = "attribute"
    """attribute: one threshold for each attribute; value: one for each value."""
    engine: EngineName = "auto"
    """tensorrt, cuda, openvino or torch; auto: the first of these that may tag on this machine."""
    tensorrt: TensorRtSettings = TensorRtSettings()
    dask: str = ""
    """Address of a Dask scheduler; empty: a local cluster."""
    workers: int = Field(default=0, ge=0)
    """Processes of the local cluster; 0: one for every two cores."""
    partition_rows: int = Field(default=512, ge=1)
    """Listings in a unit of work."""
    history_days: int = Field(default=90, ge=0)
    """Days for which the tables tag_history and flag_history keep changes."""
    features: bool = True
    """Whether features are stored, so that new certificates, heads or noise rules need no engine."""


class Settings(BaseSettings):
    """All settings of a project file."""

    model_config = SettingsConfigDict(
        env_prefix="CMA_", env_nested_delimiter="__", extra="forbid", frozen=True, use_attribute_docstrings=True
    )

    home: LocalFolder = Path("warehouse")
    """Folder for the catalogue, pictures, models and reports."""
    taxonomy: Path | None = None
    """Attributes, their values, and the words for each value; without it, the packaged ones."""
    feeds: dict[str, FeedSettings] = {}
    ingest: IngestSettings = IngestSettings()
    fetch: FetchSettings = FetchSettings()
    model: ModelSettings = ModelSettings()
    tag: TagSettings = TagSettings()

    @field_validator("feeds", mode="before")
    @classmethod
    def _named_by_their_sections(cls, feeds: object) -> object:
        if not isinstance(feeds, dict):
            return feeds
        for name, feed in feeds.items():
            if isinstance(feed, dict) and "name" in feed:
                raise ConfigurationError(f"feeds.{name}.name: a feed is named by its section; remove this setting")
        return {name: {**feed, "name": name} if isinstance(feed, dict) else feed for name, feed in feeds.items()}

    @field_validator("feeds")
    @classmethod
    def _names_are_plain(cls, feeds: dict[str, FeedSettings]) -> dict[str, FeedSettings]:
        for name in feeds:
            if not name.replace("-", "").replace("_", "").isalnum():
                raise ValueError(f"the name of feed {name!r} may have letters, digits, - and _ only")
        return feeds

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return env_settings, init_settings  # the environment wins over the file


def find_config(given: Path | None) -> Path:
    """The path of the project file: `given`, else the variable CMA_CONFIG, else `cma.toml` in the working directory.
    ConfigurationError where there is none."""
    path = given or Path(os.environ.get("CMA_CONFIG", CONFIG_NAME))
    if not path.is_file():
        raise ConfigurationError(
            f"there is no {path}: create one with `cma init`, name one with --config or CMA_CONFIG, or run `cma demo` "
            "to see every step on a sample catalogue"
        )
    return path.resolve()


def load_settings(path: Path) -> Settings:
    """The settings of a project file; its relative paths become absolute, from its folder. ConfigurationError names
    every wrong key."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is not valid TOML: {error}") from error
    try:
        settings = Settings(**data)
    except ValidationError as error:
        raise ConfigurationError("\n".join(_sentence(path, detail) for detail in error.errors())) from error
    root = path.parent
    feeds = {
        name: replace(
            feed,
            source=_absolute(root, feed.source),
            images=_absolute(root, feed.images or (feed.source if feed.layout else "")),
        )
        for name, feed in settings.feeds.items()
    }
    taxonomy = root / settings.taxonomy if settings.taxonomy else None
    return settings.model_copy(update={"home": root / settings.home, "taxonomy": taxonomy, "feeds": feeds})


def _absolute(root: Path, place: str) -> str:
    if file := re.fullmatch(r"((?:sqlite|duckdb)[+\w]*:///)([^/:].*)", place):  # a database's file is a path, too
        return f"{file[1]}{root / file[2]}"
    return place if "://" in place else str(root / place)


def _sentence(path: Path, detail: ErrorDetails) -> str:
    key = ".".join(str(part) for part in detail["loc"])
    if detail["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        return f"{path}: there is no setting `{key}`; correct its name or take it out"
    return redacted(f"{path}: `{key}`: {detail['msg']} (it is {detail['input']!r})")
