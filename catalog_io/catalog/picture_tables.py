"""Which pictures are stored, in which shard, and from which reference they came."""

from collections.abc import Collection, Sequence
from pathlib import Path

import duckdb
import polars as pl

from catalog_io.catalog.database import Database, execute
from catalog_io.files import as_pattern
from schemas.errors import DamagedFile
from schemas.files import remove_damaged
from schemas.pictures import PIXEL_RULES


class PictureTables:
    """The part of `Catalog` for stored pictures."""

    _database: Database

    def known_pictures(self, feed: str, keys: pl.Series, picture_size: int) -> pl.Series:
        """Those keys of embedded pictures that are shrunk to this size already, or known to be unusable."""
        sql = """select key from picture_sources semi join wanted using (key)
                 where feed = $feed and picture_size = $size and pixel_rules = $rules"""
        values = {"feed": feed, "size": picture_size, "rules": PIXEL_RULES}
        return self._database.execute(sql, values, wanted=keys.to_frame("key"))["key"]

    def new_images(self, done: Sequence[Path]) -> pl.DataFrame:
        """image_hash, file: the pictures in files of PICTURE_DONE that no shard has, each once."""
        if not done:
            return pl.DataFrame(schema={"image_hash": pl.String, "file": pl.String})
        sql = """select image_hash, min(filename) as file from read_parquet($files, filename = true)
                 where image_hash is not null and image_hash not in (select image_hash from images)
                 group by image_hash"""
        try:
            return self._database.execute(sql, {"files": [as_pattern(path) for path in done]})
        except duckdb.Error as fault:
            if damaged := remove_damaged(done):
                told = f"{damaged[0]}: these results were damaged and have been removed"
                raise DamagedFile(told) from fault
            raise

    def lose_pictures(self, shards: Collection[str]) -> int:
        """Forgets the stored pictures of shards that cannot be read, so that the next ingest fetches them again. Until
        then their listings are left out of training and tagging, and keep their tags. Returns how many pictures."""
        values = {"shards": list(shards)}
        lost = "image_hash in (select image_hash from images where list_contains($shards, shard))"
        with self._database.transaction() as connection:
            sql = f"update picture_sources set stamp = '', picture_size = null, pixel_rules = null where {lost}"
            execute(connection, sql, values)
            gone = execute(connection, "delete from images where list_contains($shards, shard) returning 1", values)
            return gone.height

    def shard_sizes(self) -> dict[str, int]:
        """Shard → bytes of its pictures, for every shard that the table `images` names."""
        sql = "select shard, sum(bytes)::bigint from images group by shard order by shard"
        return dict(self._database.execute(sql).iter_rows())

    def move_pictures(self, places: pl.DataFrame, shards: Sequence[str]) -> None:
        """Moves the pictures of these shards to the shards that `places` (image_hash, shard) names."""
        sql = """update images set shard = p.shard from places p
                 where images.image_hash = p.image_hash and images.shard in (select shard from old)"""
        self._database.execute(sql, places=places, old=pl.DataFrame({"shard": shards}))
