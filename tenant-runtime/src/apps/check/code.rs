//! Pages and scripts: what the policy of a page refuses, and what they need that is not there.
//!
//! It reads with patterns, not as a browser does. So it may miss something; what it tells is there.

use std::collections::BTreeSet;

use regex::Regex;

use super::manifest::plain;
use super::{Files, Findings};
use crate::apps::manifest::Manifest;
use crate::pages::is_whole_page;

/// A pattern of this file; each is tried by a test.
fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("the pattern is written here")
}

/// The line on which a byte lies.
fn line(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

pub(super) fn check(files: &Files, manifest: &Manifest, found: &mut Findings) {
    let reaches_out = manifest.permissions.iter().any(|asked| asked.kind == "external_fetch");
    for (path, bytes) in files {
        let Ok(text) = std::str::from_utf8(bytes) else { continue };
        match path.rsplit('.').next().unwrap_or_default() {
            "html" | "htm" => page(path, text, found),
            "js" | "mjs" => script(path, &without_comments(text), files, reaches_out, found),
            "css" => style(path, text, found),
            _ => {}
        }
    }
    for page in &manifest.public_pages {
        let named: BTreeSet<&str> =
            page.modules.iter().chain(&page.script_files).chain(&page.css_files).map(|path| plain(path)).collect();
        let open = |path: &str| path.starts_with("public/") || named.contains(path);
        let (mut seen, mut waiting) =
            (BTreeSet::new(), named.iter().map(|path| (*path).to_owned()).collect::<Vec<_>>());
        while let Some(path) = waiting.pop() {
            let text =
                files.get(&path).map(|bytes| without_comments(&String::from_utf8_lossy(bytes))).unwrap_or_default();
            for (_, needed) in imports(&path, &text) {
                if !open(&needed) && files.contains_key(&needed) {
                    found.mistake(&path, format!("The page {} for visitors needs {needed}, which only the owner gets: name it under the page's modules, or put it below public/.", page.name));
                }
                if seen.insert(needed.clone()) {
                    waiting.push(needed);
                }
            }
        }
    }
}

fn page(path: &str, text: &str, found: &mut Findings) {
    let is_whole = is_whole_page(text);
    for script in pattern(r"(?is)<script\b([^>]*)>(.*?)</script").captures_iter(text) {
        let at = format!("{path}:{}", line(text, script.get(0).map_or(0, |whole| whole.start())));
        let attributes = script.get(1).map_or("", |found| found.as_str());
        let inside = script.get(2).map_or("", |found| found.as_str());
        let source =
            pattern(r#"(?i)\bsrc\s*=\s*["']?([^"'\s>]+)"#).captures(attributes).map(|found| found[1].to_owned());
        let is_data = pattern(r#"(?i)type\s*=\s*["']?(application/(ld\+)?json|text/template)"#).is_match(attributes);
        match source {
            Some(source) if elsewhere(&source) => {
                found.mistake(at, format!("The script {source} lies in other places than the package, and pages run only their own. Copy it in, and name that."));
            }
            Some(_) => {}
            None if !is_whole && !is_data && !inside.trim().is_empty() => {
                found.mistake(at, "An inline script in a fragment is refused by the page's policy: put it into a file, and name that under modules or script_files of the page.");
            }
            None => {}
        }
    }
    for handler in pattern(r#"(?i)<[a-z][^<>]*\s(on[a-z]+)\s*=\s*["']"#).captures_iter(text) {
        let at = format!("{path}:{}", line(text, handler.get(1).map_or(0, |found| found.start())));
        found.mistake(
            at,
            format!("{} in the page is refused by its policy: use addEventListener in a script.", &handler[1]),
        );
    }
    for link in pattern(r#"(?i)href\s*=\s*["']?javascript:"#).find_iter(text) {
        found.mistake(
            format!("{path}:{}", line(text, link.start())),
            "A javascript: address is refused by the page's policy: use a button and a script.",
        );
    }
    for sheet in pattern(r#"(?i)<link\b[^>]*\bhref\s*=\s*["']?((https?:)?//[^"'\s>]+)"#).captures_iter(text) {
        let at = format!("{path}:{}", line(text, sheet.get(0).map_or(0, |whole| whole.start())));
        if sheet[0].to_ascii_lowercase().contains("stylesheet") {
            found.mistake(at, format!("The style sheet {} lies in other places than the package, and pages load only their own. Copy it in.", &sheet[1]));
        }
    }
    for frame in pattern(r"(?i)<(iframe|frame|object|embed)\b").find_iter(text) {
        found.mistake(
            format!("{path}:{}", line(text, frame.start())),
            "Pages of apps show no frames, objects or plug-ins of any kind. Link to the place instead.",
        );
    }
}

fn elsewhere(address: &str) -> bool {
    address.contains("://") || address.starts_with("//")
}

fn script(path: &str, text: &str, files: &Files, reaches_out: bool, found: &mut Findings) {
    for (at, needed) in imports(path, text) {
        if !files.contains_key(&needed) {
            found.mistake(
                format!("{path}:{at}"),
                format!("It imports {needed}, which is not there: add the file, or correct the name."),
            );
        }
    }
    for bare in pattern(r#"(?m)^\s*import\s[^'"\n]*['"]([^'"./][^'"]*)['"]"#).captures_iter(text) {
        let at = line(text, bare.get(1).map_or(0, |found| found.start()));
        let what = match elsewhere(&bare[1]) {
            true => "lies in other places than the package, and scripts load only its own. Copy it in",
            false => "is a bare name, which browsers do not resolve. Copy the module in, and import it as './name.js'",
        };
        found.mistake(format!("{path}:{at}"), format!("{:?} {what}.", &bare[1]));
    }
    for unsafe_call in pattern(r"(?:^|[^.\w$])(eval|new Function)\s*\(").captures_iter(text) {
        let at = line(text, unsafe_call.get(1).map_or(0, |found| found.start()));
        found.mistake(
            format!("{path}:{at}"),
            format!("{} is refused by the page's policy: write what it would run as plain code.", &unsafe_call[1]),
        );
    }
    if !reaches_out {
        for call in pattern(r#"\b(?:fetch|WebSocket|EventSource)\(\s*[`'"](?:https?|wss?)://"#).find_iter(text) {
            found.mistake(format!("{path}:{}", line(text, call.start())), "It asks another computer, which the page's policy refuses: ask for a permission of type external_fetch in the manifest, and say why.");
        }
    }
}

/// A script whose comments are blank, on the same lines. Types in comments import what no browser fetches.
fn without_comments(text: &str) -> String {
    let blank = |found: &regex::Captures<'_>| "\n".repeat(found[0].matches('\n').count());
    pattern(r"(?s)/\*.*?\*/|(?m:^[ \t]*//[^\n]*)").replace_all(text, blank).into_owned()
}

fn style(path: &str, text: &str, found: &mut Findings) {
    for import in pattern(r#"(?i)@import\s+(?:url\(\s*)?["']?(?:https?:)?//"#).find_iter(text) {
        found.mistake(
            format!("{path}:{}", line(text, import.start())),
            "It imports a style sheet of other places, which the page's policy refuses: copy it into the package.",
        );
    }
    for font in pattern(r#"(?is)@font-face\s*\{[^}]*url\(\s*["']?(?:https?:)?//"#).find_iter(text) {
        found.mistake(format!("{path}:{}", line(text, font.start())), "It fetches a font from other places, which the page's policy refuses: copy it into the package, or use the system's.");
    }
}

/// The modules a module imports by a relative path, as the package names them, with their lines.
fn imports(path: &str, text: &str) -> Vec<(usize, String)> {
    let statements = pattern(r#"(?m)(?:^\s*(?:import|export)\b[^'";]*?|\bimport\()\s*['"](\.\.?/[^'"]+)['"]"#);
    let found = statements.captures_iter(text).filter_map(|found| {
        let name = found.get(1)?;
        Some((line(text, name.start()), beside(path, name.as_str())?))
    });
    found.collect()
}

/// A relative path as seen from a file.
fn beside(path: &str, relative: &str) -> Option<String> {
    let mut parts: Vec<&str> = path.split('/').collect();
    parts.pop();
    for part in plain_parts(relative) {
        match part {
            "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

fn plain_parts(path: &str) -> impl Iterator<Item = &str> {
    path.split(['?', '#']).next().unwrap_or_default().split('/')
}
