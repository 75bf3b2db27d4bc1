"""An erasure request: every record of a number is found in whatever spelling, said where, and gone from the file."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from asterisk_sip import cli
from asterisk_sip.calls.model import Caller, CallRecord, LadderLine
from asterisk_sip.calls.privacy import Privacy
from asterisk_sip.privacy_numbers import pseudonymised
from asterisk_sip.sinks.dead_letters import DeadLetters
from asterisk_sip.stores.base import Batch, CallQuery, OpenCall, Store
from asterisk_sip.stores.erasure import Wanted, without
from asterisk_sip.stores.postgres import PostgresStore
from asterisk_sip.stores.spool import Delivery
from asterisk_sip.stores.sqlite import SqliteStore
from tests.call_records import BEGAN, answered, failed
from tests.postgres_server import PostgresServer

KEY = "a key of the test's own"


def called(number: int, **changes: object) -> CallRecord:
    """A call of somebody else's, but for the changes."""
    record = failed(number)
    somebody = replace(record, caller=Caller("+49891111111"), dialled="0892222222", exten="0892222222")
    attempts = (replace(record.attempts[0], dialled="0892222222"),)
    return replace(somebody, **{"attempts": attempts, **changes})  # type: ignore[arg-type]  # of any type


def records() -> list[CallRecord]:
    """Six calls of +49 30 1234567, each in another place and spelling; and three of others."""
    base = called(0).attempts[0]
    line = LadderLine(BEGAN, "sent", "INVITE sip:+49301234567@acme")
    return [
        called(1, caller=Caller("0301234567")),
        called(2, exten="00493012345 67"),
        called(3, attempts=(replace(base, dialled="49301234567"),)),
        called(4, attempts=(replace(base, forward="Local/0301234567@internal"),)),
        called(5, ladder=(line,)),
        called(6, attempts=(replace(base, channel="Local/+49301234567@out-00000001;1"),)),
        called(7),
        called(8, caller=Caller("03012345678")),
        called(9, caller=Caller("+33301234567")),
    ]


async def fill(store: Store, *, pending: bool = True) -> None:
    await store.open()
    mine = replace(answered(20), caller=Caller("+49 30 1234567"))
    state = json.dumps({"legs": [["1.1", "PJSIP/a-0001", "0301234567"]]})
    open_calls = [OpenCall("pbx", "1", BEGAN, state), OpenCall("pbx", "2", BEGAN, "{}")] if pending else []
    await store.write(Batch([*records(), mine], open_calls))
    await store.close()


async def left(store: Store) -> list[str]:
    await store.open()
    found = [record.id for record in await store.calls(CallQuery(limit=100_000))]
    await store.close()
    return sorted(found)


def bytes_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file())


EXPECTED = sorted(record.id for record in records()[6:])


