//! What is wrong with an app, told to whoever makes it: each finding in a sentence, with what to do.
//!
//! A server reads packages kindly, so most mistakes show late: a page that stays empty, a script the policy refuses, a permission
//! nobody grants. This looks for them before anybody installs the app. A mistake makes something fail; a hint is advice.

mod code;
mod manifest;

use std::collections::BTreeMap;
use std::fmt;

/// The files of an app by their paths.
pub type Files = BTreeMap<String, Vec<u8>>;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// Something will not work.
    Mistake,
    /// It works, and could be better.
    Hint,
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// How much it matters.
    pub weight: Weight,
    /// In which file, with the line where there is one.
    pub at: String,
    /// What is wrong, and what to do.
    pub says: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let weight = match self.weight {
            Weight::Mistake => "mistake",
            Weight::Hint => "hint   ",
        };
        write!(f, "{weight}  {}: {}", self.at, self.says)
    }
}

/// What was found so far.
#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn mistake(&mut self, at: impl Into<String>, says: impl Into<String>) {
        self.0.push(Finding { weight: Weight::Mistake, at: at.into(), says: says.into() });
    }

    fn hint(&mut self, at: impl Into<String>, says: impl Into<String>) {
        self.0.push(Finding { weight: Weight::Hint, at: at.into(), says: says.into() });
    }
}

/// Looks through an app. Mistakes come first.
#[must_use]
pub fn check(files: &Files) -> Vec<Finding> {
    let mut found = Findings::default();
    sizes(files, &mut found);
    let manifest = manifest::check(files, &mut found);
    code::check(files, &manifest, &mut found);
    found.0.sort();
    found.0.dedup();
    found.0
}

