//! Button that submits a form.

use super::Form;
use super::control::{Control, Kind};
use super::field::{Field, list};
use crate::error::{Error, Result};

/// The button that a form is sent with. What it is called, and what it says of how to send the
/// form, goes along.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Submitter {
    /// The first one of the form, as for the Enter key; none, if it has none.
    #[default]
    Default,
    /// None, as when a script submits the form.
    None,
    /// The first with this `name`.
    Name(String),
    /// The first with this `name` and this `value`.
    Value(String, String),
    /// The one with this `id`.
    Id(String),
    /// By its place among the form's buttons that submit; the first is 0.
    Position(usize),
    /// The first image with this `name`, clicked so many pixels from its left and upper edge. Any
    /// other choice of an image clicks it at 0, 0.
    Image(String, u32, u32),
}

/// A button, and where it was clicked.
#[derive(Clone, Copy)]
pub(super) struct Clicked<'a> {
    pub(super) button: &'a Control,
    pub(super) at: (u32, u32),
}

impl Submitter {
    pub(super) fn of<'a>(&self, form: &'a Form) -> Result<Option<Clicked<'a>>> {
        let mut buttons = form.controls.iter().filter(|control| control.submits().is_some());
        let button = match self {
            Self::None => return Ok(None),
            Self::Default => match buttons.next() {
                Some(button) => Some(button),
                None => return Ok(None),
            },
            Self::Name(name) => buttons.find(|button| button.name == *name),
            Self::Value(name, value) => buttons
                .find(|button| button.name == *name && button.submits().is_some_and(|button| button.value == *value)),
            Self::Id(id) => buttons.find(|button| button.id.as_deref() == Some(id)),
            Self::Position(place) => buttons.nth(*place),
            Self::Image(name, ..) => {
                buttons.find(|button| button.name == *name && matches!(button.kind, Kind::Image(_)))
            }
        };
        let at = if let Self::Image(_, x, y) = self { (*x, *y) } else { (0, 0) };
        match button {
            None => Err(self.missing(form)),
            Some(button) if button.disabled => Err(Error::form(format!(
                "the form's button {:?} is disabled, so it sends nothing: choose another one, or none (Submitter::None)",
                Field(button)
            ))),
            Some(button) => Ok(Some(Clicked { button, at })),
        }
    }

    fn missing(&self, form: &Form) -> Error {
        let words = match self {
            Self::Default | Self::None => String::new(),
            Self::Name(name) => format!("with the name {name:?}"),
            Self::Value(name, value) => format!("with the name {name:?} and the value {value:?}"),
            Self::Id(id) => format!("with the id {id:?}"),
            Self::Position(place) => format!("number {place} (the first is 0)"),
            Self::Image(name, ..) => format!("that is an image with the name {name:?}"),
        };
        let buttons = form.buttons().map(|button| {
            let id = button.id().map(|id| format!(" id={id:?}")).unwrap_or_default();
            format!("{button:?}{id} value={:?}", button.values().first().copied().unwrap_or_default())
        });
        Error::input(format!("the form has no button {words} that submits; it has {}", list(buttons, "none")))
    }
}
