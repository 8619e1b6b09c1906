//! The log: for humans on a terminal, one JSON object a line elsewhere. It goes to standard error.

use std::io::{self, IsTerminal as _, Write as _};
use std::panic;

use anyhow::Context as _;
use tracing_subscriber::filter::{EnvFilter, LevelFilter};
use tracing_subscriber::fmt;
use tracing_subscriber::prelude::*;

use crate::settings::LogFormat;

/// How much is logged if `RUST_LOG` does not say. Where the AWS SDK looks for credentials in vain,
/// it warns at each place with all that it got; the error that follows names them in one line.
const USUAL: &str = "info,aws_config=error";

/// How the log is written, once that is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Telemetry {
    /// For humans.
    Human,
    /// For programs.
    Json,
}

impl Telemetry {
    /// Begins to log, panics too. `RUST_LOG` says how much; if it does not, it is what an operator
    /// needs.
    ///
    /// # Errors
    ///
    /// If `RUST_LOG` is none of what it can be, or somebody logs in this process already.
    pub fn begin(format: LogFormat) -> anyhow::Result<Self> {
        let is_terminal = io::stderr().is_terminal();
        let chosen = match format {
            LogFormat::Human => Self::Human,
            LogFormat::Json => Self::Json,
            LogFormat::Auto if is_terminal => Self::Human,
            LogFormat::Auto => Self::Json,
        };
        let filter = EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).try_from_env();
        let filter = match filter {
            Err(error) if std::env::var_os("RUST_LOG").is_some() => {
                return Err(error).context("RUST_LOG has to be something like `info` or `info,register=debug`");
            }
            filter => filter.unwrap_or_else(|_| EnvFilter::new(USUAL)),
        };
        let registry = tracing_subscriber::registry().with(filter);
        match chosen {
            Self::Human => registry.with(fmt::layer().with_ansi(is_terminal).with_writer(io::stderr)).try_init()?,
            // A request is the one span that there is: as an object, not as an object and a list of it.
            Self::Json => {
                let json = fmt::layer().json().flatten_event(true).with_span_list(false);
                registry.with(json.with_writer(io::stderr)).try_init()?;
            }
        }
        panic::set_hook(Box::new(|panic| tracing::error!(%panic, "panicked")));
        Ok(chosen)
    }

    /// Tells whoever has started the service something that they should see: humans on standard
    /// output, whatever is logged.
    pub fn announce(self, message: &str) {
        match self {
            // With standard output closed there is nobody to tell.
            Self::Human => drop(writeln!(io::stdout(), "{message}")),
            Self::Json => tracing::info!("{message}"),
        }
    }
    /// Says, last of all, what the service has failed with: in the log all the steps of the way
    /// down have come since.
    pub fn conclude(self, error: &anyhow::Error) {
        match self {
            // With standard error closed there is nobody to tell.
            Self::Human => drop(writeln!(io::stderr(), "error: {error:#}")),
            Self::Json => tracing::error!("{error:#}"),
        }
    }
}
