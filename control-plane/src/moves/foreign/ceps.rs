//! A server that speaks CEPS, as freezr does: what it is asked, and how far it is believed.
//!
//! It is a stranger at an address that somebody wrote down. So it is connected to as places are ([`Reach`]), no answer leads
//! anywhere else, none is longer than its bound, nothing stands still without end, and it is not asked more often than it
//! takes ([`Pace`]).
//!
//! Fails by saying in words what the server did. What may pass (it is away, it is busy) is asked again for a while first.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use export_format::AppId;
use futures::TryStreamExt as _;
use http::{Method, StatusCode, header};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value as Json, json};
use tokio::time::Instant;
use url::Url;

use super::pace::Pace;
use crate::places::{Looking as _, Reach, Secret};
use crate::{Error, Kind, Result};

/// How long an answer may take to begin, and how long one may stand still.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a server that is away is asked again.
const AWAY: Duration = Duration::from_secs(15 * 60);
/// The same while somebody waits for the page.
const HURRY: Duration = Duration::from_secs(5);
/// The longest pause between two attempts, and the longest that a busy server may ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
const LONGEST_WAIT: Duration = Duration::from_secs(10 * 60);
/// The longest answer to a small question, in bytes.
const SMALL: usize = 1 << 20;
/// The longest list of records or files.
pub(super) const LONG: usize = 16 << 20;
/// How many files are asked for at most.
const MOST_LISTED: u64 = 10_000;

/// Speaks to one server as one of its users. A cheap clone.
#[derive(Clone, Debug)]
pub(super) struct Ceps {
    client: reqwest::Client,
    origin: Url,
    user: String,
    pace: Arc<Pace>,
    patience: Duration,
}

/// What opens one app's data there. Never shown.
#[derive(Clone)]
pub(super) struct Token {
    pub(super) app: AppId,
    token: String,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("app", &self.app).finish_non_exhaustive()
    }
}

/// What a server knows of an app.
#[derive(Debug, Default)]
pub(super) struct Manifest {
    pub(super) manifest: Json,
    /// Tables as it names them.
    pub(super) tables: Vec<String>,
}

/// Some records of a table.
#[derive(Debug)]
pub(super) enum Records {
    /// These, each as it was written.
    These(Vec<Box<RawValue>>),
    /// More than is read at once: ask for fewer.
    TooLong,
}

/// A file as a list has it.
#[derive(Debug, Default, Clone)]
pub(super) struct Listed {
    pub(super) path: String,
    pub(super) created: Option<i64>,
    pub(super) modified: Option<i64>,
    pub(super) media_type: Option<String>,
}

/// An answer of which all is here.
struct Answer {
    status: StatusCode,
    body: Vec<u8>,
    is_cut: bool,
}

impl Ceps {
    /// The server at `address`, as a person wrote it down, for its user `user`.
    pub(super) fn at(reach: Reach, address: &str, user: &str) -> Result<Self> {
        let written = address.trim();
        let written = if written.contains("://") { written.to_owned() } else { format!("https://{written}") };
        let url = reach.parse("address", &written)?;
        let origin = Url::parse(&url.origin().ascii_serialization()).map_err(Error::bug)?;
        let user = user.trim();
        if user.is_empty() || user.len() > 200 || user.chars().any(|c| c.is_control() || c == '/') {
            return Err(Error::fix("user", "Write the name by which you sign in on the other server."));
        }
        Ok(Self { client: reach.connecting()?, origin, user: user.to_owned(), pace: Arc::default(), patience: AWAY })
    }

    /// The same, for somebody who waits: one that is away is not asked for long.
    pub(super) fn in_a_hurry(self) -> Self {
        Self { patience: HURRY, ..self }
    }

    /// Its origin, as browsers write it.
    pub(super) fn origin(&self) -> String {
        self.origin.origin().ascii_serialization()
    }

    /// Its host, with the port if that is not the usual one.
    pub(super) fn host(&self) -> String {
        self.origin().split_once("://").map(|(_, host)| host.to_owned()).unwrap_or_default()
    }

    /// Whose data it is.
    pub(super) fn user(&self) -> &str {
        &self.user
    }

