//! Finding records.

use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::auth::{Caller, own_data};
use super::between::Reader;
use super::body::Shaped;
use super::pages::{NEXT, Question};
use super::public::query::{LIMIT, page};
use super::records::{WHO_SEES, json_type, no_store, seen_by_others};
use crate::documents::query::{Comparison, Test};
use crate::documents::{self, Budget, COUNT, COUNT_LIMIT, Filter, Index, Key, Looked, SKIP_LIMIT, Search, TableName};
use crate::permissions::Action;
use crate::problem::Problem;
use crate::server::Server;
use crate::sharing::{self, Standing};

/// `GET /ceps/query/:table?field=value&_modified_after=&_modified_before=&_cursor=`
pub(super) async fn by_fields(
    State(server): State<Server>,
    reader: Reader,
    Path(table): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let mut search = Search::default();
    let query = query.unwrap_or_default();
    let (mut cursor, mut asked) = (None, Vec::new());
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        let part = match &*name {
            "owner_id" => {
                own_data(&server, Some(&value))?;
                continue;
            }
            "permission_name" | "app_id" => continue,
            "count" => {
                search.count = number(&value, "count")?.min(COUNT_LIMIT);
                continue;
            }
            "skip" => {
                search.skip = number(&value, "skip")?;
                continue;
            }
            "_cursor" => {
                cursor = Some(value.into_owned());
                continue;
            }
            "_modified_after" => bound(Comparison::Greater, &value)?,
            "_modified_before" => bound(Comparison::Less, &value)?,
            name => Filter::one_of(name, meanings(&value)),
        };
        search.filter = search.filter.and(part);
        asked.push((name, value));
    }
    asked.sort();
    let paged = cursor.map(|cursor| Paged { cursor, asked: format!("{asked:?}") });
    answer(&server, reader, &table, search, paged).await
}

/// `POST /ceps/query/:table {q, count, skip, sort, _cursor}`
pub(super) async fn by_query(
    State(server): State<Server>,
    reader: Reader,
    Path(table): Path<String>,
    Shaped(asked): Shaped<Asked>,
) -> Result<Response, Problem> {
    own_data(&server, asked.owner_id.as_deref())?;
    let query = asked.q.filter(|query| !query.is_null()).unwrap_or_else(|| Value::Object(Map::new()));
    let sort = asked.sort.unwrap_or_default().keys()?;
    let paged = asked.cursor.map(|cursor| Paged { cursor, asked: format!("{query}\n{sort:?}") });
    let search = Search {
        filter: Filter::parse(&query).map_err(documents::Error::from)?,
        sort,
        skip: whole(asked.skip, "skip")?.unwrap_or(0),
        count: whole(asked.count, "count")?.unwrap_or(COUNT).min(COUNT_LIMIT),
        ..Search::default()
    };
    answer(&server, reader, &table, search, paged).await
}

/// What a query asks for in pages, beside what it looks for.
struct Paged {
    cursor: String,
    /// The question, in one spelling.
    asked: String,
}

async fn answer(
    server: &Server,
    reader: Reader,
    table: &str,
    search: Search,
    paged: Option<Paged>,
) -> Result<Response, Problem> {
    match reader {
        Reader::App(caller) => run(server, &caller, table, search, paged).await,
        Reader::Visitor(_) if paged.is_some() || !search.sort.is_empty() => Err(Problem::bad_request(
            "What is shared with you comes newest first: leave out sort and _cursor, and use skip.",
        )),
        Reader::Visitor(visitor) => shared(server, visitor, table, search).await,
    }
}

/// What is shared with a visitor.
async fn shared(server: &Server, visitor: sharing::Visitor, table: &str, search: Search) -> Result<Response, Problem> {
    if visitor.claim.table != table {
        return Err(Problem::forbidden(format!("Your token is for {}.", visitor.claim.table)));
    }
    if search.filter.mentions(WHO_SEES) {
        return Err(Problem::forbidden("Who may see a record is only for the record's own app."));
    }
    let standing = Standing::of(&server.apps);
    let rows = server
        .home
        .read(move |db| {
            let all = sharing::shared_with(db, &standing, &visitor, LIMIT)?;
            Ok::<_, Problem>(page(db, all, Some(&search.filter), search.skip, search.count)?.0)
        })
        .await?;
    let texts: Vec<String> = rows.iter().map(|(_, row)| seen_by_others(row)).collect();
    Ok(([json_type(), no_store()], format!("[{}]", texts.join(","))).into_response())
}

