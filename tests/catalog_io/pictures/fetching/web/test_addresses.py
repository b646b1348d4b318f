"""The address guard: no reference, redirect or DNS answer leads to a private address."""

import contextlib
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from catalog_io.pictures.fetching.fetched import Fetched
from catalog_io.pictures.fetching.root import PictureRoot
from catalog_io.pictures.fetching.settings import FetchSettings
from catalog_io.pictures.fetching.web.addresses import AllowedHosts
from catalog_io.pictures.fetching.web.web import Web
from tests.catalog_io.pictures.fetching.errors import OPEN, code_of
from tests.catalog_io.pictures.fetching.web.web_server import Server

PRIVATE = [
    *("127.0.0.1", "127.9.9.9", "0.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1"),
    *("100.100.100.200", "192.0.0.192", "192.0.2.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"),
    *("168.63.129.16", "192.88.99.1", "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1"),
    *("ff02::1", "::ffff:127.0.0.1", "::ffff:a00:1", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe"),
    *("64:ff9b:1::1", "2002:7f00:1::", "2002:a00:1::1", "2001:0:4136:e378:8000:63bf:80ff:fffe"),
    *("2001:db8::1", "3fff::1", "100::1", "5f00::1", "4000::1", "nonsense", ""),
]  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_are_refused(address: str) -> None:
    assert not AllowedHosts(()).allow("host", address)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::"]
)
def test_public_addresses_are_allowed(address: str) -> None:
    assert AllowedHosts(()).allow("host", address)


def test_addresses_that_the_operator_allows() -> None:
    hosts = AllowedHosts(("pictures.internal", "10.1.0.0/16", "127.0.0.1", "[fd00::1]", "10.2.3.4/24"))
    assert hosts.allow("Pictures.Internal.", "192.168.0.1")
    assert not hosts.allow("x.pictures.internal", "192.168.0.1")
    for address in ("10.1.2.3", "::ffff:10.1.2.3", "127.0.0.1", "fd00::1", "10.2.3.99"):
        assert hosts.allow("any", address)
    for address in ("10.9.0.1", "127.0.0.2", "fd00::2"):
        assert not hosts.allow("any", address)


@pytest.mark.parametrize(
    "url",
    [
        *("http://127.0.0.2/", "http://2130706434/", "http://0x7f.2/", "http://0177.0.0.2/", "http://127.2/"),
        *("http://[::1]/", "http://[::ffff:127.0.0.2]/", "http://localhost/", "http://LOCALHOST./", "http://0/"),
        *(
            "http://good.example@127.0.0.2/",
            "http://good.example\\@127.0.0.2/",
            "https://127.0.0.2/",
            "http://①②⑦.0.0.2/",
        ),
    ],
)
def test_ways_to_write_a_private_address(url: str, tmp_path: Path) -> None:
    with PictureRoot(str(tmp_path), FetchSettings()) as root:
        assert code_of(lambda: root.read(url)) == "picture_address_not_allowed"


def test_a_name_that_changes_its_address(server: Server) -> None:
    """DNS rebinding: the address that was judged is the one that is connected to, and one bad address is enough."""
    answers = [["127.0.0.1"], ["169.254.169.254"], ["127.0.0.1", "10.0.0.1"], [], ["8.8.8.8", "::1"]]
    codes = ["picture_address_not_allowed"] * 2 + ["picture_host_unknown", "picture_address_not_allowed"]
    url = f"http://shop.example:{server.server_port}"
    with contextlib.closing(Web(OPEN, lambda host, port: answers.pop(0))) as web:
        for _ in range(3):  # all over one connection
            assert web.fetch(f"{url}/picture") == Fetched(b"picture", "")
        assert server.seen[0][1]["Host"] == url.removeprefix("http://") and len(answers) == 4
        web.close()
        for code in codes:
            assert code_of(lambda: web.fetch(f"{url}/picture")) == code
    assert len(server.seen) == 3


def test_the_next_address_is_tried(server: Server) -> None:
    policy = replace(OPEN, allow_private=("127.0.0.0/8",))
    with contextlib.closing(Web(policy, lambda *_: ["127.0.0.9", "127.0.0.1"])) as web:
        assert web.fetch(f"http://shop.example:{server.server_port}/picture") == Fetched(b"picture", "")


def test_a_resolver_that_does_not_answer() -> None:
    over = threading.Event()
    web = Web(replace(OPEN, timeout=0.3), lambda *_: [str(over.wait(10))])
    began = time.perf_counter()
    assert code_of(lambda: web.fetch("http://shop.example/")) == "picture_timeout"
    assert time.perf_counter() - began < 5
    over.set()
