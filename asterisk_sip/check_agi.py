"""Looks at the AGI door: whether the port is free, and whether a hangup handler of the dialplan reports there."""

from __future__ import annotations

from asterisk_sip.calls.model import Grade
from asterisk_sip.check_ports import first_head, look_at_port
from asterisk_sip.check_remark import Evidence, Level, Remark
from asterisk_sip.config import AgiConfig

AGI_TELLS = "the status line of each dialled leg, forks and failover included, told by a hangup handler"


async def look_at_agi(pbx: str, config: AgiConfig, wait_s: float, *, running: bool) -> tuple[list[Remark], Evidence]:
    """Listen for ``wait_s`` seconds if the port is free, and return what was found. Raises nothing."""

    async def look() -> list[Remark]:
        return [_of_head(pbx, config, await first_head(config.listen_host, config.listen_port, wait_s), wait_s)]

    remarks, came = await look_at_port("AGI", config.listen_host, config.listen_port, running=running, look=look)
    return remarks, Evidence("AGI", True, Grade.WIRE if came else None, AGI_TELLS)


def _of_head(pbx: str, config: AgiConfig, head: list[str] | None, wait_s: float) -> Remark:
    host = f"[{config.listen_host}]" if ":" in config.listen_host else config.listen_host
    lines = (f"ASTERISK_SIP_AGI = agi://{host}:{config.listen_port}/{pbx}",)
    where = "extensions.conf [globals], with configs/asterisk/extensions.conf included"
    if head is None:
        text = f"AGI: no hangup handler reported in {wait_s:g} s. Place a call while checking (--wait 60), or look for:"
        return Remark(Level.NOTE, text, where, lines)
    request = dict(line.partition(": ")[::2] for line in head)
    path = request.get("agi_network_script", "").partition("?")[0].strip("/")
    if path != pbx:
        text = f"AGI: a hangup handler reports, but for {path!r}: reports of this PBX must be addressed to {pbx!r}."
        return Remark(Level.PROBLEM, text, where, lines)
    return Remark(Level.OK, "AGI: a hangup handler reports here (its report was not taken: only run does that)")
