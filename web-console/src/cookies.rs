//! The two cookies of the console: the session, and a nameless one that ties a form to the browser it was shown in.
//!
//! Both are host-only, so no server under the sites domain ever sees them. Over TLS their names carry `__Host-`, which
//! also keeps a server from planting one on us.

use axum::http::{HeaderMap, HeaderValue, header};
use cookie::{Cookie, SameSite};

use crate::config::Scheme;

fn session_name(scheme: Scheme) -> &'static str {
    match scheme {
        Scheme::Http => "freehold_session",
        Scheme::Https => "__Host-freehold_session",
    }
}

fn visitor_name(scheme: Scheme) -> &'static str {
    match scheme {
        Scheme::Http => "freehold_visitor",
        Scheme::Https => "__Host-freehold_visitor",
    }
}

fn read(headers: &HeaderMap, name: &str) -> Option<String> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut cookies = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let (_, value) = cookies.find(|(found, _)| *found == name)?;
    (!value.is_empty() && value.len() <= 200).then(|| value.to_owned())
}

fn write(scheme: Scheme, name: &'static str, value: String, days: i64) -> HeaderValue {
    let cookie = Cookie::build((name, value))
        .path("/")
        .http_only(true)
        .same_site(SameSite::Lax)
        .secure(scheme == Scheme::Https)
        .max_age(cookie::time::Duration::days(days));
    HeaderValue::from_str(&cookie.to_string()).expect("our own tokens are made of letters and digits")
}

/// The session this request speaks of.
pub(crate) fn session(headers: &HeaderMap, scheme: Scheme) -> Option<String> {
    read(headers, session_name(scheme))
}

/// The browser this request comes from.
pub(crate) fn visitor(headers: &HeaderMap, scheme: Scheme) -> Option<String> {
    read(headers, visitor_name(scheme))
}

/// Keeps the session.
pub(crate) fn keep_session(scheme: Scheme, token: String) -> HeaderValue {
    write(scheme, session_name(scheme), token, 60)
}

/// Forgets the session.
pub(crate) fn drop_session(scheme: Scheme) -> HeaderValue {
    write(scheme, session_name(scheme), String::new(), 0)
}

/// Knows the browser again.
pub(crate) fn keep_visitor(scheme: Scheme, value: String) -> HeaderValue {
    write(scheme, visitor_name(scheme), value, 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_host_only_and_out_of_reach_of_scripts() {
        let cookie = keep_session(Scheme::Https, "abc".into());
        let text = cookie.to_str().expect("ascii");
        for part in ["__Host-freehold_session=abc", "HttpOnly", "SameSite=Lax", "Secure", "Path=/"] {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
        assert!(!text.contains("Domain"));
    }

    #[test]
    fn the_right_cookie_is_read() {
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, HeaderValue::from_static("a=b; freehold_session=x1; freehold_session=x2"));
        assert_eq!(session(&headers, Scheme::Http).as_deref(), Some("x1"));
        assert_eq!(session(&headers, Scheme::Https), None);
    }
}
