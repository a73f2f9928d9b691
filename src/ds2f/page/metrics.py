"""Metrics for the operator, in Prometheus format. They reveal neither who sent a request nor what was heard or
drawn."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector, generate_latest

BUCKETS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)  # seconds


class Metrics:
    """The counters of one server. Names and units as Prometheus recommends: seconds, bytes, `_total`."""

    def __init__(self, **about: str) -> None:
        """about: properties of the server, such as version and model; labels of `ds2f_info`."""
        self.registry = registry = CollectorRegistry()
        Info("ds2f", "What is served.", registry=registry).info(about)

        def counter(name: str, told: str, *labels: str) -> Counter:
            return Counter(f"ds2f_{name}", told, labels, registry=registry)

        def seconds(name: str, told: str, *labels: str) -> Histogram:
            return Histogram(f"ds2f_{name}_seconds", told, labels, buckets=BUCKETS, registry=registry)

        told = "Requests that were answered, or whose client disconnected (499)."
        self.requests = counter("requests", told, "method", "route", "status")
        self.refused = counter("refused", "Requests refused because of a limit.", "status")
        self.faces = counter("faces", "Faces drawn.")
        self.seconds = seconds("request", "Time from a request to the end of its response.", "route")
        self.waited = seconds("wait", "Time that jobs waited for their turn.")
        self.worked = seconds("work", "Time that jobs ran.")
        ProcessCollector(registry=registry)

    def watch(self, waiting: Callable[[], float], working: Callable[[], float]) -> None:
        """waiting: returns how many requests wait for their turn; working: returns for how many seconds the current
        job has run."""
        Gauge("ds2f_waiting", "Requests waiting for their turn.", registry=self.registry).set_function(waiting)
        seconds = "How long the current job has been running; 0 = none is."
        Gauge("ds2f_working_seconds", seconds, registry=self.registry).set_function(working)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        method = method if method in ("GET", "HEAD", "POST") else "other"
        self.requests.labels(method, route, str(status)).inc()
        self.seconds.labels(route).observe(seconds)
        if status in (429, 503) and not route.startswith("/healthz"):
            self.refused.labels(str(status)).inc()

    def did(self, waited: float, worked: float) -> None:
        self.waited.observe(waited)
        self.worked.observe(worked)

    def text(self) -> bytes:
        """The metrics in Prometheus's text format."""
        return generate_latest(self.registry)
