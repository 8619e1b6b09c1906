//! A host that answers as a test says, and remembers when it was asked for what.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub(crate) struct Web {
    port: u16,
    seen: Arc<Seen>,
    serving: JoinHandle<()>,
}

#[derive(Default)]
struct Seen {
    asked: Mutex<Vec<(String, Instant)>>,
    now: AtomicUsize,
    peak: AtomicUsize,
    /// Requests whose client went before they were answered.
    left: AtomicUsize,
}

/// A request being answered.
struct Open {
    seen: Arc<Seen>,
    answered: bool,
}

impl Web {
    /// `answer` is given path and query, and how often they were asked for before.
    pub(crate) async fn start<A, F, R>(answer: A) -> Self
    where
        A: Fn(String, usize) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = R> + Send,
        R: IntoResponse,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::<Seen>::default();
        let served = seen.clone();
        let answers = Router::new().fallback(move |request: Request| {
            let (answer, seen) = (answer.clone(), served.clone());
            async move {
                let path = request.uri().path_and_query().unwrap().to_string();
                let (before, mut open) = Open::new(seen, path.clone());
                let response: Response = answer(path, before).await.into_response();
                open.answered = true;
                response
            }
        });
        let serving = tokio::spawn(async move { axum::serve(listener, answers).await.unwrap() });
        Self { port, seen, serving }
    }

    /// One that answers all with its path.
    pub(crate) async fn plain() -> Self {
        Self::start(|path, _| async move { path }).await
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// All that was asked for, the earliest first.
    pub(crate) fn asked(&self) -> Vec<(String, Instant)> {
        self.seen.asked.lock().unwrap().clone()
    }

    pub(crate) fn paths(&self) -> Vec<String> {
        self.asked().into_iter().map(|(path, _)| path).collect()
    }

    /// The times of the requests for this path.
    pub(crate) fn times(&self, path: &str) -> Vec<Instant> {
        self.asked().into_iter().filter(|(asked, _)| asked == path).map(|(_, at)| at).collect()
    }

    /// The most requests that were being answered at once.
    pub(crate) fn peak(&self) -> usize {
        self.seen.peak.load(Ordering::SeqCst)
    }

    pub(crate) fn being_answered(&self) -> usize {
        self.seen.now.load(Ordering::SeqCst)
    }

    pub(crate) fn left(&self) -> usize {
        self.seen.left.load(Ordering::SeqCst)
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Open {
    /// And how often the same was asked for before.
    fn new(seen: Arc<Seen>, path: String) -> (usize, Self) {
        let mut asked = seen.asked.lock().unwrap();
        let before = asked.iter().filter(|(known, _)| *known == path).count();
        asked.push((path, Instant::now()));
        drop(asked);
        let now = seen.now.fetch_add(1, Ordering::SeqCst) + 1;
        seen.peak.fetch_max(now, Ordering::SeqCst);
        (before, Self { seen, answered: false })
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.seen.now.fetch_sub(1, Ordering::SeqCst);
        self.seen.left.fetch_add(usize::from(!self.answered), Ordering::SeqCst);
    }
}
