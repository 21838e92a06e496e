"""What a configuration file may say: the whole tree, with every default and the reason for it.

These structs are the schema: `sidecar schema`, docs/configuration.md and the messages of
`sidecar check` are all generated from them. A key's help text is its `Meta(description=...)`, a
section's is the docstring of its struct. What one key alone cannot say (sums, names that must
exist, files that must be readable) is checked by `sidecar.config.rules`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from sidecar.config.alerting import AlertSettings
from sidecar.config.monitoring import DriftSettings, MonitorSettings, Segment
from sidecar.config.recording import (
    CaptureSettings,
    DeadLetterSettings,
    JournalSettings,
    RedactSettings,
)
from sidecar.config.sinks import SinkSettings
from sidecar.config.units import Duration, Size
from sidecar.payload import PayloadSettings


def _doc(text: str) -> Meta:
    return Meta(description=text)


Percent = Annotated[float, Meta(ge=0, le=100)]
Share = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=1, le=65_535)]

# Names become metric labels and header values. In Python `$` alone would take a final newline.
Name = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}(?!\n)$",
        extra={"wording": "a name: up to 63 letters, digits, `.`, `_` and `-`"},
    ),
]


class _Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class ListenTls(_Settings, frozen=True, kw_only=True):
    """TLS towards clients."""

    cert_file: Annotated[str, _doc("The certificate and its chain (PEM).")]
    key_file: Annotated[str, _doc("The certificate's private key (PEM).")]
    client_ca_file: Annotated[
        str | None, _doc("When set, clients must present a certificate that this bundle signed.")
    ] = None


class UpstreamTls(_Settings, frozen=True, kw_only=True):
    """TLS towards a model whose URL begins with `https`."""

    ca_file: Annotated[
        str | None, _doc("Bundle (PEM) that signed the model's certificate; else the system's.")
    ] = None
    cert_file: Annotated[str | None, _doc("Client certificate (PEM); needs `key_file`.")] = None
    key_file: Annotated[str | None, _doc("Client key (PEM); needs `cert_file`.")] = None
    server_name: Annotated[
        str | None, _doc("Name expected in the certificate; else the URL's host.")
    ] = None
    verify: Annotated[bool, _doc("Verify the model's certificate.")] = True


class Pool(_Settings, frozen=True, kw_only=True):
    """Connections of one worker to one endpoint of a model."""

    connections: Annotated[Count, _doc("Most connections per endpoint and worker.")] = 256
    waiters: Annotated[
        int,
        Meta(ge=0, le=65_535, description="Most requests waiting for a connection; more get 503."),
    ] = 256
    wait_timeout: Annotated[Duration, _doc("Longest wait for a connection (503).")] = Duration(5)
    idle_timeout: Annotated[
        Duration,
        _doc("An idle connection is closed after this; common model servers close theirs at 5 s."),
    ] = Duration(4)


class Timeouts(_Settings, frozen=True, kw_only=True):
    """Deadlines towards a model; each ends in 504 unless the answer has begun."""

    connect: Annotated[Duration, _doc("TCP connect, TLS handshake included.")] = Duration(2)
    first_byte: Annotated[
        Duration, _doc("From the complete request to the first byte of the answer.")
    ] = Duration(60)
    idle: Annotated[
        Duration, _doc("Longest silence inside an answer, or of a model that takes no more bytes.")
    ] = Duration(60)
    total: Annotated[Duration, _doc("The whole exchange, streams included.")] = Duration(600)


class Retry(_Settings, frozen=True, kw_only=True):
    """Retries of requests that provably did not reach the model, or are idempotent and unanswered.

    A POST that may have reached the model is never sent again.
    """

    attempts: Annotated[int, Meta(ge=0, le=5, description="Most further attempts.")] = 1
    body_bytes: Annotated[Size, _doc("A request with a larger body is not kept for a retry.")] = (
        Size(64 * 1024)
    )


class Breaker(_Settings, frozen=True, kw_only=True):
    """A model that fails again and again is left alone for a while."""

    failures: Annotated[
        int, Meta(ge=0, description="Consecutive failures that open it; 0 switches it off.")
    ] = 10
    open_for: Annotated[
        Duration, _doc("How long it stays open before one request may try again.")
    ] = Duration(2)


class ModelSettings(_Settings, frozen=True, kw_only=True):
    """One model: where it listens and how patient we are with it. Needs `url` or `urls`."""

    url: Annotated[
        str | None, _doc("`http://host:port`, `https://host:port` or `unix:/path/to.sock`.")
    ] = None
    urls: Annotated[
        tuple[str, ...], _doc("Several endpoints of the same model; the least loaded is taken.")
    ] = ()
    baseline: Annotated[
        str | None, _doc("Baseline file (`sidecar baseline build`); without it one is learned.")
    ] = None
    timeouts: Timeouts = field(default_factory=Timeouts)
    pool: Pool = field(default_factory=Pool)
    retry: Retry = field(default_factory=Retry)
    breaker: Breaker = field(default_factory=Breaker)
    tls: UpstreamTls = field(default_factory=UpstreamTls)

    @property
    def endpoints(self) -> tuple[str, ...]:
        """All endpoint URLs, `url` first."""
        return ((self.url,) if self.url else ()) + self.urls


class Match(_Settings, frozen=True, kw_only=True):
    """Which requests a route takes; all that is given must hold. The first matching route wins."""

    host: Annotated[
        str | None, _doc("Host without port, case ignored; `*.example.com` takes all subdomains.")
    ] = None
    path_prefix: Annotated[
        str,
        Meta(
            pattern="^/",
            description="Prefix of the path, byte by byte; `/` takes every target.",
            extra={"wording": "a path that begins with `/`"},
        ),
    ] = "/"
    headers: Annotated[dict[str, str], _doc("Header fields and their exact values.")] = {}


class Canary(_Settings, frozen=True, kw_only=True):
    """A model that answers a percentage of the route's clients."""

    model: Annotated[Name, _doc("A name of `models`, not the primary's.")]
    percent: Annotated[
        Percent, _doc("Its share of the requests, met to 0.01 %; the primary keeps the rest.")
    ] = 0


