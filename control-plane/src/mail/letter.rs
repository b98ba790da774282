//! The letters we write. A template's first line is the subject; the rest is the text, and the HTML is made of it.

use askama::Template;
use billing::{Money, Schedule};
use jiff::{Timestamp, tz::TimeZone};

use crate::{Error, Result};

/// A letter, with what it tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Letter {
    /// The server is there.
    Welcome {
        /// Where.
        address: String,
        /// The plan they took.
        plan: String,
    },
    /// A bill.
    Invoice {
        /// Its number.
        number: String,
        /// The plan it is for.
        plan: String,
        /// The first day it is for.
        from: Timestamp,
        /// The day after the last day it is for.
        until: Timestamp,
        /// How much.
        amount: Money,
        /// Until when.
        due: Timestamp,
    },
    /// A bill is late, or something will change because it is.
    Reminder {
        /// The bill's number.
        number: String,
        /// How much.
        amount: Money,
        /// Until when it was to be paid.
        due: Timestamp,
        /// What changes next, and when.
        next: Schedule,
    },
    /// A server is closed, or about to be erased for it.
    Closing {
        /// Until then everything works.
        ends: Timestamp,
        /// Until then it can be taken back.
        erased: Timestamp,
    },
    /// A server lives at another provider now.
    MovedAway {
        /// Its address here.
        from: String,
        /// Its address there.
        to: String,
        /// Until then the one leads to the other.
        until: Timestamp,
        /// When the agreement here ends by itself, where there is one.
        ends: Option<Timestamp>,
        /// When what is left here is erased.
        erased: Option<Timestamp>,
    },
    /// What was left here of a server that has moved is gone.
    Erased {
        /// The address it had here.
        address: String,
        /// How many objects.
        objects: u64,
        /// How many bytes.
        bytes: u64,
        /// The receipt, exactly as it was signed.
        document: String,
        /// The signature over it.
        signature: String,
        /// The page where both can be had as files.
        link: String,
    },
    /// What was left here of a server that has moved is about to be erased.
    LeftBehind {
        /// The address of the server where it lives now.
        to: String,
        /// When it is erased.
        erased: Timestamp,
        /// Until when its old address leads on.
        until: Timestamp,
    },
    /// An archive can be fetched.
    ExportReady {
        /// Of which server.
        server: String,
        /// Its exact size.
        bytes: u64,
        /// Where to fetch it, signed in.
        link: String,
        /// Until when it is kept.
        until: Timestamp,
    },
    /// A copy that goes by itself did not get there.
    CopyFailed {
        /// Of which server.
        server: String,
        /// What its owner calls the storage.
        place: String,
        /// What is wrong.
        why: String,
        /// When it is tried again.
        next: Option<Timestamp>,
        /// Where to see it.
        link: String,
    },
    /// An archive has been taken in.
    ImportFinished {
        /// By which server.
        server: String,
        /// How many records came.
        documents: u64,
        /// How many files came.
        files: u64,
        /// Until when it can be undone.
        undo_until: Timestamp,
        /// Where to see what came and what did not.
        link: String,
    },
    /// The proof of a domain is gone.
    DomainFailing {
        /// Which.
        domain: String,
        /// What is missing.
        why: String,
        /// When it is turned off; nothing where it has been, because somebody else has proved it.
        off: Option<Timestamp>,
        /// Where to see what to do.
        link: String,
    },
    /// A server has come from another provider.
    Moved {
        /// Which server here.
        server: String,
        /// The old address.
        from: String,
        /// How many records came.
        documents: u64,
        /// How many files came.
        files: u64,
        /// For how long saving had to wait, in words.
        paused: String,
        /// Where to see what came and what did not.
        link: String,
    },
    /// A server did not come from another provider.
    MoveFailed {
        /// Which server here.
        server: String,
        /// The old address.
        from: String,
        /// Why.
        why: String,
        /// Where to see how far it got.
        link: String,
    },
}

/// A letter as it leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rendered {
    pub(crate) subject: String,
    pub(crate) text: String,
    pub(crate) html: String,
}

#[derive(Template)]
#[template(path = "mail/welcome.txt", escape = "none")]
struct Welcome<'a> {
    from: &'a From<'a>,
    address: &'a str,
    plan: &'a str,
}

