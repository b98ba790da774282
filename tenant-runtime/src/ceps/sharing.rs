//! `POST /ceps/perms/share_records`: an app lets others see single records of its tables, or takes that back.

use axum::Json;
use axum::extract::State;
use rusqlite::Connection;
use serde::Deserialize;
use serde_json::{Value, json};

use super::auth::Caller;
use super::body::Shaped;
use crate::changes::Kind;
use crate::documents::{self, Filter, Row, TableName};
use crate::permissions::{Action, Status};
use crate::problem::Problem;
use crate::server::{Server, now};
use crate::sharing::{self, Given, Giver, Grantee, KIND};

/// How many records one call may share.
const MOST: usize = 1_000;
/// With how many at once.
const MOST_GRANTEES: usize = 50;
/// What one more grantee takes in a record, roughly.
const ROOM: u64 = 512;

/// What an app asks for.
#[derive(Default, Deserialize)]
pub(super) struct Asked {
    #[serde(alias = "permission_name")]
    name: String,
    #[serde(alias = "app_table")]
    table_id: String,
    action: String,
    #[serde(default, alias = "grantee")]
    grantees: Value,
    record_id: Option<String>,
    object_id_list: Option<Vec<String>>,
    query_criteria: Option<Value>,
    publicid: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Deed {
    Grant,
    Deny,
}

pub(super) async fn share_records(
    State(server): State<Server>,
    caller: Caller,
    Shaped(asked): Shaped<Asked>,
) -> Result<Json<Value>, Problem> {
    server.writable()?;
    let deed = match asked.action.as_str() {
        "grant" => Deed::Grant,
        "deny" => Deed::Deny,
        _ => return Err(Problem::bad_request("action must be grant or deny.")),
    };
    let table = caller.table(&server, &asked.table_id, Action::Read)?;
    let giver = giver(&server, &caller, &asked.name, &table)?;
    let grantees = grantees(&server, asked.grantees).await?;
    let publicid = asked.publicid.map(|publicid| checked(&publicid)).transpose()?;
    let records = Records::of(asked.record_id, asked.object_id_list, asked.query_criteria)?;
    if publicid.is_some()
        && (!matches!(&records, Records::Named(ids) if ids.len() == 1) || !grantees.contains(&Grantee::Public))
    {
        return Err(Problem::bad_request("publicid is for one record that is shared with _public."));
    }
    let now = now();
    if deed == Deed::Grant {
        let most = if let Records::Named(ids) = &records { ids.len() } else { MOST };
        server.quota.take_change(&server.home, ROOM * (most * grantees.len()) as u64, now).await?;
    }
    let user = server.launch.site.name.clone();
    let within = table.clone();
    let done = server
        .home
        .write(move |db| {
            let ids = records.ids(db, &within)?;
            let act = Act { db, table: &within, giver: &giver, user: &user, now };
            ids.iter().map(|id| act.on(id, deed, &grantees, publicid.as_deref())).collect::<Result<Vec<_>, Problem>>()
        })
        .await?;
    server.quota.forget();
    done.iter().for_each(|(row, _)| server.changes.tell(&table, &row.id, row.modified, Kind::Written));
    Ok(Json(answer(&done)))
}

/// The permission by which the caller may share records of a table.
fn giver(server: &Server, caller: &Caller, name: &str, table: &TableName) -> Result<Giver, Problem> {
    let asked = server.apps.asked_by(&caller.app);
    let of_table = table.to_string();
    let stands = |p: &&crate::permissions::Permission| {
        p.name == name && p.kind == KIND && p.status == Status::Granted && p.tables.contains(&of_table)
    };
    match asked.iter().find(stands) {
        Some(permission) if !caller.is_guest() => {
            Ok(Giver { app: caller.app.clone(), permission: permission.name.clone() })
        }
        _ => Err(Problem::forbidden(format!(
            "{} has no permission {name:?} to share records of {table}: its manifest asks for it with type share_records, and the owner allows it.",
            caller.app
        ))),
    }
}

/// Which records.
enum Records {
    Named(Vec<String>),
    Those(Filter),
}

impl Records {
    fn of(one: Option<String>, list: Option<Vec<String>>, query: Option<Value>) -> Result<Self, Problem> {
        match (one, list, query) {
            (Some(id), None, None) => Ok(Self::Named(vec![id])),
            (None, Some(ids), None) if (1..=MOST).contains(&ids.len()) => Ok(Self::Named(ids)),
            (None, Some(_), None) => Err(Problem::bad_request("object_id_list must name 1 to 1,000 records.")),
            (None, None, Some(query)) => Ok(Self::Those(Filter::parse(&query).map_err(documents::Error::from)?)),
            _ => Err(Problem::bad_request("Say which records by one of record_id, object_id_list and query_criteria.")),
        }
    }

