"""Every shape of call beyond one Dial: queues, transfers, diversions, parking, a manager's hand."""

from __future__ import annotations

from tests.lab.shapes import (
    apps,
    dialplan,
    diversions,
    features,
    managers,
    originates,
    parking,
    queues,
    stasis,
    transfers,
)

SHAPES = (
    *queues.SCENARIOS,
    *transfers.SCENARIOS,
    *diversions.SCENARIOS,
    *parking.SCENARIOS,
    *originates.SCENARIOS,
    *managers.SCENARIOS,
    *features.SCENARIOS,
    *dialplan.SCENARIOS,
    *apps.SCENARIOS,
    *stasis.SCENARIOS,
)
