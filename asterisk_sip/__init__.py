"""Tells people why their calls fail: a companion that runs beside Asterisk."""

from importlib.metadata import version

__version__ = version("asterisk-sip")
