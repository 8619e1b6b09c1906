//! Many who register at once, each with an address of its own, for as long as they are let.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::JoinSet;
use trunkline::Session;

use super::{PASSWORD, TestResponse};

/// Outcome of one registration.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) email: String,
    /// None if no answer came: whether it was done is not known.
    pub(crate) status: Option<u16>,
    pub(crate) took: Duration,
}

/// A crowd under way.
pub(crate) struct Load {
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
}

struct Shared {
    /// Current addresses of the services, used in turn.
    urls: Mutex<Vec<String>>,
    prefix: String,
    next: AtomicUsize,
    /// Total number of registrations.
    limit: usize,
    stop: AtomicBool,
    outcomes: Mutex<Vec<Outcome>>,
}

impl Load {
    /// `crowd` of them, who register `limit` addresses in all that begin with `prefix`.
    pub(crate) fn start(prefix: &str, crowd: usize, limit: usize, sites: &[String]) -> Self {
        let shared = Arc::new(Shared {
            urls: Mutex::new(sites.to_vec()),
            prefix: prefix.to_owned(),
            next: AtomicUsize::new(0),
            limit,
            stop: AtomicBool::new(false),
            outcomes: Mutex::default(),
        });
        // One connection each, and none kept of a service that is killed.
        let session = Session::new();
        let tasks = (0..crowd).map(|_| register(Arc::clone(&shared), session.clone())).collect();
        Self { shared, tasks }
    }

    /// Replaces the addresses of the services.
    pub(crate) fn set_sites(&self, sites: &[String]) {
        *self.shared.urls.lock().unwrap() = sites.to_vec();
    }

    pub(crate) fn done(&self) -> usize {
        self.shared.outcomes.lock().unwrap().len()
    }

    /// Number of 204 responses.
    pub(crate) fn accepted(&self) -> usize {
        self.shared.outcomes.lock().unwrap().iter().filter(|outcome| outcome.status == Some(204)).count()
    }

    pub(crate) fn is_over(&self) -> bool {
        self.shared.next.load(Ordering::Relaxed) >= self.shared.limit
    }

    /// Waits until all have been registered.
    pub(crate) async fn finish(mut self) -> Vec<Outcome> {
        while let Some(task) = self.tasks.join_next().await {
            task.unwrap();
        }
        self.shared.outcomes.lock().unwrap().clone()
    }

    /// Lets each finish what it is at.
    pub(crate) async fn stop(self) -> Vec<Outcome> {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.finish().await
    }
}

async fn register(shared: Arc<Shared>, session: Session) {
    while !shared.stop.load(Ordering::Relaxed) {
        let number = shared.next.fetch_add(1, Ordering::Relaxed);
        if number >= shared.limit {
            return;
        }
        let url = {
            let urls = shared.urls.lock().unwrap();
            format!("{}/api/register", urls[number % urls.len()])
        };
        let email = format!("{}{number}@example.com", shared.prefix);
        let begun = Instant::now();
        let request = session.post(url).json(&json!({ "email": email, "password": PASSWORD }));
        let status = TestResponse::of(request).await.ok().map(|answer| answer.status);
        shared.outcomes.lock().unwrap().push(Outcome { email, status, took: begun.elapsed() });
        if status.is_none() {
            // No service listens for a moment.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
