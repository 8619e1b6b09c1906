//! A Django project as `startproject` makes it, with one who may use its admin.

use std::process::Command;

use super::process::{Guarded, python};
use super::temp_dir::TempDir;

pub(crate) struct Django {
    _process: Guarded,
    port: u16,
}

pub(crate) const USER: &str = "ann";
pub(crate) const PASSWORD: &str = "s3cret & \u{fc}ber";

impl Django {
    pub(crate) async fn start() -> Self {
        let dir = TempDir::new();
        let path = dir.path().to_owned();
        tokio::task::spawn_blocking(move || {
            let run = |program: String, arguments: &[&str]| {
                let done = Command::new(&program)
                    .args(arguments)
                    .current_dir(&path)
                    .envs([("DJANGO_SUPERUSER_USERNAME", USER), ("DJANGO_SUPERUSER_PASSWORD", PASSWORD)])
                    .output()
                    .unwrap();
                assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
            };
            run(python("django-admin"), &["startproject", "site_of_tests", "."]);
            run(python("python"), &["manage.py", "migrate"]);
            run(python("python"), &["manage.py", "createsuperuser", "--noinput", "--email=ann@example.com"]);
        })
        .await
        .unwrap();
        let gunicorn = python("gunicorn");
        let command = [&*gunicorn, "--bind=127.0.0.1:0", "--no-control-socket", "site_of_tests.wsgi"];
        let mut process = Guarded::start(dir, &command);
        let port = process.port_behind("Listening at: http://127.0.0.1:").await;
        Self { _process: process, port }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}
