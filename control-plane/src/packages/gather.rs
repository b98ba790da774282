//! What somebody handed over, made one package: a zip as it is, a folder or single page packed.

use std::collections::BTreeMap;

use axum::body::Bytes;

use super::{LIMIT, too_large};
use crate::{Error, Result, catalogue};

/// One file that came in a form.
#[derive(Debug, Clone)]
pub struct Handed {
    /// Its path, as the browser gives it: with its folders, where a folder was chosen.
    pub name: String,
    /// Its content.
    pub bytes: Bytes,
}

/// The package that these files are, and what to call where it came from.
pub async fn gather(mut files: Vec<Handed>) -> Result<(Bytes, String)> {
    files.retain(|file| !file.name.is_empty());
    match files.as_slice() {
        [] => return Err(Error::fix("package", "Choose a file or a folder first.")),
        [one] if one.bytes.starts_with(b"PK") => return Ok((one.bytes.clone(), one.name.clone())),
        _ => {}
    }
    if files.iter().map(|file| file.bytes.len() as u64).sum::<u64>() > LIMIT {
        return Err(too_large());
    }
    let from = match files.as_slice() {
        [one] => one.name.clone(),
        [first, ..] => first.name.split('/').next().unwrap_or_default().to_owned(),
        [] => String::new(),
    };
    let alone = files.len() == 1;
    if alone && !is_page(&files[0].name) && !files[0].name.contains('/') {
        return Err(Error::fix(
            "package",
            "This file is neither a zip nor a page. Choose the app's zip, its whole folder, or a single .html page.",
        ));
    }
    let packed = tokio::task::spawn_blocking(move || {
        let mut all = BTreeMap::new();
        for Handed { name, bytes } in files {
            let name = if alone { "index.html".to_owned() } else { name };
            // What tools keep for themselves is no part of an app.
            let hidden = name.split('/').any(|part| part.starts_with('.') || part == "node_modules");
            if !hidden {
                all.insert(name, bytes.to_vec());
            }
        }
        catalogue::pack(&all)
    });
    let packed = packed.await.map_err(Error::bug)?;
    Ok((packed.into(), from))
}

fn is_page(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.ends_with(".html") || name.ends_with(".htm")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn handed(name: &str, bytes: &'static str) -> Handed {
        Handed { name: name.to_owned(), bytes: Bytes::from_static(bytes.as_bytes()) }
    }

    fn names(zip: &Bytes) -> Vec<String> {
        let mut all: Vec<String> =
            zip::ZipArchive::new(std::io::Cursor::new(zip.clone())).unwrap().file_names().map(str::to_owned).collect();
        all.sort();
        all
    }

    #[tokio::test]
    async fn a_folder_a_page_and_a_zip_all_become_a_package() {
        let folder = vec![
            handed("site/index.html", "<h1>"),
            handed("site/a/b.css", "x"),
            handed("site/.git/config", "secret"),
            handed("site/node_modules/x.js", "1"),
        ];
        let (zip, from) = gather(folder).await.unwrap();
        assert_eq!((names(&zip), from.as_str()), (vec!["site/a/b.css".to_owned(), "site/index.html".into()], "site"));
        let (page, from) = gather(vec![handed("Diary.HTML", "<p>")]).await.unwrap();
        assert_eq!((names(&page), from.as_str()), (vec!["index.html".to_owned()], "Diary.HTML"));
        let (same, _) = gather(vec![handed("app.zip", "PK\u{3}\u{4}")]).await.unwrap();
        assert_eq!(same, "PK\u{3}\u{4}".as_bytes());
        for bad in [vec![], vec![handed("", "x")], vec![handed("a.txt", "x")]] {
            assert_eq!(gather(bad).await.unwrap_err().field(), Some("package"));
        }
    }
}
