//! A small freezr server, written from `design/ceps.md` (the CEPS 2.0 notes of freezr 0.0.304): a stock one is not on this
//! machine. It has the calls that apps and the account pages make for their data, one user, and these quirks: `expires_in` is an
//! absolute moment, a table without records answers 401 `no related records exist`, records come newest first unless they are
//! asked for otherwise, and files open by a token in their address alone. On demand it misbehaves ([`Trick`]).

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Multipart, Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use parking_lot::Mutex;
use serde_json::{Map, Value, json};

/// Who has data there.
pub(crate) const USER: &str = "anna";

type Shared = Arc<Mutex<Inner>>;
/// What a request is answered with instead of the truth.
pub(crate) type Trick = Box<dyn FnMut(&str) -> Option<Response> + Send>;

/// A freezr server; it ends with this value.
pub(crate) struct Freezr {
    pub(crate) address: SocketAddr,
    inner: Shared,
    serving: tokio::task::JoinHandle<()>,
}

/// What it holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Held {
    /// Records by `app_table` and id.
    pub(crate) tables: BTreeMap<String, BTreeMap<String, Value>>,
    /// Files by app and path.
    pub(crate) files: BTreeMap<(String, String), Bytes>,
}

#[derive(Default)]
struct Inner {
    held: Held,
    manifests: BTreeMap<String, Value>,
    passwords: HashMap<String, String>,
    tokens: HashMap<String, String>,
    made: u64,
    asked: u64,
    restored: u64,
    trick: Option<Trick>,
}

impl Freezr {
    pub(crate) async fn start() -> Self {
        let inner = Shared::default();
        let router = Router::new()
            .route("/ceps/ping", get(ping))
            .route("/oauth/token", post(token))
            .route("/feps/manifest/{app}", get(manifest))
            .route("/ceps/query/{table}", post(query))
            .route("/feps/read_user_file_tree/{app}", post(tree))
            .route("/feps/getuserfiletoken/self/{app}/{user}", get(file_token))
            .route("/feps/userfiles/{app}/{user}/{*path}", get(file))
            .route("/feps/restore/{table}", post(restore))
            .route("/feps/upload/{app}", put(upload))
            .layer(from_fn_with_state(Arc::clone(&inner), tricked))
            .layer(DefaultBodyLimit::max(64 << 20))
            .with_state(Arc::clone(&inner));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, inner, serving }
    }

    /// How a person writes its address.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Makes an app known, with the tables its manifest names.
    pub(crate) fn install(&self, app: &str, name: &str, tables: &[&str]) {
        let named: Map<String, Value> = tables.iter().map(|table| ((*table).to_owned(), json!({}))).collect();
        let manifest = json!({
            "identifier": app, "display_name": name, "version": "1.4", "app_tables": named,
            "permissions": [{"name": "link", "type": "share_records"}],
        });
        self.inner.lock().manifests.insert(app.to_owned(), manifest);
    }

    /// A password for an app, good once.
    pub(crate) fn password(&self, app: &str) -> String {
        let mut inner = self.inner.lock();
        inner.made += 1;
        let password = format!("one-time-{}-of-{}", inner.made, self.address.port());
        inner.passwords.insert(password.clone(), app.to_owned());
        password
    }

    /// Puts a record there, as its own server would have it.
    pub(crate) fn put(&self, table: &str, record: Value) {
        let id = record["_id"].as_str().unwrap().to_owned();
        self.inner.lock().held.tables.entry(table.to_owned()).or_default().insert(id, record);
    }

    /// Puts a file there, with the record about it.
    pub(crate) fn put_file(&self, app: &str, path: &str, content: impl Into<Bytes>, said: Value) {
        let content = content.into();
        let record = about(path, content.len(), said, 1_700_000_000_000);
        self.put(&format!("{app}.files"), record);
        self.inner.lock().held.files.insert((app.to_owned(), path.to_owned()), content);
    }

    /// Puts a file there of which there is no record.
    pub(crate) fn put_bare_file(&self, app: &str, path: &str, content: impl Into<Bytes>) {
        self.inner.lock().held.files.insert((app.to_owned(), path.to_owned()), content.into());
    }

    pub(crate) fn held(&self) -> Held {
        self.inner.lock().held.clone()
    }

    /// How many requests came.
    pub(crate) fn asked(&self) -> u64 {
        self.inner.lock().asked
    }

    /// How many records were restored.
    pub(crate) fn restored(&self) -> u64 {
        self.inner.lock().restored
    }

    /// The tokens it has given out.
    pub(crate) fn tokens(&self) -> Vec<String> {
        self.inner.lock().tokens.keys().cloned().collect()
    }

    /// Answers with this from now on, where it answers.
    pub(crate) fn tricks(&self, trick: impl FnMut(&str) -> Option<Response> + Send + 'static) {
        self.inner.lock().trick = Some(Box::new(trick));
    }

    pub(crate) fn behaves(&self) {
        self.inner.lock().trick = None;
    }
}