fn sizes(files: &Files, found: &mut Findings) {
    use super::package::{FILE_LIMIT, FILES_LIMIT, UNPACKED_LIMIT};
    const PACKAGE: &str = "the package";
    if files.len() > FILES_LIMIT {
        found.mistake(
            PACKAGE,
            format!(
                "It has {} files, and a server takes {FILES_LIMIT}: leave out what pages do not need.",
                files.len()
            ),
        );
    }
    let whole: u64 = files.values().map(|bytes| bytes.len() as u64).sum();
    if whole > UNPACKED_LIMIT {
        found.mistake(
            PACKAGE,
            "It is larger than 128 MB: fetch large things when they are needed, or make them smaller.",
        );
    }
    let mut folded: BTreeMap<String, &str> = BTreeMap::new();
    for (path, bytes) in files {
        if bytes.len() as u64 > FILE_LIMIT {
            found
                .mistake(path, "It is larger than 16 MB, which no server takes: make it smaller, or cut it in pieces.");
        }
        if let Some(other) = folded.insert(path.to_lowercase(), path) {
            found.mistake(
                path,
                format!("It differs from {other} only in case, so that a server refuses the package: rename one."),
            );
        }
    }
    if let Some(path) = files.keys().find(|path| path.contains("node_modules/")) {
        found.hint(
            path,
            "node_modules is part of the package: keep it outside of the app's folder, and copy what pages use.",
        );
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn good() -> Vec<(&'static str, &'static str)> {
        vec![
            (
                "manifest.json",
                r#"{"identifier":"com.example.notes","display_name":"Notes","version":"1.0.0","description":"Writes.","icon":"icon.svg","license":"MIT",
                "pages":{"index":{"page_title":"Notes","html_file":"index.html","css_files":["app.css"],"modules":["app.js"]}},
                "app_tables":{"notes":{"indexes":["title"]}}}"#,
            ),
            ("index.html", "<main id=\"app\"></main>"),
            ("app.js", "import { x } from './lib.js';\nx();"),
            ("lib.js", "export const x = () => {};"),
            ("app.css", "main { color: red }"),
            ("icon.svg", "<svg/>"),
        ]
    }

    fn findings(change: impl FnOnce(&mut Vec<(&'static str, &'static str)>)) -> Vec<String> {
        let mut files = good();
        change(&mut files);
        let files = files.into_iter().map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec())).collect();
        check(&files).iter().map(Finding::to_string).collect()
    }

    fn with_manifest(text: &'static str) -> Vec<String> {
        findings(|files| files[0].1 = text)
    }

    #[test]
    fn a_sound_app_has_nothing_to_be_told() {
        assert_eq!(findings(|_| ()), Vec::<String>::new());
    }

    #[test]
    fn each_mistake_is_told_where_it_is_and_with_what_to_do() {
        let told = |all: Vec<String>, at: &str, words: &str| {
            assert!(
                all.iter().any(|line| line.starts_with("mistake") && line.contains(at) && line.contains(words)),
                "{words}: {all:#?}"
            );
        };
        let page = |text: &'static str| findings(|files| files[1].1 = text);
        let script = |text: &'static str| findings(|files| files[2].1 = text);
        told(with_manifest("{\"identifier\": \n oops}"), "manifest.json:2", "JSON");
        told(with_manifest("{}"), "manifest.json", "identifier");
        told(with_manifest(r#"{"identifier":"notes"}"#), "manifest.json", "three parts");
        told(
            with_manifest(r#"{"identifier":"com.example.notes","pages":[]}"#),
            "manifest.json",
            "pages must be an object",
        );
        told(findings(|files| files.retain(|(path, _)| *path != "app.css")), "manifest.json", "app.css");
        told(findings(|files| files.retain(|(path, _)| *path != "lib.js")), "app.js:1", "lib.js");
        told(page("<p>\n<script>go()</script>"), "index.html:2", "inline");
        told(page("<button onclick=\"go()\">"), "index.html:1", "onclick");
        told(page("<script src=\"https://cdn.example/x.js\"></script>"), "index.html:1", "other places");
        told(page("<iframe src=x></iframe>"), "index.html:1", "frame");
        told(script("fetch('https://api.example/x')"), "app.js:1", "external_fetch");
        told(script("\neval('1')"), "app.js:2", "eval");
    }

    #[test]
    fn what_stands_in_a_comment_is_no_code() {
        let code = "/** @type {import('./types/x').T}\n * eval(1) */\n// import './gone.js'\nlet x;\neval('1');";
        let all = findings(|files| files[2].1 = code);
        assert!(all.len() == 1 && all[0].contains("app.js:5: eval"), "{all:#?}");
    }

    #[test]
    fn permissions_are_held_to_what_the_app_does_with_them() {
        let asking = |permissions: &str, code: &'static str| {
            let text = good()[0].1.replacen('{', &format!("{{\"permissions\":{permissions},"), 1);
            findings(|files| {
                files[0].1 = Box::leak(text.into_boxed_str());
                files[2].1 = code;
            })
        };
        let all = asking(r#"[{"name":"r","type":"read_all","table_id":"com.example.other"}]"#, "");
        assert!(all.iter().any(|line| line.starts_with("mistake") && line.contains("why")), "{all:#?}");
        assert!(all.iter().any(|line| line.starts_with("hint") && line.contains("com.example.other")), "{all:#?}");
        let asked = r#"[{"name":"r","type":"read_all","table_id":"com.example.other","description":"To list them."}]"#;
        assert_eq!(asking(asked, "query('com.example.other')"), Vec::<String>::new());
        let all = asking(
            r#"[{"name":"s","type":"share_records","table_id":"com.example.other","description":"To share."}]"#,
            "share('s')",
        );
        assert!(all.iter().any(|line| line.contains("only records of its own")), "{all:#?}");
        let all = asking(r#"[{"name":"s","type":"sharing","table_id":"x","description":"To share."}]"#, "'s'");
        assert!(all.iter().any(|line| line.contains("share_records")), "the kinds there are: {all:#?}");
    }

    #[test]
    fn what_a_page_for_visitors_needs_must_be_open_to_them() {
        let all = with_manifest(
            r#"{"identifier":"com.example.notes","display_name":"Notes","version":"1.0.0","description":"Writes.","icon":"icon.svg","license":"MIT",
            "pages":{"index":{"html_file":"index.html"}},"public_pages":{"all":{"html_file":"index.html","modules":["app.js"]}}}"#,
        );
        assert!(
            all.iter().any(|line| line.starts_with("mistake") && line.contains("visitors") && line.contains("lib.js")),
            "{all:#?}"
        );
    }

    #[test]
    fn the_first_apps_have_no_mistakes() {
        let apps = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../control-plane/apps");
        for entry in std::fs::read_dir(apps).unwrap() {
            let folder = entry.unwrap().path();
            if folder.join("manifest.json").is_file() {
                let found = check(&read(&folder, &folder));
                let mistakes: Vec<_> = found.iter().filter(|one| one.weight == Weight::Mistake).collect();
                assert!(mistakes.is_empty(), "{}: {mistakes:#?}", folder.display());
            }
        }
    }

    fn read(root: &std::path::Path, folder: &std::path::Path) -> Files {
        let mut files = Files::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                files.extend(read(root, &path));
            } else {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                files.insert(name, std::fs::read(&path).unwrap());
            }
        }
        files
    }
}
