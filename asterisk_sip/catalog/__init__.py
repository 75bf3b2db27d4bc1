"""What a SIP code, a Q.850 cause and a disposition mean, as data. Pure: it reads its own files and nothing else."""

from .asterisk import (
    DECLINE,
    asterisk_cause_to_sip,
    asterisk_sip_to_cause,
    candidates,
    code_sent_to_caller,
)
from .dispositions import Disposition, E425Group, all_dispositions, disposition, e425_groups
from .q850 import Q850Cause, Q850ToSip, SipToQ850, all_causes, q850_cause, q850_to_sip, sip_to_q850
from .redress import Redress, redress_contact
from .refused import Refused, RefusedText, all_refused, refused, refused_text
from .sip import SipClass, SipCode, all_codes, class_rule, sip_class, sip_code
from .tables import UnknownLanguageError
from .words import LANGUAGES, CodeText, code_text, disposition_text, hint, label, q850_reason, q850_text

__all__ = [
    "DECLINE",
    "LANGUAGES",
    "CodeText",
    "Disposition",
    "E425Group",
    "Q850Cause",
    "Q850ToSip",
    "Redress",
    "Refused",
    "RefusedText",
    "SipClass",
    "SipCode",
    "SipToQ850",
    "UnknownLanguageError",
    "all_causes",
    "all_codes",
    "all_dispositions",
    "all_refused",
    "asterisk_cause_to_sip",
    "asterisk_sip_to_cause",
    "candidates",
    "class_rule",
    "code_sent_to_caller",
    "code_text",
    "disposition",
    "disposition_text",
    "e425_groups",
    "hint",
    "label",
    "q850_cause",
    "q850_reason",
    "q850_text",
    "q850_to_sip",
    "redress_contact",
    "refused",
    "refused_text",
    "sip_class",
    "sip_code",
    "sip_to_q850",
]
