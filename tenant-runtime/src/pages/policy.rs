//! Content security policies, one for each kind of page.

use axum::http::{HeaderMap, HeaderValue, header};

use crate::server::{Installed, Server};

/// For our own pages: no script at all.
pub(super) const OWN: &str = "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// For what the owner publishes at the server's own address: another origin to every browser, and no script.
pub(super) const PUBLISHED: &str = "default-src 'none'; img-src 'self' data:; media-src 'self'; font-src 'self'; style-src 'self' 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox allow-popups allow-popups-to-escape-sandbox allow-top-navigation-by-user-activation";

/// For files people uploaded, opened by themselves: nothing in them may act.
pub(super) const UPLOADED: &str = "default-src 'none'; img-src data:; media-src 'self'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox";

/// Where the scripts of an app may ask for something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// At its own origin.
    Own,
    /// Anywhere that answers over TLS: the owner allowed `external_fetch`.
    Secure,
    /// Anywhere; for a server that has no TLS itself.
    Any,
}

/// How far an app's scripts reach: what the owner allowed counts at every page that is opened.
pub(super) fn reach(server: &Server, app: &Installed) -> Reach {
    match (server.apps.may_fetch(&app.record.id), server.launch.site.is_secure()) {
        (false, _) => Reach::Own,
        (true, true) => Reach::Secure,
        (true, false) => Reach::Any,
    }
}

/// For pages of apps. `scripts` are further sources such as a nonce or hashes.
pub(super) fn of_app(scripts: &str, reach: Reach) -> String {
    let more = match reach {
        Reach::Own => "",
        Reach::Secure => " https:",
        Reach::Any => " https: http:",
    };
    format!(
        "default-src 'self'; script-src 'self'{scripts}; style-src 'self' 'unsafe-inline'; img-src * data: blob:; media-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'{more}; worker-src 'self'; frame-src 'none'; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
    )
}

/// Sets a policy.
pub(super) fn set(headers: &mut HeaderMap, policy: &str) {
    let value = HeaderValue::from_str(policy).expect("policies are plain text");
    headers.insert(header::CONTENT_SECURITY_POLICY, value);
}

/// What every response carries unless it says otherwise.
pub(crate) fn guard(headers: &mut HeaderMap) {
    let mut usual = |name, value| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    usual(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    usual(header::REFERRER_POLICY, "same-origin");
    usual(header::HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    usual(header::HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    usual(header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'");
}
