//! Complete response, and the problem details in it.

use serde_json::Value;

#[derive(Debug)]
pub(crate) struct TestResponse {
    pub(crate) status: u16,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: String,
}

impl TestResponse {
    pub(crate) async fn of(request: trunkline::RequestBuilder) -> trunkline::Result<Self> {
        let response = request.max_redirects(0).error_for_status(false).await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Self { status, headers, body: response.text().await? })
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Headers without those that differ between any two responses.
    pub(crate) fn stable_headers(&self) -> Vec<(String, String)> {
        let mut all: Vec<_> = self
            .headers
            .iter()
            .map(|(name, value)| {
                let differs = matches!(name.as_str(), "date" | "x-request-id");
                let value = if differs { "…" } else { value.to_str().unwrap() };
                (name.to_string(), value.to_owned())
            })
            .collect();
        all.sort();
        all
    }

    /// The body as problem details (RFC 9457), which it has to be.
    pub(crate) fn problem(&self) -> Value {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        let problem: Value = serde_json::from_str(&self.body).unwrap();
        assert_eq!(problem["status"], self.status, "{self:?}");
        assert!(problem["title"].as_str().is_some_and(|title| !title.is_empty()), "{self:?}");
        problem
    }

    /// Fields named by the problem.
    pub(crate) fn fields(&self) -> Vec<String> {
        let problem = self.problem();
        let errors = problem["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
        errors.iter().map(|error| error["field"].as_str().unwrap().to_owned()).collect()
    }
}