    /// What software it says it is; nothing when it does not.
    pub(super) async fn software(&self) -> Result<String> {
        let answer = self.read(Method::GET, &["ceps", "ping"], None, None, SMALL).await?;
        let said: Json = serde_json::from_slice(&answer.body).unwrap_or_default();
        let part = |name: &str| said.get(name).and_then(Json::as_str).unwrap_or_default();
        let both = format!("{} {}", part("server_type"), part("server_version"));
        Ok(both.chars().filter(|c| !c.is_control()).take(80).collect::<String>().trim().to_owned())
    }

    /// Exchanges an app's one-time password.
    pub(super) async fn token(&self, app: &AppId, password: &Secret) -> Result<Token> {
        #[derive(Deserialize)]
        struct Given {
            access_token: String,
        }
        let ask = json!({
            "username": self.user,
            "password": password.0,
            "client_id": app.as_str(),
            "grant_type": "password",
        });
        let answer = self.read(Method::POST, &["oauth", "token"], None, Some(&ask), SMALL).await?;
        if answer.status.is_client_error() {
            return Err(Error::new(
                Kind::Denied,
                format!(
                    "{} does not take the password for {app}. Each is good for one use and for a short time; make a new one there.",
                    self.host()
                ),
            ));
        }
        let given: Given = serde_json::from_slice(&answer.ok(self)?).map_err(|why| self.odd().because(why))?;
        // It goes into a header.
        if given.access_token.is_empty() || !given.access_token.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(self.odd());
        }
        Ok(Token { app: app.clone(), token: given.access_token })
    }

    /// What an app is there, and which tables it has.
    pub(super) async fn manifest(&self, token: &Token) -> Result<Manifest> {
        let path = ["feps", "manifest", token.app.as_str()];
        let answer = self.read(Method::GET, &path, Some(token), None, LONG).await?;
        let mut said: Json = serde_json::from_slice(&answer.ok(self)?).map_err(|why| self.odd().because(why))?;
        let manifest = said.get_mut("manifest").map(Json::take).unwrap_or_default();
        let mut tables = names(&said["app_tables"]);
        tables.extend(names(&manifest["app_tables"]));
        Ok(Manifest { manifest, tables })
    }

    /// At most `count` records of a table behind `skip` others, in an order that new ones do not change.
    pub(super) async fn records(
        &self,
        token: &Token,
        table: &str,
        find: &Json,
        skip: u64,
        count: u64,
    ) -> Result<Records> {
        let ask = json!({"q": find, "count": count, "skip": skip, "sort": {"_id": 1}});
        let answer = self.read(Method::POST, &["ceps", "query", table], Some(token), Some(&ask), LONG).await?;
        if answer.is_cut {
            return Ok(Records::TooLong);
        }
        // A quirk of freezr's: a table without records is refused so.
        let is_empty = matches!(answer.status.as_u16(), 401 | 404) && answer.says("no related records exist");
        if is_empty || answer.status == StatusCode::NOT_FOUND {
            return Ok(Records::These(Vec::new()));
        }
        let found = serde_json::from_slice(&answer.ok(self)?).map_err(|why| self.odd().because(why))?;
        Ok(Records::These(found))
    }

    /// The files of an app, as far as it lists them, and whether that is all.
    pub(super) async fn files(&self, token: &Token) -> Result<(Vec<Listed>, bool)> {
        let ask = json!({
            "subPath": "",
            "readSubFolders": true,
            "maxFiles": MOST_LISTED,
            "maxDepth": 50,
            "includeMetadata": true,
        });
        let path = ["feps", "read_user_file_tree", token.app.as_str()];
        let answer = self.read(Method::POST, &path, Some(token), Some(&ask), LONG).await?;
        if answer.status.is_client_error() && !matches!(answer.status.as_u16(), 401 | 403) {
            // An app that never had a file.
            return Ok((Vec::new(), true));
        }
        let said: Json = serde_json::from_slice(&answer.ok(self)?).map_err(|why| self.odd().because(why))?;
        // freezr says `tree` with names within the folder and moments of change; others say `files`.
        let list = ["files", "tree"].into_iter().find_map(|name| said.get(name)?.as_array());
        let mut files = Vec::new();
        for file in list.into_iter().flatten() {
            let text = |name: &str| file.get(name).and_then(Json::as_str);
            let date = |name: &str| file.get(name).and_then(Json::as_f64).map(|ms| ms as i64);
            let is_file = text("type").is_none_or(|kind| kind == "file");
            if let (true, Some(path)) = (is_file, text("path").or_else(|| text("name"))) {
                files.push(Listed {
                    path: path.to_owned(),
                    created: date("created"),
                    modified: date("modified").or_else(|| date("mtimeMs")),
                    media_type: text("mime_type").map(str::to_owned),
                });
            }
        }
        let is = |name: &str| said.get(name).and_then(Json::as_bool);
        let is_whole = is("complete") != Some(false) && is("incomplete") != Some(true) && is("truncated") != Some(true);
        Ok((files, is_whole))
    }

    /// What opens the files of an app for a while.
    pub(super) async fn file_token(&self, token: &Token) -> Result<Secret> {
        let path = ["feps", "getuserfiletoken", "self", token.app.as_str(), &self.user];
        let answer = self.read(Method::GET, &path, Some(token), None, SMALL).await?;
        let said: Json = serde_json::from_slice(&answer.ok(self)?).map_err(|why| self.odd().because(why))?;
        said["fileToken"].as_str().map(|token| Secret(token.to_owned())).ok_or_else(|| self.odd())
    }

    /// A file, whose bytes are still to come; nothing when it is not there or not to be had.
    pub(super) async fn file(
        &self,
        token: &Token,
        opens: &Secret,
        path: &str,
    ) -> Result<Result<reqwest::Response, StatusCode>> {
        let mut segments = vec!["feps", "userfiles", token.app.as_str(), &self.user];
        segments.extend(path.split('/'));
        let mut url = self.url(&segments)?;
        url.query_pairs_mut().append_pair("fileToken", &opens.0);
        let answer = self.send(|| self.client.get(url.clone()).bearer_auth(&token.token)).await?;
        Ok(if answer.status() == StatusCode::OK { Ok(answer) } else { Err(answer.status()) })
    }

    /// Writes a record back with its id and dates. What the server refuses about it is the inner answer.
    pub(super) async fn restore(
        &self,
        token: &Token,
        table: &str,
        id: &str,
        record: &str,
    ) -> Result<Result<(), String>> {
        let record: Box<RawValue> = RawValue::from_string(record.to_owned()).map_err(Error::bug)?;
        let ask = serde_json::to_vec(&Restore {
            record: &record,
            options: RestoreOptions { data_object_id: id, upsert: true },
        });
        let ask = ask.map_err(Error::bug)?;
        let url = self.url(&["feps", "restore", table])?;
        self.taken(|| {
            let request = self.client.post(url.clone()).bearer_auth(&token.token);
            request.header(header::CONTENT_TYPE, "application/json").body(ask.clone())
        })
        .await
    }

    /// Uploads a file; `content` gives its bytes anew each time it is asked.
    pub(super) async fn upload(
        &self,
        token: &Token,
        file: &Upload,
        content: impl Fn() -> reqwest::Body,
    ) -> Result<Result<(), String>> {
        let (folder, name) = file.path.rsplit_once('/').unwrap_or(("", &file.path));
        let said: Json = serde_json::from_str(&file.said).unwrap_or_else(|_| json!({}));
        let options = json!({"targetFolder": folder, "fileName": name, "overwrite": true, "data": said});
        let url = self.url(&["feps", "upload", token.app.as_str()])?;
        self.taken(|| {
            let part =
                || reqwest::multipart::Part::stream_with_length(content(), file.bytes).file_name(name.to_owned());
            let part = part().mime_str(&file.media_type).unwrap_or_else(|_| part());
            let form = reqwest::multipart::Form::new().text("options", options.to_string()).part("file", part);
            self.client.put(url.clone()).bearer_auth(&token.token).multipart(form)
        })
        .await
    }

    /// Whether what was sent was taken; what was wrong with it else. Sent twice it is there once.
    async fn taken(&self, build: impl Fn() -> reqwest::RequestBuilder) -> Result<Result<(), String>> {
        let answer = self.answer(build, SMALL).await?;
        match answer.status {
            status if status.is_success() => Ok(Ok(())),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(self.refusal(&answer)),
            _ => Ok(Err(answer.said().unwrap_or_else(|| format!("it was answered with {}", answer.status)))),
        }
    }

    fn url(&self, segments: &[&str]) -> Result<Url> {
        let mut url = self.origin.clone();
        url.path_segments_mut().map_err(|()| Error::bug("an origin without paths"))?.clear().extend(segments);
        Ok(url)
    }

    /// Asks a question and reads all of the answer, or as much as is read of one that is too long.
    async fn read(
        &self,
        method: Method,
        path: &[&str],
        token: Option<&Token>,
        ask: Option<&Json>,
        longest: usize,
    ) -> Result<Answer> {
        let url = self.url(path)?;
        let build = || {
            let mut request =
                self.client.request(method.clone(), url.clone()).header(header::ACCEPT, "application/json");
            if let Some(token) = token {
                request = request.bearer_auth(&token.token);
            }
            if let Some(ask) = ask {
                request = request.json(ask);
            }
            request
        };
        self.answer(build, longest).await
    }

    /// Sends until all of an answer is here, or as much as is read of one that is too long.
    async fn answer(&self, build: impl Fn() -> reqwest::RequestBuilder, longest: usize) -> Result<Answer> {
        let mut again = Again::new(self.patience);
        loop {
            let answer = self.send(&build).await?;
            match self.whole(answer, longest).await {
                Err(error) if error.kind() == Kind::Retry => again.later(error).await?,
                other => return other,
            }
        }
    }

    /// Sends until there is an answer that is neither "too often" nor "not now".
    async fn send(&self, build: impl Fn() -> reqwest::RequestBuilder) -> Result<reqwest::Response> {
        let mut again = Again::new(self.patience);
        loop {
            self.pace.turn().await;
            let answer = match tokio::time::timeout(PATIENCE, build().send()).await {
                Err(_) => Err(self.away("does not answer")),
                Ok(Err(error)) => Err(self.broken(error)),
                Ok(Ok(answer)) => Ok(answer),
            };
            match answer {
                Ok(answer) if answer.status() == StatusCode::TOO_MANY_REQUESTS => {
                    let wait = answer.headers().get(header::RETRY_AFTER).and_then(|wait| wait.to_str().ok());
                    let wait = wait.and_then(|wait| wait.trim().parse().ok()).map_or(PATIENCE, Duration::from_secs);
                    if wait > LONGEST_WAIT {
                        return Err(self.away("asks us to wait longer than we do"));
                    }
                    again.after(wait, self.away("is asked too often, it says")).await?;
                }
                Ok(answer) if answer.status().is_server_error() => {
                    again.later(self.away("says that something is wrong with it")).await?;
                }
                Ok(answer) if answer.status().is_redirection() => {
                    return Err(Error::fix(
                        "address",
                        format!("{} sends us to another address. Write that one.", self.host()),
                    ));
                }
                Ok(answer) => return Ok(answer),
                Err(error) if error.kind() == Kind::Retry => again.later(error).await?,
                Err(error) => return Err(error),
            }
        }
    }

    async fn whole(&self, answer: reqwest::Response, longest: usize) -> Result<Answer> {
        let status = answer.status();
        let mut body = Vec::new();
        let mut parts = std::pin::pin!(answer.bytes_stream().map_err(|error| self.broken(error)));
        loop {
            let next = tokio::time::timeout(PATIENCE, parts.try_next()).await;
            let Some(part) = next.map_err(|_| self.away("stopped in the middle of an answer"))?? else { break };
            if body.len() + part.len() > longest {
                return Ok(Answer { status, body: Vec::new(), is_cut: true });
            }
            body.extend_from_slice(&part);
        }
        Ok(Answer { status, body, is_cut: false })
    }

    /// The next part of something long.
    pub(super) async fn next(
        &self,
        parts: &mut (impl futures::Stream<Item = Result<bytes::Bytes>> + Unpin),
    ) -> Result<Option<bytes::Bytes>> {
        let next = tokio::time::timeout(PATIENCE, parts.try_next()).await;
        next.map_err(|_| self.away("stopped in the middle"))?
    }

    pub(super) fn broke_off(&self) -> Error {
        self.away("broke off the connection")
    }

    fn refusal(&self, answer: &Answer) -> Error {
        let host = self.host();
        match answer.status.as_u16() {
            401 | 403 => Error::new(
                Kind::Denied,
                format!(
                    "{host} no longer lets us in. Make new passwords there and begin again; what is there already stays."
                ),
            ),
            status => match answer.said() {
                Some(said) => Error::new(Kind::Fix, format!("{host} says: {said}")),
                None => Error::new(Kind::Fix, format!("{host} answered with {status}, which we do not understand.")),
            },
        }
    }

    fn odd(&self) -> Error {
        Error::new(
            Kind::Fix,
            format!(
                "What {} answered cannot be read. Is it a freezr server, or another that speaks CEPS?",
                self.host()
            ),
        )
    }

    fn away(&self, what: &str) -> Error {
        Error::retry(format!("{} {what}.", self.host()))
    }

    pub(super) fn broken(&self, error: reqwest::Error) -> Error {
        let hidden = std::iter::successors(std::error::Error::source(&error), |error| error.source())
            .any(|error| error.to_string().contains("no public address"));
        if hidden {
            return Error::fix("address", "This address is not on the public internet, so we do not connect to it.")
                .because(error.without_url());
        }
        let what = if error.is_connect() { "cannot be reached" } else { "broke off the connection" };
        // Addresses of files carry what opens them.
        self.away(what).because(error.without_url())
    }
}

