"""Metrics for Prometheus at /metrics, from the database: what all processes together did.

Labels are names of sources and senders, states, reasons and urgency; never what was sent.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from flask import Blueprint, Response
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from gateway.config import Settings
from gateway.errors import InvalidSetting, StoreUnavailable
from gateway.store.counts import Counting, Counts, Kind
from gateway.store.database import Database
from gateway.store.tally import Tallied, tallied
from gateway.wire.certificate import not_after

_DAY_SECONDS = 86_400


def metrics_blueprint(
    database: Database, settings: Settings, clock: Callable[[], int]
) -> Blueprint:
    """Make /metrics; `clock` gives microseconds since 1970."""
    blueprint = Blueprint("metrics", __name__)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Gateway(database, settings, clock))

    @blueprint.get("/metrics")
    def metrics() -> Response:
        headers = {"Content-Type": CONTENT_TYPE_PLAIN_0_0_4, "Cache-Control": "no-store"}
        return Response(generate_latest(registry), 200, headers)

    return blueprint


class _Gateway(Collector):
    def __init__(self, database: Database, settings: Settings, clock: Callable[[], int]) -> None:
        self._database, self._settings, self._clock = database, settings, clock
        self._counting = Counting()

    def describe(self) -> Iterable[Metric]:
        """Name nothing beforehand: that would need the database."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Ask the database, and the machine."""
        now = self._clock()
        up = True
        try:
            with self._database.read() as connection:
                frames = tallied(connection, now)
                counts = self._counting.count(connection)
        except StoreUnavailable:
            up = False
        yield _gauge("database_up", "1 when the database answers", float(up))
        if up:
            yield from _frames(frames)
            yield from _messages(counts.messages)
            yield from _parts(counts, now)
        yield from _machine(self._settings, now)


def _frames(frames: Iterable[Tallied]) -> Iterator[Metric]:
    received = _counter("frames_received", "Complete frames that came", "source")
    answered = _counter("frames_answered", "Frames that were answered", "source", "answer")
    fragments = _counter("fragments", "Frames that never ended", "source")
    waiting = GaugeMetricFamily(
        "gateway_frames_open", "Frames that have had no answer", labels=("source",)
    )
    for one in frames:
        received.add_metric((one.source,), one.received)
        answered.add_metric((one.source, "positive"), one.positive)
        answered.add_metric((one.source, "negative"), one.negative)
        waiting.add_metric((one.source,), one.open)
        fragments.add_metric((one.source,), one.fragments)
    yield from (received, answered, waiting, fragments)


def _messages(messages: Counter[Kind]) -> Iterator[Metric]:
    stored: Counter[tuple[str, ...]] = Counter()
    duplicates: Counter[tuple[str, ...]] = Counter()
    reused: Counter[tuple[str, ...]] = Counter()
    for kind, count in messages.items():
        answer = "positive" if kind.positive else "negative" if kind.answer else "none"
        stored[kind.sender, kind.state, answer] += count
        duplicates[(kind.source,)] += count if kind.state == "duplicate" else 0
        reused[(kind.source,)] += count if kind.control_id_reused else 0
    yield _filled(_counter("messages", "Messages stored", "sender", "state", "answer"), stored)
    yield _filled(_counter("duplicates", "Messages that came again", "source"), duplicates)
    yield _filled(
        _counter("control_ids_reused", "Other messages under a known MSH-10", "source"), reused
    )


def _filled(family: CounterMetricFamily, counts: Counter[tuple[str, ...]]) -> Metric:
    for labels, count in counts.items():
        family.add_metric(labels, count)
    return family


def _parts(counts: Counts, now: int) -> Iterator[Metric]:
    states = GaugeMetricFamily(
        "gateway_parts", "Parts of messages by state, held ones by reason",
        labels=("state", "reason"),
    )  # fmt: skip
    for labels, count in counts.parts.items():
        states.add_metric(labels, count)
    held = GaugeMetricFamily(
        "gateway_held_oldest_seconds", "Age of the oldest held part", labels=("urgency",)
    )
    for urgency in ("stat", "urgent", "routine"):
        held.add_metric((urgency,), _age(counts.oldest_held.get(urgency), now))
    yield from (states, held)
    yield _gauge("backlog_parts", "Parts that wait for the gateway", counts.backlog)
    yield _gauge(
        "backlog_oldest_seconds", "Age of the oldest of these parts", _age(counts.oldest, now)
    )


def _machine(settings: Settings, now: int) -> Iterator[Metric]:
    try:
        free = shutil.disk_usage(settings.data).free
    except OSError:
        free = 0
    yield _gauge("data_disk_free_bytes", "Free space of the data folder", free)
    days = GaugeMetricFamily(
        "gateway_certificate_days_left", "Days until a certificate of MLLP over TLS ends",
        labels=("certificate",),
    )  # fmt: skip
    files = {"server": settings.tls_certificate, "client_ca": settings.tls_client_ca}
    for name, path in files.items():
        if path:
            days.add_metric((name,), _days_left(path, now))
    yield days


def _days_left(path: Path, now: int) -> float:
    try:
        return (not_after(path).timestamp() - now / 1e6) / _DAY_SECONDS
    except InvalidSetting:
        return -1.0  # what cannot be read is as bad as one that has ended


def _age(since: int | None, now: int) -> float:
    return max(0.0, (now - since) / 1e6) if since else 0.0


def _counter(name: str, text: str, *labels: str) -> CounterMetricFamily:
    return CounterMetricFamily(f"gateway_{name}", text, labels=labels)


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"gateway_{name}", text, value=value)
