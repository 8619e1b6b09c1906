//! Keeps what a mail says out of the SDK's own log: at its finest level that shows requests, bodies and all.

use std::mem;

use aws_sdk_sesv2::config::interceptors::BeforeTransmitInterceptorContextMut;
use aws_sdk_sesv2::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_sesv2::error::BoxError;
use aws_smithy_types::body::SdkBody;

/// Puts the body, after it was signed, where `Debug` does not look: behind the trait of any body.
#[derive(Debug)]
pub(super) struct HideBody;

impl Intercept for HideBody {
    fn name(&self) -> &'static str {
        "HideBody"
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let body = context.request_mut().body_mut();
        let shown = mem::replace(body, SdkBody::taken());
        *body = SdkBody::from_body_1_x(shown);
        Ok(())
    }
}