/// A file about to be uploaded.
#[derive(Debug)]
pub(super) struct Upload {
    pub(super) path: String,
    pub(super) bytes: u64,
    pub(super) media_type: String,
    pub(super) said: String,
}

#[derive(serde::Serialize)]
struct Restore<'a> {
    record: &'a RawValue,
    options: RestoreOptions<'a>,
}

#[derive(serde::Serialize)]
struct RestoreOptions<'a> {
    data_object_id: &'a str,
    #[serde(rename = "upsertRecord")]
    upsert: bool,
}

impl Answer {
    /// The body, when it was a yes and not too long.
    fn ok(self, of: &Ceps) -> Result<Vec<u8>> {
        if self.is_cut {
            return Err(of.odd());
        }
        if self.status.is_success() { Ok(self.body) } else { Err(of.refusal(&self)) }
    }

    fn says(&self, words: &str) -> bool {
        self.said().is_some_and(|said| said.contains(words))
    }

    /// What it says is wrong, in its own words.
    fn said(&self) -> Option<String> {
        let said: Json = serde_json::from_slice(&self.body).ok()?;
        let said = ["error", "message"].into_iter().find_map(|name| said.get(name)?.as_str().map(str::to_owned))?;
        Some(said.chars().filter(|c| !c.is_control()).take(200).collect())
    }
}

/// Attempts at one thing.
struct Again {
    until: Instant,
    pause: Duration,
}

impl Again {
    fn new(patience: Duration) -> Self {
        Self { until: Instant::now() + patience, pause: Duration::from_millis(250) }
    }

    /// Waits a little before the next attempt; the error when it was long enough.
    async fn later(&mut self, error: Error) -> Result<()> {
        let pause = self.pause;
        self.pause = (pause * 2).min(LONGEST_PAUSE);
        self.after(pause, error).await
    }

    async fn after(&mut self, wait: Duration, error: Error) -> Result<()> {
        if Instant::now() + wait > self.until {
            return Err(error);
        }
        tokio::time::sleep(wait).await;
        Ok(())
    }
}

/// Names in a list, or the members of an object.
fn names(said: &Json) -> Vec<String> {
    match said {
        Json::Array(list) => list.iter().filter_map(Json::as_str).map(str::to_owned).collect(),
        Json::Object(members) => members.keys().cloned().collect(),
        _ => Vec::new(),
    }
}
