//! `frontier status`: the state of the frontier as tables.

use std::fmt;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use tokio::time::sleep;

use super::open_existing;
use crate::args::StatusArgs;
use crate::error_text;
use crate::exit::Exit;
use crate::frontier::store::{Backoff, FrontierStatus, FrontierStore, is_passing};
use crate::output::print_note;
use crate::shutdown::Signals;
use crate::table::Table;
use crate::terminal;

/// Time between two refreshes of `--watch`.
const WATCH_EVERY: Duration = Duration::from_secs(2);

/// Moves the cursor to the top, and clears the screen below it.
const CLEAR: &str = "\u{1b}[H\u{1b}[J";

/// Shows the status, once or until a signal comes.
pub(super) async fn run(args: StatusArgs, mut signals: Signals) -> anyhow::Result<Exit> {
    tokio::select! {
        biased;
        signal = signals.next() => Ok(Exit::Signal(signal)),
        shown = look(&args) => shown.map(|()| Exit::Complete { failed: 0 }),
    }
}

async fn look(args: &StatusArgs) -> anyhow::Result<()> {
    let (database, mut store) = open_existing(&args.database).await?;
    let clear = if args.watch && io::stdout().is_terminal() { CLEAR } else { "" };
    let mut backoff = Backoff::default();
    loop {
        match store.status(args.hosts).await {
            Ok(status) => {
                if !show(clear, &status)? {
                    return Ok(());
                }
            }
            Err(error) if args.watch && is_passing(&error) => {
                print_note(&format!("{}; trying again", error_text::describe(error.as_ref())));
                sleep(backoff.next()).await;
                if let Ok(again) = FrontierStore::connect(&database).await {
                    (store, backoff) = (again, Backoff::default());
                }
                continue;
            }
            Err(error) => return Err(error),
        }
        if !args.watch {
            store.close().await;
            return Ok(());
        }
        sleep(WATCH_EVERY).await;
    }
}

/// Prints the status. False if the reader of standard output has closed it.
fn show(clear: &str, status: &FrontierStatus) -> io::Result<bool> {
    let text = format!("{clear}{}", StatusReport { status, width: terminal::width_of_stdout() });
    let shown = io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush());
    match shown {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        shown => shown.map(|()| true),
    }
}

/// Text of the status. `width` is the width of the terminal, if standard output is one.
struct StatusReport<'a> {
    status: &'a FrontierStatus,
    width: Option<usize>,
}

impl fmt::Display for StatusReport<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FrontierStatus { queued, retrying, leased, done, failed, .. } = self.status;
        writeln!(f, "{queued} queued, {retrying} retrying, {leased} leased, {done} done, {failed} failed")?;
        self.workers(f)?;
        self.hosts(f)
    }
}

impl StatusReport<'_> {
    fn workers(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.status.workers.is_empty() {
            return Ok(());
        }
        let mut table = Table::new(["worker", "leased", "done", "failed", "for", "lease"], self.width);
        for worker in &self.status.workers {
            let lease = if worker.lease > 0.0 { format!("{:.0} s", worker.lease) } else { "over".into() };
            let counts = [worker.leased, worker.done, worker.failed].map(|count| count.to_string());
            let [leased, done, failed] = counts;
            table.row([worker.name.clone(), leased, done, failed, format!("{:.0} s", worker.age), lease]);
        }
        write!(f, "\n{table}")
    }

    fn hosts(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.status.hosts.is_empty() {
            return Ok(());
        }
        let mut table =
            Table::new(["slowest hosts", "leased", "done", "failed", "retries", "mean", "waits"], self.width);
        for host in &self.status.hosts {
            let mean = host.mean.map_or("-".into(), |mean| format!("{:.0} ms", mean * 1_000.0));
            let waits = host.wait.map_or("-".into(), |wait| format!("{wait:.1} s"));
            let [done, failed, retried] = [host.done, host.failed, host.retried].map(|count| count.to_string());
            table.row([host.origin.clone(), host.leased.to_string(), done, failed, retried, mean, waits]);
        }
        write!(f, "\n{table}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frontier::store::{HostStatus, WorkerStatus};

    #[test]
    fn a_status_reads_like_a_table() {
        let worker = WorkerStatus { name: "db/17".into(), leased: 2, done: 40, failed: 1, age: 65.2, lease: 41.7 };
        let host = HostStatus {
            origin: "http://a.example".into(),
            leased: 2,
            done: 40,
            failed: 1,
            retried: 3,
            mean: Some(0.0123),
            wait: None,
        };
        let status = FrontierStatus {
            queued: 7,
            retrying: 1,
            leased: 2,
            done: 40,
            failed: 1,
            workers: vec![worker],
            hosts: vec![host],
        };
        let expected = "\
7 queued, 1 retrying, 2 leased, 40 done, 1 failed

worker  leased  done  failed   for  lease
db/17        2    40       1  65 s   42 s

slowest hosts     leased  done  failed  retries   mean  waits
http://a.example       2    40       1        3  12 ms      -
";
        assert_eq!(StatusReport { status: &status, width: None }.to_string(), expected);
    }
}
