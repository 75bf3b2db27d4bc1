"""The words in which foreign errors are told."""

from __future__ import annotations

import asyncio
import socket

import pytest

from asterisk_sip.errors import os_words


async def test_a_connection_that_is_refused_is_told_without_the_address_and_the_words_of_asyncio() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="address already in use") as bound:
            await asyncio.start_server(lambda *_: None, "127.0.0.1", port)
    with pytest.raises(ConnectionRefusedError) as refused:
        await asyncio.open_connection("127.0.0.1", port)
    assert os_words(refused.value) == "Connection refused"
    assert os_words(bound.value) == "Address already in use"


def test_other_errors_keep_their_words() -> None:
    assert os_words(socket.gaierror(socket.EAI_NONAME, "Name or service not known")) == "Name or service not known"
    assert os_words(OSError("nothing else is known")) == "nothing else is known"
    assert os_words(TimeoutError()) == "TimeoutError"
