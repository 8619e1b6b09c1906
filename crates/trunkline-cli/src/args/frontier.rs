//! Arguments of the frontier's commands and workers.

use std::convert::Infallible;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use anyhow::bail;
use url::Url;

use super::number;

const ABOUT: &str = "Manage a list of URLs that any number of machines fetch from";

const MORE: &str = "\
The frontier is a few tables in a Postgres database, 12 or later, in a schema of
their own named trunkline. The first `add` or the first worker creates them; all
later commands only read and write them. Each crawl needs its own database:
`createdb news` creates one. A pooler such as PgBouncer has to be in session
mode.

Guarantees:
  A worker leases the URLs that it fetches. If it dies, nothing is lost: other
  workers fetch its URLs when its lease is over. Lines that it had written for
  them appear twice, at most twice its --concurrency. A power failure may lose
  the last lines that were not on the disk yet.
  --limit-per-host and --delay apply to all workers together: give each worker
  the same values. Pauses of Retry-After and robots.txt apply to all as well.
  A machine that was suspended for longer than its lease may hold additional
  connections until it resumes.
  --login logs in once for all workers with the same login. The cookies are
  stored on the frontier: users who can read its tables can use your login.
  -o appends to the file. A file with other lines than those of
  `trunkline fetch -o` is refused, and left unchanged.

Examples:
  trunkline frontier add postgres://crawl@db/pages -i urls.txt
      Adds a file of URLs, each once.
  trunkline fetch --frontier postgres://crawl@db/pages -o pages.jsonl --delay 1
      Runs a worker. Start any number of them, on any number of machines.
  trunkline frontier status postgres://crawl@db/pages --watch
      Shows the progress.
  trunkline frontier retry postgres://crawl@db/pages --status 503
      Queues the URLs again that failed with status 503.

Each command's --help lists its exit status; `trunkline fetch --help` lists that
of a worker.";

const ADD_MORE: &str = "\
A line that is not a URL is reported with its number and left out. A fragment
(#top) is removed, because it names the same page. A URL that the frontier has
already, in any state, is counted and left unchanged.

Exit status:
  0  each URL was added, or was there already
  1  a line is not a URL, or the database failed: URLs before it were added
  2  the arguments or the database cannot be used
  130  stopped by Ctrl-C (143: by SIGTERM): the counted URLs were added";

const RETRY_MORE: &str = "\
Failed URLs are queued as if they were new, with all their retries. With --host
and --status, only URLs of any of these hosts that failed with any of these
statuses. The line of the failure stays in the worker's output: the last line of
a URL counts.

Exit status:
  0  the URLs are queued, if there are any
  1  the database failed: the counted URLs are queued
  2  the arguments or the database cannot be used
  130  stopped by Ctrl-C (143: by SIGTERM): the counted URLs are queued";

const STATUS_MORE: &str = "\
A URL that waits for another attempt is `retrying`. A worker whose lease is
`over` is silent: other workers take over its URLs. Hosts with URLs left to fetch come
first, ordered from slow to fast.

Exit status:
  0  the status was shown
  1  the database failed
  2  the arguments or the database cannot be used, or there is no frontier
  130  stopped by Ctrl-C (143: by SIGTERM)";

#[derive(clap::Args, Debug)]
#[command(about = ABOUT, after_long_help = MORE)]
pub(crate) struct FrontierArgs {
    #[command(subcommand)]
    pub(crate) command: FrontierCommand,
}

#[derive(clap::Subcommand, Debug)]
pub(crate) enum FrontierCommand {
    Add(AddArgs),
    Status(StatusArgs),
    Retry(RetryArgs),
}

#[derive(clap::Args, Debug)]
#[command(about = "Add URLs to the frontier, each once", after_long_help = ADD_MORE)]
#[command(override_usage = "trunkline frontier add DATABASE [URL]... [-i FILE]")]
#[command(group(clap::ArgGroup::new("what").required(true).multiple(true).args(["urls", "input"])))]
pub(crate) struct AddArgs {
    /// Database URL: postgres://user@host/database; the password may be in PGPASSWORD or ~/.pgpass
    #[arg(value_name = "DATABASE")]
    pub(crate) database: DatabaseUrl,

    /// URLs to add (http and https)
    #[arg(value_name = "URL")]
    pub(crate) urls: Vec<String>,

    /// Read URLs from FILE, one per line, after the URLs given here; - is standard input
    #[arg(short, long, value_name = "FILE")]
    pub(crate) input: Option<PathBuf>,
}

#[derive(clap::Args, Debug)]
#[command(about = "Show the status of the frontier: URLs, workers, and the slowest hosts", after_long_help = STATUS_MORE)]
pub(crate) struct StatusArgs {
    /// Database URL: postgres://user@host/database; the password may be in PGPASSWORD or ~/.pgpass
    #[arg(value_name = "DATABASE")]
    pub(crate) database: DatabaseUrl,

    /// Refresh every 2 seconds, until Ctrl-C
    #[arg(short, long)]
    pub(crate) watch: bool,

    /// Number of hosts to show
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = number, allow_negative_numbers = true)]
    pub(crate) hosts: u32,
}

