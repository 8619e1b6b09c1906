//! Chapters that compare HTTP clients: small pages, contention, a large body, idle connections and
//! commands.

use super::Chapter;
use crate::bars::Bar;
use crate::parameters::{
    CALLERS, COMMANDS, CONNECTION_LIMIT, FETCH_CONCURRENCY, HOSTS, LIBRARIES, LIMITED_RATE, SMALL, SMALL_SETTINGS,
    fetched_pages, idle_connections, small_group, threads_text,
};
use crate::results::{Group, Results};
use crate::table::{Column, compare, number, table};

const RATE_AND_CPU: [Column; 4] =
    [Column::Metric("rate"), Column::Ratio("rate"), Column::Metric("cpu"), Column::Ratio("cpu")];

pub(super) fn small(results: &Results) -> Option<Chapter> {
    let group = |in_flight, threads| results.groups.get(&small_group(in_flight, threads));
    let (one_one, one_two, many_one, many_two) = (group(1, 1)?, group(1, 2)?, group(64, 1)?, group(64, 2)?);
    let seconds = if results.environment.quick { 0.3 } else { 1.0 };
    let at_least = |quantity, bound, value| Bar::at_least(quantity, bound, value, "");
    let at_most = |quantity, bound, value| Bar::at_most(quantity, bound, value, "");
    let more_than = |quantity, value| Bar::more_than(quantity, 1.0, value, "");
    let rate = |group: &Group, client| group.ratio(client, "rate");
    let cpu = |group: &Group, client| group.ratio(client, "cpu");
    let time = |group: &Group, client| group.ratio(client, "time");
    Some(Chapter {
        title: "Small pages over reused connections",
        method: format!(
            "GET of {SMALL} bytes; each task sends its next request as soon as it has the page, for {} s after a \
             warm-up. nginx has as many workers as the client has threads. `socket` is a bare socket per task on the \
             same runtime. One thread means tokio's `current_thread` runtime; isahc has its libcurl thread in \
             addition. wrk with one connection has one thread.",
            number(seconds)
        ),
        tables: SMALL_SETTINGS
            .iter()
            .filter_map(|&(in_flight, threads)| Some(small_table(in_flight, threads, group(in_flight, threads)?)))
            .collect::<Vec<_>>()
            .join("\n"),
        bars: vec![
            at_least("requests/s ÷ reqwest's, 64 in flight, 2 threads", 2.0, rate(many_two, "reqwest")),
            at_least("requests/s ÷ hyper-util's, 64 in flight, 2 threads", 1.3, rate(many_two, "hyper-util")),
            more_than("requests/s ÷ awc's, 64 in flight, 1 thread", rate(many_one, "awc")),
            more_than("requests/s ÷ isahc's, 64 in flight, 1 thread", rate(many_one, "isahc")),
            at_most("CPU per request ÷ wrk's, 64 in flight, 1 thread", 1.6, cpu(many_one, "wrk")),
            at_most("CPU per request ÷ wrk's, 64 in flight, 2 threads", 1.6, cpu(many_two, "wrk")),
            at_most("time ÷ a bare socket's, 1 in flight, 1 thread", 1.1, time(one_one, "socket")),
            at_most("time ÷ a bare socket's, 1 in flight, 2 threads", 1.1, time(one_two, "socket")),
        ],
    })
}

fn small_table(in_flight: usize, threads: usize, group: &Group) -> String {
    let setting = format!("{in_flight} in flight, {}", threads_text(threads));
    let header = [&setting, "requests/s", "trunkline's ÷ it", "µs/request", "CPU µs/request", "trunkline's ÷ it"];
    let [rate, rate_ratio, cpu, cpu_ratio] = RATE_AND_CPU;
    let clients = [&LIBRARIES[..], &["wrk", "socket"]].concat();
    table(&header, &compare(group, &clients, &[rate, rate_ratio, Column::Metric("time"), cpu, cpu_ratio]))
}

