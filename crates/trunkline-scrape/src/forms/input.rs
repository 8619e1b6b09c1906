//! The kinds of `<input>` that hold a text, and what of a text they take: the HTML standard's
//! "value sanitization algorithms".

use cssparser::color::{parse_hash_color, parse_named_color};
use scraper::ElementRef;

use super::moment;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum InputType {
    Hidden,
    Text,
    Search,
    Tel,
    Url,
    Email { multiple: bool },
    Password,
    Date,
    Month,
    Week,
    Time,
    DateTimeLocal,
    Number,
    Range(Range),
    Color,
}

/// The range of a slider.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Range {
    min: f64,
    max: f64,
    /// From `base`; none for `any`.
    step: Option<f64>,
    base: f64,
}

impl InputType {
    /// The type of an `<input>` with this `type`. An unknown one is `text`.
    pub(super) fn of(element: ElementRef<'_>, name: &str) -> Self {
        match name {
            "hidden" => Self::Hidden,
            "search" => Self::Search,
            "tel" => Self::Tel,
            "url" => Self::Url,
            "email" => Self::Email { multiple: element.attr("multiple").is_some() },
            "password" => Self::Password,
            "date" => Self::Date,
            "month" => Self::Month,
            "week" => Self::Week,
            "time" => Self::Time,
            "datetime-local" => Self::DateTimeLocal,
            "number" => Self::Number,
            "range" => Self::Range(Range::of(element)),
            "color" => Self::Color,
            _ => Self::Text,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Hidden => "hidden",
            Self::Text => "text",
            Self::Search => "search",
            Self::Tel => "tel",
            Self::Url => "url",
            Self::Email { .. } => "email",
            Self::Password => "password",
            Self::Date => "date",
            Self::Month => "month",
            Self::Week => "week",
            Self::Time => "time",
            Self::DateTimeLocal => "datetime-local",
            Self::Number => "number",
            Self::Range(_) => "range",
            Self::Color => "color",
        }
    }

    /// True if the direction of its text can be sent along (`dirname`).
    pub(super) fn has_direction(self) -> bool {
        use InputType::{Email, Hidden, Password, Search, Tel, Text, Url};
        matches!(self, Hidden | Text | Search | Tel | Url | Email { .. } | Password)
    }

    /// Sanitizes a text. Returns an empty text for one that the field does not take.
    pub(super) fn sanitized(self, value: &str) -> String {
        match self {
            Self::Hidden => value.to_owned(),
            Self::Text | Self::Search | Self::Tel | Self::Password => one_line(value),
            Self::Url | Self::Email { multiple: false } => trimmed(&one_line(value)).to_owned(),
            Self::Email { multiple: true } => {
                let line = one_line(value);
                let addresses: Vec<_> = line.split(',').map(trimmed).collect();
                addresses.join(",")
            }
            Self::Number => number(value).map(|_| value.to_owned()).unwrap_or_default(),
            Self::Range(range) => range.sanitized(value),
            Self::Color => color(value).unwrap_or_else(|| "#000000".to_owned()),
            Self::Date => moment::if_valid(value, moment::date),
            Self::Month => moment::if_valid(value, moment::month),
            Self::Week => moment::if_valid(value, moment::week),
            Self::Time => moment::if_valid(value, moment::time),
            Self::DateTimeLocal => moment::local(value).unwrap_or_default(),
        }
    }

    /// True if it takes this text, possibly without its line breaks.
    pub(super) fn takes(self, value: &str) -> bool {
        match self {
            Self::Range(_) => number(value).is_some(),
            Self::Color => color(value).is_some(),
            _ => value.is_empty() || !self.sanitized(value).is_empty() || trimmed(value).is_empty(),
        }
    }
}

fn one_line(text: &str) -> String {
    text.replace(['\r', '\n'], "")
}

/// Without ASCII white space around it.
fn trimmed(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\n', '\r', '\x0c'])
}

