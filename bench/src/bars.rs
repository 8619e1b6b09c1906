//! What was to be reached, and whether it was.

use crate::table::number;

pub(crate) struct Bar {
    /// What is compared, against whom, and the bound.
    pub(crate) what: String,
    pub(crate) figure: String,
    /// None if the figure is missing.
    pub(crate) met: Option<bool>,
}

impl Bar {
    pub(crate) fn at_least(what: &str, bound: f64, figure: Option<f64>, unit: &str) -> Self {
        Self::new(format!("{what}: at least {}{unit}", number(bound)), figure, unit, |figure| figure >= bound)
    }

    pub(crate) fn at_most(what: &str, bound: f64, figure: Option<f64>, unit: &str) -> Self {
        Self::new(format!("{what}: at most {}{unit}", number(bound)), figure, unit, |figure| figure <= bound)
    }

    pub(crate) fn more_than(what: &str, bound: f64, figure: Option<f64>, unit: &str) -> Self {
        Self::new(format!("{what}: more than {}{unit}", number(bound)), figure, unit, |figure| figure > bound)
    }

    fn new(what: String, figure: Option<f64>, unit: &str, met: impl Fn(f64) -> bool) -> Self {
        let shown = figure.map_or("not measured".to_owned(), |figure| format!("{}{unit}", number(figure)));
        Self { what, figure: shown, met: figure.map(met) }
    }

    pub(crate) fn verdict(&self) -> &'static str {
        match self.met {
            Some(true) => "met",
            Some(false) => "**missed**",
            None => "not measured",
        }
    }
}
