"""Looks at a stream of NATS as a companion or a collector will. Nothing is made or read."""

from __future__ import annotations

import nats.errors
from nats.js.errors import NotFoundError

from asterisk_sip.check_remark import Level, Remark
from asterisk_sip.errors import BrokerError
from asterisk_sip.nats_link import NatsSettings, connect


async def look_at_stream(key: str, settings: NatsSettings, stream: str, *, made: bool) -> Remark:
    """Say whether the stream of ``key`` can be used; ``made``: the program makes it when it is not there."""
    try:
        link = await connect(settings)
    except BrokerError as error:
        return Remark(Level.PROBLEM, f"{key}: NATS cannot be used: {error}")
    try:
        info = await link.jetstream.stream_info(stream)
    except NotFoundError:
        if made:
            return Remark(Level.OK, f"{key}: NATS answers; the stream {stream} will be made")
        advice = "set create = true at a companion, or make it: see docs/sinks.md"
        return Remark(Level.PROBLEM, f"{key}: NATS answers, but there is no stream {stream}: {advice}")
    except (nats.errors.Error, OSError, TimeoutError):
        return Remark(Level.NOTE, f"{key}: NATS answers; whether there is a stream {stream} it does not tell this user")
    finally:
        await link.close()
    return Remark(
        Level.OK,
        f"{key}: the stream {stream} is there; messages: {info.state.messages}, replicas: {info.config.num_replicas}",
    )
