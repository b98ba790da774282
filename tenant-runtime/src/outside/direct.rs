//! Requests of apps' code, made from here: at home by the server itself, under a host by the host's own process.
//!
//! Only over TLS and to public addresses ([`Reach`]); nothing is followed, nothing is kept from one request to the next, and
//! no answer is longer than its bound or waited for without end.

use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt as _;
use futures::future::{BoxFuture, FutureExt as _};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use url::{Host, Url};

use super::{Error, Fetch, Fetched, Fetcher, LONGEST_FETCHED, Reach, is_hidden};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(8);

/// How many headers either way.
const MOST_HEADERS: usize = 64;

/// Headers that are about the connection and not about what is asked.
const OF_CONNECTIONS: &[HeaderName] = &[
    header::HOST,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::EXPECT,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Makes requests to these addresses.
#[derive(Clone, Copy, Debug)]
pub struct Direct(pub Reach);

impl Fetcher for Direct {
    fn fetch(&self, fetch: Fetch) -> BoxFuture<'_, Result<Fetched, Error>> {
        async move {
            let going = tokio::time::timeout(PATIENCE, self.go(fetch)).await;
            going.unwrap_or_else(|_| Err(Error::Later("it does not answer".to_owned())))
        }
        .boxed()
    }
}

impl Direct {
    async fn go(self, fetch: Fetch) -> Result<Fetched, Error> {
        let never = |why: &str| Error::Never(why.to_owned());
        let url = self.address(&fetch.url)?;
        let method = match fetch.method.as_str() {
            "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" => Method::from_bytes(fetch.method.as_bytes()),
            _ => return Err(never("the method must be one of GET, HEAD, POST, PUT, PATCH and DELETE")),
        };
        let method = method.map_err(|_| never("there is no such method"))?;
        let client = self.0.client().map_err(|_| Error::Later("nothing can be asked just now".to_owned()))?;
        let request = client.request(method, url).headers(headers(fetch.headers)?).body(fetch.body);
        let answer = request.send().await.map_err(|error| match is_hidden(&error) {
            true => never("it is not on the public internet"),
            false => Error::Later("it cannot be reached".to_owned()),
        })?;
        let status = answer.status().as_u16();
        let said = answer.headers().iter().filter(|(name, _)| !OF_CONNECTIONS.contains(name)).take(MOST_HEADERS);
        let headers =
            said.filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned()))).collect();
        let mut body = Vec::new();
        let mut parts = std::pin::pin!(answer.bytes_stream());
        let broke = |_| Error::Later("it broke off in the middle of its answer".to_owned());
        while let Some(part) = parts.try_next().await.map_err(broke)? {
            if body.len() + part.len() > LONGEST_FETCHED {
                return Err(never("it says more than an answer may be long"));
            }
            body.extend_from_slice(&part);
        }
        Ok(Fetched { status, headers, body: Bytes::from(body) })
    }

    fn address(self, written: &str) -> Result<Url, Error> {
        let never = |why: &str| Err(Error::Never(why.to_owned()));
        let Ok(url) = Url::parse(written) else { return never("this is no address") };
        match (url.scheme(), self.0) {
            ("https", _) | ("http", Reach::Private) => {}
            _ => return never("the address must begin with https://"),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return never("the address must have no user and no password in it");
        }
        let is_taken = match url.host() {
            Some(Host::Ipv4(ip)) => self.0.takes(ip.into()),
            Some(Host::Ipv6(ip)) => self.0.takes(ip.into()),
            Some(Host::Domain(_)) => true,
            None => false,
        };
        if is_taken { Ok(url) } else { never("it is not on the public internet") }
    }
}

fn headers(asked: Vec<(String, String)>) -> Result<HeaderMap, Error> {
    let mut headers = HeaderMap::new();
    for (name, value) in asked.into_iter().take(MOST_HEADERS) {
        let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(&value)) else {
            return Err(Error::Never(format!("{name:?} is no header")));
        };
        if !OF_CONNECTIONS.contains(&name) {
            headers.append(name, value);
        }
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn get(url: &str) -> Fetch {
        Fetch { method: "GET".into(), url: url.into(), headers: Vec::new(), body: Vec::new() }
    }

    #[tokio::test]
    async fn only_public_addresses_are_asked_and_only_over_tls() {
        for bad in [
            "https://127.0.0.1/",
            "https://[::1]/",
            "https://169.254.169.254/latest/meta-data",
            "https://10.0.0.1/",
            "https://localhost:8443/",
            "https://anna.localhost/",
            "http://example.org/",
            "https://u:p@example.org/",
            "ftp://example.org/",
            "file:///etc/passwd",
            "nonsense",
        ] {
            let refused = Direct(Reach::Public).fetch(get(bad)).await.unwrap_err();
            assert!(matches!(refused, Error::Never(_)), "{bad}: {refused:?}");
        }
        let odd = Fetch { method: "CONNECT".into(), ..get("https://example.org/") };
        assert!(matches!(Direct(Reach::Public).fetch(odd).await, Err(Error::Never(_))));
    }

    #[tokio::test]
    async fn what_is_asked_arrives_and_what_comes_back_leads_nowhere() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let echo = axum::routing::post(|headers: HeaderMap, body: String| async move {
            let key = headers["authorization"].to_str().unwrap().to_owned();
            let host = headers["host"].to_str().unwrap().to_owned();
            (
                http::StatusCode::FOUND,
                [("location", "http://127.0.0.1:1/".to_owned()), ("x-key", key), ("x-host", host)],
                body,
            )
        });
        let serving = tokio::spawn(async move { axum::serve(listener, axum::Router::new().route("/in", echo)).await });
        let asked = Fetch {
            method: "POST".into(),
            url: format!("http://api.localhost:{port}/in?a=b"),
            headers: vec![("authorization".into(), "Bearer k".into()), ("Host".into(), "other.example".into())],
            body: b"hello".to_vec(),
        };
        let fetched = Direct(Reach::Private).fetch(asked).await.unwrap();
        let header = |name: &str| fetched.headers.iter().find(|(of, _)| of == name).unwrap().1.as_str();
        assert_eq!((fetched.status, header("x-key"), &fetched.body[..]), (302, "Bearer k", &b"hello"[..]));
        assert_eq!(header("x-host"), format!("api.localhost:{port}"));
        serving.abort();
    }
}
