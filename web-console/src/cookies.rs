//! The two cookies of the console: the session, and a nameless one that ties forms and sessions to one browser.
//!
//! Both are host-only, so no server under the sites domain ever sees them. Over TLS their names carry `__Host-`, and a
//! browser then takes them from nobody but the console itself.
//!
//! Without TLS nothing keeps a page on a neighbouring host name from planting a cookie of our name for the whole
//! domain. It must gain nothing by that, neither a session it knows nor a person signed in as somebody else:
//!
//! - signing in makes a new session and a new browser cookie, and never takes up one that was there;
//! - a session is sealed to its browser cookie, so one that is planted alone opens nothing;
//! - where a name comes twice, neither is trusted: the request is a stranger's, and the answer removes every copy that a
//!   neighbour can have made, so that the next request has the true ones alone.
//!
//! What remains without TLS: a browser that never was here, or whose cookies were crowded out, can be given both cookies
//! of a stranger's session, and a neighbour can sign people out again and again. Providers that serve others want TLS.

use axum::http::{HeaderMap, HeaderValue, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cookie::{Cookie, SameSite};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::config::Scheme;

/// How long browsers keep both, in days.
const DAYS: i64 = 60;

/// What a request's cookies say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Known {
    /// The browser it comes from.
    pub(crate) visitor: Option<String>,
    /// The session it speaks of, if it is this browser's.
    pub(crate) session: Option<String>,
    /// There may be cookies of ours that somebody else has set.
    pub(crate) planted: bool,
    /// The one session there is, ours or not, is not this browser's.
    pub(crate) stale: bool,
}

/// The cookies of one console.
#[derive(Clone, Copy)]
pub(crate) struct Cookies<'a> {
    pub(crate) scheme: Scheme,
    pub(crate) key: &'a [u8; 32],
}

impl Cookies<'_> {
    fn session_name(&self) -> &'static str {
        match self.scheme {
            Scheme::Http => "freehold_session",
            Scheme::Https => "__Host-freehold_session",
        }
    }

    fn visitor_name(&self) -> &'static str {
        match self.scheme {
            Scheme::Http => "freehold_visitor",
            Scheme::Https => "__Host-freehold_visitor",
        }
    }

    /// Reads both.
    pub(crate) fn read(&self, headers: &HeaderMap) -> Known {
        let (visitors, sessions) = (all(headers, self.visitor_name()), all(headers, self.session_name()));
        match (visitors.as_slice(), sessions.as_slice()) {
            (visitors, []) if visitors.len() < 2 => {
                let visitor = visitors.first().filter(|value| is_sound(value)).copied().map(str::to_owned);
                Known { visitor, ..Known::default() }
            }
            ([visitor], [sealed]) if is_sound(visitor) => {
                let session = self.opened(sealed, visitor);
                let stale = session.is_none();
                Known { visitor: Some((*visitor).to_owned()), session, planted: stale, stale }
            }
            _ => Known { planted: true, stale: visitors.len() < 2 && sessions.len() == 1, ..Known::default() },
        }
    }

    fn seal(&self, token: &str, visitor: &str) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.key).expect("HMAC takes a key of any length");
        for part in ["freehold session cookie 1", token, visitor] {
            mac.update(part.as_bytes());
            mac.update(b"\0");
        }
        mac
    }

    fn opened(&self, sealed: &str, visitor: &str) -> Option<String> {
        let (token, seal) = sealed.split_once('.')?;
        let seal = URL_SAFE_NO_PAD.decode(seal).ok()?;
        self.seal(token, visitor).verify_slice(&seal).is_ok().then(|| token.to_owned())
    }

    /// Keeps a session that was just opened, in a browser that is known by a new name from now on.
    pub(crate) fn keep_session(&self, token: &str) -> [HeaderValue; 2] {
        let visitor = fresh_visitor();
        let seal = URL_SAFE_NO_PAD.encode(self.seal(token, &visitor).finalize().into_bytes());
        let session = self.write(self.session_name(), format!("{token}.{seal}"), DAYS);
        [session, self.keep_visitor(visitor)]
    }

    /// Forgets the session.
    pub(crate) fn drop_session(&self) -> HeaderValue {
        self.write(self.session_name(), String::new(), 0)
    }

    /// Knows the browser again.
    pub(crate) fn keep_visitor(&self, value: String) -> HeaderValue {
        self.write(self.visitor_name(), value, DAYS)
    }

    /// Removes every copy of our cookies that another host name can have set for the console at `host`, as far as a
    /// request for `path` carries it. Our own stay: they are of no domain.
    pub(crate) fn drop_planted(&self, host: &str, path: &str) -> Vec<HeaderValue> {
        let host = host.rsplit_once(':').map_or(host, |(name, _)| name);
        let domains: Vec<&str> =
            host.char_indices().filter(|(_, sign)| *sign == '.').map(|(at, _)| &host[at + 1..]).collect();
        let mut paths = vec!["/"];
        for (at, _) in path.char_indices().skip(1).filter(|(_, sign)| *sign == '/') {
            paths.extend([&path[..at], &path[..=at]]);
        }
        paths.push(path);
        let mut gone = Vec::new();
        for name in [self.session_name(), self.visitor_name()] {
            for domain in std::iter::once(host).chain(domains.iter().copied()) {
                for path in &paths {
                    let text = format!("{name}=; Domain={domain}; Path={path}; Max-Age=0; HttpOnly; SameSite=Lax");
                    gone.extend(HeaderValue::from_str(&text));
                }
            }
        }
        gone
    }

    fn write(&self, name: &'static str, value: String, days: i64) -> HeaderValue {
        let cookie = Cookie::build((name, value))
            .path("/")
            .http_only(true)
            .same_site(SameSite::Lax)
            .secure(self.scheme == Scheme::Https)
            .max_age(cookie::time::Duration::days(days));
        HeaderValue::from_str(&cookie.to_string()).expect("our own tokens are made of letters and digits")
    }
}

