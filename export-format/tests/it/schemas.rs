//! The JSON Schemas of SPEC.md 13, by an independent validator: sound documents pass, broken ones do not, and the
//! registry and the folder name the same.

use std::collections::BTreeMap;
use std::path::Path;

use boon::{Compiler, SchemaIndex, Schemas};
use export_format::check::check;
use export_format::entry::{AppPart, Kind, ProviderPart};
use export_format::moving::{Deletion, Erased, Party, Signatory};
use export_format::reader::{Limits, Reader};
use export_format::signature::{Signer, Trust};
use export_format::{EntryPath, secrets};
use serde_json::Value;

use crate::catalogue::made;
use crate::vectors::ALL;

const SPEC: &str = include_str!("../../SPEC.md");
const BASE: &str = "https://pcc.example/spec/v1/";

/// All schemas, compiled.
struct Registry {
    schemas: Schemas,
    by_name: BTreeMap<String, SchemaIndex>,
}

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas")
}

impl Registry {
    fn load() -> Self {
        let mut compiler = Compiler::new();
        let mut names = Vec::new();
        for item in std::fs::read_dir(folder()).unwrap() {
            let path = item.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let schema: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            assert_eq!(schema["$id"], format!("{BASE}{name}.json"));
            assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
            compiler.add_resource(&format!("{BASE}{name}.json"), schema).unwrap();
            names.push(name);
        }
        let mut schemas = Schemas::new();
        let by_name = names
            .into_iter()
            .map(|name| {
                let index = compiler
                    .compile(&format!("{BASE}{name}.json"), &mut schemas)
                    .unwrap_or_else(|err| panic!("{name}: {err:#}"));
                (name, index)
            })
            .collect();
        Self { schemas, by_name }
    }

    fn validate(&self, name: &str, value: &Value) -> Result<(), String> {
        self.schemas.validate(value, self.by_name[name]).map_err(|err| format!("{name}: {err}: {value}"))
    }

    /// Every document at `path`; how many there were.
    fn validate_entry(&self, path: &EntryPath, content: &[u8]) -> Result<usize, String> {
        let Some((name, is_rows)) = schema_of(path) else { return Ok(0) };
        let text = std::str::from_utf8(content).unwrap();
        let documents: Vec<&str> = if is_rows { text.lines().collect() } else { vec![text] };
        for document in &documents {
            self.validate(name, &serde_json::from_str(document).unwrap()).map_err(|err| format!("{path}: {err}"))?;
        }
        Ok(documents.len())
    }
}

/// Which schema the documents at a path have, and whether they are rows.
fn schema_of(path: &EntryPath) -> Option<(&'static str, bool)> {
    Some(match Kind::of(path) {
        Kind::Account => ("account", false),
        Kind::Settings => ("settings", false),
        Kind::Permissions => ("permission", true),
        Kind::Schedules => ("schedule", true),
        Kind::Did => ("did", false),
        Kind::Domains => ("domains", false),
        Kind::Message if path.as_str().starts_with("data/messages/ceps/") => ("message", true),
        Kind::Provider(_, ProviderPart::Provider) => ("provider", false),
        Kind::Provider(_, ProviderPart::Invoices) => ("invoice", true),
        Kind::Provider(_, ProviderPart::Usage) => ("usage", true),
        Kind::Provider(_, ProviderPart::Log) => ("event", true),
        Kind::App(_, AppPart::App) => ("app", false),
        Kind::App(_, AppPart::Files) => ("file", true),
        Kind::App(_, AppPart::Schema(_)) => ("table", false),
        Kind::App(_, AppPart::Segment(_)) => ("row", true),
        _ if path.as_str() == "pcc.json" => ("pcc", false),
        _ => return None,
    })
}

/// A row nests 64 deep, and the validator goes down with it.
#[test]
fn sound_documents_pass() {
    std::thread::Builder::new().stack_size(256 << 20).spawn(validate_sound_documents).unwrap().join().unwrap();
}

