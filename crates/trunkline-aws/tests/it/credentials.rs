//! Tests of credentials: the SDK fetches them over the pool, from each of its sources.
//!
//! The SDK reads environment variables, so each test runs in its own process.

#![allow(clippy::print_stdout, reason = "the child process reports through its output")]

use std::process::Command;

use aws_config::BehaviorVersion;
use aws_config::sts::AssumeRoleProvider;
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::Builder;
use trunkline::Pool;
use trunkline_aws::HttpClient;

use crate::servers::{Moto, Rogue, Step, TempDir};
use crate::{SOON, within};

/// Calls S3 with credentials from the environment, and prints the pool's counts of hosts,
/// connections and reuses.
async fn call_s3(moto: &str) {
    let pool = Pool::new();
    let config = aws_config::defaults(BehaviorVersion::latest()).http_client(HttpClient::new(&pool)).load().await;
    let s3 = Client::from_conf(Builder::from(&config).endpoint_url(moto).force_path_style(true).build());
    within(SOON, s3.list_buckets().send()).await.unwrap();
    let stats = pool.stats();
    println!("hosts {} connections {} reused {}.", stats.hosts.len(), stats.created, stats.reused);
}

/// Runs the test again in a child process with these variables and no other credentials, and
/// returns the counts that it printed.
async fn run_in_child(test: &str, variables: &[(&str, &str)]) -> String {
    let moto = Moto::shared().await;
    let home = TempDir::new("credentials");
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", &format!("credentials::{test}"), "--nocapture"]);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("AWS_")) {
        command.env_remove(name);
    }
    command.env("HOME", home.path()).env("TRUNKLINE_TEST_URL", moto.url()).env("AWS_REGION", "us-east-1");
    command.envs(variables.iter().copied());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let shown = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{shown}");
    shown.lines().find(|line| line.contains("hosts ")).unwrap_or_else(|| panic!("{shown}")).to_owned()
}

/// Temporary credentials of the role, in the format for containers and instances.
async fn temporary() -> String {
    let moto = Moto::shared().await;
    let key = moto.key();
    let config = aws_config::defaults(BehaviorVersion::latest()).region("us-east-1").endpoint_url(moto.url());
    let config = config.http_client(HttpClient::from(Pool::new())).no_credentials().load().await;
    let role = AssumeRoleProvider::builder(moto.role()).session_name("for-a-test").configure(&config);
    let role = role.build_from_provider(Credentials::from_keys(&key.id, &key.secret, None)).await;
    let issued = within(SOON, role.provide_credentials()).await.unwrap();
    let (id, secret, token) = (issued.access_key_id(), issued.secret_access_key(), issued.session_token().unwrap());
    format!(
        r#"{{"Code":"Success","AccessKeyId":"{id}","SecretAccessKey":"{secret}","Token":"{token}","Expiration":"2099-01-01T00:00:00Z"}}"#
    )
}

fn moto_url_in_child() -> Option<String> {
    std::env::var("TRUNKLINE_TEST_URL").ok()
}

#[tokio::test]
async fn credentials_come_from_the_environment() {
    if let Some(moto) = moto_url_in_child() {
        return call_s3(&moto).await;
    }
    let key = Moto::shared().await.key();
    let variables = [("AWS_ACCESS_KEY_ID", key.id.as_str()), ("AWS_SECRET_ACCESS_KEY", &key.secret)];
    assert_eq!(
        run_in_child("credentials_come_from_the_environment", &variables).await,
        "hosts 1 connections 1 reused 0."
    );
}

#[tokio::test]
async fn credentials_come_from_a_container() {
    if let Some(moto) = moto_url_in_child() {
        return call_s3(&moto).await;
    }
    let container = Rogue::start(Step::serve(temporary().await)).await;
    let variables = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", container.url("/v2/credentials")),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "to-the-container".to_owned()),
    ];
    let variables = variables.each_ref().map(|(name, value)| (*name, value.as_str()));
    assert_eq!(run_in_child("credentials_come_from_a_container", &variables).await, "hosts 2 connections 2 reused 0.");
    let requests = container.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(
        (requests[0].line().as_str(), requests[0].header("authorization")),
        ("GET /v2/credentials", Some("to-the-container"))
    );
}

/// A profile names the role to assume, and STS issues temporary credentials for it.
#[tokio::test]
async fn credentials_come_from_a_profile_through_sts() {
    if let Some(moto) = moto_url_in_child() {
        return call_s3(&moto).await;
    }
    let moto = Moto::shared().await;
    let dir = TempDir::new("profile");
    let key = moto.key();
    let profiles = format!(
        "[default]\nrole_arn = {}\nsource_profile = ann\n\n[profile ann]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
        moto.role(),
        key.id,
        key.secret
    );
    let file = dir.write("config", profiles);
    let url = moto.url();
    let variables = [("AWS_CONFIG_FILE", file.to_str().unwrap()), ("AWS_ENDPOINT_URL_STS", &url)];
    // STS and S3 are one host here: the call reuses the connection of the credentials.
    assert_eq!(
        run_in_child("credentials_come_from_a_profile_through_sts", &variables).await,
        "hosts 1 connections 1 reused 1."
    );
}

#[tokio::test]
async fn credentials_come_from_the_instance_metadata() {
    if let Some(moto) = moto_url_in_child() {
        return call_s3(&moto).await;
    }
    let token = "HTTP/1.1 200 OK\r\nx-aws-ec2-metadata-token-ttl-seconds: 21600\r\ncontent-length: 5\r\n\r\ntoken";
    let metadata = Rogue::start(vec![
        Step::ReadHead,
        Step::send(token),
        Step::ReadHead,
        Step::ok("role"),
        Step::ReadHead,
        Step::ok(temporary().await),
        Step::Drain,
    ])
    .await;
    let url = metadata.url("");
    let variables = [("AWS_EC2_METADATA_SERVICE_ENDPOINT", url.as_str())];
    assert_eq!(
        run_in_child("credentials_come_from_the_instance_metadata", &variables).await,
        "hosts 2 connections 2 reused 2."
    );
    let requests: Vec<_> = metadata.requests().iter().map(|request| request.line()).collect();
    let credentials = "GET /latest/meta-data/iam/security-credentials/";
    assert_eq!(requests, ["PUT /latest/api/token", credentials, &format!("{credentials}role")]);
}
