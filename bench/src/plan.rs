//! Plan of a workload, parsed from arguments of the form `TASK key=value …`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::sync::Semaphore;

/// Parameters of a workload.
pub(crate) struct Plan {
    pub(crate) task: Task,
    /// URLs of the hosts. In the argument, `{}` stands for the host's number, from 1.
    pub(crate) urls: Vec<&'static str>,
    /// Length of the page in bytes.
    pub(crate) length: u64,
    pub(crate) threads: usize,
    pub(crate) tasks: usize,
    /// Limit on connections; 0 for no limit, `None` for the client's default.
    pub(crate) limit: Option<usize>,
    ca: Option<String>,
    pub(crate) warm_up: Duration,
    pub(crate) measured: Duration,
    /// Pages per task, after which the workload ends without timing: for tools that count
    /// instructions.
    pub(crate) pages: Option<u64>,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Task {
    /// Small pages for a fixed time, sequential within each task.
    Small,
    /// As `Small`, with the duration of each request.
    Contention,
    /// One large body.
    Body,
    /// One page per task, all at once; then the memory of the idle connections.
    Idle,
}

impl Plan {
    pub(crate) fn parse(task: &str, rest: &[String]) -> Result<Self> {
        let values: HashMap<&str, &str> = rest.iter().filter_map(|argument| argument.split_once('=')).collect();
        let number = |key: &str, default: f64| values.get(key).map_or(Ok(default), |value| value.parse());
        let url = *values.get("url").context("url=… is missing")?;
        let hosts = number("hosts", 1.0)? as usize;
        // Leaked: the URLs live as long as the process.
        let urls = (1..=hosts).map(|host| &*url.replace("{}", &host.to_string()).leak());
        Ok(Self {
            task: match task {
                "small" => Task::Small,
                "contention" => Task::Contention,
                "body" => Task::Body,
                "idle" => Task::Idle,
                _ => bail!("unknown task {task:?}"),
            },
            urls: urls.collect(),
            length: number("length", 0.0)? as u64,
            threads: number("threads", 1.0)? as usize,
            tasks: number("tasks", 1.0)? as usize,
            limit: values.get("limit").map(|limit| limit.parse()).transpose()?,
            ca: values.get("ca").map(|path| (*path).to_owned()),
            warm_up: Duration::from_secs_f64(number("warm_up", 0.0)?),
            measured: Duration::from_secs_f64(number("measured", 0.0)?),
            pages: values.get("pages").map(|pages| pages.parse()).transpose()?,
        })
    }

    /// URL of the first host.
    pub(crate) fn url(&self) -> &'static str {
        self.urls[0]
    }

    /// PEM text of the root certificate.
    pub(crate) fn ca(&self) -> Result<Option<Vec<u8>>> {
        self.ca.as_ref().map(|path| std::fs::read(path).context("the certificate")).transpose()
    }

    /// TLS configuration for the clients that take one.
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

    /// Semaphore for the clients without a limit of their own.
    pub(crate) fn semaphore(&self) -> Option<Arc<Semaphore>> {
        self.limit.filter(|limit| *limit > 0).map(|limit| Arc::new(Semaphore::new(limit)))
    }
}
