//! Telling whole HTML documents from fragments, and finding the inline scripts of whole ones.
//!
//! A whole document is served as its maker wrote it. Our policy forbids inline script in general, so the policy of
//! such a page names, by hash, exactly the inline scripts the document has in the owner's own storage.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use export_format::Digest;

/// Whether a text is a whole document.
pub(crate) fn is_whole(text: &str) -> bool {
    let head: String = text.trim_start_matches('\u{feff}').chars().take(1024).collect::<String>().to_ascii_lowercase();
    head.contains("<!doctype") || head.contains("<html")
}

/// Policy sources for the inline scripts of a document.
pub(super) fn script_hashes(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let (mut sources, mut at) = (String::new(), 0);
    while let Some(start) = lower[at..].find("<script").map(|found| at + found) {
        let Some(open) = lower[start..].find('>').map(|found| start + found + 1) else { break };
        let end = lower[open..].find("</script").map_or(lower.len(), |found| open + found);
        if end > open && !lower[start..open].contains(" src") {
            let digest = STANDARD.encode(Digest::of(&text.as_bytes()[open..end]).as_bytes());
            sources.push_str(" 'sha256-");
            sources.push_str(&digest);
            sources.push('\'');
        }
        at = end;
    }
    sources
}

/// Text as it may stand in HTML, also in attributes.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// JSON as it may stand in a script element.
pub(super) fn json_in_script(value: &serde_json::Value) -> String {
    value.to_string().replace('<', "\\u003c").replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fragment_is_not_a_document() {
        assert!(is_whole("\u{feff}\n<!DOCTYPE html><p>"));
        assert!(is_whole("<!-- hello -->\n<HTML lang=en>"));
        assert!(!is_whole("<div>about html</div>"));
    }

    #[test]
    fn each_inline_script_is_named_by_its_hash() {
        let one = script_hashes("<script>1</script><script src=a.js></script><SCRIPT type=module>2</SCRIPT>");
        assert_eq!(one.matches("'sha256-").count(), 2);
        assert!(one.contains("'sha256-a4ayc/80/OGda4BO/1o/V0etpOqiLx1JwB5S3beHW0s='"), "{one}");
        assert_eq!(script_hashes("<p>none</p>"), "");
        assert_eq!(script_hashes("<script"), "");
    }

    #[test]
    fn data_cannot_end_the_script_it_stands_in() {
        let text = json_in_script(&serde_json::json!({"name": "</script><b>"}));
        assert!(!text.contains('<'));
    }
}
