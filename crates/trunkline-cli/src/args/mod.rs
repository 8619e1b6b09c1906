//! The arguments as they are written; `config` and `login` check what they mean.

mod fetch;
mod login;

use std::time::Duration;

use clap::{Parser, Subcommand};

pub(crate) use self::fetch::Fetch;
pub(crate) use self::login::{Login, LoginForm};

const ABOUT: &str = "One HTTP session for many requests: a few connections, kept alive and shared";

/// Help is wrapped at the width of the terminal, and at this one if that is wider.
const WIDTH: usize = 80;

#[derive(Parser, Debug)]
#[command(name = "trunkline", version, about = ABOUT, disable_help_subcommand = true, max_term_width = WIDTH)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    Fetch(Box<Fetch>),
    Login(Box<Login>),
    #[cfg(feature = "frontier")]
    Frontier(crate::frontier::Frontier),
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

fn number(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| "use a whole number, 0 for none".into())
}

fn pause(text: &str) -> Result<Duration, String> {
    let parsed = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    parsed.ok_or_else(|| "use a number of seconds, such as 1 or 0.5, or 0 for none".into())
}

fn seconds(text: &str) -> Result<Duration, String> {
    let wanted = || "use a number of seconds greater than 0, such as 30 or 0.5".to_owned();
    pause(text).ok().filter(|time| !time.is_zero()).ok_or_else(wanted)
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
