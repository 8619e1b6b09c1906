//! Results of a run: medians and ratios by group, client and metric, stored as JSON.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

/// Results of a run, as `bench/results.json` stores them.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Results {
    pub environment: Environment,
    /// By name, such as `small: 64 in flight, 2 threads`.
    pub groups: BTreeMap<String, Group>,
}

/// Date, machine and versions of a run.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Environment {
    /// Such as `23 November 2026`.
    pub date: String,
    pub minutes: f64,
    pub hardware: String,
    /// Percentage of the CPU time that other virtual machines took.
    pub steal_percent: f64,
    pub versions: String,
    /// True for a run of one short round, whose numbers are unreliable.
    pub quick: bool,
}

/// Measurements of one group: by client, then by metric.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Group(pub BTreeMap<String, BTreeMap<String, Measurement>>);

/// One metric of one client.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Measurement {
    /// Median over the rounds.
    pub median: f64,
    /// Median over the rounds of the baseline's ratio: trunkline's value divided by this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ratio: Option<f64>,
}

impl Results {
    /// Reads the stored results.
    ///
    /// # Errors
    ///
    /// Fails if the file is missing or is not in the format of this version.
    pub fn load(repository: &Path) -> Result<Self> {
        let path = file(repository);
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        serde_json::from_str(&text).with_context(|| path.display().to_string())
    }

    /// Replaces the stored results.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be written.
    pub fn store(&self, repository: &Path) -> Result<()> {
        let path = file(repository);
        let text = serde_json::to_string_pretty(self)? + "\n";
        fs::write(&path, text).with_context(|| path.display().to_string())
    }
}

impl Group {
    pub(crate) fn median(&self, client: &str, metric: &str) -> Option<f64> {
        Some(self.0.get(client)?.get(metric)?.median)
    }

    /// trunkline's value divided by the client's.
    pub(crate) fn ratio(&self, client: &str, metric: &str) -> Option<f64> {
        self.0.get(client)?.get(metric)?.ratio
    }
}

fn file(repository: &Path) -> PathBuf {
    repository.join("bench/results.json")
}

/// The median of sorted values.
pub fn median(sorted: &[f64]) -> Option<f64> {
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        length if length % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}
