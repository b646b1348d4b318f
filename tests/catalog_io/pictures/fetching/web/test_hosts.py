"""Hosts that keep failing are not asked again for a while."""

import pytest

from catalog_io.pictures.fetching.settings import FetchSettings
from catalog_io.pictures.fetching.web.hosts import HostHealth
from catalog_io.pictures.fetching.web.web import Web
from schemas.pictures import TRANSIENT, PictureError


def test_server_errors_are_transient_and_refusals_are_not() -> None:
    assert "picture_server_error" in TRANSIENT and "picture_http_status" not in TRANSIENT


def test_a_host_that_keeps_failing_is_left_alone_for_a_while() -> None:
    def unknown(host: str, port: int) -> list[str]:
        raise OSError("gone")

    now = [0.0]
    health = HostHealth(lambda: now[0])
    web = Web(FetchSettings(), unknown, health)
    codes = []
    for _ in range(10):
        with pytest.raises(PictureError) as fault:
            web.fetch("https://gone.example/a.jpg")
        codes.append(fault.value.code)
    assert codes == ["picture_host_unknown"] * 8 + ["picture_connection_failed"] * 2
    now[0] = 601
    with pytest.raises(PictureError, match="picture_host_unknown"):
        web.fetch("https://gone.example/a.jpg")


def test_an_answer_ends_the_count_of_failures() -> None:
    health = HostHealth()
    for _ in range(3):
        for _ in range(7):
            health.note("shop", answered=False)
        health.note("shop", answered=True)
    health.check("shop")
