//! OpenAPI document: it agrees with the API.

use http::Method;
use serde_json::{Map, Value};

use super::inside::Inside;

/// All references below this value.
fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
            members.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

fn object(value: &Value) -> &Map<String, Value> {
    value.as_object().unwrap_or_else(|| panic!("{value}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_describes_exactly_the_routes() {
    let up = Inside::new().up().await;
    let document = up.get("/openapi.json").await.json();
    assert_eq!(document["openapi"], "3.1.0");
    let mut paths: Vec<_> = object(&document["paths"]).keys().map(String::as_str).collect();
    paths.sort_unstable();
    let expected = ["/api/activate", "/api/register", "/api/resend", "/livez", "/openapi.json", "/readyz"];
    assert_eq!(paths, expected);
    for (path, operations) in object(&document["paths"]) {
        for method in ["get", "post"] {
            let heard = up.request(method.to_uppercase().parse::<Method>().unwrap(), path, &[], "").await;
            assert_eq!(heard.status != 405, operations.get(method).is_some(), "{method} {path}");
            assert_ne!(heard.status, 404, "{method} {path}");
        }
    }
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.iter().any(|reference| reference.ends_with("/Problem")));
    for reference in found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
    up.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_is_described_as_a_problem() {
    let up = Inside::new().up().await;
    let document = up.get("/openapi.json").await.json();
    for path in ["/api/register", "/api/activate", "/api/resend"] {
        let operation = &document["paths"][path]["post"];
        let responses = object(&operation["responses"]);
        let mut expected = vec!["204", "400", "408", "413", "415", "422", "429", "500", "503"];
        if path == "/api/activate" {
            expected.extend(["404", "410"]);
        }
        expected.sort_unstable();
        let mut statuses: Vec<_> = responses.keys().map(String::as_str).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, expected, "{path}");
        for (status, response) in responses {
            let schema = &response["content"]["application/problem+json"]["schema"]["$ref"];
            match status.as_str() {
                "204" => assert_eq!(response.get("content"), None),
                _ => assert_eq!(schema, "#/components/schemas/Problem", "{path} {status}"),
            }
            assert_eq!(response["headers"].get("Retry-After").is_some(), matches!(status.as_str(), "429" | "503"));
        }
        let body = &operation["requestBody"];
        assert_eq!(body["required"], true, "{path}");
        let schema = body["content"]["application/json"]["schema"]["$ref"].as_str().unwrap();
        let schema = document.pointer(&schema[1..]).unwrap();
        assert_eq!(schema["additionalProperties"], false, "{path}");
        for (name, field) in object(&schema["properties"]) {
            assert_eq!(field["type"], "string", "{name}");
            assert!(field["minLength"].is_u64() && field["maxLength"].is_u64(), "{name}");
            assert!(schema["required"].as_array().unwrap().contains(&Value::from(name.as_str())));
        }
    }
    up.down().await;
}
