//! Mails by SES over TLS: one session for all, against one for each.

use anyhow::Result;

use super::Section;
use crate::Bench;
use crate::figures::Rounds;
use crate::nginx::{MESSAGE_ID, Nginx};
use crate::table::{Column, compare, table};

/// Mails being sent at once: what the service has for its default.
const SENDERS: usize = 8;

/// Who, and what a client calls it.
const CONTESTANTS: [(&str, &str); 3] =
    [("trunkline", "mail"), ("a client for each", "mail-client-each"), ("a session for each", "mail-session-each")];

pub(crate) fn measure(bench: &Bench) -> Result<Section> {
    let mut tables = Vec::new();
    for threads in [1, 2] {
        let server = Nginx::start(&bench.work, threads, 1000)?;
        let plan = [
            ("url", server.tls_url("/")),
            ("ca", server.ca()),
            ("length", MESSAGE_ID.len().to_string()),
            ("threads", threads.to_string()),
            ("tasks", SENDERS.to_string()),
            ("warm_up", "0.3".to_owned()),
            ("measured", bench.pick(1.5, 0.5).to_string()),
        ];
        let mut rounds = Rounds::default();
        for round in bench.rounds(5) {
            for (who, client) in CONTESTANTS {
                rounds.add(round, who, bench.client(client, "small", &plan)?);
            }
        }
        tables.push(shown(threads, &rounds));
    }
    Ok(Section {
        title: "Mails over TLS",
        method: format!(
            "`SendEmail` by the AWS SDK as apps/register sends an activation mail, {SENDERS} at once, to an nginx on loopback that answers as SES does. \
             `trunkline` is the service's way: one client of the SDK over one session. Below it, what is made anew for each mail: the SDK's client \
             over the one session; the client and the session, with its handshake, which is then closed. On loopback a handshake waits for nothing; \
             the way to Amazon adds two round trips to each."
        ),
        table: tables.join("\n"),
        bars: Vec::new(),
    })
}

fn shown(threads: usize, rounds: &Rounds) -> String {
    let plural = if threads == 1 { "" } else { "s" };
    let first = format!("{SENDERS} at once, {threads} thread{plural}");
    let header = [&first, "mails/s", "trunkline's ÷ it", "CPU µs a mail", "trunkline's ÷ it"];
    let columns = [Column::Figure("rate"), Column::Ratio("rate"), Column::Figure("cpu"), Column::Ratio("cpu")];
    table(&header, &compare(rounds, &CONTESTANTS.map(|(who, _)| who), &columns))
}
