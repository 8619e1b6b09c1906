//! The forms of a page: chosen, filled in, and sent as a browser would send them.

mod choice;
mod control;
mod direction;
mod encode;
mod entries;
mod field;
mod fill;
mod form_owner;
mod inherited;
mod initial_state;
mod input;
mod moment;
mod multipart;
mod read;
mod submission;
mod upload;
mod value;

use std::fmt;
use std::sync::Arc;

use ego_tree::NodeId;
use scraper::ElementRef;

pub use self::choice::FormChoice;
use self::control::{Control, Sending};
pub use self::field::Field;
pub(crate) use self::read::read;
pub use self::submission::{Submission, Submitter};
pub use self::upload::Upload;
pub use self::value::Value;
use crate::error::Result;
use crate::tree::Context;

/// A form, with what it holds: at first what the page has put there, then what it is filled with.
///
/// It is independent of its page, which may be gone by the time the form is sent, and may be sent
/// more than once.
///
/// ```
/// # use http::HeaderMap;
/// # use trunkline_scrape::{Document, FormChoice, Submitter};
/// # use url::Url;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let url = Url::parse("https://example.com/")?;
/// let page = Document::parse(&url, &HeaderMap::new(), r#"
///     <form id=order action=/order>
///         <input type=hidden name=shop value=7>
///         <select name=size><option>S<option selected>M<option>L</select>
///         <label><input type=checkbox name=gift> as a gift</label>
///         <button name=do value=ask>Ask</button> <button name=do value=buy>Buy</button>
///     </form>"#)?;
/// let mut order = page.form(&FormChoice::Id("order".into()))?;
/// order.fill("size", "L")?.fill("gift", true)?;
/// let submission = order.submit_with(&Submitter::Value("do".into(), "buy".into()))?;
/// assert_eq!(submission.url().as_str(), "https://example.com/order?shop=7&size=L&gift=on&do=buy");
///
/// let error = order.fill("colour", "red").unwrap_err();
/// let fields = r#""shop" (hidden), "size" (select), "gift" (checkbox)"#;
/// assert_eq!(error.to_string(), format!(r#"the form has no field "colour"; it has {fields}"#));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Form {
    page: Arc<Context>,
    node: NodeId,
    id: Option<String>,
    name: Option<String>,
    sending: Sending,
    accept_charset: Option<String>,
    controls: Vec<Control>,
}

impl Form {
    fn new(page: Arc<Context>, element: ElementRef<'_>, controls: Vec<Control>) -> Self {
        let owned = |name| element.attr(name).map(str::to_owned);
        Self {
            page,
            node: element.id(),
            id: owned("id").filter(|id| !id.is_empty()),
            name: owned("name").filter(|name| !name.is_empty()),
            sending: Sending { action: owned("action"), method: owned("method"), enctype: owned("enctype") },
            accept_charset: owned("accept-charset"),
            controls,
        }
    }

    /// Its `id`.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Its `name`.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Its `action`, as the page has it. A button's may be sent to instead: [`Submission::url`] is
    /// where it goes in the end.
    pub fn action(&self) -> &str {
        self.sending.action.as_deref().unwrap_or_default()
    }

    /// Its fields that have a name, in the order of the page: hidden ones too, but not its buttons.
    pub fn fields(&self) -> impl Iterator<Item = Field<'_>> {
        self.controls.iter().filter(|control| !control.is_button() && !control.name.is_empty()).map(Field)
    }

    /// Its buttons that submit, in the order of the page, named or not.
    pub fn buttons(&self) -> impl Iterator<Item = Field<'_>> {
        self.controls.iter().filter(|control| control.submits().is_some()).map(Field)
    }

    /// True if the form has a password field.
    pub fn has_password(&self) -> bool {
        self.passwords() > 0
    }

    pub(crate) fn passwords(&self) -> usize {
        self.controls.iter().filter(|control| control.is_password()).count()
    }

    /// Fills in the field of this name; what it held before is gone. Fields of one name are filled
    /// one after the other if there are several values.
    ///
    /// | field | value |
    /// |---|---|
    /// | a text, a textarea, a hidden one | the text |
    /// | a checkbox | `true` or `false`; or its value, one of several checkboxes |
    /// | radio buttons | the value of the one to be chosen |
    /// | a select | the value of the option, not what it shows; several for `multiple` |
    /// | a file | an [`Upload`]; several for `multiple` |
    ///
    /// If a hidden field and a visible one share the name, the visible one is filled in. A value of
    /// which a browser would only warn (a text that is too short, or does not match the pattern) is
    /// sent as it is; a value that a field cannot hold, `ten` in a number's, is an error.
    ///
    /// # Errors
    ///
    /// One that [`is_input`](crate::Error::is_input): there is no such field, and the text lists
    /// those that there are; it is disabled; or it cannot hold this value, and the text says
    /// what it can. What it was filled with is not told.
    pub fn fill(&mut self, name: &str, value: impl Into<Value>) -> Result<&mut Self> {
        fill::fill(&mut self.controls, name, value.into())?;
        Ok(self)
    }

    /// As if the Enter key were pressed: with the form's first button that submits, or without any
    /// if it has none.
    ///
    /// # Errors
    ///
    /// One that [`is_form`](crate::Error::is_form): that button is disabled, the form is a
    /// dialog's, or it leads to something else than an http or https address.
    pub fn submit(&self) -> Result<Submission> {
        self.submit_with(&Submitter::Default)
    }

    /// With this button, or none. Whether the fields hold what the page demands of them is not
    /// looked at.
    ///
    /// # Errors
    ///
    /// As [`submit`](Self::submit), and one that [`is_input`](crate::Error::is_input), and lists
    /// the buttons there are, for a button that it has not.
    pub fn submit_with(&self, submitter: &Submitter) -> Result<Submission> {
        submission::submit(self, submitter)
    }

    pub(crate) fn node(&self) -> NodeId {
        self.node
    }
}

/// Without the values of its fields.
impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields: Vec<_> = self.fields().collect();
        f.debug_struct("Form")
            .field("id", &self.id)
            .field("name", &self.name)
            .field("fields", &fields)
            .finish_non_exhaustive()
    }
}
