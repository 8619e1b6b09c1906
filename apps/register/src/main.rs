//! Starts the service: settings, log, and the walk.

use std::io::{self, Write as _};
use std::process::ExitCode;

use register::settings::Settings;
use register::telemetry::Telemetry;

#[tokio::main]
async fn main() -> ExitCode {
    let settings = Settings::of_process();
    match Telemetry::begin(settings.log_format) {
        Ok(telemetry) => {
            let ending = register::run::run(settings, telemetry).await;
            let code = ending.exit_code();
            if let Err(error) = ending.into_result() {
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
