//! What was typed into a form, and what is wrong with it, for the form to be shown again.

use crate::web::problem::Problem;

/// A form as it is shown. The password is typed anew.
#[derive(Default)]
pub(super) struct Entry {
    pub(super) email: String,
    pub(super) email_error: Option<String>,
    pub(super) password_error: Option<String>,
    /// What is wrong with no field of the form's.
    pub(super) notice: Option<String>,
}

impl Entry {
    pub(super) fn refused(email: String, problem: &Problem) -> Self {
        let mut entry = Self { email, ..Self::default() };
        for error in problem.errors() {
            let detail = error.detail.clone();
            match error.field.as_str() {
                "email" => entry.email_error = Some(detail),
                "password" => entry.password_error = Some(detail),
                field => entry.notice = Some(format!("The field {field} {detail}.")),
            }
        }
        if problem.errors().is_empty() {
            entry.notice = Some(problem.detail().to_owned());
        }
        entry
    }

    /// The address is the first field that is not valid: that is where one begins to type.
    pub(super) fn email_first(&self) -> bool {
        self.email_error.is_some()
    }

    pub(super) fn password_first(&self) -> bool {
        self.email_error.is_none() && self.password_error.is_some()
    }

    pub(super) fn failed(&self) -> bool {
        self.email_error.is_some() || self.password_error.is_some() || self.notice.is_some()
    }
}
