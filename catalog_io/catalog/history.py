"""The statements that record what a tagging run changes, before `TagTables.store_tagged` replaces the old tags.

Causes: `listing`, because its title, picture or labels had changed; `new`, of a listing without tags before; `rules`,
because the model, its engine or its certificates had (a back-fill); `failed`, because it could not be tagged any more.
"""

IN_PART = "(feed, listing_id) in (select (feed, listing_id) from part)"
_BEFORE = f"(select feed, listing_id, any_value(fingerprint) as fingerprint from tags where {IN_PART} group by all)"
_CAUSE = """case when p.error is not null then 'failed' when b.fingerprint is null then 'new'
        when b.fingerprint = p.fingerprint then 'rules' else 'listing' end as cause,
        $model_version as model_version, $run_id as run_id, $tagged_at as changed_at"""
_FLAGS_NOW = """(select feed, listing_id, unnest(flags, recursive := true) from part where error is null)"""
_FLAGS_THEN = f"(select feed, listing_id, kind, attribute, score, detail from noise_flags where {IN_PART})"
_SAME_FLAG = """f.feed = g.feed and f.listing_id = g.listing_id and f.kind = g.kind
        and f.attribute is not distinct from g.attribute"""


def _flags(these: str, those: str, change: str) -> str:
    return f"""insert into flag_history by name
       select f.feed, f.listing_id, f.kind, f.attribute, '{change}' as change, f.score, f.detail, {_CAUSE}
       from {these} f anti join {those} g on {_SAME_FLAG}
       join part p on p.feed = f.feed and p.listing_id = f.listing_id
       left join {_BEFORE} b on b.feed = f.feed and b.listing_id = f.listing_id"""


RECORD_CHANGES = (
    f"""insert into tag_history by name
       select o.feed, o.listing_id, o.attribute, o.value as old_value, o.confidence as old_confidence,
           o.accepted as old_accepted, n.value, n.confidence, n.accepted, {_CAUSE}
       from (select * from tags where {IN_PART}) o
       join part p on p.feed = o.feed and p.listing_id = o.listing_id
       join {_BEFORE} b on b.feed = o.feed and b.listing_id = o.listing_id
       left join (select feed, listing_id, unnest(tags, recursive := true) from part where error is null) n
           on n.feed = o.feed and n.listing_id = o.listing_id and n.attribute = o.attribute
       where o.value is distinct from n.value or o.accepted is distinct from n.accepted""",
    _flags(_FLAGS_NOW, _FLAGS_THEN, "raised"),
    _flags(_FLAGS_THEN, _FLAGS_NOW, "removed"),
    "delete from tag_history where changed_at < $kept_since",
    "delete from flag_history where changed_at < $kept_since",
)

COUNT_CHANGES = """
    select (select count(*) from tag_history where run_id = $run_id and cause <> 'rules') as changed_tags,
        (select count(*) from tag_history where run_id = $run_id and cause = 'rules') as changed_by_rules,
        (select count(*) from flag_history where run_id = $run_id and change = 'raised') as flags_raised,
        (select count(*) from flag_history where run_id = $run_id and change = 'removed') as flags_removed
"""
