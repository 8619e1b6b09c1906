//! Requests by schemathesis, made from `/openapi.json` and broken in every way it knows: the
//! service answers as it says it does.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Database, Settings, TempDir, soak};

/// Checks that hold for every response. The excluded schemathesis checks are about
/// authentication, which there is none of, and about requests that make resources, which have no
/// addresses here.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,\
                      response_schema_conformance,unsupported_method,allow_header_conformance,negative_data_rejection";

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_mutated_requests_match_the_openapi_document() {
    let least = soak(10_000, 500);
    let service = Settings::new(&Database::sqlite()).with("--address-limit", "off").start().await;
    let (schema, dir) = (service.url("/openapi.json"), TempDir::new("schemathesis"));
    let mut made = 0;
    // Each run takes another seed; how many requests it makes of the same settings is its own
    // business.
    for seed in 1..=100 {
        let mut command = Command::new(program());
        command.args(["run", &schema, "--checks", CHECKS, "--phases", "examples,coverage,fuzzing", "--no-color"]);
        command.args(["--max-examples", "150", "--seed", &seed.to_string(), "--workers", "2", "--continue-on-failure"]);
        // It is there to answer 503 when the database takes long, and on a busy machine it may.
        command.args(["--exclude-path", "/readyz"]);
        command.args(["--generation-database", "none", "--request-timeout", "60"]).current_dir(dir.path());
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let report = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "seed {seed}:\n{report}");
        made += generated(&report);
        if made >= least {
            break;
        }
    }
    println!("{made} requests by schemathesis");
    assert!(made >= least, "{made}");
    assert!(!service.log().contains("panicked"), "{}", service.log());
}

/// From its `Test cases:\n  570 generated, 570 passed`.
fn generated(report: &str) -> usize {
    let cases = report.split_once("Test cases:").and_then(|(_, rest)| rest.split_once(" generated"));
    let count = cases.and_then(|(count, _)| count.trim().replace(',', "").parse().ok());
    count.unwrap_or_else(|| panic!("how many? {report}"))
}

/// In the environment that `./test` makes.
fn program() -> PathBuf {
    let made = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/test-env/schemathesis");
    let venv = std::env::var_os("TRUNKLINE_SCHEMATHESIS").map_or(made, PathBuf::from);
    let program = venv.join("bin/schemathesis");
    assert!(program.is_file(), "{} is missing: run ./test once, it installs what tests need", program.display());
    program
}
