//! Figures of rounds: medians, and ratios that are taken in each round before their median is.

use std::collections::{BTreeMap, HashMap};

/// One contestant's figures of one round, by name.
pub(crate) type Figures = BTreeMap<String, f64>;

/// The figures of all rounds. In each round every contestant had its turn, one after the other.
#[derive(Default)]
pub(crate) struct Rounds(Vec<HashMap<&'static str, Figures>>);

impl Rounds {
    pub(crate) fn add(&mut self, round: usize, who: &'static str, figures: Figures) {
        if self.0.len() <= round {
            self.0.resize_with(round + 1, HashMap::new);
        }
        self.0[round].insert(who, figures);
    }

    /// The median over the rounds; none if this contestant has no such figure.
    pub(crate) fn median(&self, who: &str, figure: &str) -> Option<f64> {
        median(&sorted(self.0.iter().filter_map(|round| value(round, who, figure))))
    }

    /// The median over the rounds of one's figure divided by another's.
    pub(crate) fn ratio(&self, one: &str, other: &str, figure: &str) -> Option<f64> {
        self.ratio_of((one, figure), (other, figure))
    }

    pub(crate) fn ratio_of(&self, one: (&str, &str), other: (&str, &str)) -> Option<f64> {
        let ratios =
            self.0.iter().filter_map(|round| Some(value(round, one.0, one.1)? / value(round, other.0, other.1)?));
        median(&sorted(ratios))
    }
}

fn value(round: &HashMap<&'static str, Figures>, who: &str, figure: &str) -> Option<f64> {
    round.get(who)?.get(figure).copied()
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

/// The middle of sorted values.
pub(crate) fn median(sorted: &[f64]) -> Option<f64> {
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        length if length % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_taken_in_each_round() {
        let mut rounds = Rounds::default();
        for (round, (one, other)) in [(10.0, 5.0), (30.0, 10.0), (4.0, 1.0)].into_iter().enumerate() {
            rounds.add(round, "one", Figures::from([("rate".to_owned(), one)]));
            rounds.add(round, "other", Figures::from([("rate".to_owned(), other)]));
        }
        assert_eq!(rounds.median("one", "rate"), Some(10.0));
        assert_eq!(rounds.median("other", "rate"), Some(5.0));
        assert_eq!(rounds.ratio("one", "other", "rate"), Some(3.0));
        assert_eq!(rounds.ratio("one", "nobody", "rate"), None);
    }
}