/// A name for a browser that comes for the first time.
pub(crate) fn fresh_visitor() -> String {
    hex::encode(rand::random::<[u8; 16]>())
}

fn all<'a>(headers: &'a HeaderMap, name: &str) -> Vec<&'a str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let cookies = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    cookies.filter(|(found, _)| *found == name).map(|(_, value)| value).collect()
}

fn is_sound(value: &str) -> bool {
    !value.is_empty() && value.len() <= 200
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const HTTP: Cookies<'static> = Cookies { scheme: Scheme::Http, key: &[1; 32] };

    fn read(cookies: &str) -> Known {
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, HeaderValue::from_str(cookies).unwrap());
        HTTP.read(&headers)
    }

    /// The session and the visitor as a browser sends them back.
    fn signed_in(token: &str) -> [String; 2] {
        HTTP.keep_session(token).map(|set| set.to_str().unwrap().split(';').next().unwrap().to_owned())
    }

    #[test]
    fn cookies_are_host_only_and_out_of_reach_of_scripts() {
        let cookies = Cookies { scheme: Scheme::Https, ..HTTP };
        for (cookie, name) in cookies.keep_session("abc").iter().zip(["session=abc.", "visitor="]) {
            let text = cookie.to_str().unwrap();
            for part in [&format!("__Host-freehold_{name}"), "HttpOnly", "SameSite=Lax", "Secure", "Path=/"] {
                assert!(text.contains(part), "{part} is missing in {text}");
            }
            assert!(!text.contains("Domain"));
        }
    }

    #[test]
    fn a_session_is_worth_something_in_its_own_browser_alone() {
        let ([session, visitor], [_, other]) = (signed_in("abc"), signed_in("xyz"));
        let known = read(&format!("a=b; {session}; {visitor}"));
        assert_eq!((known.session.as_deref(), known.planted), (Some("abc"), false));
        for cookies in [format!("{session}; {other}"), session.clone(), session.replace("abc", "abd") + "; " + &visitor]
        {
            let known = read(&cookies);
            assert_eq!((known.session, known.planted), (None, true), "{cookies}");
        }
        assert_eq!(read(&visitor), Known { visitor: Some(visitor[17..].to_owned()), ..Known::default() });
        assert_eq!(read("a=b"), Known::default());
    }

    #[test]
    fn of_two_cookies_of_a_name_neither_is_trusted() {
        let ([session, visitor], [planted, with]) = (signed_in("abc"), signed_in("xyz"));
        for cookies in [
            format!("{planted}; {session}; {visitor}"),
            format!("{session}; {visitor}; {planted}; {with}"),
            format!("{visitor}; {with}"),
            format!("{session}; {session}; {visitor}"),
        ] {
            assert_eq!(read(&cookies), Known { planted: true, ..Known::default() }, "{cookies}");
        }
    }

    #[test]
    fn every_planted_copy_is_removed_and_none_of_ours() {
        let gone = HTTP.drop_planted("console.freehold.example:8080", "/servers/anna");
        let gone: Vec<_> = gone.iter().map(|value| value.to_str().unwrap()).collect();
        for domain in ["console.freehold.example", "freehold.example", "example"] {
            for path in ["/", "/servers", "/servers/", "/servers/anna"] {
                let attributes = format!("=; Domain={domain}; Path={path}; Max-Age=0");
                assert_eq!(gone.iter().filter(|text| text.contains(&attributes)).count(), 2, "{attributes}");
            }
        }
        assert!(gone.iter().all(|text| text.contains("Domain=")), "a cookie of ours has none: {gone:?}");
    }
}
