"""What the configuration says of privacy, as a function from records to records; and as the key of the journal."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from hashlib import blake2b

from asterisk_sip.calls.model import CallRecord
from asterisk_sip.calls.privacy import Privacy
from asterisk_sip.config_keeping import PrivacyConfig
from asterisk_sip.config_model import JournalConfig
from asterisk_sip.errors import ConfigError
from asterisk_sip.privacy_numbers import masked, pseudonymised

Private = Callable[[CallRecord], CallRecord]


def hiding(config: PrivacyConfig) -> Callable[[str], str] | None:
    """Return how a number is hidden, None when it is not. Raises ConfigError for a region that does not exist."""
    if config.numbers == "masked":
        return masked(config.masked_digits)
    if config.numbers == "pseudonymised" and config.key is not None:
        try:
            return pseudonymised(config.key.get_secret_value().encode(), config.region or "")
        except ValueError as error:
            raise ConfigError("the configuration", [("privacy.region", str(error))]) from error
    return None


def private(config: PrivacyConfig) -> Private | None:
    """Return what makes a record fit to be written, None when it is as it is. Raises ConfigError."""
    hide = hiding(config)
    return None if hide is None else Privacy(hide, config.short_digits).private


def journal_key(journal: JournalConfig, privacy: PrivacyConfig) -> bytes | None:
    """Return the key of the journal's tokens, None when numbers and names stay in it as they are.

    Where the journal says nothing of it, what [privacy] hides is hidden there too: by a key made of the one there, or
    by one that is thrown away with the run, when nobody is to find a number again (``masked``).
    """
    if "pseudonymise" in journal.model_fields_set:
        return journal.key.get_secret_value().encode() if journal.pseudonymise and journal.key is not None else None
    if privacy.numbers == "full":
        return None
    if privacy.key is None:
        return secrets.token_bytes(32)
    return blake2b(privacy.key.get_secret_value().encode(), person=b"journal").digest()
