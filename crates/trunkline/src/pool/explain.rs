//! Error of a wait that ran out: the limits, the gauges and the oldest lease (P13).

use std::fmt::Write as _;

use super::Inner;
use super::key::Key;
use super::state::Gauges;
use super::sync::lock;
use crate::connection::Target;
use crate::error::{Error, Phase};
use crate::timeouts;

impl Inner {
    pub(super) fn explain_wait(&self, key: &Key) -> Error {
        let now = timeouts::now();
        let (rules, total, host, oldest) = self.shared.read(|state| {
            let host = state.host(key);
            let host_full = state.rules().limit_per_host.is_some_and(|limit| host.taken() >= limit);
            let oldest = state.oldest_lease(host_full.then_some(key), now);
            (state.rules().clone(), state.metrics().total, host, oldest)
        });
        let mut text = format!(
            "no connection became free: limit {} ({}), limit per host {} ({} to {})",
            limit(rules.limit),
            describe(total),
            limit(rules.limit_per_host),
            describe(host),
            key.target,
        );
        if let Some((slot, age)) = oldest {
            let _ = write!(text, "; the oldest has been in use for {age:.1?}");
            if let Some(slot) = self.shared.slot(slot) {
                let method = slot.method();
                let method = method.as_ref().map_or("a request", http::Method::as_str);
                let _ = write!(text, " by {method} {}", slot.key.target);
            }
        }
        if let Some(error) = &*lock(&self.last_dial_error) {
            let _ = write!(text, "; the last failed dial: {error}");
        }
        Error::timeout(Phase::Acquire).detail(text)
    }

    pub(super) fn note_dial_error(&self, target: &Target, error: &Error) {
        let error = error.in_one_line();
        tracing::debug!(target: "trunkline::pool", host = %target, error, "a dial failed");
        *lock(&self.last_dial_error) = Some(format!("{target}: {error}"));
    }
}

fn describe(gauges: Gauges) -> String {
    let Gauges { dialing, in_use, idle, waiting, .. } = gauges;
    format!("{in_use} in use, {idle} idle, {dialing} dialing, {waiting} waiting")
}

fn limit(limit: Option<usize>) -> String {
    limit.map_or_else(|| "none".to_owned(), |limit| limit.to_string())
}