#[derive(Template)]
#[template(path = "mail/invoice.txt", escape = "none")]
struct Invoice<'a> {
    from: &'a From<'a>,
    number: &'a str,
    plan: &'a str,
    start: String,
    end: String,
    amount: String,
    due: String,
}

#[derive(Template)]
#[template(path = "mail/reminder.txt", escape = "none")]
struct Reminder<'a> {
    from: &'a From<'a>,
    number: &'a str,
    amount: String,
    due: String,
    read_only: String,
    asleep: String,
}

#[derive(Template)]
#[template(path = "mail/closing.txt", escape = "none")]
struct Closing<'a> {
    from: &'a From<'a>,
    ends: String,
    erased: String,
}

#[derive(Template)]
#[template(path = "mail/moved_away.txt", escape = "none")]
struct MovedAway<'a> {
    from: &'a From<'a>,
    old: &'a str,
    new: &'a str,
    until: String,
    ends: Option<String>,
    erased: Option<String>,
}

#[derive(Template)]
#[template(path = "mail/erased.txt", escape = "none")]
struct Erased<'a> {
    from: &'a From<'a>,
    address: &'a str,
    objects: u64,
    size: String,
    document: &'a str,
    signature: &'a str,
    link: &'a str,
}

#[derive(Template)]
#[template(path = "mail/left_behind.txt", escape = "none")]
struct LeftBehind<'a> {
    from: &'a From<'a>,
    new: &'a str,
    erased: String,
    until: String,
}

#[derive(Template)]
#[template(path = "mail/export_ready.txt", escape = "none")]
struct ExportReady<'a> {
    from: &'a From<'a>,
    server: &'a str,
    size: String,
    link: &'a str,
    until: String,
}

#[derive(Template)]
#[template(path = "mail/copy_failed.txt", escape = "none")]
struct CopyFailed<'a> {
    from: &'a From<'a>,
    server: &'a str,
    place: &'a str,
    why: &'a str,
    next: Option<String>,
    link: &'a str,
}

#[derive(Template)]
#[template(path = "mail/domain_failing.txt", escape = "none")]
struct DomainFailing<'a> {
    from: &'a From<'a>,
    domain: &'a str,
    why: &'a str,
    off: Option<String>,
    link: &'a str,
}

#[derive(Template)]
#[template(path = "mail/import_finished.txt", escape = "none")]
struct ImportFinished<'a> {
    from: &'a From<'a>,
    server: &'a str,
    documents: u64,
    files: u64,
    undo_until: String,
    link: &'a str,
}

#[derive(Template)]
#[template(path = "mail/moved.txt", escape = "none")]
struct Moved<'a> {
    from: &'a From<'a>,
    server: &'a str,
    old: &'a str,
    documents: u64,
    files: u64,
    paused: &'a str,
    link: &'a str,
}

#[derive(Template)]
#[template(path = "mail/move_failed.txt", escape = "none")]
struct MoveFailed<'a> {
    from: &'a From<'a>,
    server: &'a str,
    old: &'a str,
    why: &'a str,
    link: &'a str,
}

#[derive(Template)]
#[template(path = "mail/letter.html")]
struct Html<'a> {
    subject: &'a str,
    paragraphs: Vec<Vec<Vec<Part<'a>>>>,
}

/// A stretch of a line.
enum Part<'a> {
    Text(&'a str),
    Link(&'a str),
}

/// Who writes to whom, and where the console is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct From<'a> {
    pub(crate) business: &'a str,
    pub(crate) console: &'a str,
    pub(crate) reader: &'a str,
}

