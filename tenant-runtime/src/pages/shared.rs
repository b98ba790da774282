//! A record that is shared, as a page for whoever opens its address in a browser.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::plain::own;
use crate::documents::{Row, TableName};
use crate::server::Server;
use crate::sharing::PUBLISHED;

/// How much of a record's text is told.
const TEXT_LIMIT: usize = 20_000;

/// What a record says to people, as far as that can be made out.
pub(crate) struct Told {
    /// What it is called.
    pub(crate) title: String,
    /// What it says.
    pub(crate) text: String,
}

/// Reads a record's title and text from the fields that usually have them.
pub(crate) fn told(row: &Row, fields: &Map<String, Value>) -> Told {
    let first = |names: &[&str]| {
        let texts = names.iter().filter_map(|name| fields.get(*name)?.as_str()).map(str::trim);
        texts.into_iter().find(|text| !text.is_empty()).map(|text| text.chars().take(TEXT_LIMIT).collect::<String>())
    };
    let text = first(&["text", "body", "content", "description", "summary", "caption", "note", "message"]);
    let title = first(&["title", "name", "subject", "headline", "caption"]);
    let begin = |text: &String| text.lines().next().unwrap_or_default().chars().take(80).collect();
    let title = title.or_else(|| text.as_ref().map(begin)).unwrap_or_else(|| row.id.clone());
    Told { title, text: text.unwrap_or_default() }
}

#[derive(Template)]
#[template(path = "shared.html")]
struct Shared<'a> {
    host: String,
    owner: &'a str,
    app: String,
    title: String,
    when: String,
    paragraphs: Vec<String>,
    picture: Option<String>,
    file: Option<String>,
}

/// The page; `file` is the path and media type of the file that the record is about.
pub(crate) fn page(server: &Server, table: &TableName, row: &Row, file: Option<(String, String)>) -> Response {
    let fields = row.fields();
    let Told { title, text } = told(row, &fields);
    let since = fields.get(PUBLISHED).and_then(Value::as_i64).unwrap_or(row.modified);
    let when = Timestamp::from_millisecond(since).map(|at| at.strftime("%-d %B %Y").to_string());
    let (picture, file) = match file {
        Some((path, mime)) if mime.starts_with("image/") => (Some(path), None),
        other => (None, other.map(|(path, _)| path)),
    };
    let paragraphs = text.split("\n\n").map(str::trim).filter(|part| !part.is_empty() && *part != title);
    own(
        StatusCode::OK,
        &Shared {
            host: server.launch.site.host(),
            owner: &server.launch.owner.display_name,
            app: server.called(table.app()),
            when: when.unwrap_or_default(),
            paragraphs: paragraphs.map(str::to_owned).collect(),
            title,
            picture,
            file,
        },
    )
}
