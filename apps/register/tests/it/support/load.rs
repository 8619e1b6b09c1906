//! Concurrent clients that register one address each until stopped.

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
    /// None if no response came: the outcome is unknown.
    pub(crate) status: Option<u16>,
    pub(crate) took: Duration,
}

/// Load under way.
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
    /// Starts `crowd` clients that register `limit` addresses in total, each beginning with
    /// `prefix`.
    pub(crate) fn start(prefix: &str, crowd: usize, limit: usize, sites: &[String]) -> Self {
        let shared = Arc::new(Shared {
            urls: Mutex::new(sites.to_vec()),
            prefix: prefix.to_owned(),
            next: AtomicUsize::new(0),
            limit,
            stop: AtomicBool::new(false),
            outcomes: Mutex::default(),
        });
        // One connection per client; connections to a killed service are not reused.
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

    /// Waits until all addresses have been registered.
    pub(crate) async fn finish(mut self) -> Vec<Outcome> {
        while let Some(task) = self.tasks.join_next().await {
            task.unwrap();
        }
        self.shared.outcomes.lock().unwrap().clone()
    }

    /// Stops; each client finishes its current request.
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
            // For a moment no service listens.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
