//! Metrics of the service, parsed from `/metrics`.

use std::fmt;

/// Text in the format of Prometheus: name, labels, value.
pub(crate) struct ServiceFigures {
    text: String,
}

impl ServiceFigures {
    pub(crate) fn new(text: String) -> Self {
        Self { text }
    }

    /// Sum of the samples with this name and all of these labels, such as `state="idle"`. At least
    /// one has to exist.
    pub(crate) fn sum(&self, name: &str, labels: &[&str]) -> f64 {
        let found: Vec<f64> = self
            .text
            .lines()
            .filter_map(|line| {
                let (series, value) = line.split_once("} ").or_else(|| line.split_once(' '))?;
                let (own, given) = series.split_once('{').unwrap_or((series, ""));
                (own == name && labels.iter().all(|label| given.contains(label))).then(|| value.trim().parse().unwrap())
            })
            .collect();
        assert!(!found.is_empty(), "no {name} with {labels:?} in\n{self}");
        found.iter().sum()
    }

    /// Connections opened by the session.
    pub(crate) fn created(&self) -> usize {
        self.count("trunkline_connections_created_total", &[])
    }

    /// Requests on a reused connection.
    pub(crate) fn reused(&self) -> usize {
        self.count("trunkline_connections_reused_total", &[])
    }

    /// Open connections of the session.
    pub(crate) fn open(&self) -> usize {
        self.count("http_client_open_connections", &[])
    }

    pub(crate) fn mails_sent(&self) -> usize {
        self.count("register_mails_sent_total", &[])
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
    fn count(&self, name: &str, labels: &[&str]) -> usize {
        self.sum(name, labels) as usize
    }
}

impl fmt::Display for ServiceFigures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[test]
fn lines_are_summed_by_their_labels() {
    let text = "# HELP a b\na{x=\"1\",y=\"2\"} 3\na{x=\"2\"} 4\nb 5.5\nab 6\n";
    let figures = ServiceFigures::new(text.into());
    assert_eq!(figures.sum("a", &[]), 7.0);
    assert_eq!(figures.sum("a", &["x=\"1\""]), 3.0);
    assert_eq!(figures.sum("b", &[]), 5.5);
}
