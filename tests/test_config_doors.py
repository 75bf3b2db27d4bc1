"""The doors of a PBX: which there are, what each needs, and what may listen where."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from asterisk_sip.config import Config, HepPeer, load
from asterisk_sip.errors import ConfigError
from asterisk_sip.privacy import journal_key
from tests.config_texts import HIDDEN, MINIMAL, ONE, faults, read

ARI = {"ASTERISK_SIP_ARI_PASSWORD": HIDDEN}
TWO = '[[pbx]]\nname = "a"\n{}\n[[pbx]]\nname = "b"\n{}\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "asterisk-sip.toml"


def door(*lines: str) -> str:
    return MINIMAL + "\n".join(lines)


def pbx(file: Path, text: str, environ: Mapping[str, str] | None = None) -> Config:
    return read(file, text, environ or {})


# Which doors


def test_a_pbx_of_which_no_door_is_named_is_heard_by_ami(file: Path) -> None:
    assert read(file, MINIMAL).pbx[0].doors == ("ami",)


@pytest.mark.parametrize("name", ["agi", "hep"])
def test_one_door_is_enough(file: Path, name: str) -> None:
    one = pbx(file, door(f"[pbx.{name}]")).pbx[0]
    assert one.doors == (name,)
    assert one.ami is None


def test_all_doors_at_once(file: Path) -> None:
    tables = ("[pbx.ami]", "[pbx.ari]", "[pbx.agi]", "[pbx.hep]", '[pbx.cel]\nkind = "csv"\npath = "cel.csv"')
    config = read(file, door(*tables), ONE | ARI)
    one = config.pbx[0]
    assert one.doors == ("ami", "ari", "agi", "hep")
    assert one.ari is not None
    assert one.agi is not None
    assert one.hep is not None
    assert one.cel is not None
    assert (one.ari.port, one.ari.app, one.ari.outbound) == (8088, "asterisk-sip", False)
    assert one.ari.password.get_secret_value() == HIDDEN
    assert (one.agi.listen_host, one.agi.listen_port, one.agi.deadline_ms) == ("127.0.0.1", 4573, 500)
    assert (one.hep.listen_port, one.hep.capture_id, one.hep.capture_password) == (9060, None, None)
    assert one.cel.path == file.parent / "cel.csv"
    assert config.pipeline.settle_ms == 250
    assert config.warnings == ()


def test_a_log_that_is_read_afterwards_is_no_door(file: Path) -> None:
    assert faults(file, door('[pbx.cel]\nkind = "csv"\npath = "x"'), {}) == {
        "pbx[0]": "is never heard: add [pbx.ami], [pbx.ari], [pbx.agi] or [pbx.hep]"
    }


def test_a_variable_opens_a_door_as_the_file_would(file: Path) -> None:
    one = read(file, door("[pbx.ami]"), ONE | {"ASTERISK_SIP__PBX__0__HEP__CAPTURE_ID": "7"}).pbx[0]
    assert one.hep is not None
    assert one.hep.capture_id == 7
    assert one.ami is not None


# What each needs


@pytest.mark.parametrize(
    ("text", "key", "reason"),
    [
        ('[pbx.ari]\nprefix = "/asterisk"', "ari.prefix", "must be as in http.conf, without a slash at either end"),
        ('[pbx.ari]\nprefix = "a?b"', "ari.prefix", "must be as in http.conf, without a slash at either end"),
        ('[pbx.ari]\napp = "a,b"', "ari.app", "must be one name, without commas and blanks"),
        ('[pbx.ari]\nca_file = "x"', "ari.ca_file", "has no effect without tls = true"),
        ("[pbx.ari]\nretry_min_s = 61", "ari.retry_max_s", "must not be less than retry_min_s (61)"),
        ("[pbx.ari]\npasword_file = 1", "ari.pasword_file", "unknown key; did you mean password_file?"),
        ("[pbx.ari]\nlisten_prt = 1", "ari.listen_prt", "unknown key; did you mean listen_port?"),
        ("[pbx.agi]\ndeadline_ms = 0", "agi.deadline_ms", "must be at least 1"),
        ('[pbx.agi]\npassword = "x"', "agi.password", "unknown key"),
        ("[pbx.hep]\ncapture_id = -1", "hep.capture_id", "must be at least 0"),
        ('[pbx.hep]\nlocal = "1.2.3.4"', "hep.local", "must be a list"),
        (
            '[pbx.hep]\nlocal = ["::1", "pbx"]',
            "hep.local[1]",
            "must be an IP address, with or without a port: 192.0.2.1, 192.0.2.1:5060",
        ),
        ('[pbx.hep]\nlocal = ["[::1]:70000"]', "hep.local[0]", "must have a port of 1 to 65535, or none"),
        ('[pbx.hep]\npeer = "x"', "hep.peer", "is written as a list of tables: [[pbx.hep.peer]]"),
        ('[[pbx.hep.peer]]\naddress = "192.0.2.1"', "hep.peer[0].endpoint", "is required"),
        (
            '[[pbx.hep.peer]]\naddress = "::1"\nendpoint = "x"\nhost = "x"',
            "hep.peer[0].host",
            "unknown key; did you mean pbx[].ami.host?",
        ),
        (
            '[[pbx.hep.peer]]\naddress = "::1"\nendpoint = "x"\n[[pbx.hep.peer]]\naddress = "::1"\nendpoint = "y"',
            "hep.peer",
            "names the same address twice",
        ),
        ("ari = 1", "ari", "must be a table"),
    ],
)
def test_a_fault_of_a_door(file: Path, text: str, key: str, reason: str) -> None:
    environ = ARI if "ari]" in text else {}
    found = faults(file, door(text), environ)
    assert found[f"pbx[0].{key}"].startswith(reason)
    assert len(found) == 1


CEL = '[pbx.agi]\n[pbx.cel]\nkind = "{}"\n{}'


@pytest.mark.parametrize(
    ("kind", "rest", "key", "reason"),
    [
        ("sqlite", "", "path", 'is required with kind = "sqlite"'),
        ("csv", 'path = "x"\nurl = "postgresql://h/d"', "url", 'has no effect with kind = "csv"'),
        ("csv", 'path = "x"\npassword_file = "y"', "password_file", 'has no effect with kind = "csv"'),
        ("postgresql", "", "url", 'is required with kind = "postgresql"'),
        ("postgresql", 'path = "x"\nurl = "postgresql://h/d"', "path", 'has no effect with kind = "postgresql"'),
        ("mysql", "", "kind", "must be 'sqlite', 'postgresql' or 'csv'"),
        ("csv", 'path = "x"\ntable = "a; b"', "table", "must be the name of a table, or schema.table"),
        ("postgresql", 'url = "mysql://h/d"', "url", "must begin with postgresql://"),
        ("postgresql", 'url = "postgresql://[h/d"', "url", "is no URL: postgresql://user@host:5432/database"),
    ],
)
def test_a_fault_of_the_event_log(file: Path, kind: str, rest: str, key: str, reason: str) -> None:
    found = faults(file, door(CEL.format(kind, rest)), {})
    assert list(found) == [f"pbx[0].cel.{key}"]
    assert found[f"pbx[0].cel.{key}"].startswith(reason)


@pytest.mark.parametrize("url", [f"postgresql://me:{HIDDEN}@h/d", f"postgresql://h/d?password={HIDDEN}"])
def test_a_password_in_a_url_is_refused_and_not_shown(file: Path, url: str) -> None:
    assert faults(file, door(CEL.format("postgresql", f'url = "{url}"')), {}) == {
        "pbx[0].cel.url": "must not hold a password; it is given by a variable or a file"
    }


def test_the_peers_of_a_capture(file: Path) -> None:
    peers = '[[pbx.hep.peer]]\naddress = "192.0.2.1:5060"\nendpoint = "acme"\n'
    hep = pbx(file, door('[pbx.hep]\nlocal = ["192.0.2.9", "[2001:db8::1]:5061"]', peers)).pbx[0].hep
    assert hep is not None
    assert hep.peer == (HepPeer(address="192.0.2.1:5060", endpoint="acme"),)
    assert hep.local == ("192.0.2.9", "[2001:db8::1]:5061")


# Their secrets


@pytest.mark.parametrize(
    ("table", "key", "word"),
    [("ari", "password", "password"), ("hep", "capture_password", "capture password"), ("cel", "password", "password")],
)
def test_each_secret_is_given_once_and_elsewhere(file: Path, table: str, key: str, word: str) -> None:
    name = f"ASTERISK_SIP_{table}_{key}".upper()
    more = '\nkind = "postgresql"\nurl = "postgresql://h/d"' if table == "cel" else ""
    text = door("[pbx.agi]", f"[pbx.{table}]{more}")
    config = read(file, text, {name: HIDDEN})
    assert getattr(getattr(config.pbx[0], table), key).get_secret_value() == HIDDEN
    assert HIDDEN not in repr(config) + config.model_dump_json()
    assert config.warnings == ()

    secret = file.parent / "its"
    secret.write_text(HIDDEN)
    secret.chmod(0o644)
    text += f'\n{key}_file = "its"'
    assert f"pbx[0].{table}.{key}_file: {secret} can be read by every user" in read(file, text, {}).warnings[0]
    assert faults(file, text, {name: HIDDEN}) == {
        f"pbx[0].{table}": f"its {word} is given more than once, by {name} and by {key}_file; keep one"
    }
    secret.write_text("")
    assert faults(file, text, {}) == {f"pbx[0].{table}.{key}_file": "is empty"}

    written = door("[pbx.agi]", f'[pbx.{table}]{more}\n{key} = "{HIDDEN}"')
    refused = f'a secret does not belong in this file; give it by {name} or {key}_file = "..."'
    assert faults(file, written, {}) == {f"pbx[0].{table}.{key}": refused}
    wrong = f"ASTERISK_SIP__PBX__0__{table}__{key}".upper()
    assert faults(file, text, {wrong: HIDDEN})[wrong] == f"is no way to give a secret; use {name} or {key}_file"


def test_who_only_reads_records_needs_no_secret(file: Path) -> None:
    tables = ("[pbx.ari]", 'password_file = "absent"', "[pbx.hep]", 'capture_password_file = "absent"')
    file.write_text(door(*tables) + '\n[journal]\nfolder = "j"\npseudonymise = true\nkey_file = "absent"\n')
    config = load(file, {}, secrets=False)
    assert config.pbx[0].doors == ("ari", "hep")
    assert config.warnings == ()


def test_what_is_written_in_the_file_is_refused_of_readers_too(file: Path) -> None:
    assert faults(file, door(f'[pbx.ari]\npassword = "{HIDDEN}"'), ARI).keys() == {"pbx[0].ari.password"}


def test_without_a_password_ari_tells_the_two_ways(file: Path) -> None:
    assert faults(file, door("[pbx.ari]"), {}) == {
        "pbx[0].ari": 'has no password; give it by ASTERISK_SIP_ARI_PASSWORD or password_file = "..."'
    }
    assert faults(file, TWO.format("[pbx.ari]", "[pbx.agi]"), ARI) == {
        "pbx[0].ari": 'has no password; give it by ASTERISK_SIP_A_ARI_PASSWORD or password_file = "..."'
    }


def test_a_secret_that_nothing_asks_for_is_a_warning(file: Path) -> None:
    unused = ("ARI_PASSWORD", "PBX1_CEL_PASSWORD", "PBX9_HEP_CAPTURE_PASSWORD", "JOURNAL_KEY")
    environ = {f"ASTERISK_SIP_{name}": HIDDEN for name in unused}
    text = door('[pbx.agi]\n[pbx.cel]\nkind = "csv"\npath = "x"\n[journal]\nfolder = "j"')
    assert read(file, text, environ).warnings == (
        "ASTERISK_SIP_ARI_PASSWORD is set, but not used: no [pbx.ari] asks for it",
        "ASTERISK_SIP_JOURNAL_KEY is set, but not used: no [journal] asks for it",
        "ASTERISK_SIP_PBX1_CEL_PASSWORD is set, but not used: no [pbx.cel] of that [[pbx]] asks for it",
        "ASTERISK_SIP_PBX9_HEP_CAPTURE_PASSWORD is set, but no [[pbx]] has that name",
    )


# Where they listen


def test_reports_of_two_pbxs_may_come_to_one_address(file: Path) -> None:
    assert len(pbx(file, TWO.format("[pbx.agi]", "[pbx.agi]")).pbx) == 2


def test_captures_of_two_pbxs_at_one_address_need_an_id_each(file: Path) -> None:
    assert faults(file, TWO.format("[pbx.hep]", "[pbx.hep]"), {}) == {
        "pbx[0].hep.capture_id": "is required, for pbx[1].hep listens there too",
        "pbx[1].hep.capture_id": "is required, for pbx[0].hep listens there too",
    }
    same = "[pbx.hep]\ncapture_id = 1"
    assert faults(file, TWO.format(same, same), {}) == {
        "pbx[1].hep.capture_id": "is that of pbx[0].hep too, which listens there as well"
    }
    config = pbx(file, TWO.format(same, "[pbx.hep]\ncapture_id = 2"))
    assert [one.hep.capture_id for one in config.pbx if one.hep] == [1, 2]
    assert pbx(file, TWO.format("[pbx.hep]", "[pbx.hep]\nlisten_port = 9061")).warnings == ()


def test_two_doors_that_listen_do_not_share_a_port(file: Path) -> None:
    text = TWO.format("[pbx.agi]\nlisten_port = 8099", "[pbx.ari]\noutbound = true")
    assert faults(file, text, {"ASTERISK_SIP_B_ARI_PASSWORD": HIDDEN}) == {
        "pbx[1].ari.listen_port": "is the port of pbx[0].agi too"
    }


def test_pbxs_that_connect_share_a_port_as_their_paths_differ(file: Path) -> None:
    outbound = "[pbx.ari]\noutbound = true"
    environ = {f"ASTERISK_SIP_{name}_ARI_PASSWORD": HIDDEN for name in "AB"}
    assert [one.doors for one in pbx(file, TWO.format(outbound, outbound), environ).pbx] == [("ari",), ("ari",)]


@pytest.mark.parametrize(
    ("door_text", "environ", "protection"),
    [
        ("[pbx.agi]", {}, "AGI has neither password nor encryption"),
        ("[pbx.hep]", {}, "it has no password"),
        ("[pbx.hep]", {"ASTERISK_SIP_HEP_CAPTURE_PASSWORD": HIDDEN}, "packets without the capture password are"),
        ("[pbx.ari]\noutbound = true", ARI, "Asterisk must log in with username and password"),
    ],
)
@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_what_other_machines_can_reach_is_a_warning(
    file: Path, door_text: str, environ: dict[str, str], protection: str, host: str
) -> None:
    (warning,) = read(file, door(door_text, f'listen_host = "{host}"'), environ).warnings
    key, _, rest = warning.partition(": ")
    assert key == f"pbx[0].{door_text[5:8]}.listen_host"
    assert rest.startswith("[::]:" if host == "::" else f"{host}:")
    assert f"can be reached from other machines; {protection}" in rest
    assert rest.endswith("let only the PBX through the firewall")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_what_stays_on_this_machine_is_none(file: Path, host: str) -> None:
    assert pbx(file, door(f'[pbx.agi]\nlisten_host = "{host}"')).warnings == ()


def test_an_address_that_is_not_listened_at_is_none(file: Path) -> None:
    text = door('[pbx.ari]\nlisten_host = "0.0.0.0"')
    assert read(file, text, ARI).warnings == ()


# The journal


def test_the_journal_is_off_unless_it_has_a_table(file: Path) -> None:
    assert read(file, MINIMAL).journal is None
    journal = read(file, MINIMAL + '[journal]\nfolder = "j"').journal
    assert journal is not None
    assert journal.folder == file.parent / "j"
    assert (journal.max_file_mb, journal.max_total_mb, journal.pseudonymise, journal.key) == (64, 1024, False, None)


def test_pseudonyms_need_a_key(file: Path) -> None:
    text = MINIMAL + '[journal]\nfolder = "j"\npseudonymise = true\n'
    way = 'ASTERISK_SIP_JOURNAL_KEY or key_file = "..."'
    assert faults(file, text) == {"journal": f"has no key; give it by {way}"}
    assert faults(file, text + f'key = "{HIDDEN}"') == {
        "journal.key": f"a secret does not belong in this file; give it by {way}"
    }
    (file.parent / "k").write_text(HIDDEN + "\n")
    (file.parent / "k").chmod(0o600)
    journal = read(file, text + 'key_file = "k"').journal
    assert journal is not None
    assert journal.key is not None
    assert journal.key.get_secret_value() == HIDDEN


def test_what_privacy_hides_is_hidden_in_the_journal_unless_it_says_otherwise(file: Path) -> None:
    (file.parent / "p").write_text(HIDDEN + "\n")
    (file.parent / "p").chmod(0o600)

    def key(privacy: str, said: str = "") -> tuple[bytes | None, tuple[str, ...]]:
        config = read(file, f'{MINIMAL}[journal]\nfolder = "j"\n{said}[privacy]\n{privacy}')
        assert config.journal is not None
        return journal_key(config.journal, config.privacy), config.warnings

    tokens = 'numbers = "pseudonymised"\nregion = "DE"\nkey_file = "p"'
    assert key('numbers = "full"') == (None, ())
    same, _ = key(tokens)
    assert same is not None
    assert same == key(tokens)[0]
    assert HIDDEN.encode() not in same
    thrown_away, _ = key('numbers = "masked"')
    assert thrown_away is not None
    assert thrown_away != key('numbers = "masked"')[0]
    as_it_came, [warning] = key(tokens, "pseudonymise = false\n")
    assert as_it_came is None
    assert "keeps all numbers and names" in warning


@pytest.mark.parametrize(
    ("text", "key", "reason"),
    [
        ("", "folder", "is required"),
        ('folder = "j"\nmax_total_mb = 63', "max_total_mb", "must not be less than max_file_mb (64)"),
        ('folder = "j"\nkey_file = "k"', "key_file", "has no effect without pseudonymise = true"),
    ],
)
def test_a_fault_of_the_journal(file: Path, text: str, key: str, reason: str) -> None:
    assert faults(file, f"{MINIMAL}[journal]\n{text}") == {f"journal.{key}": reason}


def test_a_call_waits_ten_seconds_at_most(file: Path) -> None:
    assert faults(file, MINIMAL + "[pipeline]\nsettle_ms = 10001") == {"pipeline.settle_ms": "must be at most 10000"}


# The store


def test_the_store_is_a_file_unless_a_server_is_named(file: Path) -> None:
    assert read(file, MINIMAL).store.url is None
    text = MINIMAL + '[store]\nurl = "postgresql://me@db1:5432,db2/calls"'
    config = read(file, text, ONE | {"ASTERISK_SIP_STORE_PASSWORD": HIDDEN})
    assert config.store.url == "postgresql://me@db1:5432,db2/calls"
    assert config.store.plain_password == HIDDEN
    assert HIDDEN not in repr(config)
    assert read(file, text).store.plain_password is None


@pytest.mark.parametrize(
    "url",
    [
        "clickhouse://127.0.0.1/calls",
        "clickhouse://me@[::1]:8123/calls",
        "clickhouse://me@db1/calls?secure=true&ca_cert=/etc/ssl/db1.pem",
        "clickhouse://me@clickhouse:8123/calls?secure=false",
    ],
)
def test_the_store_may_be_clickhouse_and_says_whether_the_way_there_is_safe(file: Path, url: str) -> None:
    assert read(file, f'{MINIMAL}[store]\nurl = "{url}"').store.url == url


def test_who_reads_records_needs_the_password_of_the_store_and_no_other(file: Path) -> None:
    file.write_text(MINIMAL + '[store]\nurl = "postgresql://db/calls"\npassword_file = "absent"')
    assert load(file, {}, secrets=False).pbx[0].name == "pbx1"
    with pytest.raises(ConfigError, match=r"store\.password_file: .*absent: does not exist"):
        load(file, {}, secrets=("store",))
    (file.parent / "absent").write_text(HIDDEN)
    (file.parent / "absent").chmod(0o600)
    assert load(file, {}, secrets=("store",)).store.plain_password == HIDDEN


@pytest.mark.parametrize(
    ("line", "key", "reason"),
    [
        ('password_file = "x"', "password_file", "has no effect without url"),
        (f'url = "postgresql://me:{HIDDEN}@db/calls"', "url", "must not hold a password"),
        ('url = "sqlite:///calls.db"', "url", "must begin with postgresql:// or clickhouse://"),
        (f'url = "clickhouse://me:{HIDDEN}@127.0.0.1/calls"', "url", "must not hold a password"),
        (f'url = "clickhouse://127.0.0.1/calls?password={HIDDEN}"', "url", "must not hold a password"),
        ('url = "clickhouse://127.0.0.1"', "url", "is no URL: clickhouse://user@host:8123/database"),
        ('url = "clickhouse:///calls"', "url", "is no URL: clickhouse://user@host:8123/database"),
        ('url = "clickhouse://127.0.0.1:70000/calls"', "url", "is no URL: clickhouse://user@host:8123/database"),
        ('url = "clickhouse://127.0.0.1/calls?final=1"', "url", "may only have the options secure=true"),
        ('url = "clickhouse://db1/calls"', "url", "must end in ?secure=true"),
        (
            f'password = "{HIDDEN}"',
            "password",
            'a secret does not belong in this file; give it by ASTERISK_SIP_STORE_PASSWORD or password_file = "..."',
        ),
    ],
)
def test_a_fault_of_the_store(file: Path, line: str, key: str, reason: str) -> None:
    found = faults(file, f"{MINIMAL}[store]\n{line}")
    assert list(found) == [f"store.{key}"]
    assert found[f"store.{key}"].startswith(reason)


def test_a_password_for_a_file_is_not_used(file: Path) -> None:
    assert read(file, MINIMAL, ONE | {"ASTERISK_SIP_STORE_PASSWORD": HIDDEN}).warnings == (
        "ASTERISK_SIP_STORE_PASSWORD is set, but not used: no [store] asks for it",
    )
