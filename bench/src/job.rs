//! What one contestant does in a process of its own, so that its CPU time and its memory are its own: `bench client NAME
//! TASK key=value …`. It prints a figure a line.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use tokio::sync::Semaphore;

use crate::clients::{self, Client};
use crate::figures::median;
use crate::process::{Usage, anonymous_memory, open_files};

/// What is to be done, as the arguments have it.
pub(crate) struct Plan {
    task: Task,
    /// The address; `{}` in it is the host's number, from 1.
    urls: Vec<&'static str>,
    /// The length of the page.
    length: u64,
    pub(crate) threads: usize,
    pub(crate) tasks: usize,
    /// The most connections; 0 for no limit, and without it the contestant's own default.
    pub(crate) limit: Option<usize>,
    ca: Option<String>,
    warm_up: Duration,
    measured: Duration,
}

#[derive(Clone, Copy, PartialEq)]
enum Task {
    /// Small pages, one after the other in each task, for a time.
    Small,
    /// The same, and how long each took.
    Crowd,
    /// One long body.
    Body,
    /// One page in each task, all at once; then the memory of the connections.
    Idle,
}

pub(crate) struct Job {
    pub(crate) plan: Plan,
    begun: Instant,
    stop: AtomicBool,
    /// Pages had, by task.
    done: Vec<Count>,
    waits: Mutex<Vec<f64>>,
    before: Mutex<Option<Before>>,
    figures: Mutex<Vec<(&'static str, f64)>>,
}

/// Alone in its cache line.
#[derive(Default)]
#[repr(align(128))]
struct Count(AtomicU64);

struct Before {
    memory: u64,
    files: usize,
}

/// `bench client …`
pub(crate) fn main(arguments: &[String]) -> Result<()> {
    let [name, task, rest @ ..] = arguments else { bail!("usage: bench client NAME TASK key=value …") };
    let plan = Plan::parse(task, rest)?;
    let job = Arc::new(Job::new(plan));
    let watched = std::thread::spawn({
        let job = job.clone();
        move || job.watch()
    });
    clients::run(name, &job)?;
    watched.join().ok().context("the watch has panicked")?;
    job.report();
    Ok(())
}

impl Plan {
    fn parse(task: &str, rest: &[String]) -> Result<Self> {
        let given: HashMap<&str, &str> = rest.iter().filter_map(|argument| argument.split_once('=')).collect();
        let number = |key: &str, default: f64| given.get(key).map_or(Ok(default), |value| value.parse());
        let url = *given.get("url").context("url=… is missing")?;
        let hosts = number("hosts", 1.0)? as usize;
        // They live as long as the process does.
        let urls = (1..=hosts).map(|host| &*url.replace("{}", &host.to_string()).leak());
        Ok(Self {
            task: match task {
                "small" => Task::Small,
                "crowd" => Task::Crowd,
                "body" => Task::Body,
                "idle" => Task::Idle,
                _ => bail!("there is no task {task:?}"),
            },
            urls: urls.collect(),
            length: number("length", 0.0)? as u64,
            threads: number("threads", 1.0)? as usize,
            tasks: number("tasks", 1.0)? as usize,
            limit: given.get("limit").map(|limit| limit.parse()).transpose()?,
            ca: given.get("ca").map(|path| (*path).to_owned()),
            warm_up: Duration::from_secs_f64(number("warm_up", 0.0)?),
            measured: Duration::from_secs_f64(number("measured", 0.0)?),
        })
    }

    /// The first address.
    pub(crate) fn url(&self) -> &'static str {
        self.urls[0]
    }

    /// The certificate to trust.
    pub(crate) fn ca(&self) -> Result<Option<Vec<u8>>> {
        self.ca.as_ref().map(|path| std::fs::read(path).context("the certificate")).transpose()
    }

    /// The same for those whose TLS is told from outside.
    pub(crate) fn tls(&self) -> Result<rustls::ClientConfig> {
        use rustls::pki_types::{CertificateDer, pem::PemObject as _};
        let mut roots = rustls::RootCertStore::empty();
        for certificate in self.ca()?.iter().flat_map(|pem| CertificateDer::pem_slice_iter(pem)) {
            roots.add(certificate?)?;
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        Ok(builder.with_root_certificates(roots).with_no_client_auth())
    }

    /// The limit of those that have none.
    pub(crate) fn semaphore(&self) -> Option<Arc<Semaphore>> {
        self.limit.filter(|limit| *limit > 0).map(|limit| Arc::new(Semaphore::new(limit)))
    }
}

impl Job {
    fn new(plan: Plan) -> Self {
        Self {
            begun: Instant::now(),
            stop: AtomicBool::new(false),
            done: (0..plan.tasks).map(|_| Count::default()).collect(),
            waits: Mutex::default(),
            before: Mutex::default(),
            figures: Mutex::default(),
            plan,
        }
    }

