//! The TypeScript declarations of the API, made from its OpenAPI document, so that the two cannot differ.

use std::fmt::Write as _;

use serde_json::{Map, Value};

const HEAD: &str = "\
// The API for apps, as TypeScript sees it. Made from /ceps/openapi.json by a test of the server; do not edit.

/** What a page is told about where it runs. */
export interface Meta {
  appName: string;
  appVersion: string;
  appDisplayName: string;
  /** The owner's name on their server; null on a page for visitors. */
  userId: string | null;
  userDisplayName: string;
  serverAddress: string;
  serverVersion: string;
  serverType: string;
  /** The owner's name, on a page for visitors. */
  publicOwner?: string;
}

declare global {
  interface Window {
    freezrMeta: Meta;
  }
}
";

/// The whole file.
pub(super) fn declarations(document: &Value) -> String {
    let mut out = HEAD.to_owned();
    for (name, schema) in document["components"]["schemas"].as_object().into_iter().flatten() {
        let _ = write!(out, "\nexport interface {} {}\n", called(name), shape(schema, 0, name != "Record"));
    }
    out.push_str("\n/** Every call: what stands in its path and query, what it takes, what it answers. */\nexport interface Calls {\n");
    for (path, operations) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in operations.as_object().into_iter().flatten() {
            let _ = writeln!(out, "  /** {} */", operation["summary"].as_str().unwrap_or_default());
            let _ = writeln!(
                out,
                "  '{} {path}': {{ path: {}; query: {}; body: {}; answer: {} }};",
                method.to_uppercase(),
                parameters(operation, "path"),
                parameters(operation, "query"),
                body(operation),
                answer(operation)
            );
        }
    }
    out.push_str("}\n");
    out
}

/// `Record` is a type of TypeScript's own.
fn called(schema: &str) -> &str {
    if schema == "Record" { "RecordFields" } else { schema }
}

fn parameters(operation: &Value, place: &str) -> String {
    let all = operation["parameters"].as_array().into_iter().flatten().filter(|one| one["in"] == place);
    let written = all.map(|one| {
        let mark = if one["required"] == true { "" } else { "?" };
        format!("{}{mark}: {}", name(one["name"].as_str().unwrap_or_default()), kind(&one["schema"], 0))
    });
    let written: Vec<String> = written.collect();
    if written.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", written.join("; ")) }
}

fn body(operation: &Value) -> String {
    let taken = &operation["requestBody"];
    match &taken["content"]["application/json"]["schema"] {
        Value::Null if taken.is_null() => "undefined".to_owned(),
        Value::Null => "unknown".to_owned(),
        schema => kind(schema, 1),
    }
}

fn answer(operation: &Value) -> String {
    let responses = operation["responses"].as_object().into_iter().flatten();
    let good = responses.filter(|(status, _)| status.starts_with('2')).map(|(_, response)| response);
    let schema =
        good.map(|response| &response["content"]["application/json"]["schema"]).find(|schema| !schema.is_null());
    schema.map_or_else(|| "unknown".to_owned(), |schema| kind(schema, 1))
}

/// The type of a schema.
fn kind(schema: &Value, depth: usize) -> String {
    if let Some(reference) = schema["$ref"].as_str() {
        return called(reference.rsplit('/').next().unwrap_or_default()).to_owned();
    }
    if let Some(value) = schema.get("const") {
        return value.to_string().replace('"', "'");
    }
    for several in ["enum", "anyOf", "oneOf"] {
        if let Some(all) = schema[several].as_array() {
            let each =
                |one: &Value| if several == "enum" { one.to_string().replace('"', "'") } else { kind(one, depth) };
            return all.iter().map(each).collect::<Vec<_>>().join(" | ");
        }
    }
    match &schema["type"] {
        Value::Array(types) => {
            let each = |one: &Value| kind(&serde_json::json!({"type": one}), depth);
            types.iter().map(each).collect::<Vec<_>>().join(" | ")
        }
        Value::String(text) => match text.as_str() {
            "integer" | "number" => "number".to_owned(),
            "array" => format!("Array<{}>", kind(&schema["items"], depth)),
            "object" => shape(schema, depth, true),
            plain => plain.to_owned(),
        },
        _ => "unknown".to_owned(),
    }
}

/// The members of an object; of others it may have only where that is `open`.
fn shape(schema: &Value, depth: usize, open: bool) -> String {
    let (inside, end) = ("  ".repeat(depth + 1), "  ".repeat(depth));
    let none = Map::new();
    let required: Vec<&Value> = schema["required"].as_array().into_iter().flatten().collect();
    let mut out = String::new();
    for (member, value) in schema["properties"].as_object().unwrap_or(&none) {
        if let Some(words) = value["description"].as_str() {
            let _ = writeln!(out, "{inside}/** {words} */");
        }
        let mark = if required.iter().any(|one| **one == *member) { "" } else { "?" };
        let _ = writeln!(out, "{inside}{}{mark}: {};", name(member), kind(value, depth + 1));
    }
    match &schema["additionalProperties"] {
        Value::Bool(true) if open => {
            let _ = writeln!(out, "{inside}[field: string]: any;");
        }
        Value::Object(_) => {
            let _ = writeln!(out, "{inside}[field: string]: {};", kind(&schema["additionalProperties"], depth + 1));
        }
        _ => {}
    }
    if out.is_empty() { "{ [field: string]: any }".to_owned() } else { format!("{{\n{out}{end}}}") }
}

/// A member's name, in quotes where it needs them.
fn name(text: &str) -> String {
    let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if plain { text.to_owned() } else { format!("'{text}'") }
}