impl Drop for Freezr {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// A record of the table of files.
fn about(path: &str, size: usize, said: Value, now: i64) -> Value {
    let mut record = said.as_object().cloned().unwrap_or_default();
    let extension = path.rsplit_once('.').map(|(_, end)| end).unwrap_or_default();
    let mime = if extension == "jpg" { "image/jpeg" } else { "application/octet-stream" };
    for (name, value) in [
        ("_id", json!(path)),
        ("_mime_type", json!(mime)),
        ("_file_extension", json!(extension)),
        ("_file_size", json!(size)),
        ("_date_created", json!(now)),
        ("_date_modified", json!(now)),
    ] {
        record.insert(name.to_owned(), value);
    }
    record.into()
}

async fn tricked(State(inner): State<Shared>, request: Request, next: Next) -> Response {
    let answer = {
        let mut inner = inner.lock();
        inner.asked += 1;
        let path = request.uri().path().to_owned();
        inner.trick.as_mut().and_then(|trick| trick(&path))
    };
    match answer {
        Some(answer) => answer,
        None => next.run(request).await,
    }
}

fn refuse(status: StatusCode, error: &str) -> Response {
    (status, Json(json!({"success": false, "error": error, "message": error}))).into_response()
}

/// The app whose token came along.
fn app_of(inner: &Inner, headers: &HeaderMap) -> Option<String> {
    let token = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")?;
    inner.tokens.get(token).cloned()
}

async fn ping() -> Json<Value> {
    Json(
        json!({"logged_in": false, "server_type": "info.freezr", "server_version": "0.0.304", "storageLimits": {"ok": true}}),
    )
}

async fn token(State(inner): State<Shared>, Json(asked): Json<Value>) -> Response {
    let mut inner = inner.lock();
    let app = inner.passwords.remove(asked["password"].as_str().unwrap_or_default());
    match app
        .filter(|app| asked["client_id"] == **app && asked["username"] == USER && asked["grant_type"] == "password")
    {
        None => refuse(StatusCode::UNAUTHORIZED, "Wrong credentials"),
        Some(app) => {
            inner.made += 1;
            let token = format!("token-{}-{}", inner.made, "x".repeat(20));
            inner.tokens.insert(token.clone(), app.clone());
            let expires = 4_102_444_800_000_i64;
            Json(json!({"access_token": token, "user_id": USER, "app_name": app, "expires_in": expires}))
                .into_response()
        }
    }
}

async fn manifest(State(inner): State<Shared>, Path(app): Path<String>, headers: HeaderMap) -> Response {
    let inner = inner.lock();
    if app_of(&inner, &headers).as_deref() != Some(&app) {
        return refuse(StatusCode::UNAUTHORIZED, "unauthorized");
    }
    let prefix = format!("{app}.");
    let tables: Vec<&String> =
        inner.held.tables.keys().filter(|table| **table == app || table.starts_with(&prefix)).collect();
    Json(json!({"manifest": inner.manifests.get(&app), "app_tables": tables})).into_response()
}

async fn query(
    State(inner): State<Shared>,
    Path(table): Path<String>,
    headers: HeaderMap,
    Json(asked): Json<Value>,
) -> Response {
    let inner = inner.lock();
    match app_of(&inner, &headers) {
        Some(app) if table == app || table.starts_with(&format!("{app}.")) => {}
        _ => return refuse(StatusCode::UNAUTHORIZED, "unauthorized"),
    }
    let Some(records) = inner.held.tables.get(&table).filter(|records| !records.is_empty()) else {
        return refuse(StatusCode::UNAUTHORIZED, "no related records exist");
    };
    let after = asked["q"]["_date_modified"]["$gt"].as_i64();
    let date = |record: &Value| record["_date_modified"].as_i64().unwrap_or_default();
    let mut found: Vec<&Value> =
        records.values().filter(|record| after.is_none_or(|after| date(record) > after)).collect();
    if asked["sort"]["_id"] != 1 {
        found.sort_by_key(|record| -date(record));
    }
    let skip = asked["skip"].as_u64().unwrap_or(0) as usize;
    let count = asked["count"].as_u64().unwrap_or(500) as usize;
    Json(found.into_iter().skip(skip).take(count).collect::<Vec<_>>()).into_response()
}

async fn tree(State(inner): State<Shared>, Path(app): Path<String>, headers: HeaderMap) -> Response {
    let inner = inner.lock();
    if app_of(&inner, &headers).as_deref() != Some(&app) {
        return refuse(StatusCode::UNAUTHORIZED, "unauthorized");
    }
    let files = inner.held.files.keys().filter(|(of, _)| *of == app);
    let tree: Vec<Value> =
        files.map(|(_, path)| json!({"type": "file", "name": path, "mtimeMs": 1_700_000_000_123.5})).collect();
    Json(json!({"tree": tree, "incomplete": false})).into_response()
}

async fn file_token(
    State(inner): State<Shared>,
    Path((app, user)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let inner = inner.lock();
    if app_of(&inner, &headers).as_deref() != Some(&app) || user != USER {
        return refuse(StatusCode::UNAUTHORIZED, "unauthorized");
    }
    Json(json!({"fileToken": format!("opens-{app}")})).into_response()
}

async fn file(
    State(inner): State<Shared>,
    Path((app, user, path)): Path<(String, String, String)>,
    Query(asked): Query<HashMap<String, String>>,
) -> Response {
    let inner = inner.lock();
    if asked.get("fileToken") != Some(&format!("opens-{app}")) || user != USER {
        return refuse(StatusCode::UNAUTHORIZED, "unauthorized");
    }
    match inner.held.files.get(&(app, path)) {
        Some(content) => Body::from(content.clone()).into_response(),
        None => refuse(StatusCode::NOT_FOUND, "no such file"),
    }
}

async fn restore(
    State(inner): State<Shared>,
    Path(table): Path<String>,
    headers: HeaderMap,
    Json(asked): Json<Value>,
) -> Response {
    let mut inner = inner.lock();
    match app_of(&inner, &headers) {
        Some(app) if table == app || table.starts_with(&format!("{app}.")) => {}
        _ => return refuse(StatusCode::UNAUTHORIZED, "unauthorized"),
    }
    let (record, options) = (&asked["record"], &asked["options"]);
    let Some(id) = options["data_object_id"].as_str().filter(|_| record.is_object()) else {
        return refuse(StatusCode::BAD_REQUEST, "a record and its id are needed");
    };
    let records = inner.held.tables.entry(table).or_default();
    if records.contains_key(id) && options["upsertRecord"] != true {
        return refuse(StatusCode::CONFLICT, "it exists");
    }
    let mut record = record.clone();
    record["_id"] = id.into();
    let answer =
        json!({"_id": id, "_date_created": record["_date_created"], "_date_modified": record["_date_modified"]});
    records.insert(id.to_owned(), record);
    inner.restored += 1;
    Json(answer).into_response()
}

async fn upload(
    State(inner): State<Shared>,
    Path(app): Path<String>,
    headers: HeaderMap,
    mut form: Multipart,
) -> Response {
    if app_of(&inner.lock(), &headers).as_deref() != Some(&app) {
        return refuse(StatusCode::UNAUTHORIZED, "unauthorized");
    }
    let (mut content, mut options) = (None, Value::Null);
    while let Some(field) = form.next_field().await.unwrap() {
        match field.name() {
            Some("file") => content = field.bytes().await.ok(),
            Some("options") => options = serde_json::from_str(&field.text().await.unwrap()).unwrap(),
            _ => {}
        }
    }
    let (Some(content), Some(name)) = (content, options["fileName"].as_str()) else {
        return refuse(StatusCode::BAD_REQUEST, "a file and its name are needed");
    };
    let path = match options["targetFolder"].as_str() {
        None | Some("") => name.to_owned(),
        Some(folder) => format!("{folder}/{name}"),
    };
    let record = about(&path, content.len(), options["data"].clone(), 1_800_000_000_000);
    let mut inner = inner.lock();
    inner.held.tables.entry(format!("{app}.files")).or_default().insert(path.clone(), record);
    inner.held.files.insert((app, path.clone()), content);
    Json(json!({"_id": path})).into_response()
}
