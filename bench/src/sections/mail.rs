//! Mails by SES over TLS: one shared session, against a new client or session for each mail.

use anyhow::Result;
use bench_tables::parameters::{MAIL_SENDERS, MAIL_VARIANTS, mail_group};

use super::Groups;
use crate::Bench;
use crate::nginx::{MESSAGE_ID, Nginx};
use crate::rounds::Rounds;

/// Names of the variants on the command line of `bench client`.
const CLIENTS: [&str; MAIL_VARIANTS.len()] = ["mail", "mail-client-each", "mail-session-each"];

pub(crate) fn measure(bench: &Bench) -> Result<Groups> {
    let mut groups = Vec::new();
    for threads in [1, 2] {
        let server = Nginx::start(&bench.work, threads, 1000)?;
        let arguments = [
            ("url", server.tls_url("/")),
            ("ca", server.ca()),
            ("length", MESSAGE_ID.len().to_string()),
            ("threads", threads.to_string()),
            ("tasks", MAIL_SENDERS.to_string()),
            ("warm_up", "0.3".to_owned()),
            ("measured", bench.pick(1.5, 0.5).to_string()),
        ];
        let mut rounds = Rounds::default();
        for round in bench.rounds(5) {
            for (variant, client) in MAIL_VARIANTS.into_iter().zip(CLIENTS) {
                rounds.add(round, variant, bench.client(client, "small", &arguments)?);
            }
        }
        groups.push((mail_group(threads), rounds.summarize()));
    }
    Ok(groups)
}
