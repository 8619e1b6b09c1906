//! Form fields of `--field`. A password is never among them.

use std::fmt;

use anyhow::Context as _;
use trunkline_scrape::{Error, Form, Login};
use url::form_urlencoded;

use crate::exit::UsageError;

/// Values by field name. A name that was given more than once has all its values.
pub(super) struct LoginFields(Vec<(String, Vec<String>)>);

impl LoginFields {
    /// # Errors
    ///
    /// A text is not `NAME=VALUE`.
    pub(super) fn parse(texts: &[String]) -> anyhow::Result<Self> {
        let mut fields: Vec<(String, Vec<String>)> = Vec::new();
        for text in texts {
            let named = text.split_once('=').filter(|(name, _)| !name.is_empty());
            let (name, value) =
                named.with_context(|| format!("the field {text:?} is not NAME=VALUE, such as username=ann"))?;
            match fields.iter_mut().find(|(known, _)| known == name) {
                Some((_, values)) => values.push(value.to_owned()),
                None => fields.push((name.to_owned(), vec![value.to_owned()])),
            }
        }
        Ok(Self(fields))
    }

    /// Checks that the form has these fields, and that none of them is for a password.
    ///
    /// # Errors
    ///
    /// [`UsageError`], with the field's name.
    pub(super) fn check(&self, form: &Form) -> anyhow::Result<()> {
        let mut trial = form.clone();
        for (name, values) in &self.0 {
            if form.fields().any(|field| field.name() == name && field.kind() == "password") {
                return Err(UsageError::with_message(format!(
                    "the field {name:?} is for a password, which is never an argument, as others can read those: leave it \
                     out to be asked for it, or use --password-file or --password-env"
                )));
            }
            trial.fill(name, values.clone()).map_err(unusable)?;
        }
        Ok(())
    }

    pub(super) fn fill(self, login: Login) -> Login {
        self.0.into_iter().fold(login, |login, (name, values)| login.field(name, values))
    }
}

/// Encoded as a query.
impl fmt::Display for LoginFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pairs = self.0.iter().flat_map(|(name, values)| values.iter().map(move |value| (name, value)));
        f.write_str(&form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish())
    }
}

/// Name of the password field, if the form has one.
///
/// # Errors
///
/// [`UsageError`]: the form has several and none was named, or the named field is not one.
pub(super) fn for_password(form: &Form, named: Option<&str>) -> anyhow::Result<Option<String>> {
    let all = || form.fields().filter(|field| field.kind() == "password" && !field.is_disabled());
    let names = || all().map(|field| format!("{:?}", field.name())).collect::<Vec<_>>().join(", ");
    match named {
        Some(name) if all().any(|field| field.name() == name) => Ok(Some(name.to_owned())),
        Some(name) if all().next().is_none() => Err(UsageError::with_message(format!(
            "the form has no field for a password, so --password-field {name:?} does not apply"
        ))),
        Some(name) => Err(UsageError::with_message(format!(
            "--password-field {name:?} is not a field for a password; the form has {}",
            names()
        ))),
        None if all().nth(1).is_some() => Err(UsageError::with_message(format!(
            "the form has several fields for a password, {}: say which with --password-field NAME",
            names()
        ))),
        None => Ok(all().next().map(|field| field.name().to_owned())),
    }
}

/// Converts the scraper's error: a missing form or field is an error in the arguments.
pub(super) fn unusable(error: Error) -> anyhow::Error {
    if error.is_input() { UsageError::with_message(error) } else { error.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_a_name_and_a_value_and_may_have_several() {
        let texts = ["user=ann", "tag=a", "empty=", "tag=b=c"].map(String::from);
        let fields = LoginFields::parse(&texts).unwrap().0;
        let fields: Vec<_> = fields.iter().map(|(name, values)| (name.as_str(), values.join(","))).collect();
        assert_eq!(fields, [("user", "ann".into()), ("tag", "a,b=c".into()), ("empty", String::new())]);
        for unusable in ["", "ann", "=ann"] {
            assert!(LoginFields::parse(&[unusable.into()]).is_err(), "{unusable}");
        }
    }
}
