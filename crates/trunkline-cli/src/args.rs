//! The arguments as they are written; `config` checks what they mean.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};

const ABOUT: &str = "One HTTP session for many requests: a few connections, kept alive and shared";

const FETCH_ABOUT: &str = "\
Fetch many URLs at once over one session

Prints a line for each page as it completes, `status bytes url`, in the order of completion. A page that did not
come whole has ERR for its status, and standard error says why. Redirects are followed, 10 at most. The last line
on standard error sums up: pages, failures, bytes, and how many connections it took.";

const FETCH_MORE: &str = "\
Input:
  One URL a line. Blank lines and lines that begin with # are skipped. A line that is no URL is reported with its
  number and counts as a failed page; one that is no text, or too long for a URL, has no line in the output. The
  input is read as it is needed, so it may be endless.

Output:
  The members of a JSON line are url, final_url, status, bytes, elapsed (seconds), reused (whether its connection had
  served another request), error and, with --bodies, file. What is unknown is null. The files are named by the
  number of the URL in the input and by the URL itself: 000017-example.com_page.html. Compressed pages are asked for,
  and decoded: bytes counts what was decoded, and that is what the files hold.

Time:
  Within its --timeout a page also fails if a connection is not made in 30 seconds.

Cookies:
  What a page sets goes with later requests to its site. Without --cookies that is forgotten at the end. The file is
  written also after failures and Ctrl-C, and only you may read it: whoever has it is logged in as you are.

Failures:
  A page that did not come whole, and one answered with a status of 400 or above: that one keeps its status on
  its line, and its body is counted but not kept in --bodies.

Exit status:
  0  every page was fetched             130  stopped by Ctrl-C (143: by SIGTERM): no new pages were begun, those
  1  some pages failed                       under way were given 5 seconds; a second Ctrl-C ends it at once
  2  the arguments cannot be used
  A reader of standard output that ends early (`| head`) ends it quietly, with 0.

Examples:
  trunkline fetch https://example.com/ https://example.org/
      Two pages: a line for each, then a summary.
  trunkline fetch -i urls.txt -c 200 --limit 8 > fetched.txt
      A file of URLs, at most 200 pages under way over at most 8 connections.
  trunkline fetch -i urls.txt -o - | jq -r 'select(.error) | .url'
      The URLs that failed.
  trunkline fetch --cookies jar.txt https://example.com/members
      With the cookies that `curl -c jar.txt` got when it logged in.
  generate-urls | trunkline fetch -i - --bodies pages -H 'Accept-Language: en' --timeout 10
      URLs from another program; each page becomes a file in pages/.";

#[derive(Parser, Debug)]
#[command(name = "trunkline", version, about = ABOUT, disable_help_subcommand = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    Fetch(Fetch),
}

#[derive(clap::Args, Debug)]
#[command(about = "Fetch many URLs at once over one session", long_about = FETCH_ABOUT, after_long_help = FETCH_MORE)]
#[command(override_usage = "trunkline fetch [OPTIONS] [URL]... [-i FILE]")]
#[command(group(clap::ArgGroup::new("what").required(true).multiple(true).args(["urls", "input"])))]
pub(crate) struct Fetch {
    /// What to fetch: http and https URLs
    #[arg(value_name = "URL")]
    pub(crate) urls: Vec<String>,

    /// Read URLs from FILE, one a line, after those given here; - is standard input
    #[arg(short, long, value_name = "FILE")]
    pub(crate) input: Option<PathBuf>,

    /// The most pages under way at once, those that wait for a connection included
    #[arg(short, long, value_name = "N", default_value_t = 100, value_parser = at_least_one, allow_negative_numbers = true)]
    pub(crate) concurrency: usize,

    /// The most connections open at once; 0 is no limit
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = whole, allow_negative_numbers = true)]
    pub(crate) limit: usize,

    /// The most connections to one host and port; 0 is no limit
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = whole, allow_negative_numbers = true)]
    pub(crate) limit_per_host: usize,

    /// How long a page may take in all, waiting and redirects included; may be a fraction
    #[arg(long, value_name = "SECONDS", default_value = "300", value_parser = seconds, allow_negative_numbers = true)]
    pub(crate) timeout: Duration,

    /// A header for every request, such as 'Accept-Language: en'; may be repeated
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    pub(crate) headers: Vec<String>,

    /// Keep cookies in FILE, the one of curl's -b and -c: read at the start if it is there, written at the end
    #[arg(long, value_name = "FILE")]
    pub(crate) cookies: Option<PathBuf>,

    /// Give up at the first failure
    #[arg(long)]
    pub(crate) fail_fast: bool,

    /// Write a line of JSON for each page to FILE; - is standard output, instead of the plain lines
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,

    /// Keep each page as a file of its own in DIR, where it appears when it is whole
    #[arg(long, value_name = "DIR")]
    pub(crate) bodies: Option<PathBuf>,
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("with 0 no page would ever be fetched: use at least 1".into()),
        Ok(number) => Ok(number),
        Err(_) => Err("use a whole number, at least 1".into()),
    }
}

fn whole(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| "use a whole number, 0 for no limit".into())
}

fn seconds(text: &str) -> Result<Duration, String> {
    let parsed = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    parsed
        .filter(|time| !time.is_zero())
        .ok_or_else(|| "use a number of seconds greater than 0, such as 30 or 0.5".into())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_definition_holds_together() {
        Args::command().debug_assert();
    }

    #[test]
    fn a_timeout_may_be_fractional_and_never_nothing() {
        assert_eq!(seconds("0.25"), Ok(Duration::from_millis(250)));
        for unusable in ["0", "-1", "nan", "inf", "1e300", "soon", ""] {
            seconds(unusable).unwrap_err();
        }
    }
}