class Sticky(_Settings, frozen=True, kw_only=True):
    """What keeps a client on the same model; exactly one key. Requests without it go by chance."""

    header: Annotated[str | None, _doc("A request header field.")] = None
    cookie: Annotated[str | None, _doc("A cookie.")] = None
    client_address: Annotated[bool, _doc("The client's IP address.")] = False


class HeaderEdits(_Settings, frozen=True, kw_only=True):
    """Header fields changed on the way to a shadow."""

    set: Annotated[dict[str, str], _doc("Fields set; existing ones are replaced.")] = {}
    remove: Annotated[tuple[str, ...], _doc("Fields removed.")] = ()


class Shadow(_Settings, frozen=True, kw_only=True):
    """A model that gets copies of requests and answers nobody."""

    model: Annotated[Name, _doc("A name of `models`.")]
    sample: Annotated[Share, _doc("Share of the requests that are copied.")] = 1.0
    deadline: Annotated[Duration, _doc("A copy not answered by then is given up.")] = Duration(10)
    concurrency: Annotated[
        Count, _doc("Most copies in flight per worker; more are skipped, and counted.")
    ] = 64
    max_body: Annotated[Size, _doc("Requests with a larger body are not copied, and counted.")] = (
        Size(1024 * 1024)
    )
    headers: HeaderEdits = field(default_factory=HeaderEdits)


class RouteSettings(_Settings, frozen=True, kw_only=True):
    """One route: who answers, who shadows."""

    name: Annotated[Name, _doc("Appears in metrics and the API; unique.")]
    match: Match = field(default_factory=Match)
    primary: Annotated[Name, _doc("A name of `models`: answers whatever no canary does.")]
    canaries: Annotated[
        tuple[Canary, ...], _doc("Models that answer a percentage of the route's clients.")
    ] = ()
    sticky: Sticky | None = None
    shadows: Annotated[
        tuple[Shadow, ...], _doc("Models that get copies of requests and answer nobody.")
    ] = ()
    fallback: Annotated[
        bool, _doc("The primary answers for a canary that cannot be reached (counted `fallback`).")
    ] = True
    force: Annotated[
        bool, _doc("`X-Sidecar-Model` may choose among the route's primary and canaries.")
    ] = True
    payload: PayloadSettings = field(default_factory=PayloadSettings)
    segments: Annotated[
        tuple[Segment, ...], _doc("Keys by which the numbers of the route are also kept apart.")
    ] = ()
    capture: CaptureSettings = field(default_factory=CaptureSettings)


