//! moto, an AWS of one's own: it keeps objects, sends no mail, hands out credentials, and refuses
//! what is not signed well. Mostly there is one for the whole test binary, started by the first
//! test that asks for it.

use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::OnceLock;

use super::process::{Guarded, blocking};
use super::temp_dir::TempDir;

/// The running moto. A static is never dropped: its watchdog ends it with the test process.
#[derive(Debug)]
pub struct Moto {
    process: Guarded,
    port: u16,
    key: AccessKey,
    role: String,
}

/// Of a user who may do everything.
#[derive(Clone, Debug)]
pub struct AccessKey {
    pub id: String,
    pub secret: String,
}

/// gunicorn serves it as other servers do, with connections that are kept; moto's own server closes
/// each.
const APPLICATION: &str = "\
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
application = DomainDispatcherApplication(create_backend_app)
";

const EVERYTHING: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;
const TO_ANYBODY: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"AWS":"*"}}]}"#;

/// So many requests are taken without a look at their signature: those that make the user and the
/// role.
const UNCHECKED: usize = 5;

impl Moto {
    pub async fn shared() -> &'static Self {
        static SHARED: OnceLock<Moto> = OnceLock::new();
        blocking(|| SHARED.get_or_init(Self::start)).await
    }

    /// A server of the caller's own, shared with no other test.
    pub async fn alone() -> Self {
        blocking(Self::start).await
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn key(&self) -> &AccessKey {
        &self.key
    }

    /// The name (ARN) of a role that may do everything, and that its user may assume.
    pub fn role(&self) -> &str {
        &self.role
    }

    /// gunicorn's log, with a line per request.
    pub fn log(&self) -> String {
        self.process.output()
    }

    fn start() -> Self {
        let dir = TempDir::new("moto");
        dir.write("mock.py", APPLICATION);
        let command = [
            "/usr/bin/env".to_owned(),
            format!("INITIAL_NO_AUTH_ACTION_COUNT={UNCHECKED}"),
            gunicorn().to_str().unwrap().to_owned(),
            "--bind=127.0.0.1:0".into(),
            "--worker-class=gthread".into(),
            "--threads=16".into(),
            "--keep-alive=5".into(),
            "--no-control-socket".into(),
            "--access-logfile=-".into(),
            "mock:application".into(),
        ];
        let mut process = Guarded::start(dir, command);
        let ready = process.until(|process| {
            let port = super::httpbin::bound_port(&process.output())?;
            process.output().contains("Booting worker").then(|| TcpStream::connect(("127.0.0.1", port)).ok())??;
            Some(port)
        });
        let port = ready.unwrap_or_else(|error| panic!("moto: {error}"));
        let iam = |fields: &[(&str, &str)]| ask(port, fields);
        iam(&[("Action", "CreateUser"), ("UserName", "ann")]);
        iam(&[("Action", "PutUserPolicy"), ("UserName", "ann"), ("PolicyName", "all"), ("PolicyDocument", EVERYTHING)]);
        let key = iam(&[("Action", "CreateAccessKey"), ("UserName", "ann")]);
        let key = AccessKey { id: between(&key, "AccessKeyId"), secret: between(&key, "SecretAccessKey") };
        let role = iam(&[("Action", "CreateRole"), ("RoleName", "role"), ("AssumeRolePolicyDocument", TO_ANYBODY)]);
        iam(&[
            ("Action", "PutRolePolicy"),
            ("RoleName", "role"),
            ("PolicyName", "all"),
            ("PolicyDocument", EVERYTHING),
        ]);
        Self { process, port, key, role: between(&role, "Arn") }
    }
}

/// One of the unchecked requests, to IAM. The scope of its credentials tells moto which service is
/// meant.
fn ask(port: u16, fields: &[(&str, &str)]) -> String {
    let mut form = "Version=2010-05-08".to_owned();
    for (name, value) in fields {
        form.push_str(&format!("&{name}="));
        value.bytes().for_each(|byte| write!(form, "%{byte:02X}").unwrap());
    }
    let head = format!(
        "POST / HTTP/1.1\r\nHost: iam.amazonaws.com\r\nConnection: close\r\n\
         Authorization: AWS4-HMAC-SHA256 Credential=none/20260101/us-east-1/iam/aws4_request, SignedHeaders=host, Signature=0\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n",
        form.len()
    );
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all((head + &form).as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{fields:?}: {answer}");
    answer
}

/// The content of an element.
fn between(xml: &str, name: &str) -> String {
    let (_, rest) = xml.split_once(&format!("<{name}>")).unwrap();
    rest.split_once('<').unwrap().0.to_owned()
}

/// In the environment that `./test` makes, with moto beside it.
fn gunicorn() -> PathBuf {
    let gunicorn = super::httpbin::gunicorn();
    let moto = gunicorn.with_file_name("moto_server");
    assert!(moto.is_file(), "{} is missing: run ./test once, it installs what tests need", moto.display());
    gunicorn
}