impl Letter {
    pub(crate) fn render(&self, from: &From<'_>) -> Result<Rendered> {
        let text = match self {
            Self::Welcome { address, plan } => Welcome { from, address, plan }.render(),
            Self::Invoice { number, plan, from: start, until, amount, due } => Invoice {
                from,
                number,
                plan,
                start: day(*start),
                end: day(*until),
                amount: amount.to_string(),
                due: day(*due),
            }
            .render(),
            Self::Reminder { number, amount, due, next } => Reminder {
                from,
                number,
                amount: amount.to_string(),
                due: day(*due),
                read_only: day(next.read_only),
                asleep: day(next.asleep),
            }
            .render(),
            Self::Closing { ends, erased } => Closing { from, ends: day(*ends), erased: day(*erased) }.render(),
            Self::MovedAway { from: old, to: new, until, ends, erased } => {
                MovedAway { from, old, new, until: day(*until), ends: ends.map(day), erased: erased.map(day) }.render()
            }
            Self::Erased { address, objects, bytes, document, signature, link } => {
                let signature = signature.trim_end();
                Erased { from, address, objects: *objects, size: size(*bytes), document, signature, link }.render()
            }
            Self::LeftBehind { to, erased, until } => {
                LeftBehind { from, new: to, erased: day(*erased), until: day(*until) }.render()
            }
            Self::ExportReady { server, bytes, link, until } => {
                ExportReady { from, server, size: size(*bytes), link, until: day(*until) }.render()
            }
            Self::CopyFailed { server, place, why, next, link } => {
                CopyFailed { from, server, place, why, next: next.map(hour), link }.render()
            }
            Self::DomainFailing { domain, why, off, link } => {
                DomainFailing { from, domain, why, off: off.map(day), link }.render()
            }
            Self::ImportFinished { server, documents, files, undo_until, link } => ImportFinished {
                from,
                server,
                documents: *documents,
                files: *files,
                undo_until: day(*undo_until),
                link,
            }
            .render(),
            Self::Moved { server, from: old, documents, files, paused, link } => {
                Moved { from, server, old, documents: *documents, files: *files, paused, link }.render()
            }
            Self::MoveFailed { server, from: old, why, link } => MoveFailed { from, server, old, why, link }.render(),
        };
        let text = text.map_err(Error::bug)?;
        let (subject, text) = text.split_once('\n').ok_or_else(|| Error::bug("a letter without a text"))?;
        let (subject, text) = (subject.trim(), text.trim());
        let html = Html { subject, paragraphs: paragraphs(text) }.render().map_err(Error::bug)?;
        Ok(Rendered { subject: subject.into(), text: text.into(), html })
    }
}

fn paragraphs(text: &str) -> Vec<Vec<Vec<Part<'_>>>> {
    text.split("\n\n").map(|paragraph| paragraph.lines().map(parts).collect()).collect()
}

/// Addresses in a line become links; they stand between spaces in our templates.
fn parts(line: &str) -> Vec<Part<'_>> {
    let is_link = |word: &str| word.starts_with("http://") || word.starts_with("https://");
    line.split_inclusive(' ')
        .flat_map(|word| {
            let bare = word.trim_end_matches(' ');
            if is_link(bare) { vec![Part::Link(bare), Part::Text(&word[bare.len()..])] } else { vec![Part::Text(word)] }
        })
        .collect()
}

/// `5 December 2026`, in UTC.
fn day(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%-d %B %Y").to_string()
}

/// `5 December 2026, 03:00`, in UTC.
fn hour(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%-d %B %Y, %H:%M UTC").to_string()
}

