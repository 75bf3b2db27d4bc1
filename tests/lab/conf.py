"""The configuration of a PBX: the files of ``etc/`` with their ``@names@`` filled in, and the modules to load."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from tests.lab.errors import PbxError

if TYPE_CHECKING:
    from tests.lab.asterisk import Asterisk

TEMPLATES = Path(__file__).with_name("etc")
PLACE = re.compile(r"@([a-z0-9_]+)@")

# In order. A module that a release does not have is left out.
MODULES = """
res_speech res_websocket_client res_sorcery_config res_sorcery_memory res_sorcery_astdb res_sorcery_realtime
res_timing_timerfd res_http_websocket res_pjproject res_pjsip res_pjsip_session res_pjsip_sdp_rtp res_pjsip_rfc3326
res_pjsip_caller_id res_pjsip_dtmf_info res_pjsip_endpoint_identifier_ip res_pjsip_endpoint_identifier_user
res_pjsip_diversion res_pjsip_nat res_pjsip_header_funcs res_pjsip_refer res_pjsip_registrar res_pjsip_path
res_pjsip_pubsub res_pjsip_logger res_pjsip_acl res_pjsip_authenticator_digest res_pjsip_outbound_authenticator_digest
res_pjsip_dlg_options res_pjsip_outbound_publish res_pjsip_exten_state res_pjsip_mwi res_pjsip_maintenance chan_pjsip
chan_sip res_rtp_asterisk codec_ulaw codec_alaw format_pcm format_wav bridge_simple bridge_softmix bridge_holding
bridge_native_rtp bridge_builtin_features bridge_builtin_interval_features res_parking pbx_config app_dial app_queue
app_stack app_exec app_userevent app_originate app_transfer app_directed_pickup app_confbridge app_cdr app_system
app_verbose app_playback app_echo app_bridgewait app_chanspy res_agi app_attended_transfer app_blind_transfer
app_channelredirect app_softhangup func_channel func_cut func_logic func_strings func_hangupcause func_cdr
func_callerid func_global func_shell func_math func_timeout func_devstate func_dialplan func_env func_groupcount
func_base64 func_uri res_stasis res_stasis_answer res_stasis_device_state res_stasis_playback res_stasis_recording
res_stasis_snoop app_stasis res_ari res_ari_model res_ari_applications res_ari_asterisk res_ari_bridges
res_ari_channels res_ari_device_states res_ari_endpoints res_ari_events res_ari_playbacks res_ari_recordings
res_ari_sounds cdr_csv cdr_manager cel_manager pbx_spool chan_iax2
format_gsm codec_gsm app_followme app_page app_mixmonitor app_voicemail res_rtp_multicast chan_rtp res_audiosocket
chan_audiosocket res_pjsip_messaging
"""

# Files that Asterisk complains about when they are missing, and needs nothing in.
EMPTY = ("acl.conf", "ccss.conf", "udptl.conf", "pjproject.conf", "queuerules.conf")


def modules_dir(root: Path) -> str:
    """Give the folder of Asterisk's modules as seen inside the root."""
    for folder in ("usr/lib/x86_64-linux-gnu/asterisk/modules", "usr/lib/asterisk/modules", *_multiarch(root)):
        if (root / folder / "app_dial.so").exists():
            return f"/{folder}"
    raise PbxError(f"no Asterisk modules in {root}")


def files(pbx: Asterisk) -> dict[str, str]:
    """Give name and text of every configuration file of this PBX."""
    options = pbx.options
    line = "" if options.channelvars is None else f"channelvars = {options.channelvars}"
    values = {
        "host": pbx.host,
        **{name: str(getattr(pbx.ports, name)) for name in pbx.ports.__slots__},
        "etc": f"/etc/{pbx.etc.name}",
        "var": f"/var/lab/{pbx.var.name}",
        "modules": modules_dir(pbx.root),
        "timestamps": _yes(options.timestamps),
        "channelvars_line": line,
        "ami_tls_lines": "",
        "companion_secret": pbx.companion.secret,
        "lab_secret": pbx.lab.secret,
        "cdr_events": _yes(options.cdr_events),
        "cel_events": _yes(options.cel_events),
        "timer_t1_ms": str(options.timer_t1_ms),
        "timer_b_ms": str(options.timer_b_ms),
    }
    if options.ami_tls is not None:
        tls = [
            "tlsenable = yes",
            f"tlsbindaddr = {pbx.host}:{pbx.ports.ami_tls}",
            f"tlscertfile = {values['etc']}/ami.pem",
        ]
        values["ami_tls_lines"] = "\n".join(tls)
    made = {path.name: _fill(path.read_text(), values) for path in TEMPLATES.glob("*.conf")}
    made["modules.conf"] = _modules(pbx)
    made |= dict.fromkeys(EMPTY, "")
    for name, more in options.extra.items():
        made[name] = made.get(name, "") + _fill(more, values)
    return made


def _modules(pbx: Asterisk) -> str:
    have = pbx.root / modules_dir(pbx.root)[1:]
    wanted = [f"{name}.so" for name in MODULES.split()] + list(pbx.options.modules)
    if not pbx.options.chan_sip:
        wanted.remove("chan_sip.so")
    lines = [f"load = {name}" for name in wanted if (have / name).exists()]
    return "\n".join(["[modules]", "autoload = no", *lines, ""])


def _fill(template: str, values: dict[str, str]) -> str:
    """Put values in place of ``@name@``; a name that is not known stays (a URI may hold @)."""
    return PLACE.sub(lambda place: values.get(place[1], place[0]), template)


def _multiarch(root: Path) -> list[str]:
    return [str(path.relative_to(root)) for path in root.glob("usr/lib/*/asterisk/modules")]


def _yes(value: bool) -> str:
    return "yes" if value else "no"
