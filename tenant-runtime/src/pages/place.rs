//! Which of a server's origins a request came to, by its `Host`.

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

impl Place {
    /// Finds the place for a host name.
    pub(crate) fn find(server: &Server, headers: &HeaderMap, uri: &Uri) -> Self {
        let header = headers.get(HOST).and_then(|host| host.to_str().ok());
        let authority = header.or_else(|| uri.authority().map(|authority| authority.as_str())).unwrap_or_default();
        let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let own = server.launch.site.host();
        if host == own {
            return Self::Server;
        }
        match host.strip_suffix(&own).and_then(|rest| rest.strip_suffix('.')) {
            Some(label) => server.apps.at_label(label).map_or_else(|| Self::NoApp(label.to_owned()), Self::App),
            None => Self::Elsewhere,
        }
    }

    /// The place of a request that has been placed.
    pub(crate) fn of(parts: &Parts) -> Self {
        parts.extensions.get().cloned().unwrap_or(Self::Elsewhere)
    }

    /// The origin as browsers write it.
    pub(crate) fn origin(&self, site: &Site) -> String {
        match self {
            Self::App(app) => site.app_origin(&app.record.label),
            _ => site.origin(),
        }
    }
}
