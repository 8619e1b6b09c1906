//! The choice of one of a page's forms.

use super::Form;
use super::field::list;
use crate::error::{Error, Result};

/// The choice of one of a page's forms.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum FormChoice {
    /// The first one with one field for a password, as logins have; else the first with several, as
    /// where a password is chosen or changed.
    #[default]
    Password,
    /// The one with this `id`.
    Id(String),
    /// The first one with this `name`.
    Name(String),
    /// By its place on the page; the first is 0.
    Position(usize),
    /// The first one that this CSS selector finds.
    Selector(String),
}

impl FormChoice {
    /// `matching` tells which forms a selector finds.
    pub(crate) fn among<'a>(
        &self,
        forms: &'a [Form],
        matching: impl FnOnce(&str) -> Result<Vec<bool>>,
    ) -> Result<&'a Form> {
        let found = match self {
            Self::Password => {
                let login = forms.iter().find(|form| form.passwords() == 1);
                login.or_else(|| forms.iter().find(|form| form.has_password()))
            }
            Self::Id(id) => forms.iter().find(|form| form.id() == Some(id)),
            Self::Name(name) => forms.iter().find(|form| form.name() == Some(name)),
            Self::Position(place) => forms.get(*place),
            Self::Selector(selector) => {
                let matching = matching(selector)?;
                forms.iter().zip(matching).find_map(|(form, matches)| matches.then_some(form))
            }
        };
        found.ok_or_else(|| Error::input(format!("the page has no form {}; {}", self.words(), there(forms))))
    }

    fn words(&self) -> String {
        match self {
            Self::Password => "with a password field".to_owned(),
            Self::Id(id) => format!("with the id {id:?}"),
            Self::Name(name) => format!("with the name {name:?}"),
            Self::Position(place) => format!("number {place} (the first is 0)"),
            Self::Selector(selector) => format!("that {selector:?} finds"),
        }
    }
}

fn there(forms: &[Form]) -> String {
    if forms.is_empty() {
        return "it has no form at all (scripts are not run)".to_owned();
    }
    let forms = forms.iter().enumerate().map(|(place, form)| {
        let id = form.id().map(|id| format!(" id={id:?}")).unwrap_or_default();
        let name = form.name().map(|name| format!(" name={name:?}")).unwrap_or_default();
        let action = form.action();
        // Tokens live in queries.
        let action = action.split(['?', '#']).next().unwrap_or_default();
        format!("{place}:{id}{name} action={action:?}")
    });
    format!("it has {}", list(forms, "none"))
}
