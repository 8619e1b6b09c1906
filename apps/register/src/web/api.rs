//! The API, for programs: JSON in, and nothing or a problem out.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use utoipa::ToSchema;

use super::Web;
use super::error_responses::ErrorResponses;
use super::fields::{Fields, FromFields, Json};
use super::problem::Problem;
use crate::accounts::{Accounts, Activation, Address, Password, Refused, Token};

pub(super) fn router() -> Router<Web> {
    Router::new()
        .route("/api/register", post(register))
        .route("/api/activate", post(activate))
        .route("/api/resend", post(resend))
}

/// An address and a password to register with.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Registration {
    /// Address that receives the activation mail.
    #[schema(value_type = String, format = "email", min_length = 5, max_length = 254, example = "jane@example.com")]
    pub(super) email: Address,
    /// 8 to 1024 bytes of UTF-8, and none of the commonest passwords.
    #[schema(value_type = String, format = "password", min_length = 2, max_length = 1024, example = "correct horse battery staple")]
    pub(super) password: Password,
}

/// The token of a link in a mail.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TokenGiven {
    /// Token of the link, after `token=`.
    #[schema(value_type = String, min_length = 43, max_length = 43, pattern = "^[A-Za-z0-9_-]{43}$")]
    pub(super) token: Token,
}

/// The address of an account that is to be activated.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AddressGiven {
    /// As it was registered.
    #[schema(value_type = String, format = "email", min_length = 5, max_length = 254, example = "jane@example.com")]
    pub(super) email: Address,
}

/// Registers.
///
/// A mail follows, with a link to activate the account, or, if the address has one already, saying
/// so. The answer is the same for both.
#[utoipa::path(
    post, path = "/api/register", tag = "accounts", request_body = Registration,
    responses((status = 204, description = "Taken: look into your mail."), ErrorResponses)
)]
pub(super) async fn register(
    State(accounts): State<Accounts>,
    Json(Registration { email, password }): Json<Registration>,
) -> Result<StatusCode, Problem> {
    accounts.register(email, password).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Activates an account.
///
/// Once: its password is then the one that this token's registration came with.
#[utoipa::path(
    post, path = "/api/activate", tag = "accounts", request_body = TokenGiven,
    responses(
        (status = 204, description = "The account is active."),
        (status = 404, description = "There is no such token.", body = Problem, content_type = "application/problem+json"),
        (status = 410, description = "The token was used, or has expired.", body = Problem, content_type = "application/problem+json"),
        ErrorResponses,
    )
)]
pub(super) async fn activate(
    State(accounts): State<Accounts>,
    Json(TokenGiven { token }): Json<TokenGiven>,
) -> Result<StatusCode, Problem> {
    match accounts.activate(&token).await.map_err(|error| Problem::internal(&error))? {
        Activation::Done => Ok(StatusCode::NO_CONTENT),
        Activation::Gone => Err(Problem::new(StatusCode::GONE, "This token was used, or has expired.")),
        Activation::Unknown => Err(Problem::new(StatusCode::NOT_FOUND, "There is no such token.")),
    }
}

/// Asks for another mail.
///
/// The answer is the same whether the address is known or not.
#[utoipa::path(
    post, path = "/api/resend", tag = "accounts", request_body = AddressGiven,
    responses((status = 204, description = "If there is an account to be activated, a mail is on its way."), ErrorResponses)
)]
pub(super) async fn resend(
    State(accounts): State<Accounts>,
    Json(AddressGiven { email }): Json<AddressGiven>,
) -> Result<StatusCode, Problem> {
    accounts.resend(email).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl FromFields for Registration {
    const NAMES: &'static [&'static str] = &["email", "password"];

    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let email = fields.take("email", |text| Address::parse(&text));
        let password = fields.take("password", Password::parse);
        Some(Self { email: email?, password: password? })
    }
}

impl FromFields for TokenGiven {
    const NAMES: &'static [&'static str] = &["token"];

    fn from_fields(fields: &mut Fields) -> Option<Self> {
        Some(Self { token: fields.take("token", |text| Token::parse(&text))? })
    }
}

impl FromFields for AddressGiven {
    const NAMES: &'static [&'static str] = &["email"];

    fn from_fields(fields: &mut Fields) -> Option<Self> {
        Some(Self { email: fields.take("email", |text| Address::parse(&text))? })
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::TooOften { retry_after } => {
                let detail = "Too many requests for this e-mail address.";
                Self::new(StatusCode::TOO_MANY_REQUESTS, detail).retry_after(retry_after)
            }
            Refused::Busy { retry_after } => {
                let detail = "Too many people are registering right now.";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(retry_after)
            }
            Refused::Failed(error) => Self::internal(&error),
        }
    }
}
