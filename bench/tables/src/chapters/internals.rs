//! Chapters about trunkline itself: the pool's own cost, the mails of apps/register, a clean build.

use super::Chapter;
use crate::bars::Bar;
use crate::parameters::{MAIL_SENDERS, MAIL_VARIANTS, mail_group, threads_text};
use crate::results::{Group, Results};
use crate::table::{Column, compare, number, table};

pub(super) fn pool(results: &Results) -> Option<Chapter> {
    let group = results.groups.get("pool")?;
    let factor = |operation| group.ratio(operation, "ns");
    let operations = [
        ("checkout + return, 1 host", "one_host"),
        ("checkout + return, 10,000 hosts", "many_hosts"),
        ("checkout + return beside 100,000 waiters for another host", "beside_waiters"),
        ("return + grant, up to 100 waiters", "grant_to_few"),
        ("return + grant, 100,000 waiters", "grant_to_many"),
    ];
    let rows = operations.map(|(title, operation)| {
        let ns = group.median(operation, "ns").map_or_else(String::new, number);
        vec![title.to_owned(), ns, factor(operation).map_or("–".to_owned(), number)]
    });
    let at_most = |quantity, operation| Bar::at_most(quantity, 1.5, factor(operation), "");
    Some(Chapter {
        title: "The pool itself",
        method: "In nanoseconds on one thread, locks included, over connections without a socket (`pool/`, \
                 `crates/trunkline/src/pool/bench.rs`). A request checks a connection out and drops its lease; with \
                 waiters, a lease is dropped and the oldest waiter is polled until it has its own. The factor is \
                 relative to 1 host, or to up to 100 waiters. The pools of the other clients cannot be measured \
                 separately."
            .into(),
        tables: table(&["trunkline's pool", "ns", "factor"], &rows),
        bars: vec![
            Bar::at_most("checkout + return, 1 host", 150.0, group.median("one_host", "ns"), " ns"),
            at_most("checkout + return, 10,000 hosts ÷ 1 host", "many_hosts"),
            at_most("checkout + return, beside 100,000 waiters ÷ none", "beside_waiters"),
            at_most("return + grant, 100,000 waiters ÷ up to 100", "grant_to_many"),
        ],
    })
}

pub(super) fn mail(results: &Results) -> Option<Chapter> {
    let tables: Vec<String> = [1, 2]
        .into_iter()
        .filter_map(|threads| Some(mail_table(threads, results.groups.get(&mail_group(threads))?)))
        .collect();
    (!tables.is_empty()).then(|| Chapter {
        title: "Mails over TLS",
        method: format!(
            "`SendEmail` by the AWS SDK as apps/register sends an activation mail, {MAIL_SENDERS} at once, to an nginx \
             on loopback that responds like SES. `trunkline` is the way of the service: one SDK client over one \
             session. The other rows create something for each mail: the SDK client over the one session, or the \
             client and the session, which includes a handshake and the close. On loopback a handshake has no network \
             latency; to Amazon it adds two round trips."
        ),
        tables: tables.join("\n"),
        bars: Vec::new(),
    })
}

fn mail_table(threads: usize, group: &Group) -> String {
    let setting = format!("{MAIL_SENDERS} at once, {}", threads_text(threads));
    let header = [&setting, "mails/s", "trunkline's ÷ it", "CPU µs/mail", "trunkline's ÷ it"];
    let columns = [Column::Metric("rate"), Column::Ratio("rate"), Column::Metric("cpu"), Column::Ratio("cpu")];
    table(&header, &compare(group, &MAIL_VARIANTS, &columns))
}

pub(super) fn build(results: &Results) -> Option<Chapter> {
    let group = results.groups.get("build")?;
    let columns = [
        Column::Metric("crates"),
        Column::Ratio("crates"),
        Column::Metric("cpu"),
        Column::Ratio("cpu"),
        Column::Metric("time"),
    ];
    Some(Chapter {
        title: "A clean build",
        method: "`cargo build` of an empty program that depends on the library with its default features; the \
                 dependencies are downloaded beforehand. Median of two builds."
            .into(),
        tables: table(
            &["clean build", "crates", "trunkline's ÷ it", "CPU s", "trunkline's ÷ it", "s"],
            &compare(group, &["trunkline", "reqwest"], &columns),
        ),
        bars: vec![
            Bar::at_most("crates compiled ÷ reqwest's", 1.0, group.ratio("reqwest", "crates"), ""),
            Bar::at_most("CPU of a clean build ÷ reqwest's", 1.0, group.ratio("reqwest", "cpu"), ""),
        ],
    })
}
