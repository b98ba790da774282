//! Tokens: what a browser or a program shows to prove a session.
//!
//! A token names a session and what it is for, and is sealed with the server's own key (HMAC-SHA-256), so that giving
//! one out writes nothing. It is worth exactly as much as its session: when that ends, all its tokens end.
//!
//! As text: `fh2.<purpose>.<app or '-'>.<turn>.<session>.<expires, ms>.<seal, base64url>`, dots inside app ids written
//! as `~`. The turn counts how often the app was removed: an app that comes back is opened by no token of before.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use export_format::AppId;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// The key all of one server's tokens are sealed with.
#[derive(Clone)]
pub struct Key([u8; 32]);

impl Key {
    /// The key with these bytes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// A seal for a text that is no token, by which we know it again. The same text in another role has another seal.
    #[must_use]
    pub fn mark(&self, role: &str, text: &str) -> String {
        URL_SAFE_NO_PAD.encode(self.seal(&format!("{role}\n{text}")).finalize().into_bytes())
    }

    /// Whether a seal is the one of this text in this role.
    #[must_use]
    pub fn is_mark(&self, mark: &str, role: &str, text: &str) -> bool {
        let mark = URL_SAFE_NO_PAD.decode(mark).unwrap_or_default();
        self.seal(&format!("{role}\n{text}")).verify_slice(&mark).is_ok()
    }

    fn seal(&self, text: &str) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        mac.update(text.as_bytes());
        mac
    }
}

/// What a token is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Being the owner on the server's own origin; only ever in an HttpOnly cookie.
    Owner,
    /// Being the owner's browser on one app's origin; only ever in an HttpOnly cookie.
    AppOrigin,
    /// One app's calls, from its pages or from a program.
    App,
    /// Fetching one app's files by address, on the app's own origin.
    Files,
    /// The same on the server's origin, where programs ask. An address of one origin opens nothing on another.
    ServerFiles,
}

impl Purpose {
    fn letter(self) -> &'static str {
        match self {
            Self::Owner => "o",
            Self::AppOrigin => "a",
            Self::App => "t",
            Self::Files => "f",
            Self::ServerFiles => "s",
        }
    }
}

/// What a sealed text says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it is good for.
    pub purpose: Purpose,
    /// The only app it opens; `None` for [`Purpose::Owner`].
    pub app: Option<AppId>,
    /// Which stay of that app on this server it belongs to.
    pub turn: u64,
    /// The session it stands for.
    pub session: String,
    /// Until when, Unix milliseconds.
    pub expires: i64,
}

impl Token {
    /// The token as text.
    #[must_use]
    pub fn sealed(&self, key: &Key) -> String {
        let app = self.app.as_ref().map_or_else(|| "-".to_owned(), |app| app.as_str().replace('.', "~"));
        let said = format!("fh2.{}.{app}.{}.{}.{}", self.purpose.letter(), self.turn, self.session, self.expires);
        let seal = URL_SAFE_NO_PAD.encode(key.seal(&said).finalize().into_bytes());
        format!("{said}.{seal}")
    }

    /// Reads a token of one purpose; `None` when it is not ours, not for this, or over.
    #[must_use]
    pub fn open(text: &str, purpose: Purpose, key: &Key, now: i64) -> Option<Self> {
        let (said, seal) = text.rsplit_once('.')?;
        let seal = URL_SAFE_NO_PAD.decode(seal).ok()?;
        key.seal(said).verify_slice(&seal).ok()?;
        let parts: Vec<&str> = said.split('.').collect();
        let ["fh2", letter, app, turn, session, expires] = parts.as_slice() else { return None };
        let app = match *app {
            "-" => None,
            app => Some(app.replace('~', ".").parse().ok()?),
        };
        let (turn, expires) = (turn.parse().ok()?, expires.parse().ok()?);
        (*letter == purpose.letter() && now < expires).then(|| Self {
            purpose,
            app,
            turn,
            session: (*session).to_owned(),
            expires,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_token_opens_only_with_its_key_for_its_purpose_in_its_time() {
        let key = Key::new([7; 32]);
        let app = Some("com.example.notes".parse().unwrap());
        let token = Token { purpose: Purpose::App, app, turn: 3, session: "s1".into(), expires: 100 };
        let text = token.sealed(&key);
        assert_eq!(Token::open(&text, Purpose::App, &key, 99), Some(token));
        assert_eq!(Token::open(&text, Purpose::App, &key, 100), None);
        assert_eq!(Token::open(&text, Purpose::Owner, &key, 99), None);
        assert_eq!(Token::open(&text, Purpose::App, &Key::new([8; 32]), 99), None);
        assert_eq!(Token::open(&text.replace("notes", "photo"), Purpose::App, &key, 99), None);
        assert_eq!(Token::open(&text[..text.len() - 1], Purpose::App, &key, 99), None);
    }
}
