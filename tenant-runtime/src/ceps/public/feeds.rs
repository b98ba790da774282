//! RSS 2.0 and Atom (RFC 4287) of what is shared with everyone, or of one private feed.

use axum::extract::{Path, Query, State};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use jiff::Timestamp;
use serde_json::Value;

use super::query::{self, Asked, Found};
use super::shown;
use crate::documents::{Row, TableName};
use crate::pages::html::escape;
use crate::pages::shared::{Told, told};
use crate::problem::Problem;
use crate::server::Server;
use crate::sharing::PUBLISHED;

/// How many entries a feed has.
const ENTRIES: usize = 50;

pub(super) async fn rss(
    State(server): State<Server>,
    Path(path): Path<Vec<(String, String)>>,
    Query(asked): Query<Asked>,
) -> Result<Response, Problem> {
    let found = query::find(&server, query::within(asked, &path), 0, ENTRIES).await?;
    let mut items = String::new();
    for entry in entries(&server, &found) {
        let date = moment(entry.since, "%a, %d %b %Y %H:%M:%S +0000");
        items.push_str(&format!(
            "<item><title>{}</title><link>{}</link><guid isPermaLink=\"false\">{}</guid><pubDate>{date}</pubDate><description>{}</description>",
            xml(&entry.told.title), xml(&entry.link), xml(&entry.id), xml(&entry.told.text)
        ));
        if let Some(file) = entry.file {
            items.push_str(&format!(
                "<enclosure url=\"{}\" length=\"{}\" type=\"{}\"/>",
                xml(&file.url),
                file.size,
                xml(&file.mime)
            ));
        }
        items.push_str("</item>\n");
    }
    let (title, home) = (title(&server), server.launch.site.origin());
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<rss version=\"2.0\"><channel>\n<title>{}</title><link>{}</link><description>{}</description>\n{items}</channel></rss>\n",
        xml(&title),
        xml(&home),
        xml(&format!("What {} shows", server.launch.owner.display_name))
    );
    Ok(respond(text, "application/rss+xml; charset=utf-8", &found))
}

pub(super) async fn atom(
    State(server): State<Server>,
    Path(path): Path<Vec<(String, String)>>,
    Query(asked): Query<Asked>,
) -> Result<Response, Problem> {
    let found = query::find(&server, query::within(asked, &path), 0, ENTRIES).await?;
    let entries = entries(&server, &found);
    let iso = |ms: i64| moment(ms, "%Y-%m-%dT%H:%M:%SZ");
    let updated = entries.iter().map(|entry| entry.modified).max().unwrap_or(0);
    let mut items = String::new();
    for entry in entries {
        items.push_str(&format!(
            "<entry><title>{}</title><link href=\"{}\"/><id>{}</id><published>{}</published><updated>{}</updated><content type=\"text\">{}</content>",
            xml(&entry.told.title), xml(&entry.link), xml(&entry.id), iso(entry.since), iso(entry.modified), xml(&entry.told.text)
        ));
        if let Some(file) = entry.file {
            items.push_str(&format!(
                "<link rel=\"enclosure\" href=\"{}\" length=\"{}\" type=\"{}\"/>",
                xml(&file.url),
                file.size,
                xml(&file.mime)
            ));
        }
        items.push_str("</entry>\n");
    }
    let owner = &server.launch.owner.display_name;
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<feed xmlns=\"http://www.w3.org/2005/Atom\">\n<title>{}</title><link href=\"{}\"/><id>urn:freehold:{}</id><updated>{}</updated><author><name>{}</name></author>\n{items}</feed>\n",
        xml(&title(&server)),
        xml(&server.launch.site.origin()),
        xml(&server.launch.server.to_string()),
        iso(updated),
        xml(owner)
    );
    Ok(respond(text, "application/atom+xml; charset=utf-8", &found))
}

struct Entry {
    told: Told,
    link: String,
    /// It stays the same when the server moves.
    id: String,
    since: i64,
    modified: i64,
    file: Option<Enclosure>,
}

struct Enclosure {
    url: String,
    mime: String,
    size: u64,
}

fn entries(server: &Server, found: &Found) -> Vec<Entry> {
    found.rows.iter().map(|(table, row)| entry(server, table, row, found.code.as_deref())).collect()
}

fn entry(server: &Server, table: &TableName, row: &Row, code: Option<&str>) -> Entry {
    let (site, fields) = (&server.launch.site, row.fields());
    let enclosure = || {
        let mime = fields.get("_mime_type")?.as_str()?.to_owned();
        let size = fields.get("_file_size").and_then(Value::as_u64).unwrap_or(0);
        Some(Enclosure {
            url: format!("{}{}", site.origin(), shown::file_path(site, table, &row.id, code)),
            mime,
            size,
        })
    };
    Entry {
        told: told(row, &fields),
        link: format!("{}{}", site.origin(), shown::record_path(site, table, &row.id, code)),
        id: format!("urn:freehold:{}:{table}:{}", server.launch.server, row.id),
        since: fields.get(PUBLISHED).and_then(Value::as_i64).unwrap_or(row.created),
        modified: row.modified,
        file: if table.holds_files() { enclosure() } else { None },
    }
}

fn respond(text: String, mime: &'static str, found: &Found) -> Response {
    let mut response = ([(header::CONTENT_TYPE, mime)], text).into_response();
    shown::headers(response.headers_mut(), &found.grantee);
    response
}

fn title(server: &Server) -> String {
    format!("{} ({})", server.launch.owner.display_name, server.launch.site.host())
}

fn moment(ms: i64, format: &str) -> String {
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH).strftime(format).to_string()
}

/// Text as it may stand in XML, which has no place for most control characters.
fn xml(text: &str) -> String {
    let sound = |c: char| matches!(c, '\t' | '\n' | '\r') || (c >= ' ' && !matches!(c, '\u{fffe}' | '\u{ffff}'));
    escape(&text.chars().filter(|c| sound(*c)).collect::<String>())
}
