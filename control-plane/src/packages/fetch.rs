//! A package from an address that a person wrote down: reached as people's places are, with the same guards.
//!
//! Download pages like to send on to where the file lies, so a few redirects are followed, each address looked at as if
//! it had been written down.

use std::time::Duration;

use axum::body::Bytes;
use http::{StatusCode, header};

use super::{LIMIT, too_large};
use crate::places::Looking as _;
use crate::{ControlPlane, Error, Kind, Result};

/// How long all of it may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often an answer may lead elsewhere.
const TURNS: usize = 4;

/// The package at an address.
pub async fn fetch(plane: &ControlPlane, written: &str) -> Result<Bytes> {
    let late = |_| Err(Error::retry("The other side did not send the package within a minute. Nothing was installed."));
    tokio::time::timeout(PATIENCE, follow(plane, written)).await.unwrap_or_else(late)
}

async fn follow(plane: &ControlPlane, written: &str) -> Result<Bytes> {
    let reach = plane.settings().places;
    let written = written.trim();
    let written = if written.contains("://") { written.to_owned() } else { format!("https://{written}") };
    let (mut url, client) = (reach.parse_with_query("address", &written)?, reach.connecting()?);
    for _ in 0..TURNS {
        let answer = client.get(url.clone()).send().await.map_err(broken)?;
        if answer.status().is_redirection() {
            let next = answer.headers().get(header::LOCATION).and_then(|next| next.to_str().ok());
            let next = next.and_then(|next| url.join(next).ok()).ok_or_else(|| odd("It leads nowhere."))?;
            url = reach.parse_with_query("address", next.as_str())?;
            continue;
        }
        if answer.status() != StatusCode::OK {
            let sentence = format!("The address answered with {}. Nothing was installed.", answer.status());
            return Err(Error::new(Kind::Fix, sentence).about("address"));
        }
        return read(answer).await;
    }
    Err(odd("It leads from one address to the next."))
}

async fn read(mut answer: reqwest::Response) -> Result<Bytes> {
    let mut whole = Vec::new();
    while let Some(part) = answer.chunk().await.map_err(broken)? {
        if (whole.len() + part.len()) as u64 > LIMIT {
            return Err(too_large().about("address"));
        }
        whole.extend_from_slice(&part);
    }
    if whole.starts_with(b"PK") {
        return Ok(whole.into());
    }
    Err(odd("There is no zip there, but something else, such as a page. Write the address of the zip itself."))
}

fn odd(what: &str) -> Error {
    Error::fix("address", format!("Nothing was installed. {what}"))
}

fn broken(error: reqwest::Error) -> Error {
    let hidden = std::iter::successors(std::error::Error::source(&error), |error| error.source())
        .any(|error| error.to_string().contains("no public address"));
    if hidden {
        return Error::fix("address", "This address is not on the public internet, so we do not connect to it.")
            .because(error);
    }
    Error::fix("address", "Nothing could be read from this address. Look whether it opens in your browser.")
        .because(error)
}
