//! A Jupyter Server with a password, and nothing else.

use super::process::{Guarded, python};
use super::temp_dir::TempDir;

pub(crate) struct Jupyter {
    _process: Guarded,
    port: u16,
}

pub(crate) const PASSWORD: &str = "s3cret";
/// The hash that `jupyter_server.auth.passwd` makes of the password.
const HASHED: &str = "sha256:e5f0732b0fdc:a27fb7057b2086c97f55523beabc32ce028528f467754a381136b63a69fd53a5";

impl Jupyter {
    pub(crate) async fn start() -> Self {
        let dir = TempDir::new();
        let home = format!("HOME={}", dir.path().display());
        let program = python("jupyter-server");
        let password = format!("--PasswordIdentityProvider.hashed_password={HASHED}");
        let command = [
            "env",
            &home,
            &program,
            "--allow-root",
            "--no-browser",
            "--ip=127.0.0.1",
            "--port=0",
            "--IdentityProvider.token=",
            &password,
        ];
        let mut process = Guarded::start(dir, &command);
        let port = process.port_behind("http://127.0.0.1:").await;
        Self { _process: process, port }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}
