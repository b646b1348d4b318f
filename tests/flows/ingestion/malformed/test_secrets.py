"""Logins, signatures and tokens of picture URLs and sources are neither stored nor shown."""

import json
from pathlib import Path

import duckdb
import polars as pl
import pytest

from flows.ingestion.ingest import ingest
from flows.project.project import Project
from flows.reports.noise_report import report
from schemas.errors import UserError
from tests.catalog_io.feeds.malformed.pictures import JPEG
from tests.catalog_io.feeds.malformed.rows import GOOD
from tests.catalog_io.feeds.malformed.web import HOST
from tests.flows.ingestion.malformed.bad_feed_project import PROJECT, feed_section

SECRETS = ("hunter2pass", "tokenS3cr3t", "s1gnaturE", "bearerT0ken", "unkn0wnS3cr3t", "c2lnbmF0dXJl")
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"


def test_no_secret_of_a_feed_is_kept_anywhere(
    tmp_path: Path, web: str, shared_workers: None, capfd: pytest.CaptureFixture[str]
) -> None:
    host = web.removeprefix("http://")
    signed = "?w=1&X-Amz-Signature=s1gnaturE&token=tokenS3cr3t&tk=unkn0wnS3cr3t"
    urls = {
        "good": f"http://user:hunter2pass@{host}/good{signed}",
        "login alone": f"http://bearerT0ken@{host}/good",
        "unusable": f"http://user:hunter2pass@{host}/page{signed}",
        "absent": f"http://user:hunter2pass@{host}/absent{signed}",
        "sent on": f"http://user:hunter2pass@{host}/to-rubbish{signed}",
        "forbidden": f"https://user:hunter2pass@127.0.0.1/a.jpg{signed}",
        "bad port": f"https://user:hunter2pass@127.0.0.1:port/a.jpg{signed}",
        "bad port, long": f"https://user:{'hunter2pass' * 30}@127.0.0.1:port/a.jpg{signed}",
        "no such scheme": f"ftp://user:hunter2pass@shop.example/a.jpg{signed}",
        "no scheme": f"//user:hunter2pass@shop.example/a.jpg{signed}",
        "relative": f"a.jpg{signed}",
        "a fragment": "https://127.0.0.1/a.jpg#access_token=tokenS3cr3t",
        "no name": f"http://{host}/absent?unkn0wnS3cr3t",
        "a blank": f"http://{host}/absent picture?unkn0wnS3cr3t",
        "a token in the path": f"http://{host}/absent/{JWT}/a.jpg",
        "no host": "https://?tk=unkn0wnS3cr3t",
        "one slash": f"https:/user:hunter2pass@{host}/absent?unkn0wnS3cr3t",
        "encoded in a path": f"http://{host}/absent/https%3A%2F%2Fuser%3Ahunter2pass%40x%2Fa%3Ftk%3Dunkn0wnS3cr3t",
        "inside a path": f"http://{host}/absent/https://user:hunter2pass@x/a?unkn0wnS3cr3t",
        "no such store": "nosuch://user:hunter2pass@bucket/a.jpg?unkn0wnS3cr3t",
    }
    rows = [{"id": name, "title": "Dress", "image": url} for name, url in urls.items()]
    rows += [{"id": f"{name}, rejected", "title": "", "image": url} for name, url in urls.items()]
    rows += [
        {"id": f"{name}, several", "title": "Dress", "image": json.dumps([GOOD, url])} for name, url in urls.items()
    ]
    rows += [
        {"id": f"{name}, several, rejected", "title": "", "image": json.dumps([url])} for name, url in urls.items()
    ]
    table = pl.DataFrame(rows)
    table.write_csv(tmp_path / "secret.csv")
    with (tmp_path / "secret.csv").open("a", encoding="utf-8") as file:
        file.writelines(f"ragged,{url}\n" for url in urls.values())
    table.write_parquet(tmp_path / "secret.parquet")
    lines = [json.dumps(row) for row in rows]
    lines += [line.replace("/", "\\/") for line in lines]  # as PHP writes JSON
    lines += [line.replace("&", "\\u0026") for line in lines]  # as Go writes it
    lines += [line[:-1] for line in lines]
    (tmp_path / "secret.jsonl").write_text("\n".join(lines), encoding="utf-8")
    sections = [feed_section(kind, {"source": f"secret.{kind}"}) for kind in ("csv", "parquet", "jsonl")]
    (tmp_path / GOOD).write_bytes(JPEG)
    config = tmp_path / "cma.toml"
    config.write_text("\n".join([PROJECT, *sections]), encoding="utf-8")
    project = Project.open(config)
    ingest(project)
    sources = {
        "database": {"source": f"postgresql://user:hunter2pass@{HOST}:1/db?password=tokenS3cr3t", "query": "select 1"},
        "site": {"source": f"http://user:hunter2pass@{HOST}:1/feed.csv{signed}"},
        "login": {"source": f"http://user:hunter2pass@{host}/login{signed}"},
        "gone": {"source": f"http://bearerT0ken@{host}/absent.csv{signed}"},
        "rubbish": {"source": f"nosuch://user:hunter2pass@{host}/absent.csv{signed}"},
        "pictures": {"source": "secret.csv", "images": f"http://user:hunter2pass@{HOST}:1/{signed}"},
    }
    messages = []
    for name, settings in sources.items():
        config.write_text(PROJECT + feed_section(name, settings), encoding="utf-8")
        with pytest.raises(UserError) as raised:
            ingest(Project.open(config))
        messages.append(str(raised.value))
    project.catalog.publish()
    page = report(project).page
    with duckdb.connect(str(project.home / "catalog.duckdb"), read_only=True) as connection:
        names = connection.execute("select table_name from information_schema.tables").fetchall()
        stored = {name: connection.execute(f'select t::text from "{name}" t').fetchall() for (name,) in names}
    assert len(stored["rejections"]) > 100
    assert len(stored["noisy_listings"]) > 50
    leaks = [
        (table, secret, text[:100])
        for table, texts in stored.items()
        for (text,) in texts
        for secret in SECRETS
        if secret in text
    ]
    assert not leaks
    said = "".join([*messages, *capfd.readouterr()])
    files = {path: path.read_bytes() for path in project.home.rglob("*") if path.is_file()}
    assert page in files and page.with_suffix(".csv") in files
    for secret in SECRETS:
        assert secret not in said
        assert [path for path, content in files.items() if secret.encode() in content] == []
