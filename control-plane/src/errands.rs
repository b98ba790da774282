//! Carrying what servers ask of other people's servers.
//!
//! A runtime names a host that a stranger may have written down. So it is connected to as places are ([`Reach`]): public
//! addresses over TLS only, unless the operator allows others; no answer leads anywhere else, none is longer than its bound, and
//! nothing is waited for without end. Which calls there are is closed (`tenant_runtime::outside::PATHS`).

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt as _;
use futures::future::{BoxFuture, FutureExt as _};
use http::header;
use tenant_runtime::ids::ServerId;
use tenant_runtime::outside::{Carrier, Direct, Errand, Error, Fetch, Fetched, Fetcher, LONGEST, Reply, is_hidden};
use url::Url;

use crate::db::Db;
use crate::places::{Looking as _, Reach};
use crate::{ControlPlane, wakes};

/// How long an errand may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Carries errands of every server of this provider.
#[derive(Clone)]
pub struct Errands {
    reach: Reach,
    /// Where it is remembered when servers want to be awake, once there is such a place.
    remembered: Arc<OnceLock<Db>>,
}

impl Errands {
    /// Goes to these addresses only.
    #[must_use]
    pub fn within(reach: Reach) -> Self {
        Self { reach, remembered: Arc::default() }
    }

    /// Remembers from now on when servers want to be awake.
    pub fn remember_with(&self, plane: &ControlPlane) {
        // There is one, for the whole life of the program.
        let _ = self.remembered.set(plane.db().clone());
    }

    fn address(&self, errand: &Errand) -> Result<Url, Error> {
        let never = || Error::Never(format!("{} is no address of a server", errand.host));
        let name = errand.host.rsplit_once(':').map_or(errand.host.as_str(), |(name, _)| name);
        // Names below localhost have no TLS, and are only reached where the operator allows it.
        let is_here = name == "localhost" || name.ends_with(".localhost");
        let scheme = if is_here && self.reach == Reach::Private { "http" } else { "https" };
        let written = format!("{scheme}://{}{}", errand.host, errand.path);
        let mut url = self.reach.parse("host", &written).map_err(|_| never())?;
        if url.path() != errand.path {
            return Err(never());
        }
        if !errand.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&errand.query);
        }
        Ok(url)
    }

    async fn go(&self, errand: Errand) -> Result<Reply, Error> {
        let url = self.address(&errand)?;
        let later = |why: &str| Error::Later(format!("{} {why}", errand.host));
        let client = self.reach.client().map_err(|_| later("cannot be asked just now"))?;
        let request = match errand.body.clone() {
            Some(body) => client.post(url).header(header::CONTENT_TYPE, "application/json").body(body),
            None => client.get(url),
        };
        let request = request.header(header::ACCEPT, "application/json");
        let answer = request.send().await.map_err(|error| match is_hidden(&error) {
            true => Error::Never(format!("{} is not on the public internet", errand.host)),
            false => later("cannot be reached"),
        })?;
        let retry_after = answer.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let status = answer.status().as_u16();
        let mut body = Vec::new();
        let mut parts = std::pin::pin!(answer.bytes_stream());
        while let Some(part) = parts.try_next().await.map_err(|_| later("broke off in the middle of its answer"))? {
            if body.len() + part.len() > LONGEST {
                return Err(Error::Never(format!("{} says more than an answer may be long", errand.host)));
            }
            body.extend_from_slice(&part);
        }
        Ok(Reply { status, retry_after, body: Bytes::from(body) })
    }
}

impl Carrier for Errands {
    fn carry(&self, errand: Errand) -> BoxFuture<'_, Result<Reply, Error>> {
        async move {
            let host = errand.host.clone();
            let going = tokio::time::timeout(PATIENCE, self.go(errand)).await;
            going.unwrap_or_else(|_| Err(Error::Later(format!("{host} does not answer"))))
        }
        .boxed()
    }

    fn remember(&self, server: ServerId, at_ms: i64) -> BoxFuture<'_, Result<(), Error>> {
        async move {
            let db = self.remembered.get().ok_or_else(|| Error::Later("the provider is just starting".into()))?;
            wakes::store::remember(db, server, at_ms).await.map_err(|error| Error::Later(error.to_string()))
        }
        .boxed()
    }
}

impl Fetcher for Errands {
    fn fetch(&self, fetch: Fetch) -> BoxFuture<'_, Result<Fetched, Error>> {
        async move { Direct(self.reach).fetch(fetch).await }.boxed()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn errand(host: &str) -> Errand {
        Errand { host: host.into(), path: "/ceps/message/transmit".into(), query: Vec::new(), body: Some("{}".into()) }
    }

    #[tokio::test]
    async fn errands_go_to_public_addresses_only_unless_the_operator_allows_others() {
        let public = Errands::within(Reach::Public);
        for inside in ["localhost:1", "anna.localhost:1", "127.0.0.1:1", "10.0.0.1", "169.254.169.254"] {
            let refused = public.carry(errand(inside)).await.unwrap_err();
            assert!(matches!(refused, Error::Never(_)), "{inside}: {refused:?}");
        }
        assert_eq!(
            public.address(&errand("bob.example.org")).unwrap().as_str(),
            "https://bob.example.org/ceps/message/transmit"
        );
        let private = Errands::within(Reach::Private);
        assert_eq!(
            private.address(&errand("bob.localhost:8080")).unwrap().as_str(),
            "http://bob.localhost:8080/ceps/message/transmit"
        );
        assert_eq!(private.address(&errand("bob.example.org")).unwrap().scheme(), "https");
        for odd in ["bob.example.org/x?", "u@bob.example.org", "bob.example.org#", ""] {
            assert!(public.address(&errand(odd)).is_err(), "{odd}");
        }
    }

    #[tokio::test]
    async fn an_answer_comes_back_as_it_is_and_leads_nowhere() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let moved = axum::routing::post(|| async {
            (http::StatusCode::PERMANENT_REDIRECT, [("location", "http://127.0.0.1:1/"), ("retry-after", "7")], "gone")
        });
        let router = axum::Router::new().route("/ceps/message/transmit", moved);
        let serving = tokio::spawn(async move { axum::serve(listener, router).await });
        let reply = Errands::within(Reach::Private).carry(errand(&format!("bob.localhost:{port}"))).await.unwrap();
        assert_eq!((reply.status, reply.retry_after, &reply.body[..]), (308, Some(7), &b"gone"[..]));
        serving.abort();
    }
}
