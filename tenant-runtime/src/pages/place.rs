//! Which of a server's origins a request came to, by its `Host`.
//!
//! A server has the address its provider gave it, and may have domains of its owner's own beside it. What a page leads on
//! to lies at the address by which it was asked for.

use std::sync::Arc;

use axum::http::header::HOST;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Uri};

use crate::launch::Site;
use crate::server::{Installed, Server};

/// The origin a request came to. It is put into every request before anything else looks at it.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// The server's own.
    Server,
    /// One app's.
    App(Arc<Installed>),
    /// A host name under the server's that is no installed app's.
    NoApp(String),
    /// A host name that is not this server's.
    Elsewhere,
}

/// The address of the server by which a request came. It is put into every request beside its place.
#[derive(Clone, Debug)]
pub(crate) struct Address {
    /// The server there.
    site: Site,
    /// Where its apps are, for whoever came by it.
    apps: Site,
    /// The very origin that was asked.
    origin: String,
}

impl Address {
    /// The address that the provider gave.
    fn given(site: &Site, host: &str) -> Self {
        Self { site: site.clone(), apps: site.clone(), origin: site.origin_of(host) }
    }

    /// The origin as browsers write it that a request was sent to.
    pub(crate) fn asked(&self) -> &str {
        &self.origin
    }

    /// The host name of the server at this address.
    pub(crate) fn host(&self) -> String {
        self.site.host()
    }

    /// The origin of the server at this address.
    pub(crate) fn server_origin(&self) -> String {
        self.site.origin()
    }

    /// The origin of an app, at this address where apps have one there.
    pub(crate) fn app_origin(&self, label: &str) -> String {
        self.apps.app_origin(label)
    }

    /// The address of a request that has been placed.
    pub(crate) fn of(parts: &Parts, site: &Site) -> Self {
        parts.extensions.get().cloned().unwrap_or_else(|| Self::given(site, &site.host()))
    }
}

impl Place {
    /// Finds the place for a host name, and the address of the server that it belongs to.
    pub(crate) fn find(server: &Server, headers: &HeaderMap, uri: &Uri) -> (Self, Address) {
        let header = headers.get(HOST).and_then(|host| host.to_str().ok());
        let authority = header.or_else(|| uri.authority().map(|authority| authority.as_str())).unwrap_or_default();
        let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let given = &server.launch.site;
        let own = given.host();
        let at = |label: &str| server.apps.at_label(label).map_or_else(|| Self::NoApp(label.to_owned()), Self::App);
        if host == own {
            return (Self::Server, Address::given(given, &host));
        }
        if let Some(label) = host.strip_suffix(&own).and_then(|rest| rest.strip_suffix('.')) {
            return (at(label), Address::given(given, &host));
        }
        let Some((domain, label)) = server.launch.own_domain(&host) else {
            return (Self::Elsewhere, Address::given(given, &own));
        };
        if let Some(app) = &domain.app {
            let found = app.parse().ok().and_then(|id| server.apps.get(&id));
            return (found.map_or_else(|| Self::NoApp(app.clone()), Self::App), Address::given(given, &host));
        }
        let site = given.at(&domain.name);
        let apps = if domain.apps { site.clone() } else { given.clone() };
        let origin = given.origin_of(&host);
        (if label.is_empty() { Self::Server } else { at(label) }, Address { site, apps, origin })
    }

    /// The place of a request that has been placed.
    pub(crate) fn of(parts: &Parts) -> Self {
        parts.extensions.get().cloned().unwrap_or(Self::Elsewhere)
    }
}
