"""Every error this program raises on purpose. Foreign exceptions are mapped to one of these where they enter."""

import os


class AsteriskSipError(Exception):
    """The root: anything that is ours."""


class ConfigError(AsteriskSipError):
    """The configuration cannot be used. ``faults`` lists each one as (key path, reason)."""

    def __init__(self, source: str, faults: list[tuple[str, str]]) -> None:
        self.source = source
        self.faults = faults
        lines = "\n".join(f"  {key}: {reason}" for key, reason in faults)
        count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        super().__init__(f"{source}: {count}\n{lines}")


class CommandError(AsteriskSipError):
    """The command line asks for what cannot be: an option has a value that it does not take."""


class SourceError(AsteriskSipError):
    """A door to Asterisk (AMI, ARI, AGI, HEP, a recording) does not give events."""


class AuthError(SourceError):
    """Asterisk refused the user or its secret. Trying again soon cannot help."""


class TakenOverError(SourceError):
    """Another client took our place. Trying again takes it back, and so on: it is better to wait for a person."""


class LinkLostError(SourceError):
    """The connection ended, could not be made, or the peer stopped answering. Trying again can help."""


class WireError(SourceError):
    """What came over the wire is not the protocol it should be, or is larger than allowed."""


class BrokerError(AsteriskSipError):
    """The message broker cannot be reached, refuses us, or does not answer in time."""


class StoreError(AsteriskSipError):
    """Records cannot be read or written."""


class TookTooLongError(StoreError):
    """The store was asked something that it had not answered in the time allowed. A narrower question may do."""


class SinkError(AsteriskSipError):
    """A sink did not take a batch, or only the first ``taken`` of it."""

    def __init__(self, reason: str, taken: int = 0) -> None:
        super().__init__(reason)
        self.taken = taken


class TransientSinkError(SinkError):
    """The same batch may be taken later; ``not_before_s`` says in how many seconds, if the other side told."""

    def __init__(self, reason: str, taken: int = 0, not_before_s: float | None = None) -> None:
        super().__init__(reason, taken)
        self.not_before_s = not_before_s


class PermanentSinkError(SinkError):
    """The same batch will never be taken."""


_OF_ASYNCIO = ("Connect call failed", "error while attempting to bind")


def os_words(error: OSError) -> str:
    """Return what the operating system says of an error, also where asyncio puts words and an address before it."""
    said = error.strerror
    if said and error.errno and said.startswith(_OF_ASYNCIO):
        return os.strerror(error.errno)
    return said or str(error) or type(error).__name__
