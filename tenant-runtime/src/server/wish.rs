//! A permission in plain words: for the owner who is asked for it, and for the activity log that tells of the answer.

use export_format::AppId;

use super::Server;
use crate::apps::manifest::REACH;
use crate::permissions::{self, Permission};

impl Server {
    /// What an app is called; its id where it is not installed.
    pub(crate) fn called(&self, app: &AppId) -> String {
        self.apps.get(app).map_or_else(|| app.to_string(), |app| app.record.name.clone())
    }

    /// What an app asks for, as it follows *may* or *asks to*: `read “pages” of Notes`.
    pub(crate) fn wish(&self, asked: &Permission) -> String {
        if asked.kind == REACH {
            return permissions::words(&asked.kind, &asked.tables);
        }
        let tables: Vec<_> = asked.tables.iter().map(|table| self.table(table)).collect();
        let tables = tables.join(", ");
        match asked.kind.as_str() {
            "use_home_address" => format!("show its public page to everyone at {}", self.launch.site.host()),
            "read_all" => format!("read {tables}"),
            "write_all" => format!("read and change {tables}"),
            "write_own" => format!("add its own records to {tables}"),
            "share_records" => format!("share records of {tables} that you choose, with people or with everyone"),
            "message_records" => format!("send records of {tables} that you choose to your contacts"),
            other => format!("use “{other}”"),
        }
    }

    /// A table by the app whose it is; by its whole name where that app is not installed.
    fn table(&self, table: &str) -> String {
        let Some(owner) = self.apps.owner_of(table) else { return table.to_owned() };
        match table.strip_prefix(owner.as_str()).and_then(|rest| rest.strip_prefix('.')) {
            Some(name) => format!("“{name}” of {}", self.called(&owner)),
            None => format!("the records of {}", self.called(&owner)),
        }
    }
}
