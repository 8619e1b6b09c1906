//! A field, to be looked at.

use std::fmt;

use super::control::{Control, Kind};

/// A field of a form, or one of its buttons.
#[derive(Clone, Copy)]
pub struct Field<'a>(pub(super) &'a Control);

impl<'a> Field<'a> {
    /// Its name; empty for a button that has none.
    pub fn name(&self) -> &'a str {
        &self.0.name
    }

    /// Its `id`.
    pub fn id(&self) -> Option<&'a str> {
        self.0.id.as_deref()
    }

    /// The kind of the field: the `type` of an `<input>`, or `textarea`, `select`, `select
    /// multiple`, `submit`.
    pub fn kind(&self) -> &'static str {
        self.0.type_name()
    }

    /// True if the field is disabled, by itself or by its fieldset, and so not sent.
    pub fn is_disabled(&self) -> bool {
        self.0.disabled
    }

    /// The values that the field would send now: none for an unchecked box, several for a select
    /// with several options chosen, the name for a file. A password's value is a secret.
    pub fn values(&self) -> Vec<&'a str> {
        match &self.0.kind {
            Kind::Input(_, value) | Kind::Textarea { value, .. } => vec![value],
            Kind::Checkbox(tick) | Kind::Radio(tick) => tick.on.then_some(tick.value.as_str()).into_iter().collect(),
            Kind::Select { options, .. } => {
                let chosen = options.iter().filter(|option| option.selected && !option.disabled);
                chosen.map(|option| option.value.as_str()).collect()
            }
            Kind::File { chosen, .. } => chosen.iter().map(|upload| upload.name.as_str()).collect(),
            Kind::Submit(button) | Kind::Image(button) => vec![&button.value],
            Kind::Idle => Vec::new(),
        }
    }

    /// The values that it can be filled with, if it is not free: those of a select's options, or
    /// that of a checkbox or radio button.
    pub fn options(&self) -> Vec<&'a str> {
        match &self.0.kind {
            Kind::Checkbox(tick) | Kind::Radio(tick) => vec![&tick.value],
            Kind::Select { options, .. } => {
                let open = options.iter().filter(|option| !option.disabled);
                open.map(|option| option.value.as_str()).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// Without its value.
impl fmt::Debug for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} ({})", self.name(), self.kind())
    }
}

/// So many things are listed in an error, and no more.
const LISTED: usize = 20;

/// `"user" (text), "pass" (password)`
pub(super) fn list(mut things: impl Iterator<Item = String>, none: &str) -> String {
    let mut listed: Vec<_> = things.by_ref().take(LISTED).collect();
    match things.count() {
        0 if listed.is_empty() => return none.to_owned(),
        0 => {}
        more => listed.push(format!("and {more} more")),
    }
    listed.join(", ")
}
