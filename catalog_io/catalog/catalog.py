"""The catalogue: the listings of all feeds, their pictures, labels and tags, the trained models, and the runs."""

from pathlib import Path

from catalog_io.catalog import snapshot
from catalog_io.catalog.cleaning import clean_older
from catalog_io.catalog.database import SNAPSHOT, Database, execute
from catalog_io.catalog.feed_tables import FeedTables, update_label_values
from catalog_io.catalog.model_tables import ModelTables
from catalog_io.catalog.picture_tables import PictureTables
from catalog_io.catalog.tables import TABLES
from catalog_io.catalog.tag_tables import TagTables
from catalog_io.catalog.views import view_statements
from schemas.errors import UserError
from schemas.taxonomy import Taxonomy


class Catalog(FeedTables, PictureTables, TagTables, ModelTables):
    """The catalogue in the folder `home`, and the only door to its database.

    Every method is one transaction, which can be repeated. It waits `lock_timeout` seconds for another run, then
    raises UserError; so does every method but `create` where there is no catalogue yet.
    """

    def __init__(self, home: Path, *, lock_timeout: float = 60.0) -> None:
        self.home = Path(home)
        self._database = Database(self.home, lock_timeout)

    def create(self, taxonomy: Taxonomy) -> None:
        """Creates tables and columns that are missing, and updates views and label values to the taxonomy.

        A catalogue of an older version is cleaned of secrets that it shows, and its snapshot, too. A home that
        cannot be written is left as it is.
        """
        if self._database.read_only:
            return
        was_cleaned = clean_older(self._database)
        with self._database.transaction(create=True) as connection:
            for table, columns in TABLES.items():
                typed = [f'"{name}" {kind}' for name, kind in columns.items()]
                execute(connection, f"create table if not exists {table} ({', '.join(typed)})")
                for column in typed:  # an older catalogue lacks some columns
                    execute(connection, f"alter table {table} add column if not exists {column}")
            for statement in view_statements(taxonomy.names):
                execute(connection, statement)
            update_label_values(connection, taxonomy)
        if was_cleaned and (self.home / SNAPSHOT).exists():
            self.publish()

    @property
    def read_only(self) -> bool:
        """Whether the home cannot be written, so that reads are of what was published last."""
        return self._database.read_only

    def require_writable(self) -> None:
        """UserError where the home cannot be written."""
        if self.read_only:
            raise UserError(
                f"{self.home} cannot be written: it is mounted read-only, or belongs to another user. `cma runs`, "
                "`cma models` and `cma sql` read what was published there last"
            )

    def publish(self) -> Path:
        """Copies the catalogue to `<home>/catalog.duckdb`, the analysts' snapshot, and returns its path.

        A reader that has the old snapshot open keeps reading it.
        """
        return snapshot.publish(self._database)

    def counts(self) -> dict[str, int]:
        """The number of rows of each table."""
        sql = " union all ".join(f"select '{name}' as name, count(*) as n from {name}" for name in sorted(TABLES))
        return dict(self._database.execute(sql).iter_rows())
