//! `trunkline fetch`.

use std::path::PathBuf;
use std::time::Duration;

use trunkline_scrape::Expect;

use super::{LoginForm, at_least_one, number, pause, seconds, whole};

const ABOUT: &str = "\
Fetch many URLs at once over one session

Prints a line for each page as it completes, `status bytes url`, in the order of
completion. A page that did not come whole has ERR for its status, and standard
error says why. Redirects are followed, 10 at most. The last line on standard
error sums up: pages, failures, bytes, and how many connections it took.";

const MORE: &str = "\
Input:
  One URL a line. Blank lines and lines that begin with # are skipped. A line
  that is no URL is reported with its number and counts as a failed page; one
  that is no text, or too long for a URL, has no line in the output. The input
  is read as it is needed, so it may be endless.

Output:
  The members of a JSON line are url, final_url, status, bytes, elapsed
  (seconds, of the last attempt), reused (whether its connection had served
  another request), error and, with --bodies, file. What is unknown is null. The
  files are named by the number of the URL in the input and by the URL itself:
  000017-example.com_page.html. Compressed pages are asked for, and decoded:
  bytes counts what was decoded, and that is what the files hold. A name and a
  password in a URL (http://ann:secret@host/) are sent to that host, and shown
  nowhere but in the member url, which is as it was given.

Figures:
  The summary and the table of --per-host count alike: pages are all that came
  to an end, failed ones included. A line that is no URL belongs to no host and
  is in the summary alone. In the table, retries are further attempts, reused is
  the share of answers over a connection that had served another request, and
  p50 and p99 are times in which half and 99 % of the pages came.

Going on:
  With --resume, pages that have a line in the file of --output are not fetched
  again, unless they failed; lines that tell of a failure are taken out of it,
  and so is half a line at its end, as a crash leaves it. So the file has each
  URL once in the end, in whole lines, however often it was interrupted and
  however often the URL is in the input. With --bodies, a page whose file is not
  there, or not as long as its line says, is fetched again as well; give it the
  same input, whose lines number the files. URLs are remembered, in about 40 MB
  for a million.
  A line is written when its page and its file are, so kill -9 loses no more
  than was under way. Neither is forced to the disk: what a power failure takes
  with it of the last seconds is missing from the files, and fetched again.

Time:
  Each attempt at a page has its --timeout, and fails as well if a connection is
  not made in 30 seconds.

Cookies:
  What a page sets goes with later requests to its site. Without --cookies that
  is forgotten at the end. The file is written also after failures and Ctrl-C,
  and only you may read it: whoever has it is logged in as you are. If it is a
  link, the file that it leads to is written.

Login:
  With --login it logs in before the first page, as `trunkline login` does (see
  its --help), and again when a page says that the login has run out: it is of
  the same site and its status is 401, it leads to the login page, or it is what
  --logged-out says. All pages wait for that one login. If the first login fails,
  nothing is fetched, and the files of --output and --cookies are as they were.

Failures:
  A page that did not come whole, and one with a status of 400 or above: that
  one keeps its status on its line, and its body is counted but not kept in
  --bodies. With 429, 500, 502, 503 or 504, and if the connection fails, a page
  is tried again, --retries times, before it is one: after what Retry-After asks
  for, or else after a random time up to 0.5 s, 1 s, 2 s and so on. Other pages
  go on meanwhile. A server that asks for more than ten minutes is not waited
  for. --retries 0 takes each page as it comes.

Exit status:
  0  every page was fetched
  1  some pages failed, or the login did
  2  the arguments cannot be used
  130  stopped by Ctrl-C (143: by SIGTERM): no new pages were begun, those under
       way were given 5 seconds; a second Ctrl-C ends it at once
  A reader of standard output that ends early (`| head`) ends it quietly, with
  0.

Examples:
  trunkline fetch https://example.com/ https://example.org/
      Two pages: a line for each, then a summary.
  trunkline fetch -i urls.txt -c 200 --limit 8 > fetched.txt
      A file of URLs, at most 200 pages under way over at most 8 connections.
  trunkline fetch -i urls.txt -o - | jq -r 'select(.error) | .url'
      The URLs that failed.
  trunkline fetch -i urls.txt -o pages.jsonl --resume
      What is not in pages.jsonl yet. Interrupted, it goes on the next time.
  trunkline fetch --cookies jar.txt https://example.com/members
      With the cookies that `trunkline login` got, or `curl -c jar.txt`.
  trunkline fetch -i urls.txt --login https://example.com/login --field user=ann
      Logs in first, and asks for the password on the terminal.
  generate-urls | trunkline fetch -i - --bodies pages -H 'Accept-Language: en'
      URLs from another program; each page becomes a file in pages/.";

/// Where URLs come from: one of these has to be there.
#[cfg(not(feature = "frontier"))]
const SOURCES: [&str; 2] = ["urls", "input"];
#[cfg(feature = "frontier")]
const SOURCES: [&str; 3] = ["urls", "input", "frontier"];

#[derive(clap::Args, Debug)]
#[command(about = "Fetch many URLs at once over one session", long_about = ABOUT, after_long_help = MORE)]
#[command(override_usage = "trunkline fetch [OPTIONS] [URL]... [-i FILE]")]
#[command(group(clap::ArgGroup::new("what").required(true).multiple(true).args(SOURCES)))]
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

    /// How long each attempt at a page may take in all, waiting and redirects included; may be a
    /// fraction
    #[arg(long, value_name = "SECONDS", default_value = "300", value_parser = seconds, allow_negative_numbers = true)]
    pub(crate) timeout: Duration,

    /// How often a page is tried again that the network or the server has failed; see Failures
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = number, allow_negative_numbers = true)]
    pub(crate) retries: u32,

    /// The pause between the starts of two requests to one host; may be a fraction. Other hosts go
    /// on
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = pause, allow_negative_numbers = true)]
    pub(crate) delay: Duration,

    /// Obey each host's robots.txt, as the robot that the User-Agent begins with: trunkline-cli, if
    /// -H sets no other
    #[arg(long)]
    pub(crate) robots: bool,

    /// A header for every request, such as 'Accept-Language: en'; may be repeated
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    pub(crate) headers: Vec<String>,

    /// Keep cookies in FILE, the one of curl's -b and -c: read at the start if it is there, written
    /// at the end
    #[arg(long, value_name = "FILE")]
    pub(crate) cookies: Option<PathBuf>,

    /// Give up at the first failure
    #[arg(long)]
    pub(crate) fail_fast: bool,

    /// Write a line of JSON for each page to FILE; - is standard output, instead of the plain lines
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,

    /// Go on from the file of --output, if it is there: fetch what it has no line of, and what
    /// failed
    #[arg(long, requires = "output")]
    pub(crate) resume: bool,

    /// Keep each page as a file of its own in DIR, where it appears when it is whole
    #[arg(long, value_name = "DIR")]
    pub(crate) bodies: Option<PathBuf>,

    /// Print a table of figures for each host before the summary
    #[arg(long)]
    pub(crate) per_host: bool,

    /// Log in first, through the form on this page
    #[arg(long, value_name = "URL", help_heading = "Login")]
    pub(crate) login: Option<String>,

    #[command(flatten, next_help_heading = "Login")]
    pub(crate) form: LoginForm,

    /// What tells of a page that the login has run out, besides status=401 and the login page
    /// itself: status=403 or url=/path; may be repeated. Each page that says so costs a login
    /// or more, so none should that nobody may see
    #[arg(long, value_name = "WHAT", requires = "login", value_parser = logged_out, help_heading = "Login")]
    pub(crate) logged_out: Vec<Expect>,

    #[command(flatten)]
    pub(crate) work: crate::frontier::Work,
}

fn logged_out(text: &str) -> Result<Expect, String> {
    match text.parse() {
        Ok(told @ (Expect::Status(_) | Expect::Url(_))) => Ok(told),
        _ => Err("write status=403 or url=/path".into()),
    }
}
