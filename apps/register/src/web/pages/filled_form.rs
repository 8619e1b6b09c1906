//! Contents and errors of a form that is shown again.

use crate::web::problem::Problem;

/// A form with the values to show. The password is typed anew.
#[derive(Default)]
pub(super) struct FilledForm {
    pub(super) email: String,
    pub(super) email_error: Option<String>,
    pub(super) password_error: Option<String>,
    /// Error that belongs to no field of the form.
    pub(super) notice: Option<String>,
}

impl FilledForm {
    pub(super) fn refused(email: String, problem: &Problem) -> Self {
        let mut form = Self { email, ..Self::default() };
        for error in problem.errors() {
            let detail = error.detail.clone();
            match error.field.as_str() {
                "email" => form.email_error = Some(detail),
                "password" => form.password_error = Some(detail),
                field => form.notice = Some(format!("The field {field} {detail}.")),
            }
        }
        if problem.errors().is_empty() {
            form.notice = Some(problem.detail().to_owned());
        }
        form
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
