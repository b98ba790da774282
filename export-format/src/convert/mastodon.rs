//! The CSV lists that a Mastodon account imports: whom one follows, blocks and mutes, lists and bookmarks.
//!
//! Columns, names of files and limits are those of Mastodon's importer (mastodon/mastodon, `app/models/form/import.rb`:
//! the headers by kind, at most 20,000 rows and 20 MB a file; `app/models/export.rb`: what its own export writes).

use std::collections::BTreeMap;

use super::apps::{apps, each_row, keeps_people, segments};
use super::out::Out;
use super::text::cell;
use super::{ConvertError, card};
use crate::entry::Kind;
use crate::reader::{Reader, Verified};
use crate::source::Source;

pub(super) const README: &str =
    "These are lists for a Mastodon account: Preferences, Import and export, Import. Choose the kind of list, then
the file. A list that goes on in a file -2.csv was longer than Mastodon takes at once; import that too, with “merge”.
";

/// The most rows that Mastodon takes in one file.
const MOST_ROWS: usize = 20_000;

/// One kind of list: its file, its columns, and how a row of the archive's own list becomes one.
struct Kinds {
    file: &'static str,
    columns: &'static [&'static str],
    row: fn(&[&str]) -> Option<Vec<String>>,
}

static KINDS: [Kinds; 6] = [
    Kinds {
        file: "following_accounts",
        columns: &["Account address", "Show boosts", "Notify on new posts", "Languages"],
        row: |cells| {
            let languages = cells.get(3).copied().unwrap_or_default();
            let sound = languages.bytes().all(|b| b.is_ascii_alphabetic() || matches!(b, b',' | b' ' | b'-'));
            let languages = if sound { languages } else { "" };
            Some(vec![known(cells)?, yes(cells.get(1), "true"), yes(cells.get(2), "false"), languages.to_owned()])
        },
    },
    Kinds { file: "blocked_accounts", columns: &["Account address"], row: |cells| Some(vec![known(cells)?]) },
    Kinds {
        file: "muted_accounts",
        columns: &["Account address", "Hide notifications"],
        row: |cells| Some(vec![known(cells)?, yes(cells.get(1), "true")]),
    },
    Kinds {
        file: "blocked_domains",
        columns: &["#domain"],
        row: |cells| cells.first().filter(|host| card::is_host(host)).map(|host| vec![host.to_ascii_lowercase()]),
    },
    Kinds {
        file: "bookmarks",
        columns: &["#uri"],
        row: |cells| cells.first().filter(|link| card::is_link(link)).map(|link| vec![(*link).to_owned()]),
    },
    Kinds {
        file: "lists",
        columns: &["List name", "Account address"],
        row: |cells| {
            let name = cells.first().filter(|name| !name.trim().is_empty())?;
            Some(vec![(*name).to_owned(), known(cells.get(1..)?)?])
        },
    },
];

fn known(cells: &[&str]) -> Option<String> {
    card::account(cells.first()?, true)
}

fn yes(cell: Option<&&str>, otherwise: &str) -> String {
    match cell.map(|cell| cell.trim().to_ascii_lowercase()).as_deref() {
        Some("true" | "1" | "yes") => "true".to_owned(),
        Some("false" | "0" | "no") => "false".to_owned(),
        _ => otherwise.to_owned(),
    }
}