#[derive(clap::Args, Debug)]
#[command(about = "Queue failed URLs again", after_long_help = RETRY_MORE)]
pub(crate) struct RetryArgs {
    /// Database URL: postgres://user@host/database; the password may be in PGPASSWORD or ~/.pgpass
    #[arg(value_name = "DATABASE")]
    pub(crate) database: DatabaseUrl,

    /// Only URLs of this host: a.example, a.example:8080 or http://a.example:8080; may be repeated
    #[arg(long = "host", value_name = "HOST", value_parser = host)]
    pub(crate) hosts: Vec<String>,

    /// Only URLs that failed with this status, or `none` for no response; may be repeated
    #[arg(long = "status", value_name = "CODE", value_parser = status)]
    pub(crate) statuses: Vec<i16>,
}

/// Unchecked URL of a database. It may hold a password, so `Debug` hides it, and the frontier
/// checks it rather than clap, whose messages repeat the argument.
#[derive(Clone)]
pub(crate) struct DatabaseUrl(String);

impl DatabaseUrl {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for DatabaseUrl {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a database")
    }
}

/// Options of `fetch` for a worker.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Many machines")]
pub(crate) struct WorkerArgs {
    /// Fetch URLs of this Postgres database, as one of any number of workers (see `trunkline
    /// frontier --help`)
    #[arg(long, value_name = "DATABASE", conflicts_with_all = ["urls", "input", "resume", "per_host"])]
    pub(crate) frontier: Option<DatabaseUrl>,

    /// Time after which other workers take over the URLs of a silent worker [default: 60]
    #[arg(long, value_name = "SECONDS", value_parser = lease, allow_negative_numbers = true)]
    pub(crate) lease: Option<Duration>,

    /// Wait for more URLs when the frontier is empty
    #[arg(long)]
    pub(crate) follow: bool,
}

/// Default lease.
const LEASE: Duration = Duration::from_secs(60);

impl WorkerArgs {
    pub(crate) fn is_requested(&self) -> bool {
        self.frontier.is_some()
    }

    /// # Errors
    ///
    /// A worker's option was given without `--frontier`.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        let given = [("--lease", self.lease.is_some()), ("--follow", self.follow)];
        match given.iter().find(|(_, given)| *given) {
            Some((option, _)) if self.frontier.is_none() => {
                bail!("{option} is for workers: write --frontier DATABASE as well, or leave it out")
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn lease(&self) -> Duration {
        self.lease.unwrap_or(LEASE)
    }
}

/// Parses a host in the form of the frontier's table: an origin, or a name with or without a port.
fn host(text: &str) -> Result<String, String> {
    let wanted = || "write a.example, a.example:8080 or http://a.example:8080".to_owned();
    let parse = |text: &str| {
        let url = Url::parse(text).ok().filter(|url| url.has_host() && url.path() == "/" && url.query().is_none());
        url.ok_or_else(wanted)
    };
    if text.contains("://") {
        return Ok(parse(text)?.origin().ascii_serialization());
    }
    let [http, https] = [parse(&format!("http://{text}"))?, parse(&format!("https://{text}"))?];
    let name = http.host_str().unwrap_or_default();
    Ok(match (http.port(), https.port()) {
        (None, None) => name.to_owned(),
        (Some(port), Some(_)) => format!("{name}:{port}"),
        // Origins leave out the default port of their scheme.
        (None, Some(_)) => format!("http://{name}"),
        (Some(_), None) => format!("https://{name}"),
    })
}

/// Parses a status; `none` is 0.
fn status(text: &str) -> Result<i16, String> {
    let number = text.parse().ok().filter(|number| (100..=999).contains(number));
    number.or((text == "none").then_some(0)).ok_or_else(|| "write a status such as 503, or none".into())
}

/// Shortest lease, in seconds: a database that is busy for a moment must not end it.
const SHORTEST: f64 = 3.0;

fn lease(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().unwrap_or(f64::NAN);
    match Duration::try_from_secs_f64(seconds) {
        Ok(lease) if (SHORTEST..=86_400.0).contains(&seconds) => Ok(lease),
        _ => Err(format!("use a number of seconds from {SHORTEST} to 86400, such as 60")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_has_the_form_of_the_frontiers_table() {
        for (given, kept) in [
            ("A.example", "a.example"),
            ("a.example:8080", "a.example:8080"),
            ("HTTP://a.example:80/", "http://a.example"),
            ("a.example:80", "http://a.example"),
            ("a.example:443", "https://a.example"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("[::1]:8080", "[::1]:8080"),
        ] {
            assert_eq!(host(given).as_deref(), Ok(kept));
        }
        for unusable in ["", "a b", "a.example/page", "http://a.example/?q", "://"] {
            host(unusable).unwrap_err();
        }
    }

    #[test]
    fn a_status_is_a_number_or_none() {
        assert_eq!([status("503"), status("none")], [Ok(503), Ok(0)]);
        for unusable in ["", "0", "5xx", "-1", "99", "70000"] {
            status(unusable).unwrap_err();
        }
    }
}