    /// The first page, before anything is measured.
    pub(crate) async fn before<C: Client>(&self, client: &C) -> Result<()> {
        match self.plan.task {
            Task::Small | Task::Crowd => {}
            Task::Body => drop(client.get(&*self.plan.urls[0].replace("/long", "/").leak()).await?),
            Task::Idle => {
                client.get(self.plan.urls[0]).await?;
                let before = Before { memory: anonymous_memory()?, files: open_files()? };
                self.before.lock().expect("nobody panics with it").replace(before);
            }
        }
        Ok(())
    }

    /// What each task does.
    pub(crate) async fn work<C: Client>(self: Arc<Self>, client: C, number: usize) -> Result<()> {
        let url = self.plan.urls[number % self.plan.urls.len()];
        match self.plan.task {
            Task::Small => self.keep_asking(&client, url, number).await,
            Task::Crowd => self.keep_waiting(&client, url).await,
            Task::Body => self.read(&client, url).await,
            Task::Idle => self.expect(client.get(url).await? as u64),
        }
    }

    async fn keep_asking<C: Client>(&self, client: &C, url: &'static str, number: usize) -> Result<()> {
        let done = &self.done[number].0;
        while !self.stop.load(Ordering::Relaxed) {
            self.expect(client.get(url).await? as u64)?;
            // Nobody else writes it.
            done.store(done.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Every request that was not over before the measured time counts, however long it takes: those who starve from the beginning, too.
    async fn keep_waiting<C: Client>(&self, client: &C, url: &'static str) -> Result<()> {
        let mut waits = Vec::new();
        while !self.stop.load(Ordering::Relaxed) {
            let asked = Instant::now();
            self.expect(client.get(url).await? as u64)?;
            if self.begun.elapsed() >= self.plan.warm_up {
                waits.push(asked.elapsed().as_secs_f64() * 1e3);
            }
        }
        self.waits.lock().expect("nobody panics with it").extend(waits);
        Ok(())
    }

    async fn read<C: Client>(&self, client: &C, url: &'static str) -> Result<()> {
        let (begun, usage) = (Instant::now(), Usage::own()?);
        self.expect(client.read(url).await?)?;
        let (took, cpu) = (begun.elapsed().as_secs_f64(), Usage::own()?.since(&usage));
        self.note([("rate", self.plan.length as f64 / took / f64::from(1 << 20)), ("cpu", cpu.as_secs_f64())]);
        Ok(())
    }

    /// After the last task, while the client is still there.
    pub(crate) async fn after(&self) -> Result<()> {
        let Some(before) = self.before.lock().expect("nobody panics with it").take() else { return Ok(()) };
        // Tasks that the contestant has spawned come to rest.
        tokio::time::sleep(Duration::from_millis(500)).await;
        let connections = open_files()?.saturating_sub(before.files);
        let memory = anonymous_memory()?.saturating_sub(before.memory);
        self.note([("connections", connections as f64), ("memory", memory as f64 / 1024.0 / connections as f64)]);
        Ok(())
    }

    /// Says when to stop, and counts what was done meanwhile.
    fn watch(&self) {
        std::thread::sleep(self.plan.warm_up);
        let (begun, usage, done) = (Instant::now(), Usage::own(), self.pages());
        std::thread::sleep(self.plan.measured);
        let (took, now, pages) = (begun.elapsed().as_secs_f64(), Usage::own(), (self.pages() - done) as f64);
        self.stop.store(true, Ordering::Relaxed);
        if let (Task::Small, Ok(before), Ok(now)) = (self.plan.task, usage, now) {
            let cpu = now.since(&before).as_secs_f64() * 1e6;
            self.note([
                ("rate", pages / took),
                ("time", took * 1e6 * self.plan.tasks as f64 / pages),
                ("cpu", cpu / pages),
            ]);
        }
    }

    fn pages(&self) -> u64 {
        self.done.iter().map(|count| count.0.load(Ordering::Relaxed)).sum()
    }

    fn expect(&self, length: u64) -> Result<()> {
        ensure!(length == self.plan.length, "{length} bytes came instead of {}", self.plan.length);
        Ok(())
    }

    fn note(&self, figures: impl IntoIterator<Item = (&'static str, f64)>) {
        self.figures.lock().expect("nobody panics with it").extend(figures);
    }

    fn report(&self) {
        let mut waits = std::mem::take(&mut *self.waits.lock().expect("nobody panics with it"));
        waits.sort_by(f64::total_cmp);
        if let (Some(p50), Some(max)) = (median(&waits), waits.last()) {
            let p99 = waits[(waits.len() * 99 / 100).min(waits.len() - 1)];
            self.note([
                ("waits", waits.len() as f64),
                ("p50", p50),
                ("p99", p99),
                ("max", *max),
                ("spread", p99 / p50),
            ]);
        }
        for (name, value) in &*self.figures.lock().expect("nobody panics with it") {
            println!("{name} {value}");
        }
    }
}
