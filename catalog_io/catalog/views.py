"""The view of what tagging depends on, and the analysts' views of active listings.

Until a changed listing is tagged again, its tags are hidden where title or picture changed; its flags also where a
label did.
"""

from collections.abc import Sequence

from schemas.frames import LABEL_PREFIX

# The columns of `tagged_listings` before the attributes.
LISTING_COLUMNS = ("feed", "listing_id", "product_id", "title")
_CURRENT_TAGS = """tags t
        join listings l on l.feed = t.feed and l.listing_id = t.listing_id and l.input_hash = t.input_hash
        where l.inactive_since is null"""


def view_statements(attributes: Sequence[str]) -> list[str]:
    """The statements that create the views. `Taxonomy` guarantees that attribute names are plain identifiers."""
    accepted = "".join(
        f""", max(t.value) filter (where t.attribute = '{name}' and t.accepted) as "{name}" """ for name in attributes
    )
    keys = ", ".join(f"l.{column}" for column in LISTING_COLUMNS)
    return [
        _tag_inputs(attributes),
        f"""
        create or replace view tagged_listings as
        select {keys}{accepted}
        from listings l
        left join tags t on t.feed = l.feed and t.listing_id = l.listing_id and t.input_hash = l.input_hash
        where l.inactive_since is null
        group by {keys}
        """,
        """
        create or replace view unusable_pictures as
        select l.feed, l.listing_id, l.product_id, l.title, i.position, i.uri, i.code, i.reason,
            l.image_hash, i.image_hash is not null as earlier_picture_kept
        from listing_images i
        join listings l on l.feed = i.feed and l.listing_id = i.listing_id
        where i.code is not null and l.inactive_since is null
        """,
        """
        create or replace view doubtful_pictures as
        select l.feed, l.listing_id, l.product_id, l.title, i.position, i.uri, i.note, i.image_hash
        from listing_images i
        join listings l on l.feed = i.feed and l.listing_id = i.listing_id
        where i.note is not null and l.inactive_since is null
        """,
        """
        create or replace view noisy_listings as
        select l.feed, l.listing_id, l.product_id, l.title, n.kind, n.attribute, n.score, n.detail,
            l.image_hash, n.model_version, n.run_id
        from noise_flags n
        join tag_inputs l on l.feed = n.feed and l.listing_id = n.listing_id and l.fingerprint = n.fingerprint
        where l.inactive_since is null
        union all
        select feed, listing_id, product_id, title, 'unusable_picture', null, 1, reason || ' (' || uri || ')',
            image_hash, null, null
        from unusable_pictures
        """,
        f"""
        create or replace view provisional_tags as
        select {keys}, t.attribute, t.value, t.confidence, t.model_version
        from {_CURRENT_TAGS} and t.provisional
        """,
        f"""
        create or replace view tag_coverage as
        select t.attribute, count(*) as listings, count(*) filter (where t.accepted) as accepted,
            avg(t.accepted::double) as coverage, avg(t.confidence::double) as mean_confidence,
            count(*) filter (where t.certified) as certified, count(*) filter (where t.provisional) as provisional
        from {_CURRENT_TAGS}
        group by t.attribute
        """,
        _last_changes("tag_changes", "tag_history", "h.attribute, h.old_value, h.old_accepted, h.value, h.accepted"),
        _last_changes("flag_changes", "flag_history", "h.kind, h.attribute, h.change, h.score, h.detail"),
        """
        create or replace view shared_pictures as
        select i.perceptual_hash, count(distinct (l.feed, l.product_id)) as products, count(*) as listings,
            min(l.image_hash) as image_hash
        from listings l join images i on i.image_hash = l.image_hash
        where l.inactive_since is null
        group by i.perceptual_hash having products > 1
        """,
    ]


def _last_changes(view: str, table: str, columns: str) -> str:
    """What the last tagging run changed, without the back-fill of a new model or certificate."""
    return f"""
        create or replace view {view} as
        select h.feed, h.listing_id, l.product_id, l.title, {columns}, h.cause, h.run_id, h.changed_at
        from {table} h join listings l on l.feed = h.feed and l.listing_id = h.listing_id
        where h.cause <> 'rules'
            and h.run_id = (select max_by(run_id, started_at) from runs where flow = 'tag-catalog')
        """


def _tag_inputs(attributes: Sequence[str]) -> str:
    """All listings, inactive ones too, with the merchant's labels as columns (see `schemas.frames.LABEL_PREFIX`).
    `fingerprint` changes with all of a listing that a tag or flag depends on: title, picture and labels."""
    labels = "".join(f""", p."{LABEL_PREFIX}{name}" """ for name in attributes)
    pivot = "".join(
        f""", max(label) filter (where attribute = '{name}') as "{LABEL_PREFIX}{name}" """ for name in attributes
    )
    parts = "".join(f""", '{name}=' || p."{LABEL_PREFIX}{name}" """ for name in sorted(attributes))  # null is left out
    return f"""
        create or replace view tag_inputs as
        select l.feed, l.listing_id, l.product_id, l.title, l.image_hash, l.input_hash,
            md5(concat_ws(chr(31), l.input_hash {parts})) as fingerprint, l.split, l.inactive_since {labels}
        from listings l
        left join (select feed, listing_id {pivot}
                   from (select *, coalesce(value, if(outside, word, null)) as label from labels)
                   where source = 'merchant' group by feed, listing_id) p
            on p.feed = l.feed and p.listing_id = l.listing_id
        """