async fn run(
    server: &Server,
    caller: &Caller,
    table: &str,
    mut search: Search,
    paged: Option<Paged>,
) -> Result<Response, Problem> {
    let table = caller.table(server, table, Action::Read)?;
    let question = paged.as_ref().map(|paged| Question::new(server.sessions.key(), &table, &paged.asked));
    if let (Some(question), Some(paged)) = (&question, &paged) {
        if search.skip > 0 || search.count == 0 {
            return Err(Problem::bad_request("With _cursor, skip is 0 and count at least 1."));
        }
        search.page = question.page(&paged.cursor)?;
    }
    let foreign = *table.app() != caller.app;
    if search.skip > SKIP_LIMIT {
        return Err(Problem::bad_request("skip may be up to 1,000,000; narrow the query instead."));
    }
    if foreign && (search.filter.mentions(WHO_SEES) || search.sort.iter().any(|key| key.path.starts_with(WHO_SEES))) {
        return Err(Problem::forbidden("Who may see a record is only for the record's own app."));
    }
    let within = table.clone();
    let answer = server
        .home
        .read(move |db| {
            let mut text = String::with_capacity(16 << 10);
            text.push('[');
            let found = documents::show(db, &within, &search, Budget::default(), |view| {
                if text.len() > 1 {
                    text.push(',');
                }
                match foreign {
                    true => text.push_str(&seen_by_others(&view.into())),
                    false => view.write_json(&mut text),
                }
            });
            text.push(']');
            match found {
                Ok(Looked { missed, next, .. }) => Ok::<(Result<_, Problem>, _), Problem>((Ok((text, next)), missed)),
                Err(documents::Error::TooBroad { table, looked_at, index }) => {
                    let missed = index.as_deref().cloned();
                    Ok((Err(documents::Error::TooBroad { table, looked_at, index }.into()), missed))
                }
                Err(error) => Err(error.into()),
            }
        })
        .await?;
    let (found, missed) = answer;
    if let Some(index) = missed {
        make_if_missed(server, table, index);
    }
    let (text, next) = found?;
    let mut response = ([json_type(), no_store()], text).into_response();
    if let (Some(question), Some(position)) = (question, next) {
        let cursor = question.next(&position)?;
        response.headers_mut().insert(NEXT, cursor.parse().expect("letters, digits and a dot"));
    }
    Ok(response)
}

/// How much must be free before an index is made that nobody asked for.
const ROOM_FOR_INDEX: u64 = 32 << 20;

/// Makes an index that was missed once too often, while nobody waits for it.
fn make_if_missed(server: &Server, table: TableName, index: Index) {
    if !server.advisor.miss(&table, &index) || server.writable().is_err() {
        return;
    }
    let server = server.clone();
    tokio::spawn(async move {
        // An index takes room of the owner's plan; nearly full, they have better use for it.
        if server.quota.free(&server.home, crate::server::now()).await.unwrap_or(0) < ROOM_FOR_INDEX {
            return;
        }
        let (within, wanted) = (table.clone(), index.clone());
        let made = server.home.write(move |db| Ok::<_, Problem>(documents::begin_missed(db, &within, &wanted)?)).await;
        match made {
            Ok(true) => {
                tracing::info!(%table, %index, "makes an index that searches missed");
                server.indexing.finish(&server.home, &server.quota).await;
            }
            Ok(false) => {}
            Err(problem) => tracing::warn!(%table, %index, cause = problem.detail, "an index could not be made"),
        }
        server.quota.forget();
    });
}

/// What a value in an address can mean: the text, or the number or truth it spells.
fn meanings(text: &str) -> Vec<Value> {
    let mut meanings = vec![Value::from(text)];
    if let Ok(value @ (Value::Number(_) | Value::Bool(_))) = serde_json::from_str(text) {
        meanings.push(value);
    }
    meanings
}

fn bound(comparison: Comparison, text: &str) -> Result<Filter, Problem> {
    let at: f64 = text.parse().map_err(|_| Problem::bad_request("Dates are Unix milliseconds."))?;
    let at = if at.fract() == 0.0 { Value::from(at as i64) } else { Value::from(at) };
    Ok(Filter::field("_date_modified", Test::Compare(comparison, at)))
}

fn number(text: &str, name: &str) -> Result<usize, Problem> {
    text.parse().map_err(|_| Problem::bad_request(format!("{name} must be a whole number.")))
}

fn whole(value: Option<Value>, name: &str) -> Result<Option<usize>, Problem> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => number(&text, name).map(Some),
        Some(value) => {
            let number = value.as_u64().and_then(|number| usize::try_from(number).ok());
            number.map(Some).ok_or_else(|| Problem::bad_request(format!("{name} must be a whole number.")))
        }
    }
}

/// The body of a query.
#[derive(Default, Deserialize)]
pub(super) struct Asked {
    q: Option<Value>,
    count: Option<Value>,
    skip: Option<Value>,
    sort: Option<Order>,
    #[serde(rename = "_cursor")]
    cursor: Option<String>,
    owner_id: Option<String>,
}

/// The fields of an order as they stand in the text, for the first one counts most.
#[derive(Default)]
struct Order(Vec<(String, f64)>);

impl Order {
    fn keys(self) -> Result<Vec<Key>, Problem> {
        if self.0.len() > 8 || self.0.iter().any(|(_, direction)| *direction == 0.0) {
            return Err(Problem::bad_request("sort must be an object of up to 8 fields, each with 1 or -1."));
        }
        Ok(self.0.into_iter().map(|(path, direction)| Key { path, descending: direction < 0.0 }).collect())
    }
}

impl<'de> Deserialize<'de> for Order {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OrderVisitor)
    }
}

struct OrderVisitor;

impl<'de> Visitor<'de> for OrderVisitor {
    type Value = Order;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an order such as {\"title\": 1, \"_date_modified\": -1}")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Order, E> {
        Ok(Order::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Order, A::Error> {
        let mut order = Order::default();
        while let Some(field) = map.next_entry()? {
            order.0.push(field);
        }
        Ok(order)
    }
}
