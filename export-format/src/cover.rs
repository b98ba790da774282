//! `START-HERE.html`: the page for the person who double-clicks the archive years later, offline.
//!
//! It says what the archive is, what is in it and what is not, and links to the folders beside it. It has no script
//! and loads nothing; every text that came from somewhere is escaped.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::manifest::Manifest;
use crate::path::EntryPath;

const TEMPLATE: &str = include_str!("start-here.html");
const DELTA_TEMPLATE: &str = include_str!("start-here-delta.html");

/// What the page shows beyond what stands in `pcc.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cover {
    /// The person's name.
    pub owner: String,
    /// Names of the apps by their id.
    pub apps: BTreeMap<String, String>,
}

#[derive(Default)]
struct AppTotals {
    files: u64,
    bytes: u64,
    has_files: bool,
}

impl Cover {
    /// The page for an archive with this manifest and these files.
    pub(crate) fn page<'a>(&self, manifest: &Manifest, files: impl Iterator<Item = (&'a EntryPath, u64)>) -> String {
        let mut apps: BTreeMap<&str, AppTotals> = BTreeMap::new();
        let mut others: BTreeMap<&str, u64> = BTreeMap::new();
        for (path, bytes) in files {
            let names: Vec<&str> = path.names().collect();
            match names.as_slice() {
                ["data", "apps", app, rest @ ..] if !rest.is_empty() => {
                    let totals = apps.entry(app).or_default();
                    totals.bytes += bytes;
                    totals.files += u64::from(rest[0] == "files");
                    totals.has_files |= rest[0] == "files";
                }
                ["data", first, ..] => *others.entry(first).or_default() += bytes,
                _ => {}
            }
        }
        TEMPLATE
            .replace("{{owner}}", &escape(if self.owner.is_empty() { &manifest.subject.domain } else { &self.owner }))
            .replace("{{domain}}", &escape(&manifest.subject.domain))
            .replace("{{at}}", &escape(&manifest.snapshot.at.replace('T', ", ").replace('Z', " UTC")))
            .replace("{{provider}}", &escape(&manifest.source.provider))
            .replace("{{size}}", &human(manifest.counts.bytes))
            .replace("{{documents}}", &grouped(manifest.counts.documents))
            .replace("{{files}}", &grouped(manifest.counts.files))
            .replace("{{apps}}", &self.app_rows(&apps))
            .replace("{{others}}", &other_rows(&others))
            .replace("{{omitted}}", &omitted_rows(manifest))
            .replace("{{secrets}}", &secret_rows(manifest))
    }

    fn app_rows(&self, apps: &BTreeMap<&str, AppTotals>) -> String {
        let mut rows = String::new();
        for (id, totals) in apps {
            let name = self.apps.get(*id).map_or(*id, String::as_str);
            let folder = format!("data/apps/{}/", href(id));
            let files = if totals.has_files {
                format!(
                    "<a href=\"{folder}files/\">{} {}</a>",
                    grouped(totals.files),
                    if totals.files == 1 { "file" } else { "files" }
                )
            } else {
                String::new()
            };
            let _ = writeln!(
                rows,
                "<li><a class=\"name\" href=\"{folder}\">{}</a><span class=\"id\">{}</span><span class=\"what\">{files}</span><span class=\"n\">{}</span></li>",
                escape(name),
                escape(id),
                human(totals.bytes)
            );
        }
        if rows.is_empty() { "<li>No apps were installed.</li>\n".to_owned() } else { rows }
    }
}

/// A number of files and the sum of their lengths.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Amount {
    files: u64,
    bytes: u64,
}

impl Amount {
    pub(crate) fn add(&mut self, bytes: u64) {
        self.files += 1;
        self.bytes += bytes;
    }

    fn words(self) -> String {
        format!("{} {} ({})", grouped(self.files), if self.files == 1 { "file" } else { "files" }, human(self.bytes))
    }
}

/// The page of a delta: that it is not complete, and of what the whole is made.
pub(crate) fn delta_page(full: &Manifest, base: &str, sent: Amount, taken: Amount) -> String {
    DELTA_TEMPLATE
        .replace("{{domain}}", &escape(&full.subject.domain))
        .replace("{{at}}", &escape(&full.snapshot.at.replace('T', ", ").replace('Z', " UTC")))
        .replace("{{provider}}", &escape(&full.source.provider))
        .replace("{{sent}}", &sent.words())
        .replace("{{taken}}", &taken.words())
        .replace("{{base}}", &escape(base))
}

fn other_rows(others: &BTreeMap<&str, u64>) -> String {
    let mut rows = String::new();
    for (name, bytes) in others {
        let what = match *name {
            "account.json" => "Who you are: name, language, time zone",
            "settings.json" => "Your settings",
            "permissions.ndjson" => "What apps and people were allowed to see",
            "schedules.ndjson" => "What was planned to run",
            "identity" => "Your identity and its keys (the keys are sealed)",
            "domains" => "Your addresses, also as zone files",
            "contacts" => "Your contacts, as vCards for any address book",
            "calendar" => "Your calendars, for any calendar program",
            "messages" => "Messages between servers",
            _ => "",
        };
        let slash = if name.contains('.') { "" } else { "/" };
        let _ = writeln!(
            rows,
            "<li><a class=\"name\" href=\"data/{}{slash}\">{}</a><span class=\"what\">{what}</span><span class=\"n\">{}</span></li>",
            href(name),
            escape(name),
            human(*bytes)
        );
    }
    rows
}

fn omitted_rows(manifest: &Manifest) -> String {
    let mut rows = String::new();
    for omitted in &manifest.omitted {
        let _ = writeln!(rows, "<li><b>{}</b>: {}</li>", escape(&omitted.what), escape(&omitted.why));
    }
    if rows.is_empty() { "<li>Nothing was left out.</li>\n".to_owned() } else { rows }
}

fn secret_rows(manifest: &Manifest) -> String {
    let files: Vec<String> = manifest
        .secrets
        .iter()
        .flat_map(|secrets| &secrets.files)
        .map(|file| format!("<code>{}</code>", escape(file)))
        .collect();
    if files.is_empty() {
        "No file in this archive is sealed.".to_owned()
    } else {
        format!(
            "Sealed with <code>age</code>: {}. Each opens with <code>age -d FILE</code> and your passphrase or key.",
            files.join(", ")
        )
    }
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // So that no text can look like a place in the template.
            '{' => out.push_str("&#123;"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

fn href(name: &str) -> String {
    let mut out = String::new();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

/// Bytes for people: `18.5 kB`.
pub(crate) fn human(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if bytes < 1000 {
        return format!("{bytes} bytes");
    }
    let mut value = bytes as f64 / 1000.0;
    let mut unit = 0;
    while value >= 999.95 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(human(999), "999 bytes");
        assert_eq!(human(18_477), "18.5 kB");
        assert_eq!(human(999_999), "1.0 MB");
        assert_eq!(grouped(1_234_567), "1,234,567");
    }

    #[test]
    fn nothing_from_outside_becomes_markup_or_a_place_in_the_template() {
        assert_eq!(escape("<a href='x'>{{apps}}"), "&lt;a href=&#39;x&#39;&gt;&#123;&#123;apps}}");
        assert_eq!(href("a b\"/ü"), "a%20b%22%2F%C3%BC");
    }
}
