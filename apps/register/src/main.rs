//! Entry point of the service: reads settings, begins the log, runs.

use std::io::{self, Write as _};
use std::process::ExitCode;

use register::settings::Settings;
use register::telemetry::Telemetry;

#[tokio::main]
async fn main() -> ExitCode {
    let settings = Settings::of_process();
    match Telemetry::begin(settings.log_format) {
        Ok(telemetry) => {
            let report = register::run::run(settings, telemetry).await;
            let code = report.exit_code();
            if let Err(error) = report.into_result() {
                telemetry.conclude(&error.into());
            }
            code
        }
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: {error:#}");
            ExitCode::from(2)
        }
    }
}