/// A size in the units of the plans, to a tenth.
fn size(bytes: u64) -> String {
    let (unit, name) = match bytes {
        0..1_000 => return format!("{bytes} bytes"),
        1_000..1_000_000 => (1_000, "KB"),
        1_000_000..1_000_000_000 => (1_000_000, "MB"),
        _ => (1_000_000_000, "GB"),
    };
    let tenths = bytes / (unit / 10);
    format!("{}.{} {name}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use billing::Currency;

    const FROM: From<'_> = From { business: "Lindenhof", console: "http://localhost:8080", reader: "Anna <Berg>" };

    fn letters() -> [Letter; 14] {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        [
            Letter::Welcome { address: "http://anna.localhost:8080".into(), plan: "House".into() },
            Letter::Invoice {
                number: "2026-0001".into(),
                plan: "House".into(),
                from: at("2026-11-21T10:00:00Z"),
                until: at("2026-12-21T10:00:00Z"),
                amount: Money::new(790, Currency::EUR),
                due: at("2026-12-05T10:00:00Z"),
            },
            Letter::Reminder {
                number: "2026-0001".into(),
                amount: Money::new(790, Currency::EUR),
                due: at("2026-12-05T10:00:00Z"),
                next: billing::schedule(at("2026-12-05T10:00:00Z"), &billing::Grace::default()),
            },
            Letter::ExportReady {
                server: "anna".into(),
                bytes: 12_430_000_000,
                link: "http://localhost:8080/servers/x".into(),
                until: at("2026-11-28T10:00:00Z"),
            },
            Letter::ImportFinished {
                server: "anna".into(),
                documents: 104_212,
                files: 310,
                undo_until: at("2026-12-21T10:00:00Z"),
                link: "http://localhost:8080/servers/x".into(),
            },
            Letter::CopyFailed {
                server: "anna".into(),
                place: "Attic".into(),
                why: "The storage refuses the key.".into(),
                next: Some(at("2026-11-29T04:00:00Z")),
                link: "http://localhost:8080/servers/x".into(),
            },
            Letter::DomainFailing {
                domain: "berg.example".into(),
                why: "The TXT record is not there.".into(),
                off: Some(at("2026-12-07T10:00:00Z")),
                link: "http://localhost:8080/servers/x/domains".into(),
            },
            Letter::DomainFailing {
                domain: "berg.example".into(),
                why: "Its DNS names another server here now.".into(),
                off: None,
                link: "http://localhost:8080/servers/x/domains".into(),
            },
            Letter::Closing { ends: at("2026-12-21T10:00:00Z"), erased: at("2027-01-20T10:00:00Z") },
            Letter::Moved {
                server: "anna".into(),
                from: "https://anna.old.example".into(),
                documents: 104_212,
                files: 310,
                paused: "0.4 seconds".into(),
                link: "http://localhost:8080/servers/x".into(),
            },
            Letter::MoveFailed {
                server: "anna".into(),
                from: "https://anna.old.example".into(),
                why: "The old place does not answer.".into(),
                link: "http://localhost:8080/servers/x".into(),
            },
            Letter::LeftBehind {
                to: "https://anna.new.example".into(),
                erased: at("2027-01-20T10:00:00Z"),
                until: at("2027-02-28T10:00:00Z"),
            },
            Letter::Erased {
                address: "http://anna.localhost:8080".into(),
                objects: 12,
                bytes: 12_430_000_000,
                document: "{\"type\":\"pcc-deletion@1\"}".into(),
                signature: "-----BEGIN SSH SIGNATURE-----\nU1NI\n-----END SSH SIGNATURE-----\n".into(),
                link: "http://localhost:8080/servers/anna/moving".into(),
            },
            Letter::MovedAway {
                from: "http://anna.localhost:8080".into(),
                to: "https://anna.new.example".into(),
                until: at("2027-02-28T10:00:00Z"),
                ends: Some(at("2026-12-21T10:00:00Z")),
                erased: Some(at("2027-01-20T10:00:00Z")),
            },
        ]
    }

    #[test]
    fn every_letter_says_who_writes_to_whom_and_how_to_leave() {
        for letter in letters() {
            let rendered = letter.render(&FROM).unwrap();
            assert!(!rendered.subject.is_empty() && rendered.subject.len() < 80, "{}", rendered.subject);
            for part in ["Anna <Berg>", "Lindenhof", "take everything and go"] {
                assert!(rendered.text.contains(part), "{letter:?} lacks {part}:\n{}", rendered.text);
            }
            assert!(!rendered.text.contains("\n\n\n"), "{}", rendered.text);
        }
    }

    #[test]
    fn html_is_the_same_text_with_links_and_nothing_of_the_readers() {
        let [welcome, invoice, _, export, ..] = letters();
        let html = welcome.render(&FROM).unwrap().html;
        assert!(html.contains("Anna &#60;Berg&#62;") && !html.contains("<Berg>"), "{html}");
        assert!(html.contains("<a href=\"http://anna.localhost:8080\">http://anna.localhost:8080</a>"), "{html}");
        let text = invoice.render(&FROM).unwrap().text;
        for part in ["€7.90", "5 December 2026", "2026-0001", "21 November 2026"] {
            assert!(text.contains(part), "{text}");
        }
        assert!(export.render(&FROM).unwrap().text.contains("12.4 GB"));
    }
}
