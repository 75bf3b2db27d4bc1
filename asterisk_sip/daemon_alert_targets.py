"""Makes the targets of alerts of the configuration, each with its courier."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping

from asterisk_sip.alerts.hooks_alertmanager import AlertmanagerSettings, AlertmanagerTarget
from asterisk_sip.alerts.hooks_apprise import AppriseSettings, AppriseTarget
from asterisk_sip.alerts.hooks_compose import Records, StoreComposer
from asterisk_sip.alerts.hooks_courier import HookCourier
from asterisk_sip.alerts.hooks_exec import ExecSettings, ExecTarget
from asterisk_sip.alerts.hooks_links import PageLinks
from asterisk_sip.alerts.hooks_manners import Manners
from asterisk_sip.alerts.hooks_webhook import WebhookTarget
from asterisk_sip.alerts.letter import Scribe, Templates
from asterisk_sip.alerts.model import Change, Rule, change_of
from asterisk_sip.config import Config
from asterisk_sip.config_alert_targets import AlertmanagerTargetConfig, WebhookTargetConfig
from asterisk_sip.sinks.base import Sink
from asterisk_sip.sinks.couriers import Couriers
from asterisk_sip.sinks.dead_letters import DeadLetters
from asterisk_sip.sinks.hand_over import Patience
from asterisk_sip.sinks.poster import PostSettings
from asterisk_sip.stores.alert_book import AlertBook

Firing = Callable[[str], Callable[[], Awaitable[list[Change]]]]
Target = tuple[str, str, float, Sink]

_SLACK_S = 5.0


def open_targets(config: Config, store: Records, book: AlertBook, rules: Mapping[str, Rule]) -> Couriers:
    """Return the couriers for every target. ``rules`` by name: a notice needs their words."""
    notices = config.notice
    scribe = Scribe(Templates(notices.text_template, notices.html_template))
    links = PageLinks(public_url(config))
    composers: dict[str, StoreComposer] = {}

    def composer(lang: str) -> StoreComposer:
        return composers.setdefault(lang, StoreComposer(store, rules, links, lang, scribe))

    return Couriers(
        [
            HookCourier(
                name,
                target,
                book,
                dead_letters(config),
                composer(lang),
                manners=manners(config, per_minute, at_once=isinstance(target, AlertmanagerTarget)),
                patience=patience(config, name),
            )
            for name, lang, per_minute, target in targets(config, lambda name: lambda: firing(book, name))
        ],
        book,
    )


def dead_letters(config: Config) -> DeadLetters:
    """Return where notices are put that a target will never take: apart from the records of sinks."""
    return DeadLetters(config.delivery.dead_letters / "alerts")


def public_url(config: Config) -> str | None:
    """Return how people reach the pages; None when there are none."""
    web = config.web
    if web.public_url is not None or not web.enabled:
        return web.public_url
    host = f"[{web.host}]" if ":" in web.host else web.host
    return f"{'https' if web.cert_file else 'http'}://{host}:{web.port}"


def patience(config: Config, name: str) -> Patience:
    """Return how patiently a target is treated: never less than the time it was given itself."""
    delivery, all_ = config.delivery, config.alert_target
    own_s = {
        **{each.name: each.timeout_s for each in all_.webhook},
        **{each.name: each.timeout_s for each in all_.exec},
        **{each.name: each.timeout_s for each in all_.alertmanager},
    }.get(name, 0.0)
    return Patience(max(delivery.timeout_s, own_s + _SLACK_S), delivery.retry_min_s, delivery.retry_max_s)


def manners(config: Config, per_minute: float, *, at_once: bool) -> Manners:
    """Return how a target is spoken to. Alertmanager groups by itself, so it is told ``at_once``."""
    notices = config.notice
    return Manners(
        group_wait_s=0 if at_once else notices.group_wait_s,
        group_interval_s=0 if at_once else notices.group_interval_s,
        group_max=notices.group_max,
        per_minute=per_minute,
        expire_s=notices.expire_h * 3_600,
        queue_max=notices.queue_max,
    )


def targets(config: Config, firing: Firing) -> Iterator[Target]:
    """Give name, language, notices a minute, and the target itself, of each."""
    lang, all_ = config.notice.lang, config.alert_target
    for hook in all_.webhook:
        secrets = () if hook.secret is None else tuple(hook.secret.get_secret_value().split(" "))
        yield hook.name, hook.lang or lang, hook.per_minute, WebhookTarget(_post(hook), secrets)
    for program in all_.exec:
        settings = ExecSettings(program.argv, program.timeout_s, program.pass_env)
        yield program.name, program.lang or lang, program.per_minute, ExecTarget(settings)
    for manager in all_.alertmanager:
        told = AlertmanagerSettings(_post(manager), manager.resend_s, dict(manager.labels))
        target = AlertmanagerTarget(told, firing(manager.name))
        yield manager.name, manager.lang or lang, manager.per_minute, target
    for chat in all_.apprise:
        urls = () if chat.urls is None else tuple(chat.urls.get_secret_value().split())
        yield chat.name, chat.lang or lang, chat.per_minute, AppriseTarget(AppriseSettings(urls, chat.form))


async def firing(book: AlertBook, target: str) -> list[Change]:
    """Return what fires now and is told to a target. Raises StoreError."""
    changes = [change_of(entry.fired) for entry in await book.firing() if entry.told]
    return [change for change in changes if not change.targets or target in change.targets]


def _post(config: WebhookTargetConfig | AlertmanagerTargetConfig) -> PostSettings:
    secret = config.authorization
    of_webhook = isinstance(config, WebhookTargetConfig)
    return PostSettings(
        url=config.url if of_webhook else config.url.rstrip("/") + "/api/v2/alerts",
        parallel=1,
        timeout_s=config.timeout_s,
        ca_file=config.ca_file,
        headers={} if secret is None else {"Authorization": secret.get_secret_value()},
        allow_private=config.allow_private,
        redirects=config.redirects if isinstance(config, WebhookTargetConfig) else 0,
    )
