//! Fetching a static file from the web: one GET, bounded in size and time, no redirects.
//!
//! The index is signed and everything else has its digest there, so a plain `http` address is as safe as `https`
//! against changes; `https` hides who reads. Redirects are not followed: a catalogue has one address.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::{Request, header};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use url::Url;

use super::error::Error;

/// No file of a catalogue may keep us longer than this.
const TIME: Duration = Duration::from_secs(60);

static TLS: LazyLock<TlsConnector> = LazyLock::new(|| {
    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
});

/// The bytes at `url`, at most `limit` of them.
pub(super) async fn get(url: &Url, limit: u64) -> Result<Bytes, Error> {
    tokio::time::timeout(TIME, get_patiently(url, limit))
        .await
        .unwrap_or_else(|_| Err(failed(url, format!("no answer within {} seconds", TIME.as_secs()))))
}

fn failed(url: &Url, why: impl ToString) -> Error {
    Error::Fetch { url: url.to_string(), why: why.to_string() }
}

async fn get_patiently(url: &Url, limit: u64) -> Result<Bytes, Error> {
    let host = url.host_str().ok_or_else(|| failed(url, "it names no host"))?;
    let port = url.port_or_known_default().ok_or_else(|| failed(url, "it names no port"))?;
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((bare, port)).await.map_err(|error| failed(url, error))?;
    if url.scheme() == "https" {
        let name = ServerName::try_from(bare.to_owned()).map_err(|error| failed(url, error))?;
        let stream = TLS.connect(name, stream).await.map_err(|error| failed(url, error))?;
        ask(url, stream, limit).await
    } else {
        ask(url, stream, limit).await
    }
}

async fn ask<S>(url: &Url, stream: S, limit: u64) -> Result<Bytes, Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| failed(url, error))?;
    let driver = tokio::spawn(connection);
    let host = &url[url::Position::BeforeHost..url::Position::AfterPort];
    let request = Request::get(&url[url::Position::BeforePath..url::Position::AfterQuery])
        .header(header::HOST, host)
        .header(header::USER_AGENT, "freehold")
        .body(Body::empty())
        .map_err(|error| failed(url, error))?;
    let answer = sender.send_request(request).await.map_err(|error| failed(url, error));
    let bytes = match answer {
        Ok(answer) if answer.status() == http::StatusCode::OK => collect(url, answer.into_body(), limit).await,
        Ok(answer) => Err(Error::Status { url: url.to_string(), status: answer.status().as_u16() }),
        Err(error) => Err(error),
    };
    driver.abort();
    bytes
}

async fn collect(url: &Url, mut body: Incoming, limit: u64) -> Result<Bytes, Error> {
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| failed(url, error))?;
        if let Some(data) = frame.data_ref() {
            if (bytes.len() + data.len()) as u64 > limit {
                return Err(Error::TooLarge { what: url.to_string(), limit });
            }
            bytes.extend_from_slice(data);
        }
    }
    Ok(bytes.freeze())
}
