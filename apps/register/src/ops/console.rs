//! `/console`: a live page of the session, which shows the reuse of connections.

use std::time::Duration;

use askama::Template;
use axum::extract::State;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use trunkline::{Histogram, Session};

use super::dead_letters;
use super::snapshot::{HostUsage, Snapshot};
use crate::store::Backlog;
use crate::web::{Problem, WebState, assets};

pub(super) fn router() -> Router<WebState> {
    Router::new().route("/console", get(console)).route("/console/figures", get(figures))
}

#[derive(Template)]
#[template(path = "console.html")]
struct ConsolePage {
    figures: ConsoleFigures,
    dead_letters: dead_letters::DeadLetterSection,
}

/// Renders the page with current figures, so that it works without scripts.
async fn console(State(session): State<Session>, State(app): State<WebState>) -> Response {
    let snapshot = Snapshot::now(&session, &app).await;
    let dead_letters = dead_letters::DeadLetterSection::now(&app.outbox, snapshot.backlog).await;
    match (ConsolePage { figures: ConsoleFigures::new(snapshot), dead_letters }).render() {
        Ok(html) => Html(html).into_response(),
        Err(error) => Problem::internal(&error.into()).into_response(),
    }
}

/// Figures for the page's script, which polls each second.
async fn figures(State(session): State<Session>, State(app): State<WebState>) -> Json<ConsoleFigures> {
    Json(ConsoleFigures::new(Snapshot::now(&session, &app).await))
}

#[derive(Serialize)]
struct ConsoleFigures {
    limit: usize,
    open: usize,
    in_use: usize,
    idle: usize,
    dialing: usize,
    waiting: usize,
    created: u64,
    reused: u64,
    dials_failed: u64,
    closed: Vec<(String, u64)>,
    wait: DurationSummary,
    connect: DurationSummary,
    hosts: Vec<HostUsage>,
    /// All hosts beyond those.
    others: HostUsage,
    mail: MailFigures,
    database: DatabaseUsage,
    memory: Option<u64>,
}

/// Distribution of durations, in seconds.
#[derive(Serialize)]
struct DurationSummary {
    count: u64,
    p50: Option<f64>,
    p90: Option<f64>,
    p99: Option<f64>,
    max: f64,
    /// Each bucket's bound and how many are in it: from two of these come the percentiles of the
    /// time between. The last has no bound.
    buckets: Vec<(Option<f64>, u64)>,
}

#[derive(Serialize)]
struct MailFigures {
    /// Backlog of all copies. None if the database did not answer.
    backlog: Option<Backlog>,
    sending: usize,
    sent: u64,
    failed_attempts: u64,
    paused: bool,
}

#[derive(Serialize)]
struct DatabaseUsage {
    used: u32,
    idle: u32,
    limit: u32,
}

impl ConsoleFigures {
    fn new(snapshot: Snapshot) -> Self {
        let closed = snapshot.closed().map(|(reason, count)| (reason.replace('_', " "), count)).collect();
        let Snapshot { pool, hosts, others, limit, outbox, backlog, database, memory, .. } = snapshot;
        Self {
            limit,
            open: pool.open,
            in_use: pool.in_use,
            idle: pool.idle,
            dialing: pool.dialing,
            waiting: pool.waiting,
            created: pool.created,
            reused: pool.reused,
            dials_failed: pool.dials_failed,
            closed,
            wait: DurationSummary::new(&pool.wait),
            connect: DurationSummary::new(&pool.connect),
            hosts,
            others,
            mail: MailFigures {
                backlog,
                sending: outbox.sending,
                sent: outbox.sent,
                failed_attempts: outbox.failed_attempts,
                paused: outbox.paused,
            },
            database: DatabaseUsage {
                used: database.size.saturating_sub(database.idle),
                idle: database.idle,
                limit: database.limit,
            },
            memory,
        }
    }

    /// Percentage of requests that reused a connection.
    fn share(&self) -> String {
        match self.wait.count {
            0 => "–".to_owned(),
            // Not rounded up: with one connection made it is not all of them.
            count => format!("{:.1} %", (self.reused as f64 / count as f64 * 1000.0).floor() / 10.0),
        }
    }
}

impl DurationSummary {
    fn new(histogram: &Histogram) -> Self {
        let quantile = |share| histogram.quantile(share).map(|duration| duration.as_secs_f64());
        let bound = |bound: Duration| (bound != Duration::MAX).then_some(bound.as_secs_f64());
        let buckets = histogram.buckets().map(|(end, count)| (bound(end), count));
        Self {
            count: histogram.count(),
            p50: quantile(0.5),
            p90: quantile(0.9),
            p99: quantile(0.99),
            max: histogram.max().as_secs_f64(),
            buckets: buckets.collect(),
        }
    }

    fn half(&self) -> String {
        format_seconds(self.p50)
    }

    fn most(&self) -> String {
        format_seconds(self.p99)
    }
}

/// As the script writes it.
fn format_seconds(seconds: Option<f64>) -> String {
    match seconds {
        None => "–".to_owned(),
        Some(0.0) => "0".to_owned(),
        Some(seconds) if seconds < 0.001 => format!("{:.0} µs", seconds * 1e6),
        Some(seconds) if seconds < 1.0 => format!("{:.0} ms", seconds * 1e3),
        Some(seconds) => format!("{seconds:.1} s"),
    }
}

impl ConsolePage {
    fn grouped(&self, number: &u64) -> String {
        grouped(*number)
    }
}

/// 1234567 → 1,234,567
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_three() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn durations_have_a_unit_that_suits_them() {
        for (seconds, text) in
            [(None, "–"), (Some(0.0), "0"), (Some(0.0001), "100 µs"), (Some(0.02), "20 ms"), (Some(1.5), "1.5 s")]
        {
            assert_eq!(format_seconds(seconds), text);
        }
    }
}
