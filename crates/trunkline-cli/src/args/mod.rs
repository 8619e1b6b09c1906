//! Arguments as parsed. `fetch_config`, `login` and `frontier` check their meaning.

mod fetch;
#[cfg_attr(not(feature = "frontier"), path = "no_frontier.rs")]
mod frontier;
mod login;

use std::time::Duration;

use clap::error::{ContextKind, ContextValue};
use clap::{Parser, Subcommand};

pub(crate) use self::fetch::FetchArgs;
#[cfg(not(feature = "frontier"))]
pub(crate) use self::frontier::FRONTIER_MISSING;
#[cfg(feature = "frontier")]
pub(crate) use self::frontier::{AddArgs, DatabaseUrl, FrontierCommand, RetryArgs, StatusArgs};
pub(crate) use self::frontier::{FrontierArgs, WorkerArgs};
pub(crate) use self::login::{LoginArgs, LoginForm};

const ABOUT: &str = "One HTTP session for many requests: a few connections, kept alive and shared";

/// Most columns of the help; a narrower terminal wraps it earlier.
const WIDTH: usize = 80;

#[derive(Parser, Debug)]
#[command(name = "trunkline", version, about = ABOUT, disable_help_subcommand = true, max_term_width = WIDTH)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Args {
    /// Parses the arguments of this process. An error ends the process.
    pub(crate) fn from_process() -> Self {
        Self::try_parse().unwrap_or_else(|mut error| {
            // clap repeats the argument, which may be a URL with a password.
            for kind in [ContextKind::InvalidArg, ContextKind::InvalidSubcommand, ContextKind::InvalidValue] {
                if let Some(ContextValue::String(text)) = error.get(kind) {
                    let shown = without_password(text);
                    error.insert(kind, ContextValue::String(shown));
                }
            }
            error.exit()
        })
    }
}

fn without_password(text: &str) -> String {
    match text.split_once("://") {
        Some((scheme, rest)) if rest.contains('@') || rest.contains("password=") => format!("{scheme}://…"),
        _ => text.to_owned(),
    }
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    Fetch(Box<FetchArgs>),
    Login(Box<LoginArgs>),
    Frontier(FrontierArgs),
}

/// Largest number of pages or connections.
const MOST: usize = 1_000_000;
/// Largest number of retries.
const MOST_RETRIES: u32 = 1_000;
/// Longest time in seconds, for a page or between two.
const A_WEEK: f64 = 604_800.0;
/// Shortest timeout in seconds.
const A_MILLISECOND: f64 = 0.001;

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("with 0 no page would ever be fetched: use at least 1".into()),
        Ok(number @ 1..=MOST) => Ok(number),
        _ => Err(format!("use a whole number, at least 1 and at most {MOST}")),
    }
}

fn whole(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| *number <= MOST);
    number.ok_or_else(|| format!("use a whole number up to {MOST}, 0 for no limit"))
}

pub(crate) fn number(text: &str) -> Result<u32, String> {
    let number = text.parse().ok().filter(|number| *number <= MOST_RETRIES);
    number.ok_or_else(|| format!("use a whole number up to {MOST_RETRIES}, 0 for none"))
}

fn pause(text: &str) -> Result<Duration, String> {
    let pause = text.parse().ok().filter(|seconds| (0.0..=A_WEEK).contains(seconds));
    pause
        .map(Duration::from_secs_f64)
        .ok_or_else(|| format!("use a number of seconds up to {A_WEEK} (a week), such as 1 or 0.5, or 0 for none"))
}

fn seconds(text: &str) -> Result<Duration, String> {
    let time = text.parse().ok().filter(|seconds| (A_MILLISECOND..=A_WEEK).contains(seconds));
    time.map(Duration::from_secs_f64)
        .ok_or_else(|| format!("use a number of seconds from {A_MILLISECOND} to {A_WEEK} (a week), such as 30 or 0.5"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn a_timeout_may_be_fractional_but_not_zero() {
        assert_eq!(seconds("0.25"), Ok(Duration::from_millis(250)));
        for unusable in ["0", "1e-9", "-1", "nan", "inf", "1e18", "1e300", "soon", ""] {
            seconds(unusable).unwrap_err();
        }
    }

    #[test]
    fn numbers_have_useful_bounds() {
        for (usable, unusable) in [("0", "-1"), ("1000", "1001"), ("7", "9999999999"), ("3", "0.5")] {
            assert!(number(usable).is_ok() && number(unusable).is_err(), "{usable} {unusable}");
        }
        assert_eq!((whole("1000000"), at_least_one("1000000")), (Ok(MOST), Ok(MOST)));
        for unusable in ["1000001", "99999999999999999999"] {
            assert!(whole(unusable).is_err() && at_least_one(unusable).is_err());
        }
        assert_eq!(pause("0"), Ok(Duration::ZERO));
        for unusable in ["1e18", "-0.5", "nan", "604801"] {
            pause(unusable).unwrap_err();
        }
    }
}
