//! Values for fields.

use std::fmt;

use super::upload::Upload;

/// The value of a field, for [`Form::fill`](crate::Form::fill): made of a text, a `bool`, several
/// texts, an [`Upload`] or several.
///
/// Its `Debug` does not show it: it may be a password.
#[derive(Clone)]
pub struct Value(pub(super) Inner);

#[derive(Clone)]
pub(super) enum Inner {
    Texts(Vec<String>),
    Tick(bool),
    Files(Vec<Upload>),
}

impl From<bool> for Value {
    fn from(on: bool) -> Self {
        Self(Inner::Tick(on))
    }
}

impl From<Upload> for Value {
    fn from(upload: Upload) -> Self {
        Self(Inner::Files(vec![upload]))
    }
}

impl From<Vec<Upload>> for Value {
    fn from(uploads: Vec<Upload>) -> Self {
        Self(Inner::Files(uploads))
    }
}

macro_rules! from_texts {
    ($([$($generic:tt)*] $texts:ty: $value:ident => $made:expr;)*) => {$(
        impl<$($generic)*> From<$texts> for Value {
            fn from($value: $texts) -> Self {
                Self(Inner::Texts($made))
            }
        }
    )*};
}
from_texts! {
    [] &str: value => vec![value.to_owned()];
    [] String: value => vec![value];
    [] &String: value => vec![value.clone()];
    [] Vec<String>: values => values;
    [] Vec<&str>: values => values.into_iter().map(str::to_owned).collect();
    [] &[&str]: values => values.iter().map(|&value| value.to_owned()).collect();
    [const N: usize] [&str; N]: values => values.map(str::to_owned).into();
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Inner::Texts(texts) => write!(f, "Value({} texts)", texts.len()),
            Inner::Tick(on) => write!(f, "Value({on})"),
            Inner::Files(files) => write!(f, "Value({} files)", files.len()),
        }
    }
}
