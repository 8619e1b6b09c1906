//! Settings from flags and environment, all checked before a resource is opened.

mod database;
mod proxies;
mod values;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::thread;
use std::time::Duration;

use clap::builder::BoolishValueParser;
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, ValueEnum};
use trunkline::redact_url;
use url::Url;

use self::database::DatabaseArgument;
pub use self::database::{DatabasePlace, DatabaseSettings};
pub use self::proxies::TrustedProxies;
pub use self::values::{Limit, region, sender};
use self::values::{one_or_more, socket_address, span, span_or_zero, web_address, within};

/// Minimum lease: it has to cover one send.
const SHORTEST_LEASE: Duration = Duration::from_secs(1);

/// A sign-up service: people register with an address and a password, get a mail, and activate
/// their account.
///
/// With no settings it runs on this machine alone, with a SQLite file and a development mailbox.
#[derive(Clone, Debug, Parser)]
#[command(name = "register", version, max_term_width = 110)]
#[command(after_help = "Each setting is a flag or a variable of the environment; a flag counts for more. \
    Durations are written like 500ms, 90s, 5m, 2h or 30d.\n\n\
    Exit status: 0 stopped in order; 1 something failed, as the log says; 2 a setting is wrong; 3 stopped, but requests were not \
    finished within --drain; 130 (Ctrl-C) or 143 (SIGTERM) stopped before it was up, or at once by a second signal.")]
#[non_exhaustive]
pub struct Settings {
    /// Address that serves the pages and the API
    #[arg(long, env = "REGISTER_LISTEN", value_name = "IP:PORT", default_value = "127.0.0.1:3000")]
    #[arg(help_heading = "Web", value_parser = socket_address)]
    pub listen: SocketAddr,

    /// Address that serves metrics and the console, without a login. Anyone who reaches it can read
    /// them and resend dead letters. The console answers only to an IP address, localhost or the
    /// name in --public-url
    #[arg(long, env = "REGISTER_OPS_LISTEN", value_name = "IP:PORT", default_value = "127.0.0.1:3001")]
    #[arg(help_heading = "Web", value_parser = socket_address)]
    pub ops_listen: SocketAddr,

    /// Public URL of this service, for links in mails [default: http:// and the address listened
    /// on]
    #[arg(long, env = "REGISTER_PUBLIC_URL", value_name = "URL", value_parser = web_address)]
    #[arg(help_heading = "Web")]
    pub public_url: Option<Url>,

    /// Proxies whose forwarding headers are trusted, such as `private` or `10.1.2.3,203.0.113.0/24`
    /// [default: none]
    #[arg(long, env = "REGISTER_TRUST_PROXY", value_name = "NETWORKS", help_heading = "Web")]
    pub trust_proxy: Option<TrustedProxies>,

    /// Limit of POST requests per IP address, in each copy of this service, or `off`
    #[arg(long, env = "REGISTER_IP_LIMIT", value_name = "COUNT/TIME", default_value = "60/1m", help_heading = "Web")]
    pub ip_limit: Limit,

    /// Maximum number of client connections per listening address. Further clients wait; should be
    /// below `ulimit -n`
    #[arg(long, env = "REGISTER_CONNECTIONS", value_name = "COUNT", default_value = "10000", help_heading = "Web")]
    #[arg(value_parser = one_or_more::<NonZeroUsize>)]
    pub connections: NonZeroUsize,

    /// `sqlite:FILE`, or `postgres://USER:PASSWORD@HOST/DATABASE` for several copies
    #[arg(long, env = "REGISTER_DATABASE", value_name = "URL", default_value = "sqlite:register.db")]
    #[arg(help_heading = "Database", hide_env_values = true)]
    database: DatabaseArgument,

    /// Maximum number of connections to the database
    #[arg(long, env = "REGISTER_DATABASE_CONNECTIONS", value_name = "COUNT", default_value = "100")]
    #[arg(help_heading = "Database", value_parser = within(2..=10_000))]
    pub database_connections: u32,

    /// Time that sent mails and registrations without activation are kept
    #[arg(long, env = "REGISTER_KEEP", value_name = "TIME", default_value = "30d", value_parser = span)]
    #[arg(help_heading = "Database")]
    pub keep: Duration,