pub(super) fn write<S: Source>(archive: &Reader<S, Verified>, out: &mut Out<'_>) -> Result<(), ConvertError> {
    let mut lists: BTreeMap<&str, BTreeMap<String, Vec<String>>> = BTreeMap::new();
    for entry in archive.entries().iter().filter(|entry| entry.path().is_payload()) {
        let within = entry.path().as_str().trim_start_matches("data/");
        let kind = within.strip_prefix("messages/activitypub/").and_then(|name| name.strip_suffix(".csv"));
        let kind = kind.and_then(|name| KINDS.iter().find(|kind| kind.file == name));
        if let Some(kind) = kind {
            let Ok(content) = archive.document(entry) else {
                out.leave("lists", "longer than 8 MiB");
                continue;
            };
            let text = String::from_utf8_lossy(&content);
            for cells in rows(&text) {
                let cells: Vec<&str> = cells.iter().map(String::as_str).collect();
                if kind.columns.first().is_some_and(|column| cells.first() == Some(column)) {
                    continue;
                }
                match (kind.row)(&cells) {
                    Some(row) => drop(lists.entry(kind.file).or_default().insert(row.join("\0"), row)),
                    None => out.leave(&format!("rows of {}.csv", kind.file), "they are not of a form Mastodon takes"),
                }
            }
        } else if matches!(Kind::of(entry.path()), Kind::Contacts) {
            match archive.document(entry) {
                Ok(cards) => card::accounts_of_cards(&String::from_utf8_lossy(&cards))
                    .into_iter()
                    .for_each(|account| follow(&mut lists, account)),
                Err(_) => out.leave("files of contacts", "longer than 8 MiB"),
            }
        } else if within.starts_with("messages/activitypub/") {
            out.leave("documents of ActivityPub", "Mastodon imports lists, and no posts or profiles");
        }
        out.pass(entry.size());
    }
    for app in &apps(archive)? {
        for table in app.tables.iter().filter(|table| keeps_people(table)) {
            for segment in segments(archive, app, table) {
                each_row(archive, segment, &mut |row| {
                    let accounts = card::accounts(row);
                    if accounts.is_empty() {
                        out.leave("people", "they have no address in the Fediverse");
                    }
                    accounts.into_iter().for_each(|account| follow(&mut lists, account));
                    Ok(())
                })?;
            }
        }
    }
    let counts = &archive.manifest().counts;
    out.leave_all(counts.documents, "documents of apps", "Mastodon imports lists of accounts only");
    out.leave_all(counts.files, "files of apps", "Mastodon imports lists of accounts only");
    for kind in &KINDS {
        let Some(list) = lists.remove(kind.file) else { continue };
        let rows: Vec<Vec<String>> = list.into_values().collect();
        for (index, part) in rows.chunks(MOST_ROWS).enumerate() {
            let end = if index == 0 { String::new() } else { format!("-{}", index + 1) };
            let mut file = out.create("mastodon", &format!("{}{end}.csv", kind.file))?;
            file.put(line(kind.columns))?;
            for row in part {
                file.put(line(row))?;
                out.wrote("rows", &format!("mastodon/{}.csv", kind.file));
            }
            file.finish()?;
        }
    }
    Ok(())
}

fn follow(lists: &mut BTreeMap<&str, BTreeMap<String, Vec<String>>>, account: String) {
    let following = lists.entry(KINDS[0].file).or_default();
    // What the person chose for somebody they follow already stands.
    if !following.values().any(|row| row.first() == Some(&account)) {
        let row = vec![account, "true".to_owned(), "false".to_owned(), String::new()];
        following.insert(row.join("\0"), row);
    }
}

fn line(cells: &[impl AsRef<str>]) -> String {
    let cells: Vec<String> = cells
        .iter()
        // The columns of Mastodon that begin with # are its own names, and no formula begins so.
        .map(|text| cell(text.as_ref()))
        .collect();
    cells.join(",") + "\n"
}

/// The rows of a CSV file (RFC 4180), however it is spelled; empty ones are left out.
fn rows(text: &str) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    let (mut row, mut cell, mut quoted) = (Vec::new(), String::new(), false);
    let mut chars = text.trim_start_matches('\u{feff}').chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                cell.push('"');
            }
            '"' if quoted => quoted = false,
            '"' if cell.is_empty() => quoted = true,
            ',' if !quoted => row.push(std::mem::take(&mut cell)),
            '\n' if !quoted => {
                row.push(std::mem::take(&mut cell));
                all.push(std::mem::take(&mut row));
            }
            '\r' if !quoted => {}
            c => cell.push(c),
        }
    }
    row.push(cell);
    all.push(row);
    all.retain(|row| row.iter().any(|cell| !cell.trim().is_empty()));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_however_they_are_spelled() {
        assert_eq!(
            rows("\u{feff}a,\"b \"\"c\"\", d\"\r\n\r\n,\n\"x\ny\""),
            [vec!["a", "b \"c\", d"], vec!["x\ny"]].map(|row| row.into_iter().map(str::to_owned).collect::<Vec<_>>())
        );
    }

    #[test]
    fn a_row_is_of_one_form_or_none() {
        let follow = KINDS[0].row;
        assert_eq!(
            follow(&["@bob@bob.example", "FALSE"]).unwrap_or_default(),
            ["bob@bob.example", "false", "false", ""]
        );
        assert_eq!(follow(&["bob@bob.example", "true", "true", "de, en"]).unwrap_or_default()[3], "de, en");
        assert_eq!(follow(&["bob@bob.example", "", "", "=1"]).unwrap_or_default()[3], "");
        assert_eq!(follow(&["=cmd|'/c calc'!A1"]), None);
        assert_eq!((KINDS[4].row)(&["javascript:alert(1)"]), None);
    }
}
