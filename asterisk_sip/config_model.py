"""The configuration as types: what may be set, in which range, and what holds when it is not set.

The attribute path is the key path of the TOML file: ``config.pbx[0].ami.port`` is ``pbx[0].ami.port``.
Reading a file and the environment into these types is ``config.load``. The doors of a PBX: ``config_doors``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, Strict, ValidationInfo, field_validator, model_validator

from asterisk_sip.config_alert_targets import AlertTargetsConfig, NoticeConfig
from asterisk_sip.config_alerts import AlertingConfig, Alerts
from asterisk_sip.config_doors import PbxConfig
from asterisk_sip.config_keeping import PrivacyConfig, RetentionConfig
from asterisk_sip.config_keys import key_paths, shown
from asterisk_sip.config_nats import CollectorConfig
from asterisk_sip.config_otlp import OtlpConfig
from asterisk_sip.config_sinks import DeliveryConfig, SinksConfig
from asterisk_sip.config_types import Derived, FilePath, Line, Secret, Section, StoreUrl, filled, without
from asterisk_sip.config_web import WebConfig


class TrunkRule(Section):
    """Which endpoints lead to one carrier: patterns as the shell has them (``*``, ``?``, ``[ab]``), case matters."""

    name: Line
    endpoints: Annotated[tuple[Line, ...], Strict(strict=False), AfterValidator(filled)]


class OverrideRule(Section):
    """What a status of one trunk really means. Unset conditions hold for all; the first rule that holds is taken."""

    name: Line
    trunk: Line | None = None
    code: int | None = Field(None, ge=100, le=699)
    phrase: Line | None = None
    under_ms: int | None = Field(None, ge=1, le=3_600_000)
    rang: bool | None = None
    meaning: Line | None = None
    disposition: Line | None = None
    fault: Literal["caller", "callee", "carrier", "us", "unknown"] | None = None
    reason: Line | None = None
    hint: Line | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not any((self.meaning, self.disposition, self.fault, self.reason, self.hint)):
            raise ValueError("changes nothing; set meaning, disposition, fault, reason or hint")
        return self


class RecordsConfig(Section):
    """Which calls become records, and the bounds on calls still open."""

    keep: Literal["failures", "all"] = "failures"
    max_open_calls: int = Field(50_000, ge=1, le=10_000_000)
    max_call_age_s: Annotated[float, Field(gt=0, le=31_536_000, allow_inf_nan=False)] = 86_400.0


class StoreConfig(Section):
    """Where records are kept: in the SQLite file ``path``, and in the database that ``url`` names."""

    path: FilePath = Path("asterisk-sip.db")
    url: StoreUrl | None = None
    password: Annotated[Secret | None, Derived()] = None
    password_file: FilePath | None = None
    flush_ms: int = Field(0, ge=0, le=10_000)

    @field_validator("password_file")
    @classmethod
    def _only_with_url(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        return without(value, lacking=info.data.get("url", "") is None, what="url")

    @property
    def plain_password(self) -> str | None:
        """The password of the server, in the clear: for the connection and nothing else."""
        return None if self.password is None else self.password.get_secret_value()


class JournalConfig(Section):
    """Where everything that was heard is kept as it came, to be replayed later."""

    folder: FilePath
    max_file_mb: int = Field(64, ge=1, le=65_536)
    max_total_mb: Annotated[int, Field(ge=1, le=1_048_576, validate_default=True)] = 1_024
    pseudonymise: bool = False
    key: Annotated[Secret | None, Derived()] = None
    key_file: FilePath | None = None

    @field_validator("max_total_mb")
    @classmethod
    def _room_for_a_file(cls, value: int, info: ValidationInfo) -> int:
        file = info.data.get("max_file_mb", 0)
        if value < file:
            raise ValueError(f"must not be less than max_file_mb ({file})")
        return value

    @field_validator("key_file")
    @classmethod
    def _only_with_pseudonyms(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        return without(value, lacking=info.data.get("pseudonymise") is False, what="pseudonymise = true")


class PipelineConfig(Section):
    """The buffer between the PBX and the core, and how long an ended call waits for what other doors still tell."""

    inbox_max_events: int = Field(200_000, ge=1, le=100_000_000)
    settle_ms: int = Field(250, ge=0, le=10_000)


class LogConfig(Section):
    """What the log says, and in which form."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["console", "json"] = "console"


class Config(Section):
    """The whole configuration. ``warnings`` are what an operator should hear about although it works.

    There are PBXs to listen to, or a collector, which hears of calls from other companions.
    """

    collector: CollectorConfig | None = None
    pbx: Annotated[tuple[PbxConfig, ...], Strict(strict=False)]
    trunk: Annotated[tuple[TrunkRule, ...], Strict(strict=False)] = ()
    override: Annotated[tuple[OverrideRule, ...], Strict(strict=False)] = ()
    records: RecordsConfig = RecordsConfig()
    store: StoreConfig = StoreConfig()
    journal: JournalConfig | None = None
    sink: SinksConfig = SinksConfig()
    alert_target: AlertTargetsConfig = AlertTargetsConfig()
    notice: NoticeConfig = NoticeConfig()
    delivery: DeliveryConfig = DeliveryConfig()
    alerting: AlertingConfig = AlertingConfig()
    alerts: Alerts = ()
    otlp: OtlpConfig | None = None
    retention: RetentionConfig = RetentionConfig()
    privacy: PrivacyConfig = PrivacyConfig()
    web: WebConfig = WebConfig()
    pipeline: PipelineConfig = PipelineConfig()
    log: LogConfig = LogConfig()
    warnings: Annotated[tuple[str, ...], Derived()] = ()

    @field_validator("pbx")
    @classmethod
    def _pbx_or_collector(cls, value: tuple[PbxConfig, ...], info: ValidationInfo) -> tuple[PbxConfig, ...]:
        if info.data.get("collector", ...) is None:
            return filled(value)
        if value:
            raise ValueError("has no place beside [collector], which listens to no PBX; run two programs")
        return value

    @field_validator("alert_target")
    @classmethod
    def _no_targets_of_a_collector(cls, value: AlertTargetsConfig, info: ValidationInfo) -> AlertTargetsConfig:
        if value.names and info.data.get("collector") is not None:
            raise ValueError(
                "has no place beside [collector], which judges nothing: each companion tells what it heard"
            )
        return value

    @field_validator("sink")
    @classmethod
    def _no_sinks_of_a_collector(cls, value: SinksConfig, info: ValidationInfo) -> SinksConfig:
        if value.any and info.data.get("collector") is not None:
            raise ValueError("has no place beside [collector], which writes into the store only")
        return value

    @field_validator("otlp")
    @classmethod
    def _no_otlp_of_a_collector(cls, value: OtlpConfig | None, info: ValidationInfo) -> OtlpConfig | None:
        if value is not None and info.data.get("collector") is not None:
            raise ValueError("has no place beside [collector]: each companion tells of what it heard itself")
        return value

    @field_validator("alerts")
    @classmethod
    def _no_alerts_of_a_collector(cls, value: Alerts, info: ValidationInfo) -> Alerts:
        if value and info.data.get("collector") is not None:
            raise ValueError("has no place beside [collector]: each companion judges what it heard itself")
        return value

    @classmethod
    def example_keys(cls) -> tuple[str, ...]:
        """Every key the TOML file may hold, as ``pbx[].ami.port``: what the commented example must show."""
        return tuple(shown(path) for path in key_paths(cls))
