//! Reading JSON bodies, within bounds.

use axum::body::{Body, to_bytes};
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::problem::Problem;
use crate::server::Server;

/// What a body may hold beside one record.
const AROUND: u64 = 64 * 1024;

/// How deep a record may nest; an archive can hold no more.
const DEPTH_LIMIT: usize = 60;

/// A JSON object; an empty body is an empty one.
pub(super) struct Object(pub(super) Map<String, Value>);

impl FromRequest<Server> for Object {
    type Rejection = Problem;

    async fn from_request(request: Request, server: &Server) -> Result<Self, Problem> {
        match parse(&read(request.into_body(), server).await?)? {
            Value::Object(map) => Ok(Self(map)),
            Value::Null => Ok(Self(Map::new())),
            _ => Err(Problem::bad_request("The body must be a JSON object.")),
        }
    }
}

/// JSON of a known shape; an empty body is the shape's default.
pub(super) struct Shaped<T>(pub(super) T);

impl<T: DeserializeOwned + Default> FromRequest<Server> for Shaped<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, server: &Server) -> Result<Self, Problem> {
        parse(&read(request.into_body(), server).await?).map(Self)
    }
}

async fn read(body: Body, server: &Server) -> Result<Bytes, Problem> {
    let limit = server.launch.limits.record_bytes;
    match to_bytes(body, usize::try_from(limit + AROUND).unwrap_or(usize::MAX)).await {
        Ok(bytes) => Ok(bytes),
        Err(error) if is_over_limit(&error) => Err(too_large(limit)),
        Err(_) => Err(Problem::bad_request("The request broke off before its end.")),
    }
}

fn parse<T: DeserializeOwned + Default>(bytes: &[u8]) -> Result<T, Problem> {
    if bytes.is_empty() {
        return Ok(T::default());
    }
    serde_json::from_slice(bytes)
        .map_err(|error| Problem::bad_request(format!("The body is not as expected: {error}.")))
}

fn is_over_limit(error: &axum::Error) -> bool {
    use std::error::Error as _;
    error.source().is_some_and(|source| source.is::<http_body_util::LengthLimitError>())
}

fn too_large(limit: u64) -> Problem {
    let detail = format!("A record may have up to {}. Keep large content in a file.", crate::pages::bytes(limit));
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "record_too_large", detail)
}

/// Refuses fields that cannot be a record's.
pub(super) fn check(fields: &Map<String, Value>, limit: u64) -> Result<u64, Problem> {
    if fields.values().any(|value| is_deeper(value, DEPTH_LIMIT)) {
        return Err(Problem::bad_request("A record may nest up to 60 levels deep."));
    }
    let mut counter = Counter(0);
    serde_json::to_writer(&mut counter, fields).map_err(|e| Problem::bad_request(e.to_string()))?;
    if counter.0 > limit { Err(too_large(limit)) } else { Ok(counter.0) }
}

fn is_deeper(value: &Value, levels: usize) -> bool {
    match value {
        Value::Array(_) | Value::Object(_) if levels == 0 => true,
        Value::Array(items) => items.iter().any(|item| is_deeper(item, levels - 1)),
        Value::Object(map) => map.values().any(|item| is_deeper(item, levels - 1)),
        _ => false,
    }
}

/// Counts bytes without keeping them.
struct Counter(u64);

impl std::io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