class TestInAFile:
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        asyncio.run(fill(SqliteStore(tmp_path / "calls.db", delivers=True)))
        return tmp_path / "calls.db"

    def run(self, path: Path, *more: str) -> int:
        return cli.main(["purge", "--store", str(path), "--region", "DE", "--number", "+49 30 123 45 67", *more])

    def test_without_yes_it_only_says_what_is_where(self, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert self.run(path) == 0
        told = capsys.readouterr().out
        assert "6 calls found" in told
        assert "1 call in flight" in told
        assert "1 record on the way to sinks" in told
        for place in ("caller.number", "exten", "attempts[0].dialled", "attempts[0].forward", "ladder[0].line"):
            assert place in told
        assert "--yes" in told
        assert len(asyncio.run(left(SqliteStore(path)))) == 9

    def test_with_yes_it_is_gone_from_the_file(self, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert b"0301234567" in bytes_in(path.parent)
        assert self.run(path, "--yes") == 0
        assert "6 calls erased" in capsys.readouterr().out
        assert asyncio.run(left(SqliteStore(path))) == EXPECTED
        rest = bytes_in(path.parent)
        for spelled in (b"+49301234567", b"00493012345 67", b'"0301234567"', b"0301234567@", b"+49 30 1234567"):
            assert spelled not in rest
        assert self.run(path) == 0
        assert "0 calls found" in capsys.readouterr().out

    def test_what_was_erased_does_not_come_back(self, path: Path) -> None:
        self.run(path, "--yes")
        asyncio.run(fill(SqliteStore(path), pending=False))
        assert asyncio.run(left(SqliteStore(path))) == EXPECTED

    def test_beside_a_daemon_that_writes(self, path: Path) -> None:
        async def both() -> None:
            store = SqliteStore(path)
            await store.open()
            purging = asyncio.create_task(asyncio.to_thread(self.run, path, "--yes"))
            number = 100
            while not purging.done():
                await store.write(Batch([called(number)]))
                number += 1
            assert await purging in (0, 1)
            await store.close()
            assert len(await left(SqliteStore(path))) == 3 + number - 100

        asyncio.run(both())

    def test_a_store_that_is_not_there_is_not_made(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert self.run(tmp_path / "none.db", "--yes") == 0
        assert "nothing to erase" in capsys.readouterr().out
        assert not (tmp_path / "none.db").exists()


async def test_a_copy_that_an_update_left_is_named_for_it_holds_the_number_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "calls.db"
    await fill(SqliteStore(path))
    copy = tmp_path / "calls.db.schema-0001"
    copy.write_bytes(path.read_bytes())
    arguments = ["purge", "--store", str(path), "--number", "+49301234567", "--region", "DE", "--yes"]
    assert await asyncio.to_thread(cli.main, arguments) == 0
    assert f"Not covered: {copy}, which was kept before an update" in capsys.readouterr().out


@pytest.mark.parametrize("number", ["203", "alice", "+49 30 *", ""])
def test_what_is_no_number_is_refused(number: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["purge", "--store", str(tmp_path / "x.db"), "--number", number]) == 2
    assert "telephone number" in capsys.readouterr().err


@pytest.mark.postgres
def test_the_database_behind_the_file_and_the_dead_letters(
    tmp_path: Path, postgres_server: PostgresServer, capsys: pytest.CaptureFixture[str]
) -> None:
    url = asyncio.run(postgres_server.database())
    asyncio.run(fill(PostgresStore(url, postgres_server.password), pending=False))
    asyncio.run(fill(SqliteStore(tmp_path / "calls.db", delivers=True)))
    dead = DeadLetters(tmp_path / "dead-letters")
    for number, record in enumerate(records()[:1] + records()[6:7]):
        text = json.dumps({"caller": {"number": record.caller.number}})
        asyncio.run(dead.put("hook", Delivery(number, "failure", record.id, text), "refused"))
    (tmp_path / "p").write_text(postgres_server.password or "x")
    (tmp_path / "p").chmod(0o600)
    config = tmp_path / "a.toml"
    config.write_text(
        f'[[pbx]]\nname = "pbx"\n[store]\npath = "calls.db"\nurl = "{url}"\npassword_file = "p"\n'
        '[privacy]\nregion = "DE"\n[journal]\nfolder = "j"\n[[sink.jsonl]]\nname = "lines"\npath = "lines.jsonl"\n'
    )
    assert cli.main(["purge", "--config", str(config), "--number", "0301234567", "--yes"]) == 0
    told = capsys.readouterr().out
    assert told.count("6 calls erased") == 2
    assert "1 dead letter erased" in told
    for place in ("journal", "'lines'", "VACUUM FULL"):
        assert place in told
    assert asyncio.run(left(PostgresStore(url, postgres_server.password))) == EXPECTED
    lines = [json.loads(line) for line in (tmp_path / "dead-letters" / "hook.jsonl").read_text().splitlines()]
    assert lines[0] == {"erased": True}
    assert lines[1]["record"]["caller"]["number"] == "+49891111111"


@pytest.mark.parametrize("name", ["ops.jsonl", "ops.sending"])
def test_what_was_put_aside_for_a_target_of_alerts_is_erased_too(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(fill(SqliteStore(tmp_path / "calls.db")))
    path = tmp_path / "dead-letters" / "alerts" / name
    path.parent.mkdir(parents=True)
    told = {"text": "acme\n101 called +49 30 1234567, acme: 503", "alerts": []}
    path.write_text(json.dumps({"id": "n1", "record": told}) + "\n" + json.dumps({"id": "n2", "record": {}}) + "\n")
    config = tmp_path / "a.toml"
    config.write_text(
        '[[pbx]]\nname = "pbx"\n[store]\npath = "calls.db"\n[privacy]\nregion = "DE"\n'
        '[[alert_target.exec]]\nname = "pager"\nargv = ["/bin/true"]\n'
    )
    assert cli.main(["purge", "--config", str(config), "--number", "0301234567", "--yes"]) == 0
    said = capsys.readouterr().out
    assert "1 dead letter erased" in said
    assert "what alert target 'pager' was told" in said
    assert [json.loads(line).get("id") for line in path.read_text().splitlines()] == [None, "n2"]


def test_pseudonyms_are_found_by_their_number(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hidden = Privacy(pseudonymised(KEY.encode(), "DE"), 5).private
    path = tmp_path / "calls.db"

    async def filled() -> None:
        store = SqliteStore(path)
        await store.open()
        await store.write(Batch([hidden(record) for record in records()]))
        await store.close()

    asyncio.run(filled())
    (tmp_path / "key").write_text(KEY)
    (tmp_path / "key").chmod(0o600)
    config = tmp_path / "a.toml"
    config.write_text(
        '[[pbx]]\nname = "pbx"\n[store]\npath = "calls.db"\n'
        '[privacy]\nnumbers = "pseudonymised"\nregion = "DE"\nkey_file = "key"\n'
    )
    assert cli.main(["purge", "--config", str(config), "--number", "+49301234567", "--yes"]) == 0
    assert "6 calls erased" in capsys.readouterr().out
    assert asyncio.run(left(SqliteStore(path))) == EXPECTED


def test_longer_numbers_and_ids_are_not_meant() -> None:
    wanted = Wanted(["1700000000", "01700000000"])
    assert wanted.places('{"linkedid": "1700000000.1", "channel": "x 1700000000.12", "exten": "17000000001"}') == []
    assert wanted.places('{"exten": "0170-000 00 00", "a": [{"b": "tel:1700000000"}]}') == ["exten", "a[0].b"]


def test_an_erased_line_is_as_long_as_it_was() -> None:
    for line in (b'{"record": "0301234567"}\n', b"short\n", b'{"record": "0301234567", "x": 1}'):
        assert len(without(line)) == len(line)
        assert without(line).endswith(b"\n") == line.endswith(b"\n")
