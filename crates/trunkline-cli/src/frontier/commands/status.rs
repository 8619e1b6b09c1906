//! `frontier status`: how it stands, as tables.

use std::fmt;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use tokio::time::sleep;

use super::open_existing;
use crate::ending::Ending;
use crate::failure;
use crate::frontier::args::Status as Args;
use crate::frontier::store::{Backoff, Status, Store, is_passing};
use crate::signals::Shutdown;
use crate::table::Table;
use crate::terminal;

/// How often to look again.
const WATCH_EVERY: Duration = Duration::from_secs(2);

/// To the top, and from there to the end empty.
const CLEAR: &str = "\u{1b}[H\u{1b}[J";

/// Shows it, once or until a signal comes.
pub(super) async fn run(args: Args, mut shutdown: Shutdown) -> anyhow::Result<Ending> {
    tokio::select! {
        biased;
        signal = shutdown.next() => Ok(Ending::Signal(signal)),
        shown = look(&args) => shown.map(|()| Ending::Complete { failed: 0 }),
    }
}

async fn look(args: &Args) -> anyhow::Result<()> {
    let (address, mut store) = open_existing(&args.database).await?;
    let clear = if args.watch && io::stdout().is_terminal() { CLEAR } else { "" };
    let mut backoff = Backoff::default();
    loop {
        match store.status(args.hosts).await {
            Ok(status) => {
                // Who has seen enough has seen enough.
                if !show(clear, &status)? {
                    return Ok(());
                }
            }
            Err(error) if args.watch && is_passing(&error) => {
                let _ = writeln!(io::stderr(), "{}; trying again", failure::words(error.as_ref()));
                sleep(backoff.next()).await;
                if let Ok(again) = Store::connect(&address).await {
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

/// False if nobody looks any more.
fn show(clear: &str, status: &Status) -> io::Result<bool> {
    let text = format!("{clear}{}", Shown { status, width: terminal::width_of_stdout() });
    let shown = io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush());
    match shown {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        shown => shown.map(|()| true),
    }
}

/// For people: on a terminal of that width, if it is one.
struct Shown<'a> {
    status: &'a Status,
    width: Option<usize>,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Status { queued, retrying, leased, done, failed, .. } = self.status;
        writeln!(f, "{queued} queued, {retrying} retrying, {leased} leased, {done} done, {failed} failed")?;
        self.workers(f)?;
        self.hosts(f)
    }
}

impl Shown<'_> {
    fn workers(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.status.workers.is_empty() {
            return Ok(());
        }
        let mut table = Table::new(["worker", "leased", "done", "failed", "for", "lease"], self.width);
        for worker in &self.status.workers {
            let lease = if worker.lease > 0.0 { format!("{:.0} s", worker.lease) } else { "over".into() };
            let counts = [worker.leased, worker.done, worker.failed].map(|count| count.to_string());
            let [leased, done, failed] = counts;
            table.line([worker.name.clone(), leased, done, failed, format!("{:.0} s", worker.age), lease]);
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
            table.line([host.origin.clone(), host.leased.to_string(), done, failed, retried, mean, waits]);
        }
        write!(f, "\n{table}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frontier::store::{HostFigures, WorkerFigures};

    #[test]
    fn a_status_reads_like_a_table() {
        let worker = WorkerFigures { name: "db/17".into(), leased: 2, done: 40, failed: 1, age: 65.2, lease: 41.7 };
        let host = HostFigures {
            origin: "http://a.example".into(),
            leased: 2,
            done: 40,
            failed: 1,
            retried: 3,
            mean: Some(0.0123),
            wait: None,
        };
        let status =
            Status { queued: 7, retrying: 1, leased: 2, done: 40, failed: 1, workers: vec![worker], hosts: vec![host] };
        let expected = "\
7 queued, 1 retrying, 2 leased, 40 done, 1 failed

worker  leased  done  failed   for  lease
db/17        2    40       1  65 s   42 s

slowest hosts     leased  done  failed  retries   mean  waits
http://a.example       2    40       1        3  12 ms      -
";
        assert_eq!(Shown { status: &status, width: None }.to_string(), expected);
    }
}