    /// Recipient of mail: a mailbox of this service, for development, or Amazon SES
    #[arg(long, env = "REGISTER_MAIL", value_name = "WHERE", default_value = "dev", help_heading = "Mail")]
    pub mail: MailMode,

    /// Sender of mails, an identity that is verified with SES [needed for ses]
    #[arg(long, env = "REGISTER_MAIL_FROM", value_name = "ADDRESS", help_heading = "Mail", value_parser = sender)]
    pub mail_from: Option<String>,

    /// Region of SES [default: from the environment, as the AWS SDK reads it]
    #[arg(long, env = "REGISTER_AWS_REGION", value_name = "NAME", help_heading = "Mail", value_parser = region)]
    pub aws_region: Option<String>,

    /// Endpoint of SES, such as one in a VPC [default: the endpoint of the region]
    #[arg(long, env = "REGISTER_SES_ENDPOINT", value_name = "URL", value_parser = web_address, help_heading = "Mail")]
    pub ses_endpoint: Option<Url>,

    /// Serve the development mailbox although others can reach it: they can read every mail
    #[arg(long, env = "REGISTER_DEV_MAIL_ON_PUBLIC_ADDRESS", value_parser = BoolishValueParser::new())]
    #[arg(help_heading = "Mail")]
    pub dev_mail_on_public_address: bool,

    /// Maximum number of mails being sent at the same time
    #[arg(long, env = "REGISTER_SENDERS", value_name = "COUNT", default_value = "8", value_parser = one_or_more::<NonZeroUsize>)]
    #[arg(help_heading = "Mail")]
    pub senders: NonZeroUsize,

    /// Time that a mail belongs to the copy that sends it. If that copy is killed, another copy
    /// takes the mail over after this time
    #[arg(long, env = "REGISTER_LEASE", value_name = "TIME", default_value = "60s", value_parser = span)]
    #[arg(help_heading = "Mail")]
    pub lease: Duration,

    /// Minimum time between two mails to one address
    #[arg(long, env = "REGISTER_MAIL_INTERVAL", value_name = "TIME", default_value = "60s", value_parser = span_or_zero)]
    #[arg(help_heading = "Mail")]
    pub mail_interval: Duration,

    /// Lifetime of the link in a mail
    #[arg(long, env = "REGISTER_TOKEN_LIFETIME", value_name = "TIME", default_value = "24h", value_parser = span)]
    #[arg(help_heading = "Accounts")]
    pub token_lifetime: Duration,

    /// Limit of registrations and resend requests per mail address, in all copies of this service,
    /// or `off`
    #[arg(long, env = "REGISTER_ADDRESS_LIMIT", value_name = "COUNT/TIME", default_value = "5/1h")]
    #[arg(help_heading = "Accounts")]
    pub address_limit: Limit,

    /// Maximum number of passwords hashed at the same time; each takes 19 MiB and a core [default:
    /// the number of cores]
    #[arg(long, env = "REGISTER_HASHERS", value_name = "COUNT", value_parser = one_or_more::<NonZeroUsize>)]
    #[arg(help_heading = "Accounts")]
    pub hashers: Option<NonZeroUsize>,

    /// Maximum number of passwords that wait to be hashed. Further registrations are told to try
    /// again
    #[arg(long, env = "REGISTER_HASH_QUEUE", value_name = "COUNT", default_value = "1000")]
    #[arg(help_heading = "Accounts", value_parser = within(0..=1_000_000))]
    pub hash_queue: u32,

    /// Maximum number of connections of the HTTP session
    #[arg(long, env = "REGISTER_SESSION_LIMIT", value_name = "COUNT", default_value = "100")]
    #[arg(help_heading = "Running", value_parser = one_or_more::<NonZeroU32>)]
    pub session_limit: NonZeroU32,

    /// Time limit for requests, and then for mails, to finish when the service stops
    #[arg(long, env = "REGISTER_DRAIN", value_name = "TIME", default_value = "15s", value_parser = span)]
    #[arg(help_heading = "Running")]
    pub drain: Duration,

    /// Time between reporting not ready and the drain, for load balancers to react
    #[arg(long, env = "REGISTER_DRAIN_PAUSE", value_name = "TIME", default_value = "0s", value_parser = span_or_zero)]
    #[arg(help_heading = "Running")]
    pub drain_pause: Duration,

