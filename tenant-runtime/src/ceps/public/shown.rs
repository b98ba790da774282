//! A shared record as visitors see it, and the headers that go with it.

use axum::http::{HeaderMap, HeaderValue, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};

use crate::documents::{Row, TableName};
use crate::launch::Site;
use crate::sharing::{ACCESSIBLES, Grantee};

/// What may stand in a path as it is.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');

/// The record, without what is only for its own app.
pub(super) fn fields(row: &Row, table: &TableName, site: &Site) -> Map<String, Value> {
    let mut map = row.to_map();
    map.remove(ACCESSIBLES);
    map.insert("_app_table".into(), table.to_string().into());
    map.insert("_data_owner".into(), site.name.as_str().into());
    map
}

/// The path of a record.
pub(super) fn record_path(site: &Site, table: &TableName, id: &str, code: Option<&str>) -> String {
    with_code(format!("/public/readobject/@{}/{table}/{}", site.name, utf8_percent_encode(id, PATH)), code)
}

/// The path of a file.
pub(super) fn file_path(site: &Site, table: &TableName, id: &str, code: Option<&str>) -> String {
    with_code(format!("/public/userfiles/{}/{}/{}", table.app(), site.name, utf8_percent_encode(id, PATH)), code)
}

fn with_code(path: String, code: Option<&str>) -> String {
    match code {
        Some(code) => format!("{path}?code={}", utf8_percent_encode(code, NON_ALPHANUMERIC)),
        None => path,
    }
}

/// Anyone may read this from anywhere; what a link opens is kept by nobody on the way and found by no search.
pub(super) fn headers(headers: &mut HeaderMap, opened: &Grantee) {
    let mut set = |name, value| drop(headers.insert(name, HeaderValue::from_static(value)));
    set(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*");
    set(header::HeaderName::from_static("cross-origin-resource-policy"), "cross-origin");
    match opened {
        Grantee::Public => set(header::CACHE_CONTROL, "public, no-cache"),
        _ => {
            set(header::CACHE_CONTROL, "private, no-store");
            set(header::REFERRER_POLICY, "no-referrer");
            set(header::HeaderName::from_static("x-robots-tag"), "noindex, nofollow");
        }
    }
}
