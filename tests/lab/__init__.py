"""A real Asterisk 22 and a real Asterisk 16 on loopback, with trunks, phones and callers that do as they are told.

Start with ``lab.Lab`` (everybody around a PBX), ``asterisk.Asterisk`` (the PBX) and ``scenarios.SCENARIOS``.
"""
