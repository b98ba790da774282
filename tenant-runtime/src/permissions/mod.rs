//! What an app may do beyond its own tables: the manifest asks, the owner answers, [`decide`] judges.
//!
//! An app always has its own tables and files. Anything else needs a permission that stands as granted right now;
//! there is no memory of former grants and no default that opens.

mod store;

use export_format::AppId;

pub use store::{list, of, put, remove};

use crate::documents::TableName;

/// One thing an app asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permission {
    /// Who asked.
    pub app: AppId,
    /// The app's own name for it.
    pub name: String,
    /// What kind of thing, as CEPS names it: `read_all`, `write_all`, `use_home_address` …
    pub kind: String,
    /// The tables it is about, if it is about tables.
    pub tables: Vec<String>,
    /// Why, in the app's words.
    pub description: String,
    /// What the owner said.
    pub status: Status,
    /// When the app asked, Unix milliseconds.
    pub asked: i64,
    /// When the owner last answered.
    pub decided: Option<i64>,
}

/// What the owner said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Nothing yet.
    Pending,
    /// Yes.
    Granted,
    /// No.
    Denied,
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Pending => "pending",
            Self::Granted => "granted",
            Self::Denied => "denied",
        })
    }
}

/// A text that is no status.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not pending, granted or denied")]
pub struct BadStatus(String);

impl std::str::FromStr for Status {
    type Err = BadStatus;

    fn from_str(text: &str) -> Result<Self, BadStatus> {
        match text {
            "pending" => Ok(Self::Pending),
            "granted" => Ok(Self::Granted),
            "denied" => Ok(Self::Denied),
            other => Err(BadStatus(other.to_owned())),
        }
    }
}

/// What a kind of permission allows, in plain words as they follow *may*, without knowing whose the tables are.
#[must_use]
pub fn words(kind: &str, tables: &[String]) -> String {
    let tables = if tables.is_empty() { "its tables".to_owned() } else { tables.join(", ") };
    match kind {
        "read_all" => format!("read everything in {tables}"),
        "write_own" => format!("add to {tables}, and change what it added"),
        "write_all" => format!("read, change and delete everything in {tables}"),
        "share_records" => format!("share single entries of {tables} with people you choose"),
        "message_records" => format!("send single entries of {tables} to people you choose"),
        "upload_pages" => "show pages to everyone at its own address".to_owned(),
        "use_home_address" => "show a public page at your server’s own address".to_owned(),
        "use_microphone" => "use the microphone while it is open".to_owned(),
        "use_camera" => "use the camera while it is open".to_owned(),
        "use_location" => "know where you are while it is open".to_owned(),
        "reach_host" => format!("send to {tables} on the internet, and fetch from there"),
        "use_3pFunction" | "external_fetch" | "external_scripts" => {
            "talk to other computers on the internet".to_owned()
        }
        other => format!("use “{other}”"),
    }
}

/// What an app wants to do with a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Read records.
    Read,
    /// Write records.
    Write,
}

/// Whether `app` may do `action` with `table`, given everything it asked for.
#[must_use]
pub fn decide(app: &AppId, action: Action, table: &TableName, asked: &[Permission]) -> bool {
    let opens = |kind: &str| match action {
        Action::Read => matches!(kind, "read_all" | "write_all"),
        Action::Write => kind == "write_all",
    };
    let name = table.to_string();
    table.app() == app
        || asked.iter().any(|permission| {
            permission.app == *app
                && permission.status == Status::Granted
                && opens(&permission.kind)
                && permission.tables.contains(&name)
        })
}

/// Why permissions could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// SQLite failed.
    #[error("the permissions could not be reached")]
    Database(#[from] rusqlite::Error),
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn permission(kind: &str, status: Status) -> Permission {
        Permission {
            app: "com.example.reader".parse().unwrap(),
            name: "p".into(),
            kind: kind.into(),
            tables: vec!["com.example.notes.pages".into()],
            description: String::new(),
            status,
            asked: 1,
            decided: None,
        }
    }

    #[test]
    fn only_a_grant_that_stands_opens_a_table_of_another_app() {
        let reader: AppId = "com.example.reader".parse().unwrap();
        let notes: AppId = "com.example.notes".parse().unwrap();
        let pages = TableName::new(&notes, "pages").unwrap();
        let other = TableName::new(&notes, "secrets").unwrap();
        let may = |action, table: &TableName, permission: Permission| decide(&reader, action, table, &[permission]);
        assert!(may(Action::Read, &pages, permission("read_all", Status::Granted)));
        assert!(!may(Action::Write, &pages, permission("read_all", Status::Granted)));
        assert!(!may(Action::Read, &other, permission("read_all", Status::Granted)));
        assert!(!may(Action::Read, &pages, permission("read_all", Status::Pending)));
        assert!(!may(Action::Read, &pages, permission("read_all", Status::Denied)));
        assert!(may(Action::Write, &pages, permission("write_all", Status::Granted)));
        assert!(!decide(
            &notes,
            Action::Read,
            &TableName::new(&reader, "x").unwrap(),
            &[permission("read_all", Status::Granted)]
        ));
        assert!(decide(&notes, Action::Write, &pages, &[]));
    }
}
