//! Holding what an archive of ours says to the JSON Schemas of the format, by an independent validator. Shared with the
//! control plane's tests.

use std::io::{Cursor, Read as _};
use std::path::Path;

use boon::{Compiler, SchemaIndex, Schemas};
use export_format::EntryPath;
use export_format::entry::{AppPart, Kind, ProviderPart};
use serde_json::Value;

const BASE: &str = "https://pcc.example/spec/v1/";

/// Checks every document of an archive that has a schema; how many there were beneath `folder`.
pub(crate) fn check(archive: &[u8], folder: &str) -> usize {
    let mut compiler = compiler();
    let mut schemas = Schemas::new();
    let mut checked = 0;
    let mut zip = zip::ZipArchive::new(Cursor::new(archive)).unwrap();
    for index in 0..zip.len() {
        let mut entry = zip.by_index(index).unwrap();
        let (path, mut text) = (entry.name().to_owned(), Vec::new());
        entry.read_to_end(&mut text).unwrap();
        let Some((schema, is_rows)) = schema_of(&path) else { continue };
        let schema: SchemaIndex = compiler.compile(&format!("{BASE}{schema}.json"), &mut schemas).unwrap();
        let text = String::from_utf8(text).unwrap();
        let documents: Vec<&str> = if is_rows { text.lines().collect() } else { vec![&text] };
        for document in documents {
            let value = serde_json::from_str(document).unwrap();
            if let Err(why) = schemas.validate(&value, schema) {
                panic!("{path}: {why}: {document}");
            }
            checked += usize::from(path.starts_with(folder));
        }
    }
    checked
}

/// Holds one document to the schema of this name.
#[allow(dead_code)] // One of the two programs that share this has such documents.
pub(crate) fn validate(name: &str, document: &Value) {
    let mut schemas = Schemas::new();
    let schema = compiler().compile(&format!("{BASE}{name}.json"), &mut schemas).unwrap();
    if let Err(why) = schemas.validate(document, schema) {
        panic!("{name}: {why}: {document}");
    }
}

fn compiler() -> Compiler {
    let mut compiler = Compiler::new();
    for file in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../export-format/schemas")).unwrap() {
        let path = file.unwrap().path();
        let schema: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let name = path.file_stem().unwrap().to_str().unwrap();
        compiler.add_resource(&format!("{BASE}{name}.json"), schema).unwrap();
    }
    compiler
}

/// The schema of the documents at a path, and whether they are rows.
fn schema_of(path: &str) -> Option<(&'static str, bool)> {
    if path == "pcc.json" {
        return Some(("pcc", false));
    }
    let path: EntryPath = path.parse().ok()?;
    Some(match Kind::of(&path) {
        Kind::Account => ("account", false),
        Kind::Settings => ("settings", false),
        Kind::Permissions => ("permission", true),
        Kind::Did => ("did", false),
        Kind::App(_, AppPart::App) => ("app", false),
        Kind::App(_, AppPart::Files) => ("file", true),
        Kind::App(_, AppPart::Schema(_)) => ("table", false),
        Kind::App(_, AppPart::Segment(_)) => ("row", true),
        Kind::Provider(_, ProviderPart::Provider) => ("provider", false),
        Kind::Provider(_, ProviderPart::Invoices) => ("invoice", true),
        Kind::Provider(_, ProviderPart::Usage) => ("usage", true),
        Kind::Provider(_, ProviderPart::Log) => ("event", true),
        _ => return None,
    })
}
