//! Starts the service: settings, log, and the walk.

use std::io::{self, Write as _};
use std::process::ExitCode;

use register::settings::Settings;
use register::telemetry::Telemetry;

#[tokio::main]
async fn main() -> ExitCode {
    let settings = Settings::of_process();
    match Telemetry::begin(settings.log_format) {
        // How it ended is in the log.
        Ok(telemetry) => register::run::run(settings, telemetry).await.exit_code(),
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: {error:#}");
            ExitCode::from(2)
        }
    }
}