class Limits(_Settings, frozen=True, kw_only=True):
    """What clients may ask of a worker; beyond it the answer is the status in brackets."""

    request_line: Annotated[Size, _doc("Longest request line (414).")] = Size(8 * 1024)
    header_bytes: Annotated[Size, _doc("Most bytes of a request head (431).")] = Size(32 * 1024)
    header_count: Annotated[Count, _doc("Most header fields (431).")] = 100
    body_bytes: Annotated[Size, _doc("Largest request body (413).")] = Size(4 * 1024**3)
    header_timeout: Annotated[Duration, _doc("From the first byte of a head to its end (408).")] = (
        Duration(10)
    )
    body_timeout: Annotated[Duration, _doc("Longest silence inside a request body (408).")] = (
        Duration(30)
    )
    idle_timeout: Annotated[
        Duration, _doc("A connection without a request is closed after this.")
    ] = Duration(75)
    write_timeout: Annotated[
        Duration, _doc("A client that takes no byte of its answer for this long is dropped.")
    ] = Duration(60)
    connections: Annotated[
        Annotated[int, Meta(ge=1)] | None,
        _doc("Most client connections per worker; else 16384, or what the system allows."),
    ] = None
    pipelined_requests: Annotated[
        Count, _doc("Most requests of one connection read ahead of its answers.")
    ] = 16
    in_flight: Annotated[Count, _doc("Most requests in flight per worker (503 at once).")] = 1024
    buffer: Annotated[
        Size, _doc("Bytes held per direction of a connection before the sender is paused.")
    ] = Size(256 * 1024)
    linger: Annotated[
        Duration, _doc("How long an early answer waits for a client that is still sending.")
    ] = Duration(2)


class AdminSettings(_Settings, frozen=True, kw_only=True):
    """The admin API, health and metrics."""

    listen: Annotated[str, _doc("`host:port`; beyond loopback a token is required.")] = (
        "127.0.0.1:9090"
    )
    token_file: Annotated[
        str | None, _doc("File whose content is the bearer token that changing calls need.")
    ] = None


class MetricsSettings(_Settings, frozen=True, kw_only=True):
    """Prometheus exposition."""

    buckets: Annotated[
        tuple[float, ...], _doc("Upper bounds of the classic latency buckets, in seconds, rising.")
    ] = (
        0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
        0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
    )  # fmt: skip
    cells: Annotated[
        int,
        Meta(ge=8, le=4096, description="Series of route x model x role that a worker can count."),
    ] = 64


class DrainSettings(_Settings, frozen=True, kw_only=True):
    """How a worker stops."""

    timeout: Annotated[Duration, _doc("Requests in flight may finish until then.")] = Duration(30)


class LogSettings(_Settings, frozen=True, kw_only=True):
    """The process log, on stderr: never payloads, header values or secrets."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"], _doc("The least that is logged.")
    ] = "info"
    format: Annotated[Literal["text", "json"], _doc("One line per event, as text or JSON.")] = (
        "text"
    )


class Settings(_Settings, frozen=True, kw_only=True):
    """The whole configuration file."""

    listen: Annotated[
        str | tuple[str, ...], _doc("Where clients connect: `host:port`, `unix:/path`, or a list.")
    ] = "127.0.0.1:8080"
    tls: ListenTls | None = None
    admin: AdminSettings = field(default_factory=AdminSettings)
    workers: Annotated[int, Meta(ge=1, le=64, description="Data-plane processes.")] = 1
    state_dir: Annotated[str, _doc("Where everything that lasts is kept.")] = "./state"
    models: Annotated[dict[Name, ModelSettings], Meta(min_length=1, description="By name.")]
    routes: Annotated[
        tuple[RouteSettings, ...], Meta(min_length=1, description="Tried in this order.")
    ]
    limits: Limits = field(default_factory=Limits)
    metrics: MetricsSettings = field(default_factory=MetricsSettings)
    drain: DrainSettings = field(default_factory=DrainSettings)
    log: LogSettings = field(default_factory=LogSettings)
    monitor: MonitorSettings = field(default_factory=MonitorSettings)
    drift: DriftSettings = field(default_factory=DriftSettings)
    alerts: AlertSettings = field(default_factory=AlertSettings)
    journal: JournalSettings = field(default_factory=JournalSettings)
    redact: RedactSettings = field(default_factory=RedactSettings)
    sinks: Annotated[
        tuple[SinkSettings, ...], _doc("Where records go; each gets all of them, at its own pace.")
    ] = ()
    dead_letters: DeadLetterSettings = field(default_factory=DeadLetterSettings)

    @property
    def listeners(self) -> tuple[str, ...]:
        """All listen addresses."""
        return (self.listen,) if isinstance(self.listen, str) else self.listen

    @property
    def journal_directory(self) -> str:
        """Where the journal is."""
        return self.journal.path or f"{self.state_dir}/journal"
