//! What a permission allows, said so that a person can decide.

use serde_json::Value;

use super::index::Permission;

/// The plain words for one entry of a manifest's `permissions`.
pub(super) fn permission(asked: &Value) -> Permission {
    let text = |key: &str| asked.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let kind = text("type");
    Permission { name: text("name"), allows: allows(&kind, &tables(asked)), why: text("description") }
}

fn allows(kind: &str, tables: &[String]) -> String {
    let words = tenant_runtime::permissions::words(kind, tables);
    let mut letters = words.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

fn tables(asked: &Value) -> Vec<String> {
    let one = asked.get("table_id").and_then(Value::as_str).map(str::to_owned);
    let many = asked.get("table_ids").and_then(Value::as_array).into_iter().flatten();
    let many = many.filter_map(Value::as_str).map(str::to_owned).collect();
    one.map(|one| vec![one]).unwrap_or(many)
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