/// The standard's "rules for parsing floating-point number values", for one that is valid: `+1`,
/// `1.` and ` 1` are not.
fn number(text: &str) -> Option<f64> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).map_or((unsigned, None), |(m, e)| (m, Some(e)));
    let mantissa = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole.is_empty() || digits(whole)) && digits(fraction),
        None => digits(mantissa),
    };
    let exponent = exponent.is_none_or(|exponent| digits(exponent.strip_prefix(['-', '+']).unwrap_or(exponent)));
    (mantissa && exponent).then(|| text.parse().ok()).flatten().filter(|number: &f64| number.is_finite())
}

/// `#rgb`, `#rrggbb` and the like, and the names of CSS, in the form that is sent. Of its
/// functions, `rgb()` and the others, none.
fn color(text: &str) -> Option<String> {
    let text = trimmed(text);
    let (red, green, blue) = match text.strip_prefix('#') {
        Some(digits) => parse_hash_color(digits.as_bytes()).ok().map(|(red, green, blue, _)| (red, green, blue))?,
        None => parse_named_color(&text.to_ascii_lowercase()).ok()?,
    };
    Some(format!("#{red:02x}{green:02x}{blue:02x}"))
}

/// The standard's "rules for parsing non-negative integers": `3px` is 3.
pub(super) fn integer(text: &str) -> Option<u32> {
    let text = text.trim_start_matches([' ', '\t', '\n', '\r', '\x0c']);
    let text = text.strip_prefix('+').unwrap_or(text);
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    text[..digits].parse().ok()
}

impl Range {
    fn of(element: ElementRef<'_>) -> Self {
        let attribute = |name| element.attr(name).and_then(number);
        let step = match element.attr("step") {
            Some(step) if step.eq_ignore_ascii_case("any") => None,
            step => Some(step.and_then(number).filter(|step| *step > 0.0).unwrap_or(1.0)),
        };
        let min = attribute("min");
        let base = min.or_else(|| attribute("value")).unwrap_or(0.0);
        Self { min: min.unwrap_or(0.0), max: attribute("max").unwrap_or(100.0), step, base }
    }

    fn sanitized(self, value: &str) -> String {
        let Self { min, max, step, base } = self;
        let middle = if max < min { min } else { min + (max - min) / 2.0 };
        let mut number = number(value).unwrap_or(middle).min(max).max(min);
        if let Some(step) = step {
            // "If two numbers match these constraints, user agents must use the one nearest to
            // positive infinity."
            let nearest = base + ((number - base) / step + 0.5).floor() * step;
            number = if nearest > max && nearest - step >= min { nearest - step } else { nearest };
            number = if number < min && number + step <= max { number + step } else { number };
        }
        number.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_written_as_the_standard_has_it() {
        for valid in ["0", "-1", "1.5", ".5", "-.5", "1e3", "1E+3", "1e-3"] {
            assert_eq!(InputType::Number.sanitized(valid), valid);
        }
        for invalid in ["", "+1", "1.", ".", "e3", "1e", " 1", "1 ", "0x1", "inf", "NaN", "1e999", "1,5"] {
            assert_eq!(InputType::Number.sanitized(invalid), "", "{invalid}");
        }
    }

    #[test]
    fn a_slider_stays_within_its_bounds_and_on_its_steps() {
        let range = |min, max, step, base| Range { min, max, step, base };
        for (range, value, expected) in [
            (range(0.0, 100.0, Some(1.0), 0.0), "", "50"),
            (range(0.0, 100.0, Some(1.0), 0.0), "700", "100"),
            (range(10.0, 5.0, Some(1.0), 10.0), "7", "10"),
            (range(0.0, 10.0, Some(4.0), 0.0), "10", "8"),
            (range(0.0, 10.0, Some(4.0), 0.0), "2", "4"),
            (range(0.0, 1.0, None, 0.0), "0.123", "0.123"),
        ] {
            assert_eq!(range.sanitized(value), expected, "{range:?} {value}");
        }
    }
}
