//! The tasks of a server: the one that accepts, its connections, and what HTTP/2 runs beside them.
//! None outlives it.

use std::sync::{Arc, Mutex};

use tokio::task::JoinSet;

use crate::stack::lock;

/// A handle to all of them. They hold handles themselves, so that they end by themselves or by
/// [`abort`](Self::abort).
#[derive(Clone, Debug, Default)]
pub(super) struct Tasks(Arc<Mutex<JoinSet<()>>>);

impl Tasks {
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = lock(&self.0);
        // What has ended makes room for it.
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }

    /// Waits until there is none.
    pub(super) async fn finished(&self) {
        while std::future::poll_fn(|cx| lock(&self.0).poll_join_next(cx)).await.is_some() {}
    }

    pub(super) fn abort(&self) {
        lock(&self.0).abort_all();
    }
}

/// HTTP/2 asks for its streams' tasks by this.
impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for Tasks {
    fn execute(&self, task: F) {
        self.spawn(task);
    }
}