pub(super) fn contention(results: &Results) -> Option<Chapter> {
    let group = results.groups.get("contention")?;
    let columns = ["waits", "p50", "p99", "max", "spread"].map(Column::Metric);
    let title = "1,000 callers, limit 10";
    Some(Chapter {
        title: "1,000 callers and a limit of 10 connections",
        method: format!(
            "{} tasks on one thread each send their next request as soon as they have the page. The client may open \
             {CONNECTION_LIMIT} connections, and the server answers {} requests per second (nginx's `limit_req`), so \
             that the order of the callers decides and not the machine. Measured from the call to the complete page. \
             awc, isahc and aiohttp with their own limits, hyper-util and reqwest with tokio's `Semaphore`.",
            number(CALLERS as f64),
            number(LIMITED_RATE as f64)
        ),
        tables: table(
            &[title, "waits", "p50 ms", "p99 ms", "max ms", "p99 ÷ p50"],
            &compare(group, &LIBRARIES, &columns),
        ),
        bars: vec![Bar::at_most(
            "p99 ÷ p50 of the wait, 1,000 callers, limit 10",
            1.1,
            group.median("trunkline", "spread"),
            "",
        )],
    })
}

pub(super) fn body(results: &Results) -> Option<Chapter> {
    let (plain, tls) = (results.groups.get("body: plain")?, results.groups.get("body: TLS")?);
    let clients = [&LIBRARIES[..], &["curl"]].concat();
    let one_table = |title: &str, group: &Group| {
        let header = [title, "MiB/s", "trunkline's ÷ it", "CPU s", "trunkline's ÷ it"];
        table(&header, &compare(group, &clients, &RATE_AND_CPU))
    };
    Some(Chapter {
        title: "A body of 1 GiB",
        method: "Read chunk by chunk on one thread over a connection that is already open; curl opens its own \
                 connection and writes to `/dev/null`. TLS 1.3 with AES-256-GCM for all."
            .into(),
        tables: format!("{}\n{}", one_table("1 GiB, plain", plain), one_table("1 GiB, TLS", tls)),
        bars: vec![
            Bar::at_least("throughput ÷ curl's, 1 GiB, plain", 1.0, plain.ratio("curl", "rate"), ""),
            Bar::at_least("throughput ÷ curl's, 1 GiB, TLS", 1.0, tls.ratio("curl", "rate"), ""),
        ],
    })
}

pub(super) fn idle(results: &Results) -> Option<Chapter> {
    let group = results.groups.get("idle")?;
    let connections = number(idle_connections(results.environment.quick) as f64);
    let columns = [Column::Metric("memory"), Column::Ratio("memory"), Column::Metric("connections")];
    Some(Chapter {
        title: "Memory of an idle connection",
        method: format!(
            "{connections} pages are requested at once from {HOSTS} hosts and read completely. Then the growth of \
             the process's anonymous memory is divided by the number of open connections. Kernel buffers are not \
             included. Before each reading the allocator returns its free memory (`malloc_trim`)."
        ),
        tables: table(
            &[&format!("{connections} idle"), "KiB/connection", "trunkline's ÷ it", "connections"],
            &compare(group, &LIBRARIES, &columns),
        ),
        bars: vec![Bar::at_most("memory of an idle connection", 20.0, group.median("trunkline", "memory"), " KiB")],
    })
}

pub(super) fn fetch(results: &Results) -> Option<Chapter> {
    let group = results.groups.get("fetch")?;
    let pages = number(fetched_pages(results.environment.quick) as f64);
    Some(Chapter {
        title: "Many small pages, by command",
        method: format!(
            "{pages} pages of 1 KiB from {HOSTS} hosts in rotation, {FETCH_CONCURRENCY} at once, from start to exit: \
             `trunkline fetch -c {FETCH_CONCURRENCY} -i`, `curl --parallel --parallel-max {FETCH_CONCURRENCY} -K`, \
             `wget2 --max-threads={FETCH_CONCURRENCY} -i`. The pages are discarded."
        ),
        tables: table(
            &[&format!("{pages} pages"), "pages/s", "trunkline's ÷ it", "CPU µs/page", "trunkline's ÷ it"],
            &compare(group, &COMMANDS, &RATE_AND_CPU),
        ),
        bars: vec![
            Bar::at_least("pages/s of `trunkline fetch` ÷ `curl --parallel`'s", 2.0, group.ratio("curl", "rate"), ""),
            Bar::at_least("pages/s of `trunkline fetch` ÷ `wget2`'s", 2.0, group.ratio("wget2", "rate"), ""),
        ],
    })
}
