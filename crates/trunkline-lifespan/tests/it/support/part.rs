//! Resource that fails as configured and records each step in a journal.

use std::future::pending;
use std::sync::{Arc, Mutex};

use trunkline_lifespan::Resource;

/// The steps of all resources, in order.
#[derive(Clone, Default)]
pub(crate) struct Journal(Arc<Mutex<Vec<String>>>);

impl Journal {
    pub(crate) fn write(&self, line: impl Into<String>) {
        self.0.lock().unwrap().push(line.into());
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    /// A sound resource.
    pub(crate) fn part(&self, name: &'static str) -> Part {
        Part { journal: self.clone(), name, acquire: "ok", check: "ok", release: "ok" }
    }
}

/// `ok`, `fail`, `panic`, `hang` or `block` for each of the three steps.
pub(crate) struct Part {
    journal: Journal,
    name: &'static str,
    acquire: &'static str,
    check: &'static str,
    release: &'static str,
}

impl Part {
    pub(crate) fn acquire(self, acquire: &'static str) -> Self {
        Self { acquire, ..self }
    }

    pub(crate) fn check(self, check: &'static str) -> Self {
        Self { check, ..self }
    }

    pub(crate) fn release(self, release: &'static str) -> Self {
        Self { release, ..self }
    }
}

async fn act(how: &'static str) -> Result<(), &'static str> {
    match how {
        "fail" => Err("out of luck"),
        "panic" => panic!("out of its wits"),
        "hang" => pending().await,
        "block" => {
            std::thread::sleep(std::time::Duration::from_secs(1));
            Ok(())
        }
        _ => Ok(()),
    }
}

impl Resource for Part {
    type Handle = &'static str;
    type Error = &'static str;

    async fn acquire(&mut self) -> Result<&'static str, &'static str> {
        self.journal.write(format!("acquire {}", self.name));
        act(self.acquire).await.map(|()| self.name)
    }

    async fn check(&mut self, handle: &&'static str) -> Result<(), &'static str> {
        self.journal.write(format!("check {handle}"));
        act(self.check).await
    }

    async fn release(self, handle: &'static str) -> Result<(), &'static str> {
        self.journal.write(format!("release {handle}"));
        act(self.release).await?;
        self.journal.write(format!("released {handle}"));
        Ok(())
    }
}
