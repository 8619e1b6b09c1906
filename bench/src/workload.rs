//! Workload of one client and its measurement. Prints one metric per line.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bench_tables::median;

use crate::plan::{Plan, Task};
use crate::process::{CpuUsage, anonymous_memory, open_files};

/// Interface of a measured client. Each call takes the URL as text, as in an application.
pub(crate) trait Client: Clone + 'static {
    /// Fetches a small page and returns its length.
    async fn get(&self, url: &'static str) -> Result<usize>;

    /// Reads a large body chunk by chunk and returns its length.
    async fn read(&self, url: &'static str) -> Result<u64>;
}

pub(crate) struct Workload {
    pub(crate) plan: Plan,
    start: Instant,
    stop: AtomicBool,
    /// Completed pages of each task.
    completed: Vec<Counter>,
    waits: Mutex<Vec<f64>>,
    baseline: Mutex<Option<Baseline>>,
    metrics: Mutex<Vec<(&'static str, f64)>>,
}

/// Counter in a cache line of its own.
#[derive(Default)]
#[repr(align(128))]
struct Counter(AtomicU64);

/// Resources of the process before the idle connections.
struct Baseline {
    memory: u64,
    files: usize,
}

impl Workload {
    pub(crate) fn new(plan: Plan) -> Self {
        Self {
            start: Instant::now(),
            stop: AtomicBool::new(false),
            completed: (0..plan.tasks).map(|_| Counter::default()).collect(),
            waits: Mutex::default(),
            baseline: Mutex::default(),
            metrics: Mutex::default(),
            plan,
        }
    }

    /// Fetches a first page before the measurement.
    pub(crate) async fn warm_up<C: Client>(&self, client: &C) -> Result<()> {
        match self.plan.task {
            Task::Small | Task::Contention => {}
            Task::Body => drop(client.get(&*self.plan.urls[0].replace("/long", "/").leak()).await?),
            Task::Idle => {
                client.get(self.plan.urls[0]).await?;
                let baseline = Baseline { memory: anonymous_memory()?, files: open_files()? };
                self.baseline.lock().expect("no holder panics").replace(baseline);
            }
        }
        Ok(())
    }

    /// Runs one task of the workload.
    pub(crate) async fn run_task<C: Client>(self: Arc<Self>, client: C, number: usize) -> Result<()> {
        let url = self.plan.urls[number % self.plan.urls.len()];
        match self.plan.task {
            Task::Small => self.fetch_repeatedly(&client, url, number).await,
            Task::Contention => self.measure_waits(&client, url).await,
            Task::Body => self.read(&client, url).await,
            Task::Idle => self.check_length(client.get(url).await? as u64),
        }
    }

    async fn fetch_repeatedly<C: Client>(&self, client: &C, url: &'static str, number: usize) -> Result<()> {
        let completed = &self.completed[number].0;
        let pages = self.plan.pages.unwrap_or(u64::MAX);
        // Only this task writes the counter.
        while !self.stop.load(Ordering::Relaxed) && completed.load(Ordering::Relaxed) < pages {
            self.check_length(client.get(url).await? as u64)?;
            completed.store(completed.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Records the wait of each request that ends after the warm-up, however long it takes, so that
    /// starving requests count too.
    async fn measure_waits<C: Client>(&self, client: &C, url: &'static str) -> Result<()> {
        let mut waits = Vec::new();
        while !self.stop.load(Ordering::Relaxed) {
            let sent = Instant::now();
            self.check_length(client.get(url).await? as u64)?;
            if self.start.elapsed() >= self.plan.warm_up {
                waits.push(sent.elapsed().as_secs_f64() * 1e3);
            }
        }
        self.waits.lock().expect("no holder panics").extend(waits);
        Ok(())
    }

    async fn read<C: Client>(&self, client: &C, url: &'static str) -> Result<()> {
        let (start, usage) = (Instant::now(), CpuUsage::own()?);
        self.check_length(client.read(url).await?)?;
        let (elapsed, cpu) = (start.elapsed().as_secs_f64(), CpuUsage::own()?.since(&usage));
        self.record([("rate", self.plan.length as f64 / elapsed / f64::from(1 << 20)), ("cpu", cpu.as_secs_f64())]);
        Ok(())
    }

    /// Measures the idle connections after the last task, while the client still exists.
    pub(crate) async fn measure_idle(&self) -> Result<()> {
        let Some(baseline) = self.baseline.lock().expect("no holder panics").take() else { return Ok(()) };
        // Time for the client's background tasks to become idle.
        tokio::time::sleep(Duration::from_millis(500)).await;
        let connections = open_files()?.saturating_sub(baseline.files);
        let memory = anonymous_memory()?.saturating_sub(baseline.memory);
        self.record([("connections", connections as f64), ("memory", memory as f64 / 1024.0 / connections as f64)]);
        Ok(())
    }

    /// Stops the tasks after the measured time, and computes the rate and the CPU time.
    pub(crate) fn supervise(&self) {
        if self.plan.pages.is_some() {
            return;
        }
        std::thread::sleep(self.plan.warm_up);
        let (start, usage, pages_before) = (Instant::now(), CpuUsage::own(), self.pages());
        std::thread::sleep(self.plan.measured);
        let (elapsed, now, pages) =
            (start.elapsed().as_secs_f64(), CpuUsage::own(), (self.pages() - pages_before) as f64);
        self.stop.store(true, Ordering::Relaxed);
        if let (Task::Small, Ok(before), Ok(now)) = (self.plan.task, usage, now) {
            let cpu = now.since(&before).as_secs_f64() * 1e6;
            self.record([
                ("rate", pages / elapsed),
                ("time", elapsed * 1e6 * self.plan.tasks as f64 / pages),
                ("cpu", cpu / pages),
            ]);
        }
    }

    fn pages(&self) -> u64 {
        self.completed.iter().map(|count| count.0.load(Ordering::Relaxed)).sum()
    }

    fn check_length(&self, length: u64) -> Result<()> {
        ensure!(length == self.plan.length, "received {length} bytes instead of {}", self.plan.length);
        Ok(())
    }

    fn record(&self, metrics: impl IntoIterator<Item = (&'static str, f64)>) {
        self.metrics.lock().expect("no holder panics").extend(metrics);
    }

    /// Prints the metrics.
    pub(crate) fn report(&self) {
        let mut waits = std::mem::take(&mut *self.waits.lock().expect("no holder panics"));
        waits.sort_by(f64::total_cmp);
        if let (Some(p50), Some(max)) = (median(&waits), waits.last()) {
            let p99 = waits[(waits.len() * 99 / 100).min(waits.len() - 1)];
            self.record([
                ("waits", waits.len() as f64),
                ("p50", p50),
                ("p99", p99),
                ("max", *max),
                ("spread", p99 / p50),
            ]);
        }
        for (name, value) in &*self.metrics.lock().expect("no holder panics") {
            println!("{name} {value}");
        }
    }
}
