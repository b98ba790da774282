//! `GET /ceps/openapi.json`: this API for programs, as OpenAPI 3.1.
//!
//! It is written by hand and held to the routes by the test below: none without the other.

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};

/// The document.
pub const TEXT: &str = include_str!("openapi.json");

/// The same for TypeScript, made from it by the test below.
pub const TYPES: &str = include_str!("freehold.d.ts");

#[cfg(test)]
mod typed;

pub(super) async fn document() -> Response {
    let mut response = ([(header::CONTENT_TYPE, "application/json")], TEXT).into_response();
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("cross-origin"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
    response
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeSet;

    use serde_json::Value;

    /// Every method of every route, as the routers of this module are written.
    fn routes() -> BTreeSet<(String, String)> {
        let sources = [include_str!("mod.rs"), include_str!("public/mod.rs")];
        let method = regex::Regex::new(r"\b(get|post|put|patch|delete)\(").unwrap();
        let mut all = BTreeSet::new();
        for written in sources.iter().flat_map(|source| source.split(".route(").skip(1)) {
            let (_, rest) = written.split_once('"').unwrap();
            let (path, rest) = rest.split_once('"').unwrap();
            let handlers = rest.split("\n}").next().unwrap();
            let path = path.replace("{*", "{");
            all.extend(method.captures_iter(handlers).map(|method| (path.clone(), method[1].to_owned())));
        }
        all
    }

    fn documented() -> (Value, BTreeSet<(String, String)>) {
        let document: Value = serde_json::from_str(super::TEXT).unwrap();
        let paths = document["paths"].as_object().unwrap().iter();
        let all = paths.flat_map(|(path, operations)| {
            operations.as_object().unwrap().keys().map(|method| (path.clone(), method.clone())).collect::<Vec<_>>()
        });
        let all = all.collect();
        (document, all)
    }

    #[test]
    fn the_types_are_those_of_the_document() {
        let made = super::typed::declarations(&serde_json::from_str(super::TEXT).unwrap());
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/ceps/freehold.d.ts");
        if std::env::var_os("FREEHOLD_WRITE_TYPES").is_some() {
            std::fs::write(path, &made).unwrap();
        }
        let kept = std::fs::read_to_string(path).unwrap();
        assert!(
            made == kept,
            "the API has changed: run this test once with FREEHOLD_WRITE_TYPES=1, and commit what it wrote"
        );
    }

    #[test]
    fn every_route_is_in_the_document_and_every_path_has_a_route() {
        let (routes, (_, documented)) = (routes(), documented());
        assert!(routes.len() > 40, "{}", routes.len());
        let missing: Vec<_> = routes.difference(&documented).collect();
        assert!(missing.is_empty(), "not in openapi.json: {missing:?}");
        let dangling: Vec<_> = documented.difference(&routes).collect();
        assert!(dangling.is_empty(), "in openapi.json without a route: {dangling:?}");
    }

    #[test]
    fn the_document_is_sound() {
        let (document, _) = documented();
        assert_eq!(document["openapi"], "3.1.0");
        let mut ids = BTreeSet::new();
        for (path, operations) in document["paths"].as_object().unwrap() {
            for (method, operation) in operations.as_object().unwrap() {
                let id = operation["operationId"].as_str().unwrap();
                assert!(ids.insert(id.to_owned()), "{id} is there twice");
                assert!(operation["security"].is_array() && operation["summary"].is_string(), "{method} {path}");
                let none = Vec::new();
                let declared = operation["parameters"].as_array().unwrap_or(&none);
                let in_path: BTreeSet<_> =
                    declared.iter().filter(|p| p["in"] == "path").map(|p| p["name"].as_str().unwrap()).collect();
                let named: BTreeSet<_> = path.split(['{', '}']).skip(1).step_by(2).collect();
                assert_eq!(in_path, named, "{method} {path}");
            }
        }
        let references = regex::Regex::new(r##""#(/components/[^"]+)""##).unwrap();
        for reference in references.captures_iter(super::TEXT) {
            assert!(document.pointer(&reference[1]).is_some(), "{} leads nowhere", &reference[1]);
        }
    }
}