    /// Format of the log. `auto` is for humans on a terminal and JSON elsewhere. RUST_LOG sets the
    /// level
    #[arg(long, env = "REGISTER_LOG_FORMAT", value_name = "FORMAT", default_value = "auto", help_heading = "Running")]
    pub log_format: LogFormat,
}

/// Recipient of mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MailMode {
    /// The development mailbox.
    Dev,
    /// Amazon SES.
    Ses,
}

/// Format of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    /// Text for humans.
    Human,
    /// One JSON object per line.
    Json,
}

impl Settings {
    /// Settings of this process. On an invalid setting, or with `--help`, it prints the message and
    /// exits.
    pub fn of_process() -> Self {
        Self::read(std::env::args_os()).unwrap_or_else(|error| error.exit())
    }

    /// Settings of these arguments, which begin with the program's name, and of the environment.
    ///
    /// # Errors
    ///
    /// A setting is invalid or contradicts another; the error names it and a correct form. `--help`
    /// is an error too.
    pub fn read(arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> Result<Self, clap::Error> {
        let settings = Self::try_parse_from(arguments)?;
        settings.check().map_err(|wrong| Self::command().error(ErrorKind::ValueValidation, wrong))?;
        Ok(settings)
    }

    /// Checks that involve several settings.
    fn check(&self) -> Result<(), String> {
        if let Err(wrong) = &self.database.0 {
            return Err(format!("invalid value for '--database <URL>' (REGISTER_DATABASE): {wrong}"));
        }
        // Checked here, because clap's errors would repeat the password.
        for (flag, url) in [("--public-url", &self.public_url), ("--ses-endpoint", &self.ses_endpoint)] {
            if let Some(url) = url.as_ref().filter(|url| !url.username().is_empty() || url.password().is_some()) {
                let shown = redact_url(url);
                return Err(format!(
                    "'{flag} {shown}' must not hold a user name or password: write something like `https://example.com`"
                ));
            }
        }
        if self.public_url.is_none() && self.listen.ip().is_unspecified() {
            return Err(format!(
                "'--listen {}' is every address of this machine, so links in mails cannot be made of it: \
                 set '--public-url', such as `https://example.com`",
                self.listen
            ));
        }
        if self.lease < SHORTEST_LEASE {
            let lease = humantime::format_duration(self.lease);
            return Err(format!("'--lease {lease}' is too short to send a mail in: 1s is the least"));
        }
        match self.mail {
            MailMode::Dev => self.check_dev_mail(),
            MailMode::Ses => self.check_ses(),
        }
    }

    fn check_dev_mail(&self) -> Result<(), String> {
        if !self.listen.ip().is_loopback() && !self.dev_mail_on_public_address {
            return Err(format!(
                "'--listen {}' can be reached by others, who could read every mail in the development mailbox: \
                 set '--mail ses', or '--dev-mail-on-public-address' if that is what you want",
                self.listen
            ));
        }
        // Settings of SES without `--mail ses` are a mistake.
        let of_ses = [("--ses-endpoint", self.ses_endpoint.is_some()), ("--aws-region", self.aws_region.is_some())];
        match of_ses.iter().find(|(_, set)| *set) {
            Some((flag, _)) => Err(format!("'{flag}' does nothing for the development mailbox: set '--mail ses' too")),
            None => Ok(()),
        }
    }

    fn check_ses(&self) -> Result<(), String> {
        match self.mail_from {
            Some(_) => Ok(()),
            None => Err("'--mail ses' needs '--mail-from', an address that is verified with SES, such as \
                         `Example <no-reply@example.com>`"
                .to_owned()),
        }
    }

    /// Settings of the database.
    ///
    /// # Errors
    ///
    /// None for settings that were [read](Self::read), which checks the URL.
    pub fn database(&self) -> anyhow::Result<DatabaseSettings> {
        let place = self.database.0.clone().map_err(anyhow::Error::msg)?;
        Ok(DatabaseSettings { place, connections: self.database_connections })
    }

    /// Number of passwords hashed at the same time.
    pub fn hashers(&self) -> usize {
        let cores = || thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        self.hashers.unwrap_or_else(cores).get()
    }
}

#[cfg(test)]
mod tests;
