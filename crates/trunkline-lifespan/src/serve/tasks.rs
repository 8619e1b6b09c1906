//! Tasks of a server: accepting, connections, and the streams of HTTP/2. None outlives the server.

use std::sync::{Arc, Mutex};

use tokio::task::JoinSet;

use crate::stack::lock;

/// A handle to the tasks. The tasks hold handles too, so that they end by themselves or by
/// [`abort`](Self::abort).
#[derive(Clone, Debug, Default)]
pub(super) struct Tasks(Arc<Mutex<JoinSet<()>>>);

impl Tasks {
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = lock(&self.0);
        // Forget the tasks that ended.
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }

    /// Waits until no task is left.
    pub(super) async fn finished(&self) {
        while std::future::poll_fn(|cx| lock(&self.0).poll_join_next(cx)).await.is_some() {}
    }

    pub(super) fn abort(&self) {
        lock(&self.0).abort_all();
    }
}

/// Spawns the tasks of HTTP/2 streams.
impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for Tasks {
    fn execute(&self, task: F) {
        self.spawn(task);
    }
}
