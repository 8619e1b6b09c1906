//! Rounds of a section: the metrics of each client in each round, and their medians and ratios.

use std::collections::{BTreeMap, HashMap};

use bench_tables::{Group, Measurement, median};

/// The metrics of one client in one round, by name.
pub(crate) type Metrics = BTreeMap<String, f64>;

/// The metrics of all rounds. In each round every client has its turn, one after the other.
#[derive(Default)]
pub(crate) struct Rounds(Vec<HashMap<&'static str, Metrics>>);

impl Rounds {
    pub(crate) fn add(&mut self, round: usize, client: &'static str, metrics: Metrics) {
        if self.0.len() <= round {
            self.0.resize_with(round + 1, HashMap::new);
        }
        self.0[round].insert(client, metrics);
    }

    /// The median of each metric, and trunkline's ratio to each other client.
    pub(crate) fn summarize(&self) -> Group {
        let mut group = Group::default();
        for (client, metric) in
            self.0.iter().flatten().flat_map(|(client, metrics)| metrics.keys().map(move |metric| (*client, metric)))
        {
            let ratio = (client != "trunkline").then(|| self.ratio(("trunkline", metric), (client, metric))).flatten();
            if let Some(median) = self.median(client, metric) {
                let measurement = Measurement { median, ratio };
                group.0.entry(client.to_owned()).or_default().insert(metric.clone(), measurement);
            }
        }
        group
    }

    /// The median over the rounds; `None` if the client has no such metric.
    pub(crate) fn median(&self, client: &str, metric: &str) -> Option<f64> {
        median(&sorted(self.0.iter().filter_map(|round| value(round, client, metric))))
    }

    /// The median over the rounds of the ratio of two metrics, each a pair of client and name.
    pub(crate) fn ratio(&self, numerator: (&str, &str), denominator: (&str, &str)) -> Option<f64> {
        let ratios = self.0.iter().filter_map(|round| {
            Some(value(round, numerator.0, numerator.1)? / value(round, denominator.0, denominator.1)?)
        });
        median(&sorted(ratios))
    }
}

fn value(round: &HashMap<&'static str, Metrics>, client: &str, metric: &str) -> Option<f64> {
    round.get(client)?.get(metric).copied()
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_computed_within_each_round() {
        let mut rounds = Rounds::default();
        for (round, (ours, theirs)) in [(10.0, 5.0), (30.0, 10.0), (4.0, 1.0)].into_iter().enumerate() {
            rounds.add(round, "trunkline", Metrics::from([("rate".to_owned(), ours)]));
            rounds.add(round, "reqwest", Metrics::from([("rate".to_owned(), theirs)]));
        }
        assert_eq!(rounds.median("trunkline", "rate"), Some(10.0));
        assert_eq!(rounds.median("reqwest", "rate"), Some(5.0));
        assert_eq!(rounds.ratio(("trunkline", "rate"), ("reqwest", "rate")), Some(3.0));
        assert_eq!(rounds.ratio(("trunkline", "rate"), ("absent", "rate")), None);
        let group = rounds.summarize();
        assert_eq!(group.0["trunkline"]["rate"].ratio, None);
        assert_eq!((group.0["reqwest"]["rate"].median, group.0["reqwest"]["rate"].ratio), (5.0, Some(3.0)));
    }
}
