//! `GET|POST /public/query[/@user[/app]]`: what is shared with everyone, or in one private feed, the newest first.

use axum::extract::{Path, Query, State};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use rusqlite::Connection;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::body::Shaped;
use super::object::nothing;
use super::shown;
use crate::documents::{self, Filter, Row, TableName};
use crate::launch::Site;
use crate::problem::Problem;
use crate::server::Server;
use crate::sharing::{self, ACCESSIBLES, Grantee, Standing, Wanted};

/// How many records an answer has when nobody says.
const COUNT: usize = 100;
/// How many it may have.
const COUNT_LIMIT: usize = 500;
/// How many shared records are looked through.
pub(in crate::ceps) const LIMIT: usize = 10_000;
/// How many of them are read where each has to be judged.
const JUDGED_LIMIT: usize = 2_000;
/// How many bytes of records an answer has before it is closed; whoever wants more skips what it has.
const BYTES_LIMIT: usize = 4 << 20;

/// What is asked for.
#[derive(Clone, Default, Deserialize)]
pub(super) struct Asked {
    #[serde(alias = "app_name", alias = "requestor_app")]
    app: Option<String>,
    #[serde(alias = "app_table")]
    table: Option<String>,
    #[serde(alias = "data_owner", alias = "user_id", alias = "owner_id")]
    owner: Option<String>,
    #[serde(alias = "publicid")]
    pid: Option<String>,
    feed: Option<String>,
    code: Option<String>,
    q: Option<Value>,
    count: Option<Value>,
    skip: Option<Value>,
}

/// The parts of the path behind `/public/query`.
type Parts = Path<Vec<(String, String)>>;

pub(super) async fn by_address(
    State(server): State<Server>,
    path: Parts,
    Query(asked): Query<Asked>,
) -> Result<Response, Problem> {
    answer(&server, within(asked, &path)).await
}

pub(super) async fn by_body(
    State(server): State<Server>,
    path: Parts,
    Shaped(asked): Shaped<Asked>,
) -> Result<Response, Problem> {
    answer(&server, within(asked, &path)).await
}

/// What the path says counts beside what else is asked.
pub(super) fn within(mut asked: Asked, path: &[(String, String)]) -> Asked {
    if let Some((_, user)) = path.first() {
        asked.owner = Some(user.clone());
    }
    if let Some((_, app)) = path.get(1) {
        asked.app = Some(app.clone());
    }
    asked
}

async fn answer(server: &Server, asked: Asked) -> Result<Response, Problem> {
    let skip = number(asked.skip.as_ref(), "skip")?.unwrap_or(0);
    let count = number(asked.count.as_ref(), "count")?.unwrap_or(COUNT).min(COUNT_LIMIT);
    let found = find(server, asked, skip, count).await?;
    let (site, mut size) = (&server.launch.site, 0);
    let mut results = Vec::with_capacity(found.rows.len());
    for (table, row) in &found.rows {
        size += row.doc.len();
        if size > BYTES_LIMIT && !results.is_empty() {
            break;
        }
        results.push(Value::Object(shown::fields(row, table, site)));
    }
    let body = json!({"success": true, "count": results.len(), "skip": skip, "total": found.total, "results": results});
    let mut response = ([(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response();
    shown::headers(response.headers_mut(), &found.grantee);
    Ok(response)
}

/// Records that may be shown.
pub(super) struct Found {
    pub(super) grantee: Grantee,
    pub(super) rows: Vec<(TableName, Row)>,
    /// How many there are, of those that are looked through.
    pub(super) total: usize,
    /// The code of the feed.
    pub(super) code: Option<String>,
}

pub(super) async fn find(server: &Server, asked: Asked, skip: usize, count: usize) -> Result<Found, Problem> {
    let filter = asked.q.as_ref().map(filter).transpose()?;
    let grantee = match &asked.feed {
        Some(feed) => format!("_privatefeed:{feed}").parse().map_err(|_| nothing())?,
        None => Grantee::Public,
    };
    let is_own = asked.owner.as_deref().is_none_or(|owner| is_owner(&server.launch.site, owner));
    if !is_own {
        return Ok(Found { grantee: Grantee::Public, rows: Vec::new(), total: 0, code: None });
    }
    let standing = Standing::of(&server.apps);
    let grantees = vec![grantee.clone()];
    let wanted = Wanted { grantees, by: None, app: asked.app, table: asked.table, publicid: asked.pid };
    let (feed, code) = (asked.feed, asked.code);
    server
        .home
        .read(move |db| {
            if let Some(feed) = &feed {
                let expected = sharing::code_of_feed(db, feed)?;
                let given = code.as_deref().unwrap_or_default();
                if !expected.is_some_and(|expected| sharing::is_same(&expected, given)) {
                    return Err(nothing());
                }
            }
            let all = sharing::found(db, &standing, &wanted, LIMIT)?;
            let (rows, total) = page(db, all, filter.as_ref(), skip, count)?;
            Ok(Found { grantee, rows, total, code: code.filter(|_| feed.is_some()) })
        })
        .await
}

/// The records of a page of what is shared, and how many match.
pub(in crate::ceps) fn page(
    db: &Connection,
    all: Vec<sharing::Found>,
    filter: Option<&Filter>,
    skip: usize,
    count: usize,
) -> Result<(Vec<(TableName, Row)>, usize), Problem> {
    if filter.is_some() && all.len() > JUDGED_LIMIT {
        let detail =
            "There is too much to look through with q: name an app or a table as well, or ask without q, newest first.";
        return Err(Problem::new(axum::http::StatusCode::BAD_REQUEST, "query_too_broad", detail));
    }
    let total = all.len();
    let mut rows = Vec::new();
    match filter {
        None => {
            for found in all.into_iter().skip(skip).take(count) {
                rows.extend(documents::get(db, &found.table, &found.id)?.map(|row| (found.table, row)));
            }
            Ok((rows, total))
        }
        Some(filter) => {
            let mut matching = 0;
            for found in all {
                let Some(row) = documents::get(db, &found.table, &found.id)? else { continue };
                if filter.holds(&row.to_map()) {
                    matching += 1;
                    if matching > skip && rows.len() < count {
                        rows.push((found.table, row));
                    }
                }
            }
            Ok((rows, matching))
        }
    }
}

fn filter(query: &Value) -> Result<Filter, Problem> {
    // In an address it is JSON text.
    let read = query.as_str().map(serde_json::from_str).transpose();
    let read = read.map_err(|_| Problem::bad_request("q must be a query as JSON."))?;
    let empty = Value::Object(Map::new());
    let query = match read.as_ref().unwrap_or(query) {
        Value::Null => &empty,
        query => query,
    };
    let filter = Filter::parse(query).map_err(documents::Error::from)?;
    if filter.mentions(ACCESSIBLES) {
        return Err(Problem::forbidden("Who may see a record is only for the record's own app."));
    }
    Ok(filter)
}

/// Whether a name, as addresses have it, is the owner's.
pub(super) fn is_owner(site: &Site, name: &str) -> bool {
    name.strip_prefix('@').unwrap_or(name) == site.name
}

fn number(value: Option<&Value>, name: &str) -> Result<Option<usize>, Problem> {
    let read = |value: &Value| match value {
        Value::String(text) => text.parse().ok(),
        value => value.as_u64().and_then(|n| usize::try_from(n).ok()),
    };
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            read(value).map(Some).ok_or_else(|| Problem::bad_request(format!("{name} must be a whole number.")))
        }
    }
}
