//! Small pages over kept connections: how many a second, and what each costs in CPU time.

use std::process::Command;

use anyhow::{Context as _, Result};

use super::{LIBRARIES, Section};
use crate::Bench;
use crate::bars::Bar;
use crate::figures::{Figures, Rounds};
use crate::nginx::{Nginx, SMALL};
use crate::process::run;
use crate::table::{Column, compare, table};

/// In flight, threads.
const SETTINGS: [(usize, usize); 4] = [(1, 1), (1, 2), (64, 1), (64, 2)];

pub(crate) fn measure(bench: &Bench) -> Result<Section> {
    let servers = [Nginx::start(&bench.work, 1, 1000)?, Nginx::start(&bench.work, 2, 1000)?];
    let contestants = [&LIBRARIES[..], &["wrk", "socket"]].concat();
    let mut all: [Rounds; SETTINGS.len()] = Default::default();
    for round in bench.rounds(5) {
        for (rounds, (in_flight, threads)) in all.iter_mut().zip(SETTINGS) {
            let url = servers[threads - 1].first("/");
            for &who in &contestants {
                // Python's loop has one thread.
                if who == "aiohttp" && threads > 1 {
                    continue;
                }
                let figures = match who {
                    "wrk" => wrk(&url, in_flight, threads)?,
                    _ => client(bench, who, &url, in_flight, threads)?,
                };
                rounds.add(round, who, figures);
            }
        }
    }
    let [one_one, one_two, many_one, many_two] = &all;
    Ok(Section {
        title: "Small pages over kept connections",
        method: format!(
            "GET of {SMALL} bytes, each task asking again as soon as it has the page; {} s after a warm-up. nginx has as many workers as the \
             client has threads. `socket` is a bare socket for each task on the same runtime. One thread is tokio's `current_thread` runtime; isahc has its \
             libcurl thread besides. wrk with one connection has one thread.",
            bench.pick(1.0, 0.3)
        ),
        table: SETTINGS
            .iter()
            .zip(&all)
            .map(|(setting, rounds)| shown(*setting, rounds, &contestants))
            .collect::<Vec<_>>()
            .join("\n"),
        bars: vec![
            Bar::at_least(
                "requests/s ÷ reqwest's, 64 in flight, 2 threads",
                2.0,
                many_two.ratio("trunkline", "reqwest", "rate"),
                "",
            ),
            Bar::at_least(
                "requests/s ÷ hyper-util's, 64 in flight, 2 threads",
                1.3,
                many_two.ratio("trunkline", "hyper-util", "rate"),
                "",
            ),
            Bar::more_than(
                "requests/s ÷ awc's, 64 in flight, 1 thread",
                1.0,
                many_one.ratio("trunkline", "awc", "rate"),
                "",
            ),
            Bar::more_than(
                "requests/s ÷ isahc's, 64 in flight, 1 thread",
                1.0,
                many_one.ratio("trunkline", "isahc", "rate"),
                "",
            ),
            Bar::at_most(
                "CPU a request ÷ wrk's, 64 in flight, 1 thread",
                1.6,
                many_one.ratio("trunkline", "wrk", "cpu"),
                "",
            ),
            Bar::at_most(
                "CPU a request ÷ wrk's, 64 in flight, 2 threads",
                1.6,
                many_two.ratio("trunkline", "wrk", "cpu"),
                "",
            ),
            Bar::at_most(
                "time ÷ a bare socket's, 1 in flight, 1 thread",
                1.1,
                one_one.ratio("trunkline", "socket", "time"),
                "",
            ),
            Bar::at_most(
                "time ÷ a bare socket's, 1 in flight, 2 threads",
                1.1,
                one_two.ratio("trunkline", "socket", "time"),
                "",
            ),
        ],
    })
}

fn shown((in_flight, threads): (usize, usize), rounds: &Rounds, contestants: &[&str]) -> String {
    let plural = if threads == 1 { "" } else { "s" };
    let first = format!("{in_flight} in flight, {threads} thread{plural}");
    let header = [&first, "requests/s", "trunkline's ÷ it", "µs a request", "CPU µs a request", "trunkline's ÷ it"];
    let columns = [
        Column::Figure("rate"),
        Column::Ratio("rate"),
        Column::Figure("time"),
        Column::Figure("cpu"),
        Column::Ratio("cpu"),
    ];
    table(&header, &compare(rounds, contestants, &columns))
}

fn client(bench: &Bench, who: &str, url: &str, in_flight: usize, threads: usize) -> Result<Figures> {
    let plan = [
        ("url", url.to_owned()),
        ("length", SMALL.to_string()),
        ("threads", threads.to_string()),
        ("tasks", in_flight.to_string()),
        ("warm_up", "0.3".to_owned()),
        ("measured", bench.pick(1.0, 0.3).to_string()),
    ];
    bench.client(who, "small", &plan)
}

fn wrk(url: &str, in_flight: usize, threads: usize) -> Result<Figures> {
    let threads = threads.min(in_flight);
    let done = run(Command::new("wrk").args([
        format!("-t{threads}"),
        format!("-c{in_flight}"),
        "-d1s".to_owned(),
        url.to_owned(),
    ]))?;
    let after = |word: &str| done.stdout.lines().find_map(|line| line.trim().strip_prefix(word).map(str::trim));
    let rate: f64 = after("Requests/sec:").context("wrk's rate")?.parse()?;
    let pages = done.stdout.lines().find_map(|line| line.trim().split_once(" requests in")).context("wrk's count")?.0;
    let cpu = done.cpu.as_secs_f64() * 1e6 / pages.parse::<f64>()?;
    Ok(Figures::from([("rate".into(), rate), ("time".into(), in_flight as f64 * 1e6 / rate), ("cpu".into(), cpu)]))
}
