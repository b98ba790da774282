//! `freehold app create`: a small app that works, to be changed into another.

use std::error::Error;
use std::fs;
use std::path::Path;

use tenant_runtime::ceps::openapi;

/// The files of the template. `org.example.app` and `My app` in them become the id and the name.
const FILES: &[(&str, &str)] = &[
    ("manifest.json", include_str!("../../../../app-template/manifest.json")),
    ("index.html", include_str!("../../../../app-template/index.html")),
    ("app.js", include_str!("../../../../app-template/app.js")),
    ("server.js", include_str!("../../../../app-template/server.js")),
    ("app.css", include_str!("../../../../app-template/app.css")),
    ("icon.svg", include_str!("../../../../app-template/icon.svg")),
    ("CHANGELOG.md", include_str!("../../../../app-template/CHANGELOG.md")),
    ("jsconfig.json", include_str!("../../../../app-template/jsconfig.json")),
    ("types/freehold.d.ts", openapi::TYPES),
];

/// Writes the template into a new or empty folder.
pub(super) fn run(folder: &Path, id: Option<String>, name: Option<String>) -> Result<(), Box<dyn Error>> {
    let said = |error: std::io::Error| format!("{}: {error}", folder.display());
    fs::create_dir_all(folder).map_err(said)?;
    if fs::read_dir(folder).map_err(said)?.next().is_some() {
        return Err(format!("{} is not empty: name a new folder", folder.display()).into());
    }
    let called = folder.file_name().map_or("app".into(), |name| name.to_string_lossy().into_owned());
    let id = match id {
        Some(id) => id,
        None => format!("org.example.{}", plain(&called)),
    };
    let id: export_format::AppId = id.parse().map_err(|why| {
        format!("{id:?} cannot be an app's id ({why}): it needs at least three parts, such as com.example.notes")
    })?;
    let name = name.unwrap_or(called);
    for (path, text) in FILES {
        let at = folder.join(path);
        if let Some(above) = at.parent() {
            fs::create_dir_all(above).map_err(said)?;
        }
        let name =
            if path.ends_with(".json") { name.replace('\\', "\\\\").replace('"', "\\\"") } else { escaped(&name) };
        fs::write(&at, text.replace("org.example.app", id.as_str()).replace("My app", &name)).map_err(said)?;
    }
    println!("{} is an app that works: a list. Next:", folder.display());
    println!("  freehold app run {}", folder.display());
    Ok(())
}

/// A folder's name as it may stand in an id.
fn plain(name: &str) -> String {
    let letters =
        name.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect::<String>();
    let letters = letters.trim_matches('-').chars().take(20).collect::<String>();
    if letters.starts_with(|c: char| c.is_ascii_alphabetic()) { letters } else { format!("app-{letters}") }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