/// A deletion receipt as a provider signs it.
fn receipt() -> Value {
    let provider = Signer::from_seed(&[3; 32]);
    let at: jiff::Timestamp = "2027-01-20T08:00:00Z".parse().unwrap();
    let receipt = Deletion {
        kind: Deletion::KIND.into(),
        provider: Signatory {
            did: provider.public().did(),
            origin: "https://old.example".into(),
            name: "Lindenhof".into(),
        },
        server: Party {
            did: Signer::from_seed(&[1; 32]).public().did(),
            address: "https://anna.old.example".into(),
            provider: "https://old.example".into(),
        },
        id: "01930000-0000-7000-8000-000000000001".parse().unwrap(),
        successor: "https://anna.new.example".into(),
        erased: Erased {
            objects: 4211,
            bytes: 13_314_398_617,
            asked: at,
            counted: at,
            done: at,
            history: at,
            backups: None,
        },
        limits: vec!["What is not known.".into()],
    };
    let signed = receipt.sign(&provider).unwrap();
    assert_eq!(Deletion::open(&signed).unwrap(), receipt);
    assert!(receipt.sign(&Signer::from_seed(&[1; 32])).is_err(), "only the provider speaks for itself");
    serde_json::from_str(&signed.document).unwrap()
}

fn validate_sound_documents() {
    let registry = Registry::load();
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    // What is only *allowed* (null as a DID document, settings without schema) is not what a writer should write.
    for vector in ALL.iter().filter(|vector| vector.name.starts_with("good/1.0-") || vector.name == "good/values") {
        let verified =
            Reader::open(&vector.bytes, &Limits::default()).unwrap().verify(&Trust::Anyone, &mut |_| {}).unwrap();
        for entry in verified.entries() {
            let Some((name, _)) = schema_of(entry.path()) else { continue };
            let count = registry.validate_entry(entry.path(), &verified.document(entry).unwrap());
            *seen.entry(name).or_default() += count.unwrap_or_else(|err| panic!("{}: {err}", vector.name));
        }
    }
    let keys = secrets::open_with(made::SEALED_KEYS, made::SEALED_FOR).unwrap();
    registry.validate("keys", &serde_json::from_slice(&keys).unwrap()).unwrap();
    let receipt = receipt();
    registry.validate("deletion", &receipt).unwrap();
    for member in ["provider", "server", "erased", "limits"] {
        let mut broken = receipt.clone();
        broken.as_object_mut().unwrap().remove(member);
        assert!(registry.validate("deletion", &broken).is_err(), "{member} may be missing");
    }
    *seen.entry("deletion").or_default() += 1;
    for vector in ALL.iter().filter(|vector| !vector.only_folder && !vector.is_large) {
        let report = check(&vector.bytes, &Limits::default(), &Trust::Anyone, &mut |_| {});
        registry.validate("report", &serde_json::to_value(report).unwrap()).unwrap();
    }
    let tried = seen.keys().copied().chain(["keys", "report", "types"]);
    let mut tried: Vec<&str> = tried.collect();
    tried.sort_unstable();
    assert_eq!(tried, registry.by_name.keys().map(String::as_str).collect::<Vec<_>>(), "a schema nothing was held to");
}

#[test]
fn broken_documents_do_not_pass() {
    let registry = Registry::load();
    let mut count = 0;
    for vector in ALL.iter() {
        let Some(forge) = &vector.folder else { continue };
        let area = vector.name.split('/').next().unwrap();
        // What a schema cannot know: order, spelling, digests, what stands elsewhere.
        let is_a_schemas = match area {
            "document" => !matches!(
                vector.name.as_str(),
                "document/app-none" | "document/app-other-id" | "document/app-count" | "document/settings-list"
            ),
            "history" => !matches!(
                vector.name.as_str(),
                "history/event-blank" | "history/provider-json" | "history/bill-unread" | "history/day-date"
            ),
            "pcc" => {
                vector.codes.iter().all(|code| matches!(code.as_str(), "pcc.unreadable" | "pcc.format"))
                    && !["not-json", "twice", "42.0", "no-day", "above-version"]
                        .iter()
                        .any(|end| vector.name.ends_with(end))
            }
            _ => vector.name.starts_with("row/grant-") || vector.name.starts_with("files/row-"),
        };
        if !is_a_schemas {
            continue;
        }
        let refused = forge.all().iter().any(|item| {
            let Ok(path) = std::str::from_utf8(&item.name).unwrap().parse::<EntryPath>() else { return false };
            registry.validate_entry(&path, &item.plain).is_err()
        });
        assert!(refused, "{} passes its schema", vector.name);
        count += 1;
    }
    assert!(count > 50, "{count}");
}

#[test]
fn the_registry_names_the_schemas_that_are_there() {
    let registry = Registry::load();
    let (_, rest) = SPEC.split_once("| Schema | `schema` | Stands at |").unwrap();
    let mut named: Vec<&str> = rest
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.split('`').nth(1).unwrap())
        .chain(["types"])
        .collect();
    named.sort_unstable();
    assert_eq!(named, registry.by_name.keys().map(String::as_str).collect::<Vec<_>>());
}
