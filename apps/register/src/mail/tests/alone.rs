//! Tests that need their own process, because the environment and the log are global. Each test
//! runs itself again in a child process.

use std::env;
use std::process::Command;

/// Variable that marks the child process.
const INSIDE: &str = "REGISTER_TEST_INSIDE";

pub(super) fn inside() -> bool {
    env::var_os(INSIDE).is_some()
}

/// Runs this test again in a child process with this environment only.
pub(super) async fn assert_passes_with(test: &str, environment: &[(&str, &str)]) {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", &format!("mail::tests::{test}"), "--nocapture"]);
    // The machine of the tests may be an EC2 instance; its credentials are not used.
    command.env_clear().env(INSIDE, "1").env("AWS_EC2_METADATA_DISABLED", "true").envs(environment.iter().copied());
    for variable in ["TMPDIR", "TRUNKLINE_TEST_RUN"] {
        command.envs(env::var_os(variable).map(|value| (variable, value)));
    }
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let passed = output.status.success() && said.contains("1 passed");
    assert!(passed, "{said}{}", String::from_utf8_lossy(&output.stderr));
}
