"""Alerts: rules and engine are pure (``model``, ``rules*``, ``engine*``); what sends notices does I/O."""
