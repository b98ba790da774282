//! Texts from an archive, made fit for where they are to stand.

/// On one line, and not endless: control characters and line ends become blanks.
pub(super) fn one_line(text: &str) -> String {
    let is_break = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    let mut line: String = text.chars().take(300).map(|c| if is_break(c) { ' ' } else { c }).collect();
    if text.chars().nth(300).is_some() {
        line.push('…');
    }
    line.trim().to_owned()
}

/// A text as a value of vCard (RFC 6350, 3.4) and iCalendar (RFC 5545, 3.3.11), which escape alike.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' | ',' | ';' => {
                out.push('\\');
                out.push(c);
            }
            '\r' if chars.peek() == Some(&'\n') => {}
            '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}' => out.push_str("\\n"),
            '\t' => out.push('\t'),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

/// A line of either, folded after 75 bytes, with its end.
pub(super) fn folded(line: &str) -> String {
    let mut out = String::with_capacity(line.len() + 8);
    let mut width = 0;
    for c in line.chars() {
        if width + c.len_utf8() > 75 {
            out.push_str("\r\n ");
            width = 1;
        }
        out.push(c);
        width += c.len_utf8();
    }
    out + "\r\n"
}

/// A cell of a CSV file (RFC 4180), which no spreadsheet takes for a formula.
pub(super) fn cell(text: &str) -> String {
    let text = one_line(text);
    let text = if text.starts_with(['=', '+', '-', '@', '\t', '\r', '|', '%']) { format!("'{text}") } else { text };
    if text.contains(['"', ',', ';', '\'']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

/// A name for a file from a text of the person's: short, on one line, no folders in it.
pub(super) fn file_name(text: &str) -> String {
    let name: String = one_line(text).replace('/', "_").chars().take(60).collect();
    name.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_breaks_out_of_its_place() {
        assert_eq!(one_line("a\r\nBcc: b\u{2028}c\u{0}"), "a  Bcc: b c");
        assert_eq!(escaped("a\r\nEND:VCARD\rx;y,z\\\u{0}"), "a\\nEND:VCARD\\nx\\;y\\,z\\\\");
        assert_eq!(cell("=HYPERLINK(\"x\")"), "\"'=HYPERLINK(\"\"x\"\")\"");
        assert_eq!(cell("@SUM(1)\n=2"), "\"'@SUM(1) =2\"");
        assert_eq!(cell("a, b"), "\"a, b\"");
        assert_eq!(file_name("../../etc/passwd\0"), ".._.._etc_passwd");
    }

    #[test]
    fn lines_are_folded_between_characters() {
        let line = folded(&"ü".repeat(100));
        assert!(line.ends_with("\r\n"));
        assert!(line.trim_end().split("\r\n").all(|part| part.len() <= 75), "{line}");
        assert_eq!(line.replace("\r\n ", ""), "ü".repeat(100) + "\r\n");
        assert_eq!(folded("a"), "a\r\n");
    }
}
