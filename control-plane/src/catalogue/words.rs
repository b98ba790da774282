//! What a permission allows, said so that a person can decide.

use serde_json::Value;

use super::index::Permission;

/// The plain words for one entry of a manifest's `permissions`.
pub(super) fn permission(asked: &Value) -> Permission {
    let text = |key: &str| asked.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let kind = text("type");
    Permission { name: text("name"), allows: allows(&kind, &tables(asked)), why: text("description") }
}

fn allows(kind: &str, tables: &str) -> String {
    match kind {
        "read_all" => format!("Read everything in {tables}"),
        "write_own" => format!("Add to {tables}, and change what it added"),
        "write_all" => format!("Read, change and delete everything in {tables}"),
        "share_records" => format!("Share single entries of {tables} with people you choose"),
        "message_records" => format!("Send single entries of {tables} to people you choose"),
        "upload_pages" => "Publish pages of its own".to_owned(),
        "use_home_address" => "Show a public page at your server’s own address".to_owned(),
        "use_microphone" => "Use the microphone while it is open".to_owned(),
        "use_camera" => "Use the camera while it is open".to_owned(),
        "use_location" => "Know where you are while it is open".to_owned(),
        "use_3pFunction" | "external_fetch" | "external_scripts" => {
            "Talk to other computers on the internet".to_owned()
        }
        other => format!("Use “{other}”"),
    }
}

fn tables(asked: &Value) -> String {
    let one = asked.get("table_id").and_then(Value::as_str).map(str::to_owned);
    let many = asked
        .get("table_ids")
        .and_then(Value::as_array)
        .map(|ids| ids.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "));
    one.or(many).filter(|names| !names.is_empty()).unwrap_or_else(|| "its tables".to_owned())
}

#[cfg(test)]
mod tests {
    use super::permission;
    use serde_json::json;

    #[test]
    fn a_permission_names_what_it_touches_and_why() {
        let asked = json!({"name": "read", "type": "read_all", "table_ids": ["a.b.c.x", "a.b.c.y"], "description": "To show them."});
        let words = permission(&asked);
        assert_eq!(words.allows, "Read everything in a.b.c.x, a.b.c.y");
        assert_eq!(words.why, "To show them.");
    }

    #[test]
    fn an_unknown_kind_is_shown_rather_than_hidden() {
        assert_eq!(permission(&json!({"name": "n", "type": "use_lasers"})).allows, "Use “use_lasers”");
    }
}
