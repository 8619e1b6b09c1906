//! What a contestant is to do, as the arguments say it: `TASK key=value …`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::sync::Semaphore;

/// What is to be done, as the arguments have it.
pub(crate) struct Plan {
    pub(crate) task: Task,
    /// The address; `{}` in it is the host's number, from 1.
    pub(crate) urls: Vec<&'static str>,
    /// The length of the page.
    pub(crate) length: u64,
    pub(crate) threads: usize,
    pub(crate) tasks: usize,
    /// The most connections; 0 for no limit, and without it the contestant's own default.
    pub(crate) limit: Option<usize>,
    ca: Option<String>,
    pub(crate) warm_up: Duration,
    pub(crate) measured: Duration,
    /// Each task ends after so many pages, and nothing is timed: for tools that count instructions.
    pub(crate) pages: Option<u64>,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Task {
    /// Small pages, one after the other in each task, for a time.
    Small,
    /// The same, and how long each took.
    Crowd,
    /// One long body.
    Body,
    /// One page in each task, all at once; then the memory of the connections.
    Idle,
}

impl Plan {
    pub(crate) fn parse(task: &str, rest: &[String]) -> Result<Self> {
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
            pages: given.get("pages").map(|pages| pages.parse()).transpose()?,
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
