"""Targets of alerts in the configuration: their secrets, their names, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from asterisk_sip.catalog import LANGUAGES
from asterisk_sip.config_alert_targets import Language
from asterisk_sip.daemon_alert_targets import manners, open_targets, patience, public_url
from asterisk_sip.stores.alert_book import AlertBook
from asterisk_sip.stores.sqlite import SqliteStore

from .config_texts import HIDDEN, MINIMAL, ONE, faults, read

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
HOOK = MINIMAL + '[[alert_target.webhook]]\nname = "my-ops"\nurl = "https://example.net/x?t=1"\n'
ALL = (
    HOOK
    + '[[alert_target.exec]]\nname = "pager"\nargv = ["/bin/true"]\ntimeout_s = 90.0\nlang = "de"\n'
    + '[[alert_target.alertmanager]]\nname = "am"\nurl = "http://127.0.0.1:9093/prefix/"\n'
    + '[[alert_target.apprise]]\nname = "chat"\n'
)
URLS = {"ASTERISK_SIP_ALERT_TARGET_CHAT_URLS": f"json://user:{HIDDEN}@127.0.0.1/ mailto://u:{HIDDEN}@example.net"}


def test_the_languages_are_those_of_the_catalogue() -> None:
    assert {*get_args(Language)} == {*LANGUAGES}


def test_secrets_of_targets_come_by_their_names_and_are_in_no_repr(tmp_path: Path) -> None:
    given = {
        "ASTERISK_SIP_ALERT_TARGET_MY_OPS_SECRET": SECRET,
        "ASTERISK_SIP_ALERT_TARGET_MY_OPS_AUTHORIZATION": f"Bearer {HIDDEN}",
        "ASTERISK_SIP_ALERT_TARGET_AM_AUTHORIZATION": f"Basic {HIDDEN}",
    }
    config = read(tmp_path / "a.toml", ALL, ONE | URLS | given)
    [hook], [manager], [chat] = (
        config.alert_target.webhook,
        config.alert_target.alertmanager,
        config.alert_target.apprise,
    )
    for found in (hook.secret, hook.authorization, manager.authorization, chat.urls):
        assert found is not None
    assert HIDDEN not in repr(config)
    assert SECRET not in repr(config)
    assert config.warnings == ()
    assert config.alert_target.names == ("my-ops", "pager", "am", "chat")


def test_apprise_without_urls_is_refused_and_so_is_what_holds_none(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    assert "has no urls" in faults(file, ALL)["alert_target.apprise[0]"]
    bad = {"ASTERISK_SIP_ALERT_TARGET_CHAT_URLS": HIDDEN}
    assert faults(file, ALL, ONE | bad) == {
        "ASTERISK_SIP_ALERT_TARGET_CHAT_URLS": "must be URLs as Apprise has them, with a blank between"
    }


def test_a_variable_for_a_target_that_is_not_there_is_told(tmp_path: Path) -> None:
    name = "ASTERISK_SIP_ALERT_TARGET_NOBODY_SECRET"
    config = read(tmp_path / "a.toml", HOOK, ONE | {name: SECRET})
    assert config.warnings == (f"{name} is set, but not used: no target of alerts of that name asks for it",)


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (('"https://example.net/x?t=1"', '"https://u:p@example.net/"'), "alert_target.webhook[0].url"),
        (('argv = ["/bin/true"]', 'argv = ["true"]'), "alert_target.exec[0].argv"),
        (('argv = ["/bin/true"]', "argv = []"), "alert_target.exec[0].argv"),
        (('lang = "de"', 'lang = "xx"'), "alert_target.exec[0].lang"),
        (('name = "pager"', 'name = "my.ops"'), "alert_target.exec[0].name"),
        (('name = "am"', 'name = "pager"'), "alert_target.alertmanager[0].name"),
        (('prefix/"', 'prefix/"\nlabels = { "a-b" = "c" }'), "alert_target.alertmanager[0].labels.a-b"),
    ],
)
def test_what_a_target_cannot_be_is_refused(change: tuple[str, str], key: str, tmp_path: Path) -> None:
    found = faults(tmp_path / "a.toml", ALL.replace(*change), ONE | URLS)
    assert [name for name in found if name.startswith(key)]


def test_a_collector_judges_and_tells_nothing(tmp_path: Path) -> None:
    rule = '[[alerts]]\nname = "r"\nkind = "gap"\n'
    found = faults(tmp_path / "a.toml", HOOK.replace(MINIMAL, "[collector]\n") + rule)
    assert found.keys() == {"alerts", "alert_target"}
    assert "has no place beside [collector]" in found["alerts"]


def test_each_target_gets_a_courier_under_its_name(tmp_path: Path) -> None:
    config = read(tmp_path / "a.toml", ALL + "[notice]\nexpire_h = 2\n", ONE | URLS)
    store = SqliteStore(tmp_path / "calls.db")
    couriers = open_targets(config, store, AlertBook(store), {})
    assert tuple(courier.name for courier in couriers.couriers) == config.alert_target.names
    assert [patience(config, name).timeout_s for name in ("my-ops", "pager", "chat")] == [30.0, 95.0, 30.0]
    assert manners(config, 5, at_once=False).expire_s == 7_200
    assert manners(config, 5, at_once=True).group_wait_s == 0


def test_links_lead_where_people_reach_the_pages(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    assert public_url(read(file, MINIMAL)) == "http://127.0.0.1:8600"
    assert public_url(read(file, MINIMAL + '[web]\nhost = "::1"')) == "http://[::1]:8600"
    assert public_url(read(file, MINIMAL + "[web]\nenabled = false")) is None
    given = MINIMAL + '[web]\nenabled = false\npublic_url = "https://calls.example.net"'
    assert public_url(read(file, given)) == "https://calls.example.net"
