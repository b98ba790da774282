//! The second lock against forged requests.
//!
//! The first lock is the browser's own word (`Sec-Fetch-Site`, `Origin`): see [`crate::visit`]. People's servers live on
//! names under the console's own, so "same site" is not enough and only "same origin" passes. The second is a token in
//! every form: a keyed digest of the visitor's cookie, which no other origin can read.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

fn digest(key: &[u8; 32], cookie: &str) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(b"freehold form token 1\0");
    mac.update(cookie.as_bytes());
    mac
}

/// The token for the forms of whoever holds `cookie`.
pub(crate) fn make(key: &[u8; 32], cookie: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest(key, cookie).finalize().into_bytes())
}

/// Whether `token` was made for `cookie`; takes the same time whatever the answer.
pub(crate) fn holds(key: &[u8; 32], cookie: &str, token: &str) -> bool {
    URL_SAFE_NO_PAD.decode(token).is_ok_and(|token| digest(key, cookie).verify_slice(&token).is_ok())
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_token_fits_one_cookie_and_one_key() {
        let token = super::make(&[1; 32], "anna");
        assert!(super::holds(&[1; 32], "anna", &token));
        assert!(!super::holds(&[1; 32], "tom", &token));
        assert!(!super::holds(&[2; 32], "anna", &token));
        assert!(!super::holds(&[1; 32], "anna", ""));
    }
}
