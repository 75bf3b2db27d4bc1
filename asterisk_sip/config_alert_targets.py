"""Where alerts are told, as types: by HTTP, to a program, to Alertmanager, and by mail and chats through Apprise."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr, Strict, field_validator

from asterisk_sip.config_types import (
    NOT_READ,
    Derived,
    FilePath,
    Line,
    Name,
    Seconds,
    Secret,
    Section,
    WebhookSecrets,
    WebUrl,
    filled,
)


def _apprise_urls(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if text != NOT_READ and not all("://" in url for url in text.split()):
        raise ValueError("must be URLs as Apprise has them, with a blank between")
    return value


Language = Literal["en", "de", "es", "fr", "pt"]
PerMinute = Annotated[float, Field(gt=0, le=6_000, allow_inf_nan=False)]
AppriseUrls = Annotated[Secret, AfterValidator(_apprise_urls)]
Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}$")]
Label = Annotated[str, Field(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]{0,63}$")]


class _Target(Section):
    """What every target has. Rules name it; a new name begins with what is told from then on."""

    name: Name
    lang: Language | None = None
    per_minute: PerMinute = 20.0


class _HttpTarget(_Target):
    """A target that is posted to."""

    url: WebUrl
    authorization: Annotated[Secret | None, Derived()] = None
    authorization_file: FilePath | None = None
    ca_file: FilePath | None = None
    timeout_s: Seconds = 10.0
    allow_private: bool = False


class WebhookTargetConfig(_HttpTarget):
    """One signed POST a notice. ``secret`` may be several, with a blank between: all of them sign."""

    secret: Annotated[WebhookSecrets | None, Derived()] = None
    secret_file: FilePath | None = None
    redirects: int = Field(0, ge=0, le=10)


class AlertmanagerTargetConfig(_HttpTarget):
    """The API v2 of a Prometheus Alertmanager."""

    per_minute: PerMinute = 600.0
    resend_s: Seconds = 60.0
    labels: dict[Label, Line] = Field(default={})


class ExecTargetConfig(_Target):
    """A program that is given each notice on its standard input."""

    argv: Annotated[tuple[Line, ...], Strict(strict=False), AfterValidator(filled)]
    timeout_s: Seconds = 10.0
    pass_env: Annotated[tuple[Variable, ...], Strict(strict=False)] = ()

    @field_validator("argv")
    @classmethod
    def _whole_path(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value[0].startswith("/"):
            raise ValueError("must begin with the whole path of the program: /usr/local/bin/page-me")
        return value


class AppriseTargetConfig(_Target):
    """URLs of Apprise; they hold passwords, so they are given as a secret, with a blank between."""

    urls: Annotated[AppriseUrls | None, Derived()] = None
    urls_file: FilePath | None = None
    form: Literal["text", "html"] = "text"


class AlertTargetsConfig(Section):
    """All targets of alerts."""

    webhook: Annotated[tuple[WebhookTargetConfig, ...], Strict(strict=False)] = ()
    exec: Annotated[tuple[ExecTargetConfig, ...], Strict(strict=False)] = ()
    alertmanager: Annotated[tuple[AlertmanagerTargetConfig, ...], Strict(strict=False)] = ()
    apprise: Annotated[tuple[AppriseTargetConfig, ...], Strict(strict=False)] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all, in the order of the file by kind."""
        return tuple(each.name for each in (*self.webhook, *self.exec, *self.alertmanager, *self.apprise))


class NoticeConfig(Section):
    """How notices are written, and how many of them there may be."""

    lang: Language = "en"
    text_template: FilePath | None = None
    html_template: FilePath | None = None
    group_wait_s: Annotated[float, Field(ge=0, le=600, allow_inf_nan=False)] = 1.0
    group_interval_s: Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)] = 30.0
    group_max: int = Field(50, ge=1, le=500)
    expire_h: Annotated[float, Field(gt=0, le=8_784, allow_inf_nan=False)] = 24.0
    queue_max: int = Field(10_000, ge=100, le=1_000_000)
