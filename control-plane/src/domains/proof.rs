//! What a domain's owner writes into DNS, and what counts as proof of it.
//!
//! The text holds a challenge that only one server of one provider was given, and that server's key. The challenge counts
//! here. The key counts at a provider to which the server has moved, where its signed hand-over names the server there: so
//! a domain moves by its address alone, and nobody can vouch for a domain but who writes its DNS.

use std::collections::BTreeSet;

use super::lookup::{Found, Leads, Unknown};
use crate::keys;

/// What the text begins with.
const MARK: &str = "pcc-domain=1";

/// A new challenge: 256 bits that nobody can guess.
pub(super) fn challenge() -> String {
    keys::random_text()
}

/// The text to put into DNS.
pub(super) fn text(challenge: &str, did: Option<&str>) -> String {
    match did {
        Some(did) => format!("{MARK}; challenge={challenge}; key={did}"),
        None => format!("{MARK}; challenge={challenge}"),
    }
}

/// Whether one of these texts holds the challenge, or the key that handed over.
pub(super) fn holds(texts: &BTreeSet<String>, challenge: &str, former_did: Option<&str>) -> bool {
    let is_word = |part: &str| {
        part.strip_prefix("challenge=").is_some_and(|told| told == challenge)
            || former_did.is_some_and(|did| part.strip_prefix("key=") == Some(did))
    };
    texts.iter().any(|text| {
        let mut parts = text.split(';').map(str::trim);
        parts.next() == Some(MARK) && parts.any(is_word)
    })
}

/// What a look comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is proved.
    Holds,
    /// It is not, and why.
    Lacks(String),
    /// Nobody knows, and why.
    Unknown(String),
}

/// Judges what was found against what is asked of a name.
pub(super) fn judge(found: &Found, challenge: &str, former_did: Option<&str>) -> Verdict {
    let mut lacks = Vec::new();
    let mut unknown = None;
    match &found.challenges {
        Ok(texts) if holds(texts, challenge, former_did) => {}
        Ok(texts) if texts.is_empty() => lacks.push("The TXT record is not there.".to_owned()),
        Ok(_) => lacks.push("There is a TXT record, but not with the text that is asked for.".to_owned()),
        Err(Unknown(why)) => unknown = Some(why),
    }
    match &found.leads {
        Ok(Leads::Here) => {}
        Ok(Leads::Nowhere) => lacks.push("The name has no address yet.".to_owned()),
        Ok(Leads::Elsewhere(to)) => {
            let to: Vec<_> = to.iter().map(ToString::to_string).collect();
            lacks.push(format!("The name leads to {} as well or instead, which is not here.", to.join(", ")));
        }
        Err(Unknown(why)) => unknown = Some(why),
    }
    match (unknown, lacks.is_empty()) {
        (Some(why), _) => Verdict::Unknown(format!("DNS gave no answer that counts: {why}")),
        (None, true) => Verdict::Holds,
        (None, false) => Verdict::Lacks(lacks.join(" ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(texts: &[&str]) -> BTreeSet<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn the_text_we_ask_for_is_the_proof_and_nothing_near_it_is() {
        let (challenge, did) = (challenge(), "did:key:z6MkAnna");
        let asked = text(&challenge, Some(did));
        assert!(holds(&texts(&["v=spf1 -all", &asked]), &challenge, None));
        assert!(holds(&texts(&[&text(&challenge, None)]), &challenge, None));
        let other = super::challenge();
        assert_ne!(other, challenge);
        for wrong in [
            text(&other, Some(did)),
            challenge.clone(),
            format!("challenge={challenge}"),
            format!("{MARK}; challenge={challenge}x"),
            format!("{MARK}; xchallenge={challenge}"),
        ] {
            assert!(!holds(&texts(&[&wrong]), &challenge, None), "{wrong}");
        }
    }

    #[test]
    fn a_key_counts_only_where_it_handed_over() {
        let asked = text("elsewhere", Some("did:key:z6MkAnna"));
        assert!(!holds(&texts(&[&asked]), "here", None));
        assert!(!holds(&texts(&[&asked]), "here", Some("did:key:z6MkBob")));
        assert!(holds(&texts(&[&asked]), "here", Some("did:key:z6MkAnna")));
    }

    #[test]
    fn both_the_text_and_the_address_are_asked_for_and_silence_is_no_verdict() {
        let found = |challenges, leads| Found { challenges, leads, wildcard: false };
        let text = || Ok(texts(&[&text("c", None)]));
        assert_eq!(judge(&found(text(), Ok(Leads::Here)), "c", None), Verdict::Holds);
        for lacking in [
            found(Ok(BTreeSet::new()), Ok(Leads::Here)),
            found(text(), Ok(Leads::Nowhere)),
            found(text(), Ok(Leads::Elsewhere(vec!["192.0.2.1".parse().expect("an address")]))),
            found(Ok(texts(&["v=spf1"])), Ok(Leads::Here)),
        ] {
            assert!(matches!(judge(&lacking, "c", None), Verdict::Lacks(_)), "{lacking:?}");
        }
        let silent = || Unknown("timed out".to_owned());
        for unknown in [found(Err(silent()), Ok(Leads::Nowhere)), found(text(), Err(silent()))] {
            assert!(matches!(judge(&unknown, "c", None), Verdict::Unknown(_)), "{unknown:?}");
        }
    }
}
