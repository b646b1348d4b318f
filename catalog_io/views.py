"""The analysts' views. Tags of a listing that has changed since are not shown until it is tagged anew."""

from collections.abc import Sequence

# The columns of `tagged_listings` before the attributes.
LISTING_COLUMNS = ("feed", "listing_id", "product_id", "title")


def view_statements(attributes: Sequence[str]) -> list[str]:
    """`create or replace view` statements; attribute names are plain identifiers (`Taxonomy` sees to it)."""
    accepted = "".join(
        f""", max(t.value) filter (where t.attribute = '{name}' and t.accepted) as "{name}" """ for name in attributes
    )
    keys = ", ".join(f"l.{column}" for column in LISTING_COLUMNS)
    return [
        f"""
        create or replace view tagged_listings as
        select {keys}{accepted}
        from listings l
        left join tags t on t.feed = l.feed and t.listing_id = l.listing_id and t.input_hash = l.input_hash
        group by {keys}
        """,
        """
        create or replace view noisy_listings as
        select l.feed, l.listing_id, l.product_id, l.title, n.kind, n.attribute, n.score, n.detail,
            l.image_hash, n.model_version, n.run_id
        from noise_flags n
        join listings l on l.feed = n.feed and l.listing_id = n.listing_id and l.input_hash = n.input_hash
        """,
        """
        create or replace view tag_coverage as
        select t.attribute, count(*) as listings, count(*) filter (where t.accepted) as accepted,
            avg(t.accepted::double) as coverage, avg(t.confidence::double) as mean_confidence
        from tags t
        join listings l on l.feed = t.feed and l.listing_id = t.listing_id and l.input_hash = t.input_hash
        group by t.attribute
        """,
    ]
