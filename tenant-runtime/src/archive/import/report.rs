//! What an import would do, told before anything changes.

use std::collections::BTreeMap;

use super::archive::Checked;
use super::intake::{Intake, lines};
use crate::admin::api::{AppComing, Carried, Counts, DomainSaid, GrantComing, ImportReport, Omission};
use crate::archive::error::Error;
use crate::archive::payload::{account, domains};
use crate::archive::row;

/// Bytes a second that an import manages on a small machine. Whoever keeps the books of several imports corrects the
/// estimate by how they went.
const PACE: u64 = 20 * 1024 * 1024;
/// Entries of the archive a second, likewise.
const ENTRIES_PACE: u64 = 200;
/// Records a second, likewise.
const RECORDS_PACE: u64 = 20_000;

/// What there is on the server now, and what the plan allows.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Present {
    pub(crate) counts: Counts,
    pub(crate) limit_bytes: u64,
    pub(crate) undo_days: u32,
}

/// Tells what a checked archive would bring.
pub(crate) fn tell(archive: &Checked, intake: &Intake, present: &Present) -> Result<ImportReport, Error> {
    let manifest = archive.manifest();
    let mut counts = Counts { apps: (intake.apps.len() + intake.dormant.len()) as u64, ..Counts::default() };
    let mut apps = Vec::new();
    for app in &intake.apps {
        let mut coming = AppComing {
            id: app.id.to_string(),
            name: if app.name.is_empty() { app.id.to_string() } else { app.name.clone() },
            version: app.version.clone(),
            files: app.files.len() as u64,
            ..AppComing::default()
        };
        for table in &app.tables {
            for segment in &table.segments {
                coming.documents += lines(&archive.document(segment)?).count() as u64;
                coming.bytes += archive.size(segment);
            }
        }
        coming.bytes += app.files.iter().map(|file| archive.size(&file.entry)).sum::<u64>();
        counts.tables += app.tables.len() as u64;
        counts.documents += coming.documents;
        counts.files += coming.files;
        if app.installed.is_some() || coming.documents + coming.files > 0 {
            apps.push(coming);
        }
    }
    for app in &intake.dormant {
        apps.push(AppComing {
            id: app.id.clone(),
            name: if app.name.is_empty() { app.id.clone() } else { app.name.clone() },
            version: app.version.clone(),
            bytes: app.bytes,
            dormant: Some(app.why.clone()),
            ..AppComing::default()
        });
    }
    counts.bytes = archive.entries().values().map(|entry| entry.size).sum();
    let mut report = ImportReport {
        acceptable: true,
        archive_id: manifest.archive_id.clone(),
        version: manifest.version.to_string(),
        domain: manifest.subject.domain.clone(),
        provider: manifest.source.provider.clone(),
        taken_ms: row::instant(&manifest.snapshot.at).unwrap_or_default(),
        signature: archive.signature().clone(),
        counts,
        entries: archive.entries().len() as u64,
        apps,
        carried: carried(archive, intake),
        left_out: left_out(archive, intake),
        grants: grants(intake),
        schedules_paused: intake.schedules,
        domains: owned(archive)?,
        replaced: present.counts,
        undo_days: present.undo_days,
        free_bytes: present.limit_bytes.saturating_sub(counts.bytes),
        estimate_seconds: estimate(&counts, archive.entries().len() as u64),
        findings: Vec::new(),
    };
    if counts.bytes > present.limit_bytes {
        report.acceptable = false;
        report.findings.push(too_big(counts.bytes, present.limit_bytes));
    }
    Ok(report)
}

/// How long an import of so much takes on a small machine, in seconds.
fn estimate(counts: &Counts, entries: u64) -> u64 {
    1 + counts.bytes / PACE + entries / ENTRIES_PACE + counts.documents / RECORDS_PACE
}

/// Says that something does not fit, with both sizes.
pub(crate) fn too_big(bytes: u64, limit: u64) -> String {
    format!(
        "The archive holds {} and your plan has room for {}. Choose a larger plan, or make an archive with less in it.",
        human(bytes),
        human(limit)
    )
}

fn human(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

/// The domains it brings, which are wishes here.
fn owned(archive: &Checked) -> Result<Vec<DomainSaid>, Error> {
    match archive.entries().keys().find(|path| path.as_str() == domains::PATH) {
        Some(path) => Ok(domains::read(&archive.document(path)?)),
        None => Ok(Vec::new()),
    }
}

fn carried(archive: &Checked, intake: &Intake) -> Vec<Carried> {
    let mut kinds: BTreeMap<&str, Carried> = BTreeMap::new();
    for path in &intake.carried {
        let what = kind(path.as_str());
        let carried = kinds.entry(what).or_insert_with(|| Carried { what: what.into(), entries: 0, bytes: 0 });
        carried.entries += 1;
        carried.bytes += archive.size(path);
    }
    kinds.into_values().collect()
}

fn kind(path: &str) -> &'static str {
    match path.split('/').nth(1).unwrap_or_default() {
        "messages" => "messages",
        "providers" => "the history at earlier providers",
        "contacts" => "contacts",
        "calendar" => "calendars",
        "domains" => "domains of your own (prove again that they are yours)",
        "identity" => "sealed keys",
        "schedules.ndjson" => "schedules",
        "apps" if path.contains("/volumes/") => "volumes of apps that do not run here yet",
        "apps" => "other files of apps",
        _ => "other documents",
    }
}

fn left_out(archive: &Checked, intake: &Intake) -> Vec<Omission> {
    let there = archive
        .manifest()
        .omitted
        .iter()
        .map(|omitted| Omission { what: omitted.what.clone(), why: omitted.why.clone() });
    let mut all: Vec<Omission> = there.collect();
    let here = [
        ("sessions", "a sign-in belongs to one place; sign in again here"),
        ("admin tokens", "nobody comes along who could act as you"),
    ];
    for (what, why) in here {
        if all.iter().all(|omission| omission.what != what) {
            all.push(Omission { what: what.into(), why: why.into() });
        }
    }
    all.extend(intake.unusable.iter().map(|(app, table, why)| Omission {
        what: format!("the table {table:?} of {app}"),
        why: format!("{why}; it is kept as it came and leaves with you again"),
    }));
    if archive.entries().keys().any(|path| path.as_str() == account::KEYS) {
        all.push(Omission {
            what: "the former server's secret key".into(),
            why: "it stays sealed in your data and leaves with you again; this server signs with its own".into(),
        });
    }
    all
}

fn grants(intake: &Intake) -> Vec<GrantComing> {
    let ours = intake.permissions.iter().map(|permission| GrantComing {
        grantee: permission.app.to_string(),
        resource: permission.tables.join(", "),
        actions: vec![permission.kind.clone()],
    });
    let others = intake
        .lines
        .get(account::PERMISSIONS)
        .into_iter()
        .flatten()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .map(|line| {
            let text = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let resource = &line["resource"];
            let parts = ["app", "table"].into_iter().filter_map(|name| resource.get(name)).map(text);
            GrantComing {
                grantee: text(&line["grantee"]["id"]),
                resource: parts.collect::<Vec<_>>().join("."),
                actions: line["actions"].as_array().into_iter().flatten().map(text).collect(),
            }
        });
    ours.chain(others).collect()
}
