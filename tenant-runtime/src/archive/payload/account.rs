//! The documents about the person: account, settings, permissions, identity.

use export_format::AppId;
use export_format::entry::{ACCOUNT_SCHEMA, PERMISSION_SCHEMA, SETTINGS_SCHEMA};
use rusqlite::Connection;
use serde_json::{Map, Value, json};

use super::{About, Payload, Sink, kept, render};
use crate::archive::error::Error;
use crate::archive::identity::{self, Identity};
use crate::archive::row::written;
use crate::{permissions, settings};

/// Where the account stands.
pub(crate) const ACCOUNT: &str = "data/account.json";
/// Where settings stand.
pub(crate) const SETTINGS: &str = "data/settings.json";
/// Where permissions stand.
pub(crate) const PERMISSIONS: &str = "data/permissions.ndjson";
/// Where the public half of the identity stands.
pub(crate) const DID: &str = "data/identity/did.json";
/// Where the sealed half of the identity stands.
pub(crate) const KEYS: &str = "data/identity/keys.secret.jwks.json.age";

pub(super) fn render(db: &Connection, about: &About, sink: &mut dyn Sink, payload: &mut Payload) -> Result<(), Error> {
    let identity = identity::read(db)?;
    render_account(db, about, identity.as_ref(), sink, payload)?;
    render_settings(db, sink, payload)?;
    render_permissions(db, identity.as_ref(), sink, payload)?;
    if let Some(identity) = &identity {
        let path = render::path(DID)?;
        payload.add(path, sink.keep(&render::pretty(&identity.did_document()))?)?;
    }
    if let Some(sealed) = &about.sealed_keys {
        let path = render::path(&keys_path(db)?)?;
        payload.sealed.push(path.clone());
        payload.sealed_own = Some(path.clone());
        payload.add(path, sink.keep(sealed)?)?;
    }
    Ok(())
}

/// Where this server's own sealed keys stand: beside those of all former servers, which are carried along.
fn keys_path(db: &Connection) -> Result<String, Error> {
    let beside = |n: u32| format!("data/identity/keys-{n}.secret.jwks.json.age");
    let mut is_taken = db.prepare("select exists (select 1 from carried where lower(path) = ?1)")?;
    for path in std::iter::once(KEYS.to_owned()).chain((2..).map(beside)) {
        if !is_taken.query_row([&path], |row| row.get::<_, bool>(0))? {
            return Ok(path);
        }
    }
    Err(Error::Bug("every name for sealed keys is taken".into()))
}

fn render_account(
    db: &Connection,
    about: &About,
    identity: Option<&Identity>,
    sink: &mut dyn Sink,
    payload: &mut Payload,
) -> Result<(), Error> {
    let path = render::path(ACCOUNT)?;
    let mut ours = Map::new();
    ours.insert("schema".into(), ACCOUNT_SCHEMA.into());
    ours.insert("displayName".into(), about.display_name.as_str().into());
    ours.insert("handle".into(), about.handle.as_str().into());
    if let Some(identity) = identity {
        ours.insert("id".into(), identity.did().into());
    }
    let content = render::document(db, &path, ours)?;
    payload.add(path, sink.keep(&content)?)
}

fn render_settings(db: &Connection, sink: &mut dyn Sink, payload: &mut Payload) -> Result<(), Error> {
    let path = render::path(SETTINGS)?;
    let values: Map<String, Value> = settings::all(db)?.into_iter().map(|(name, value)| (name, value.into())).collect();
    let mut ours = Map::new();
    ours.insert("schema".into(), SETTINGS_SCHEMA.into());
    ours.insert("values".into(), values.into());
    let content = render::document(db, &path, ours)?;
    payload.add(path, sink.keep(&content)?)
}

fn render_permissions(
    db: &Connection,
    identity: Option<&Identity>,
    sink: &mut dyn Sink,
    payload: &mut Payload,
) -> Result<(), Error> {
    let grantor = identity.map(Identity::did).unwrap_or_default();
    let path = render::path(PERMISSIONS)?;
    let ours = permissions::list(db)?.into_iter().map(|permission| {
        let id = format!("{}/{}", permission.app, permission.name);
        let theirs = kept::members_text(db, &permission_words(&permission.app, &permission.name))?;
        let ours = json!({
            "schema": PERMISSION_SCHEMA,
            "id": id,
            "name": permission.name,
            "grantee": {"type": "app", "id": permission.app},
            "grantor": grantor,
            "actions": [permission.kind],
            "resource": {"tables": permission.tables},
            "description": permission.description,
            "status": permission.status.to_string(),
            "created": written(permission.asked),
            "decided": permission.decided.and_then(written),
        });
        Ok::<_, Error>(render::Line { ours, theirs })
    });
    let content = render::lines(db, &path, ours.collect::<Result<_, _>>()?)?;
    payload.add(path, sink.keep(&content)?)
}

/// Under which name it is kept what another writer said of a permission.
pub(crate) fn permission_words(app: &AppId, name: &str) -> String {
    format!("{PERMISSIONS}/{app}/{name}")
}
