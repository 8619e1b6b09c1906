//! A thousand callers and ten connections: who waits how long.

use anyhow::Result;

use super::{LIBRARIES, Section};
use crate::Bench;
use crate::bars::Bar;
use crate::figures::Rounds;
use crate::nginx::{LIMITED, Nginx, RATE};
use crate::table::{Column, compare, table};

const CALLERS: usize = 1_000;
const LIMIT: usize = 10;

pub(crate) fn measure(bench: &Bench) -> Result<Section> {
    let server = Nginx::start(&bench.work, 1, 1000)?;
    let plan = [
        ("url", server.first("/limited")),
        ("length", LIMITED.to_string()),
        ("tasks", CALLERS.to_string()),
        ("limit", LIMIT.to_string()),
        ("warm_up", bench.pick(1.0, 0.7).to_string()),
        ("measured", bench.pick(2.5, 1.0).to_string()),
    ];
    let mut rounds = Rounds::default();
    for round in bench.rounds(5) {
        for who in LIBRARIES {
            rounds.add(round, who, bench.client(who, "crowd", &plan)?);
        }
    }
    let columns = ["waits", "p50", "p99", "max", "spread"].map(Column::Figure);
    Ok(Section {
        title: "1,000 callers on a limit of 10",
        method: format!(
            "Each of {CALLERS} tasks on one thread asks again as soon as it has its page; there are {LIMIT} connections, and the server answers \
             {RATE} requests a second (nginx's `limit_req`), so that what is seen is the order and not the machine. From the call to the whole page. \
             awc, isahc and aiohttp with their own limits, hyper-util and reqwest with tokio's `Semaphore`."
        ),
        table: table(
            &["1,000 callers, limit 10", "waits", "p50 ms", "p99 ms", "max ms", "p99 ÷ p50"],
            &compare(&rounds, &LIBRARIES, &columns),
        ),
        bars: vec![Bar::at_most(
            "p99 ÷ p50 of the wait, 1,000 callers on a limit of 10",
            1.1,
            rounds.median("trunkline", "spread"),
            "",
        )],
    })
}
