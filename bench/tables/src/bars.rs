//! Bars: the performance goals of trunkline, each with its measured value.

use crate::table::number;

/// A goal and its measured value.
pub(crate) struct Bar {
    /// The comparison and the bound.
    pub(crate) goal: String,
    pub(crate) value: String,
    /// True if the value meets the bound, `None` if it was not measured.
    pub(crate) met: Option<bool>,
}

impl Bar {
    pub(crate) fn at_least(quantity: &str, bound: f64, value: Option<f64>, unit: &str) -> Self {
        Self::new(format!("{quantity}: at least {}{unit}", number(bound)), value, unit, |value| value >= bound)
    }

    pub(crate) fn at_most(quantity: &str, bound: f64, value: Option<f64>, unit: &str) -> Self {
        Self::new(format!("{quantity}: at most {}{unit}", number(bound)), value, unit, |value| value <= bound)
    }

    pub(crate) fn more_than(quantity: &str, bound: f64, value: Option<f64>, unit: &str) -> Self {
        Self::new(format!("{quantity}: more than {}{unit}", number(bound)), value, unit, |value| value > bound)
    }

    fn new(goal: String, value: Option<f64>, unit: &str, meets: impl Fn(f64) -> bool) -> Self {
        let text = value.map_or("not measured".to_owned(), |value| format!("{}{unit}", number(value)));
        Self { goal, value: text, met: value.map(meets) }
    }

    pub(crate) fn verdict(&self) -> &'static str {
        match self.met {
            Some(true) => "met",
            Some(false) => "**missed**",
            None => "not measured",
        }
    }
}
