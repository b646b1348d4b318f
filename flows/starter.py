"""`cma init`: a commented project file to start from, guessed from a feed's own columns and label words."""

import json
from collections import Counter
from itertools import islice
from pathlib import Path

import polars as pl
import yaml

from catalog_io.sources import read_feed
from schemas.errors import UserError
from schemas.taxonomy import Taxonomy

_NAMES = {
    "listing_id": ("listing_id", "id", "article_id", "sku", "product_id", "item_id"),
    "title": ("title", "name", "prod_name", "product_name", "productdisplayname", "product_title"),
    "image": ("image", "image_path", "image_url", "picture", "img", "filename"),
    "product_id": ("product_id", "product_code", "parent_id", "style_code", "group_id"),
}
_LABELS = {
    "color": ("color", "colour", "basecolour", "base_colour", "colour_group_name"),
    "pattern": ("pattern", "graphical_appearance_name", "print"),
    "style": ("style", "product_type", "articletype", "article_type", "category", "usage"),
}
_SAMPLE_BATCHES = 5  # of 10,000 rows, looked at for label words
_MOST_VALUES, _FEWEST_ROWS = 60, 20

_TEMPLATE = """\
# A cma-tagger project. Every key can also be set by environment: CMA_HOME, CMA_TAG__ENGINE, …
home = "warehouse"            # catalogue, pictures, models and runs live here
{taxonomy}
# A feed: CSV, TSV, JSONL or Parquet; a path or a glob. `columns` says what yours calls our columns.
[feeds.{feed}]
source = {source}
images = {images}                 # root of relative picture paths; a feed can never read outside it
columns = {{ {columns} }}
labels = {{ {labels} }}      # attribute = your label column; words are mapped by the taxonomy

[ingest]
picture_size = 256            # pixels on the short side of a stored picture

[model]
preset = "small"              # trains from scratch on a CPU; "vit-b-32" is the paper's, from pretrained weights

[tag]
target_precision = 0.90       # accepted tags are right at least this often …
confidence = 0.95             # … and this sure is the certificate
engine = "auto"               # openvino | torch (auto: the fastest that passed its gate)
dask = ""                     # a scheduler's address; empty: a local cluster
"""


def write_starter(folder: Path, source: str | None) -> list[Path]:
    """Writes `cma.toml` and `taxonomy.yaml` into `folder`; refuses to overwrite either."""
    config, taxonomy_file = folder / "cma.toml", folder / "taxonomy.yaml"
    for path in (config, taxonomy_file):
        if path.exists():
            raise UserError(f"{path} is there already: edit it, or move it away first")
    columns = {"listing_id": "id", "title": "title", "image": "image"}
    labels = {"color": "color", "pattern": "pattern", "style": "style"}
    taxonomy = Taxonomy.packaged()
    if source is not None:
        columns, labels = guess_columns(_column_names(source), source)
        taxonomy = guess_taxonomy(_words(source, columns, labels), taxonomy)
    body = _TEMPLATE.format(
        taxonomy='taxonomy = "taxonomy.yaml"    # attributes, their values, and the words that mean them',
        feed="mine",
        source=json.dumps(source or "listings.csv"),
        images=json.dumps(str(Path(source).parent) if source else "."),
        columns=_inline(columns),
        labels=_inline(labels),
    )
    folder.mkdir(parents=True, exist_ok=True)
    config.write_text(body, encoding="utf-8")
    taxonomy_file.write_text(yaml.safe_dump(taxonomy.to_dict(), sort_keys=False, allow_unicode=True), encoding="utf-8")
    return [config, taxonomy_file]


def guess_columns(names: list[str], source: str) -> tuple[dict[str, str], dict[str, str]]:
    """Which of a feed's columns are ours, by their names; what cannot be guessed is an error that lists them."""
    by_folded = {name.casefold().replace(" ", "_"): name for name in names}

    def guess(wanted: dict[str, tuple[str, ...]]) -> dict[str, str]:
        found = {ours: next((by_folded[n] for n in theirs if n in by_folded), None) for ours, theirs in wanted.items()}
        return {ours: theirs for ours, theirs in found.items() if theirs is not None}

    columns = guess(_NAMES)
    if columns.get("product_id") == columns.get("listing_id"):
        columns.pop("product_id", None)
    if missing := [name for name in ("listing_id", "title", "image") if name not in columns]:
        raise UserError(
            f"{source}: cannot tell which column is {' or '.join(missing)}; its columns are {', '.join(names)}. "
            "Run `cma init` without a feed and fill in [feeds.mine.columns]"
        )
    return columns, guess(_LABELS)


def guess_taxonomy(words: dict[str, Counter[str]], packaged: Taxonomy) -> Taxonomy:
    """The packaged attribute where it knows most of the feed's words, else one made of its own frequent words."""
    attributes: dict[str, object] = {}
    for name, counts in words.items():
        known = packaged[name]
        if sum(count for word, count in counts.items() if known.value_of(word)) > 0.8 * counts.total():
            attributes[name] = packaged.to_dict()[name]
            continue
        frequent = [word for word, count in counts.most_common(_MOST_VALUES) if count >= _FEWEST_ROWS]
        if len(frequent) >= 2:
            attributes[name] = {
                "prompt": "a photo of a {} product",
                "values": {word: [] for word in frequent},
            }
    return Taxonomy.from_dict(attributes) if attributes else packaged


def _column_names(source: str) -> list[str]:
    try:
        match Path(source).suffix.lower():
            case ".parquet":
                return pl.scan_parquet(source).collect_schema().names()
            case ".jsonl" | ".ndjson":
                return pl.scan_ndjson(source, infer_schema_length=1000).collect_schema().names()
            case other:
                separator = "\t" if other == ".tsv" else ","
                return pl.scan_csv(source, separator=separator, infer_schema=False).collect_schema().names()
    except (OSError, pl.exceptions.PolarsError) as error:
        raise UserError(f"{source} cannot be read: {error}") from error


def _words(source: str, columns: dict[str, str], labels: dict[str, str]) -> dict[str, Counter[str]]:
    counts: dict[str, Counter[str]] = {name: Counter() for name in labels}
    for frame in islice(read_feed(source, columns, labels, feed="mine"), _SAMPLE_BATCHES):
        for name, counter in counts.items():
            words = frame[f"label_word_{name}"].drop_nulls().str.strip_chars()
            counter.update(dict(words.filter(words != "").value_counts().iter_rows()))
    return counts


def _inline(mapping: dict[str, str]) -> str:
    return ", ".join(f"{ours} = {json.dumps(theirs)}" for ours, theirs in mapping.items())
