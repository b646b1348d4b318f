"""The SQL statements that store a settled feed, in the order in which `FeedTables.store_feed` executes them.

Their values are feed, full, run_id, now, root, picture_size, pixel_rules, and the files `done`.
"""

from schemas.pictures import TRANSIENT

_TRANSIENT = ", ".join(f"'{code}'" for code in sorted(TRANSIENT))

# A stored picture stays until a usable one from the same root replaces it. What describes the source's content (stamp,
# picture_size, pixel_rules) changes only where the source answered.
_KEEPS = f"(s.code is null or s.code in ({_TRANSIENT}))"
REMEMBER_SOURCES = (
    """delete from picture_sources
       where feed = $feed and root <> $root and key in (select key from read_parquet($done))""",
    f"""merge into picture_sources s
        using (select *, coalesce(code in ({_TRANSIENT}), false) as failed, image_hash is null and code is null as same
               from read_parquet($done) qualify row_number() over (partition by key) = 1) d
            on s.feed = $feed and s.key = d.key
        when matched then update set
            stamp = case when d.same then s.stamp when not d.failed then d.stamp when {_KEEPS} then s.stamp else '' end,
            root = $root,
            picture_size = if(d.failed, s.picture_size, $picture_size),
            pixel_rules = if(d.failed, s.pixel_rules, $pixel_rules),
            image_hash = coalesce(d.image_hash, s.image_hash),
            code = case when d.image_hash is not null or (d.same and {_KEEPS}) then null
                else coalesce(d.code, s.code) end,
            reason = case when d.image_hash is not null or (d.same and {_KEEPS}) then null
                else coalesce(d.sentence, s.reason) end,
            note = if(d.image_hash is null, s.note, d.note),
            checked_at = $now
        when not matched then
            insert (feed, key, root, picture_size, pixel_rules, checked_at,
                stamp, image_hash, code, reason, note)
            values ($feed, d.key, $root, $picture_size, $pixel_rules, $now,
                d.stamp, d.image_hash, d.code, d.sentence, d.note)
    """,
)

# An earlier picture stands in for one that cannot be used only where a listing of the same product had it: file names
# are used again for other products.
_HAD_IT = """exists (from listing_images i join listings l on l.feed = i.feed and l.listing_id = i.listing_id
    where i.feed = $feed and i.image_hash = s.image_hash and l.product_id = n.product_id)"""
PREPARE = (
    """create or replace temp table resolved as
       select p.listing_id, p.position, p.uri, p.key, s.image_hash, s.code, s.reason,
           if(s.code is null, s.note, null) as note
       from new_pictures p join picture_sources s on s.feed = $feed and s.key = p.key""",
    f"""update resolved s set image_hash = null from new_listings n
        where n.listing_id = s.listing_id and s.code is not null and s.image_hash is not null and not {_HAD_IT}""",
    """create or replace temp table incoming as
       select n.*, r.image_hash, md5(concat_ws(chr(31), n.title, coalesce(r.image_hash, ''))) as input_hash,
           md5(concat_ws(chr(31), n.cells, r.pictures)) as row_hash
       from new_listings n left join (
           select listing_id, arg_min(image_hash, position) as image_hash,
               bit_xor(md5_number_lower(concat_ws(' ', position, key, coalesce(image_hash, '-'), code, note)))
                   as pictures
           from resolved group by listing_id) r using (listing_id)""",
    """create or replace temp table changed as
       select i.*, l.listing_id is not null as known, l.inactive_since is not null as returned
       from incoming i left join listings l on l.feed = $feed and l.listing_id = i.listing_id
       where l.row_hash is distinct from i.row_hash or l.inactive_since is not null""",
)

COUNT_LOST = "select (select count(*) from new_pictures) - (select count(*) from resolved)"
COUNT = """
    select (select count(*) from new_rejections) as rejected,
        count(*) filter (where not known) as inserted,
        count(*) filter (where known) as updated,
        (select count(*) from incoming) - count(*) as unchanged,
        count(*) filter (where returned) as returned,
        (select count(*) from incoming where image_hash is null) as without_picture
    from changed
"""

_HERE = """listing_id in (select listing_id from new_listings union all
    select listing_id from new_rejections where listing_id is not null)"""
COUNT_GONE = f"""
    select count(*) filter (where not {_HERE}), count(*),
        (select count(*) from new_listings) + (select count(*) from new_rejections where listing_id <> '')
    from listings where feed = $feed and inactive_since is null
"""
MARK_GONE = f"""
    update listings set inactive_since = $now where feed = $feed and inactive_since is null and not {_HERE}
"""

STORE_IMAGES = """
    insert into images (image_hash, width, height, bytes, perceptual_hash, shard)
    select image_hash, width, height, bytes, perceptual_hash, shard from new_images
    where image_hash not in (select image_hash from images)
"""
STORE = (
    """merge into listings l using changed n on l.feed = $feed and l.listing_id = n.listing_id
       when matched then update set product_id = n.product_id, title = n.title, image_hash = n.image_hash,
           input_hash = n.input_hash, row_hash = n.row_hash, inactive_since = null, run_id = $run_id,
           updated_at = $now, split = n.split
       when not matched then insert (feed, listing_id, product_id, title, image_hash,
           input_hash, row_hash, inactive_since, run_id, updated_at, split)
           values ($feed, n.listing_id, n.product_id, n.title, n.image_hash,
           n.input_hash, n.row_hash, null, $run_id, $now, n.split)""",
    "delete from listing_images where feed = $feed and listing_id in (select listing_id from changed)",
    """insert into listing_images (feed, listing_id, position, uri, image_hash, code, reason, note)
       select $feed, listing_id, position, uri, image_hash, code, reason, note
       from resolved where listing_id in (select listing_id from changed)""",
    """delete from labels where feed = $feed and source = 'merchant'
           and listing_id in (select listing_id from changed)""",
)
STORE_LABELS = """
    insert into labels (feed, listing_id, attribute, source, word, value, outside)
    select $feed, listing_id, '{attribute}', 'merchant', word, value, outside
    from changed join meant on word = {column}
"""

# Two rejections are the same where row and codes are; a row without an id is identified by its text.
_SAME_ROW = "coalesce(nullif(listing_id, ''), md5(raw))"
STORE_REJECTIONS = (
    f"""create or replace temp table seen_before as
        select {_SAME_ROW} as row, codes, min(first_seen) as first_seen
        from rejections where feed = $feed and stage = 'ingest' group by all""",
    f"""delete from rejections where feed = $feed and stage = 'ingest'
        and ($full or coalesce(listing_id, '') = '' or {_HERE})""",
    f"""insert into rejections (feed, row_number, listing_id, stage, codes, reason, raw, run_id, first_seen, last_seen)
        select $feed, row_number, listing_id, 'ingest', codes, array_to_string(reasons, '; '), raw, $run_id,
            coalesce(first_seen, $now), $now
        from (select *, {_SAME_ROW} as row from new_rejections) left join seen_before using (row, codes)""",
)
