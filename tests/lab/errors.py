"""What can go wrong in the lab, by name."""

from __future__ import annotations


class LabError(Exception):
    """Anything the lab itself could not do."""


class RootError(LabError):
    """A Debian root with Asterisk is missing or could not be built."""


class PbxError(LabError):
    """Asterisk did not start, did not answer or did not stop."""


class AmiError(LabError):
    """The manager interface refused an action or went away."""


class SipError(LabError):
    """A SIP call of the lab did not end as a SIP call must."""


class NotYetError(LabError):
    """A condition was not met before its deadline."""
