//! Settings of a started service: flags and environment, isolated from the environment of the
//! tests.

use std::fmt::Display;
use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use super::{Database, Service, Ses, TempDir};

/// Settings for any number of services, one after another or at once.
#[derive(Clone)]
pub(crate) struct Settings {
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    /// Working and log directory of the copies, removed with the last of them.
    dir: Arc<TempDir>,
}

impl Settings {
    /// Settings for this database, with free ports, the development mailbox, and client limits that
    /// no test reaches.
    pub(crate) fn new(database: &Database) -> Self {
        let dir = Arc::new(TempDir::new("register"));
        Self { arguments: Vec::new(), environment: Vec::new(), dir }
            .with("--listen", "127.0.0.1:0")
            .with("--ops-listen", "127.0.0.1:0")
            .with("--database", database.url())
            .with("--ip-limit", "off")
    }

    /// Sets a flag. A later value replaces an earlier one.
    pub(crate) fn with(mut self, flag: &str, value: impl Display) -> Self {
        if let Some(at) = self.arguments.iter().position(|argument| argument == flag) {
            self.arguments[at + 1] = value.to_string();
            return self;
        }
        self.arguments.extend([flag.to_owned(), value.to_string()]);
        self
    }

    pub(crate) fn environment(mut self, name: &str, value: impl Display) -> Self {
        self.environment.push((name.to_owned(), value.to_string()));
        self
    }

    /// Sends mail by this SES, with credentials from the environment.
    pub(crate) fn ses(self, ses: &Ses) -> Self {
        self.with("--mail", "ses")
            .with("--ses-endpoint", ses.endpoint())
            .with("--aws-region", "eu-central-1")
            .with("--mail-from", "Register <register@example.com>")
            .environment("AWS_ACCESS_KEY_ID", "test")
            .environment("AWS_SECRET_ACCESS_KEY", "Heidelbeerkuchen/Geheimnis+9")
            .environment("AWS_EC2_METADATA_DISABLED", "true")
    }

    /// Starts a copy, and waits until it serves.
    pub(crate) async fn start(&self) -> Service {
        self.spawn().ready().await
    }

    /// Starts a copy without waiting.
    pub(crate) fn spawn(&self) -> Service {
        let mut command = Command::new(env!("CARGO_BIN_EXE_register"));
        command.args(&self.arguments).current_dir(self.dir.path()).env_clear();
        // The variables by which `./test` finds processes left running, and those that every
        // program needs.
        for name in ["PATH", "TMPDIR", "TRUNKLINE_TEST_RUN"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.env("HOME", self.dir.path()).envs(self.environment.iter().map(|(name, value)| (name, value)));
        let (child, log) = self.launch(command);
        Service::new(child, log, Arc::clone(&self.dir))
    }

    /// Both outputs go into one file of the process, in order.
    fn launch(&self, mut command: Command) -> (Child, std::path::PathBuf) {
        let log = (0..).map(|number| self.dir.join(&format!("log-{number}"))).find(|path| !path.exists()).unwrap();
        let file = File::options().append(true).create_new(true).open(&log).unwrap();
        let child = command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file).spawn().unwrap();
        (child, log)
    }
}
