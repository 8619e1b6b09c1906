//! Log on standard error: text on a terminal, one JSON object per line elsewhere.

use std::io::{self, IsTerminal as _, Write as _};
use std::panic;

use anyhow::Context as _;
use tracing_subscriber::filter::{EnvFilter, LevelFilter};
use tracing_subscriber::fmt;
use tracing_subscriber::prelude::*;

use crate::settings::LogFormat;

/// Filter if `RUST_LOG` is not set. The AWS SDK warns at each place that has no credentials; the error
/// that follows names all places in one line.
const DEFAULT_FILTER: &str = "info,aws_config=error";

/// Format of the running log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Telemetry {
    /// For humans.
    Human,
    /// For programs.
    Json,
}

impl Telemetry {
    /// Begins to log events and panics, filtered by `RUST_LOG`; by default at `info`.
    ///
    /// # Errors
    ///
    /// `RUST_LOG` is not a filter, or the process has a log already.
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
            filter => filter.unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER)),
        };
        let registry = tracing_subscriber::registry().with(filter);
        match chosen {
            Self::Human => registry.with(fmt::layer().with_ansi(is_terminal).with_writer(io::stderr)).try_init()?,
            // The request is the only span; a list of spans would repeat it.
            Self::Json => {
                let json = fmt::layer().json().flatten_event(true).with_span_list(false);
                registry.with(json.with_writer(io::stderr)).try_init()?;
            }
        }
        panic::set_hook(Box::new(|panic| tracing::error!(%panic, "panicked")));
        Ok(chosen)
    }

    /// Shows a message to the operator: on standard output in text format, which no filter affects,
    /// else in the log.
    pub fn announce(self, message: &str) {
        match self {
            // A closed standard output is not an error.
            Self::Human => drop(writeln!(io::stdout(), "{message}")),
            Self::Json => tracing::info!("{message}"),
        }
    }

    /// Repeats the error that ended the service as the last line, after the steps of the end.
    pub fn conclude(self, error: &anyhow::Error) {
        match self {
            // A closed standard error is not an error.
            Self::Human => drop(writeln!(io::stderr(), "error: {error:#}")),
            Self::Json => tracing::error!("{error:#}"),
        }
    }
}
