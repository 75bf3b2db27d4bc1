"""The doors to Asterisk. Every ``*_wire`` module is pure: bytes in, events out."""