    fn ids(self, db: &Connection, table: &TableName) -> Result<Vec<String>, Problem> {
        let ids = match self {
            Self::Named(ids) => ids,
            Self::Those(filter) => documents::ids(db, table, &filter)?,
        };
        match ids.len() {
            0..=MOST => Ok(ids),
            many => Err(Problem::bad_request(format!("{many} records match, and one call may share up to 1,000."))),
        }
    }
}

struct Act<'a> {
    db: &'a Connection,
    table: &'a TableName,
    giver: &'a Giver,
    user: &'a str,
    now: i64,
}

impl Act<'_> {
    fn on(&self, id: &str, deed: Deed, grantees: &[Grantee], publicid: Option<&str>) -> Result<(Row, Given), Problem> {
        let Self { db, table, giver, now, .. } = *self;
        let missing = || documents::Error::Missing { table: table.clone(), id: id.to_owned() };
        let mut row = documents::get(db, table, id)?.ok_or_else(missing)?;
        let mut given = Given::default();
        for grantee in grantees {
            match deed {
                Deed::Grant => {
                    let name = match grantee {
                        Grantee::Public => Some(self.name(&row, publicid)?),
                        _ => None,
                    };
                    let (changed, more) = sharing::share(db, (table, id), giver, grantee, name.as_deref(), now)?;
                    row = changed;
                    given.code = more.code.or(given.code);
                }
                Deed::Deny => row = sharing::withdraw(db, (table, id), giver, grantee, now)?,
            }
        }
        Ok((row, given))
    }

    /// The name a public record is found by: the one that is wished for, the one it has, or where it stands.
    fn name(&self, row: &Row, wished: Option<&str>) -> Result<String, Problem> {
        let own = || format!("@{}/{}/{}", self.user, self.table, row.id);
        let Some(wished) = wished else {
            let known = row.fields().get(sharing::PUBLICID).and_then(Value::as_str).map(str::to_owned);
            return Ok(known.unwrap_or_else(own));
        };
        match sharing::publicid_owner(self.db, wished)? {
            Some((table, id)) if table != *self.table || id != row.id => Err(Problem::new(
                axum::http::StatusCode::CONFLICT,
                "id_exists",
                format!("The public name {wished:?} is another record's: choose a different one."),
            )),
            _ => Ok(wished.to_owned()),
        }
    }
}

/// A public name as an app wishes it: it stands in an address, and may not look like another record's own.
fn checked(publicid: &str) -> Result<String, Problem> {
    let sound = (1..=200).contains(&publicid.len())
        && !publicid.starts_with(['@', '/'])
        && publicid.split('/').all(|part| !matches!(part, "" | "." | ".."))
        && publicid.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.~/".contains(&b));
    let detail = "publicid has up to 200 letters, digits and - _ . ~ /, and does not begin with @ or /.";
    sound.then(|| publicid.to_owned()).ok_or_else(|| Problem::bad_request(detail))
}

/// Whom a call names, once each.
async fn grantees(server: &Server, named: Value) -> Result<Vec<Grantee>, Problem> {
    let texts: Vec<String> = match named {
        Value::String(one) => vec![one],
        Value::Array(all) => all.into_iter().filter_map(|one| one.as_str().map(str::to_owned)).collect(),
        _ => Vec::new(),
    };
    if !(1..=MOST_GRANTEES).contains(&texts.len()) {
        return Err(Problem::bad_request("grantees must name 1 to 50 people, groups or links."));
    }
    let mut all = Vec::new();
    for text in texts {
        let grantee = match text.contains(['@', ':']) || text.starts_with('_') {
            true => text.parse().map_err(|error: sharing::NoGrantee| Problem::bad_request(error.to_string()))?,
            false => {
                let name = text.clone();
                let found = server.home.read(move |db| Ok::<_, Problem>(sharing::contact_called(db, &name)?)).await?;
                Grantee::Person(found.ok_or_else(|| {
                    Problem::bad_request(format!(
                        "{text:?} is not the name of exactly one contact: write it as user@host."
                    ))
                })?)
            }
        };
        if !all.contains(&grantee) {
            all.push(grantee);
        }
    }
    Ok(all)
}

fn answer(done: &[(Row, Given)]) -> Value {
    let view = |(row, given): &(Row, Given)| {
        let fields = row.fields();
        let mut view = json!({"_id": row.id, "_date_modified": row.modified});
        for name in [sharing::PUBLICID, sharing::PUBLISHED] {
            if let Some(value) = fields.get(name) {
                view[name] = value.clone();
            }
        }
        if let Some(code) = &given.code {
            view["code"] = code.as_str().into();
        }
        view
    };
    let records: Vec<Value> = done.iter().map(view).collect();
    let mut answer = match records.as_slice() {
        [one] => one.clone(),
        _ => json!({}),
    };
    answer["success"] = true.into();
    answer["recordsChanged"] = records.len().into();
    answer["records"] = records.into();
    answer
}
