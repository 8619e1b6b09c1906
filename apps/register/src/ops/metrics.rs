//! `/metrics` for Prometheus, with OpenTelemetry's metric names where they exist.

use std::fmt;
use std::time::Duration;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};
use trunkline::{Histogram, Session};
use trunkline_lifespan::ListenerStats;

use super::snapshot::{HostUsage, Snapshot};
use crate::store::Backlog;
use crate::web::{Problem, WebState};

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The session comes out of the application's state, as in any handler.
pub(super) async fn metrics(State(session): State<Session>, State(app): State<WebState>) -> Response {
    let snapshot = Snapshot::now(&session, &app).await;
    let mut registry = Registry::default();
    let help = "How long requests to this service took";
    registry.register_with_unit("http_server_request_duration", help, Unit::Seconds, app.durations.family().clone());
    registry.register_collector(Box::new(snapshot));
    let mut text = String::new();
    match text::encode(&mut text, &registry) {
        Ok(()) => ([(CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(error) => Problem::internal(&error.into()).into_response(),
    }
}

impl Collector for Snapshot {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut writer = MetricWriter(encoder);
        self.session(&mut writer)?;
        self.mail(&mut writer)?;
        self.clients(&mut writer)?;
        self.rest(&mut writer)
    }
}

impl Snapshot {
    fn session(&self, writer: &mut MetricWriter<'_>) -> fmt::Result {
        let Self { pool, limit, .. } = self;
        let open = self.by_host().flat_map(|host| {
            let [address, port] = server(host);
            let state = move |name, count| ([("http_connection_state", name), address, port], count);
            [state("active", host.in_use), state("idle", host.idle)]
        });
        writer.gauges("http_client_open_connections", "Connections of the session, by what they do", open)?;
        let dialing = self.by_host().map(|host| (server(host), host.dialing));
        writer.gauges("trunkline_connections_dialing", "Connections being made", dialing)?;
        let waiting = self.by_host().map(|host| (server(host), host.waiting));
        writer.gauges("trunkline_requests_waiting", "Requests that wait for a connection", waiting)?;
        writer.gauge("trunkline_connections_limit", "The most connections that the session opens", *limit as u64)?;
        writer.counter("trunkline_connections_created", "Connections begun, failed ones included", pool.created)?;
        let reused = "Times that a request was given a connection that had served another";
        writer.counter("trunkline_connections_reused", reused, pool.reused)?;
        writer.counter("trunkline_dials_failed", "Connections that could not be made", pool.dials_failed)?;
        writer.counters("trunkline_connections_closed", "Connections ended, by reason", "reason", self.closed())?;
        writer.histogram("trunkline_connection_wait_time", "How long requests waited for a connection", &pool.wait)?;
        writer.histogram("trunkline_connection_create_time", "How long it took to make a connection", &pool.connect)
    }

    fn mail(&self, writer: &mut MetricWriter<'_>) -> fmt::Result {
        let outbox = &self.outbox;
        if let Some(Backlog { pending, given_up, .. }) = self.backlog {
            let help = "Mails that wait to be sent, of all copies";
            writer.gauge("register_mails_pending", help, pending.unsigned_abs())?;
            let help = "Mails that were refused and wait for an operator, of all copies";
            writer.gauge("register_mails_given_up", help, given_up.unsigned_abs())?;
        }
        writer.gauge("register_mails_sending", "Mails being sent", outbox.sending as u64)?;
        writer.counter("register_mails_sent", "Mails that were sent", outbox.sent)?;
        writer.counter(
            "register_mail_attempts_failed",
            "Attempts to send a mail that failed",
            outbox.failed_attempts,
        )?;
        writer.counter("register_mails_dead", "Mails that were refused and given up", outbox.dead)?;
        let revived = "Mails that were given up, and sent again by an operator";
        writer.counter("register_mails_revived", revived, outbox.revived)?;
        writer.gauge("register_outbox_paused", "1 while no mail is taken of the whole account", outbox.paused.into())
    }

    fn clients(&self, writer: &mut MetricWriter<'_>) -> fmt::Result {
        let clients: Vec<_> = self.clients.iter().map(|clients| (clients.address.to_string(), clients)).collect();
        let of_each = |figure: fn(&ListenerStats) -> usize| {
            clients.iter().map(move |(listener, clients)| ([("listener", listener.as_str())], figure(clients)))
        };
        let help = "Connections of clients, by the address that they were made to";
        writer.gauges("http_server_open_connections", help, of_each(|clients| clients.open))?;
        let help = "The most connections of clients; who comes beyond them waits";
        writer.gauges("http_server_connections_limit", help, of_each(|clients| clients.limit))?;
        let help = "Times that the connections of clients have reached their limit";
        let times_full = clients.iter().map(|(listener, clients)| (listener.clone(), clients.times_full));
        writer.counters("http_server_connections_full", help, "listener", times_full)
    }

    fn rest(&self, writer: &mut MetricWriter<'_>) -> fmt::Result {
        let database = &self.database;
        let used = database.size.saturating_sub(database.idle);
        let states = [("used", used), ("idle", database.idle)];
        let states = states.map(|(state, count)| ([("db_client_connection_state", state)], count as usize));
        writer.gauges("db_client_connection_count", "Connections to the database, by what they do", states)?;
        writer.gauge("db_client_connection_max", "The most connections to the database", database.limit.into())?;
        match self.memory {
            Some(bytes) => writer.gauge("process_resident_memory_bytes", "What the process has in memory", bytes),
            None => Ok(()),
        }
    }

    fn by_host(&self) -> impl Iterator<Item = &HostUsage> + Clone {
        // The last is there also while it is nothing: a series that comes and goes is hard to
        // compute with.
        self.hosts.iter().chain([&self.others])
    }
}

fn server(host: &HostUsage) -> [(&'static str, &str); 2] {
    [("server_address", &host.address), ("server_port", &host.port)]
}

/// Writer of OpenMetrics families.
struct MetricWriter<'a>(DescriptorEncoder<'a>);

impl MetricWriter<'_> {
    fn gauge(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let encoder = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        ConstGauge::new(value).encode(encoder)
    }

    fn gauges<'l, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        series: impl IntoIterator<Item = ([(&'l str, &'l str); N], usize)>,
    ) -> fmt::Result {
        let mut encoder = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in series {
            ConstGauge::new(value as u64).encode(encoder.encode_family(&labels)?)?;
        }
        Ok(())
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let encoder = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        ConstCounter::new(value).encode(encoder)
    }

    fn counters(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        series: impl IntoIterator<Item = (String, u64)>,
    ) -> fmt::Result {
        let mut encoder = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (value, count) in series {
            ConstCounter::new(count).encode(encoder.encode_family(&[(label, value)])?)?;
        }
        Ok(())
    }

    fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) -> fmt::Result {
        let bound = |bound: Duration| if bound == Duration::MAX { f64::INFINITY } else { bound.as_secs_f64() };
        let buckets: Vec<_> = histogram.buckets().map(|(end, count)| (bound(end), count)).collect();
        let mut encoder = self.0.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Histogram)?;
        let (sum, count) = (histogram.sum().as_secs_f64(), histogram.count());
        encoder.encode_histogram::<[(&str, &str); 0]>(sum, count, &buckets, None)
    }
}
