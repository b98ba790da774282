//! Queries, held against a reference that shares nothing with the product but the rules.

use proptest::prelude::*;
use reqwest::Method;
use rusqlite::Connection;
use serde_json::{Map, Value, json};
use tenant_runtime::documents::{self, Budget, Filter, Key, Page, Row, Search, TableName};

use super::Anna;

#[tokio::test]
async fn order_skip_and_count() {
    let anna = Anna::start().await;
    let notes = anna.app("com.example.notes").await;
    for (n, name) in [(1, "b"), (2, "a"), (3, "b"), (4, "a")] {
        anna.post(&notes, "/ceps/write/com.example.notes", json!({"n": n, "name": name})).await;
    }
    let ask = async |body: Value| {
        let (status, found) = anna.post(&notes, "/ceps/query/com.example.notes", body).await;
        assert_eq!(status, 200, "{found}");
        found.as_array().unwrap().iter().map(|row| row["n"].as_i64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(ask(json!({})).await, [4, 3, 2, 1], "newest first");
    assert_eq!(ask(json!({"count": 2, "skip": 1})).await, [3, 2]);
    assert_eq!(ask(json!({"sort": {"n": 1}})).await, [1, 2, 3, 4]);
    // The order of the fields in the text counts, not that of the alphabet.
    let raw = |text: &'static str| {
        let request = anna.ask(Method::POST, "notes", "/ceps/query/com.example.notes").bearer_auth(&notes.token);
        request.header("content-type", "application/json").body(text).send()
    };
    let found: Value = raw(r#"{"sort":{"name":1,"n":-1}}"#).await.unwrap().json().await.unwrap();
    assert_eq!(
        found.as_array().unwrap().iter().map(|row| row["n"].as_i64().unwrap()).collect::<Vec<_>>(),
        [4, 2, 3, 1]
    );
    assert_eq!(ask(json!({"sort": {"n": 1}, "skip": 1, "count": 2, "q": {"name": "a"}})).await, [4]);
    for wrong in [
        json!({"count": -1}),
        json!({"sort": {"n": 0}}),
        json!({"sort": "n"}),
        json!({"q": {"$where": "1"}}),
        json!({"q": 3}),
    ] {
        assert_eq!(anna.post(&notes, "/ceps/query/com.example.notes", wrong.clone()).await.0, 400, "{wrong}");
    }
}

#[tokio::test]
async fn fields_in_the_address() {
    let anna = Anna::start().await;
    let notes = anna.app("com.example.notes").await;
    let (_, first) = anna.post(&notes, "/ceps/write/com.example.notes", json!({"stars": 5, "kind": "x y"})).await;
    anna.post(&notes, "/ceps/write/com.example.notes", json!({"stars": "5", "kind": "z"})).await;
    let ask = async |query: &str| {
        let path = format!("/ceps/query/com.example.notes?{query}");
        let (status, found) = anna.call(&notes, Method::GET, &path, Value::Null).await;
        assert_eq!(status, 200, "{found}");
        found.as_array().unwrap().len()
    };
    assert_eq!(ask("stars=5").await, 2);
    assert_eq!(ask("stars=5&kind=x%20y").await, 1);
    let at = first["_date_modified"].as_i64().unwrap();
    assert_eq!(ask(&format!("_modified_after={}&_modified_before={}", at - 1, at + 100_000)).await, 2);
    assert_eq!(ask(&format!("_modified_before={at}")).await, 0);
}

/// Gives the app's own table this one index, and records.
async fn put(anna: &Anna, index: &str, rows: Vec<Row>) {
    let (table, index) = (TableName::new(&"com.example.notes".parse().unwrap(), "").unwrap(), index.to_owned());
    let put = anna.server.home.write(move |db| {
        documents::declare(db, &table, &[index])?;
        documents::put_kept(db, &table, &rows)?;
        Ok::<_, tenant_runtime::problem::Problem>(())
    });
    put.await.unwrap();
}

#[tokio::test]
async fn an_answer_can_be_had_page_by_page() {
    let anna = Anna::start().await;
    let notes = anna.app("com.example.notes").await;
    let rows: Vec<Row> = (0..25)
        .map(|n| Row {
            id: format!("{n:03}"),
            created: n,
            modified: n,
            doc: json!({"kind": format!("k{}", n % 2), "n": n % 5}).to_string(),
        })
        .collect();
    put(&anna, "kind, n", rows).await;
    let page = async |question: &Value, cursor: &str| {
        let mut question = question.clone();
        question["_cursor"] = cursor.into();
        let request = anna.ask(Method::POST, "notes", "/ceps/query/com.example.notes").bearer_auth(&notes.token);
        let response = request.json(&question).send().await.unwrap();
        let next = response.headers().get("next-cursor").map(|next| next.to_str().unwrap().to_owned());
        let (status, found) = super::answer(response).await;
        (status, found, next)
    };
    for question in [
        json!({"count": 4}),
        json!({"count": 5, "sort": {"n": 1}}),
        json!({"count": 3, "q": {"kind": "k1"}, "sort": {"n": -1}}),
    ] {
        let mut plain = question.clone();
        plain["count"] = 500.into();
        let (_, whole) = anna.post(&notes, "/ceps/query/com.example.notes", plain).await;
        let (mut all, mut cursor) = (Vec::new(), String::new());
        loop {
            let (status, found, next) = page(&question, &cursor).await;
            assert_eq!(status, 200, "{found}");
            all.extend(found.as_array().unwrap().clone());
            match next {
                Some(next) => cursor = next,
                None => break,
            }
        }
        assert_eq!(Value::Array(all), whole, "{question}");
    }

    let question = json!({"count": 3, "q": {"kind": "k1"}, "sort": {"n": 1}});
    let (_, _, next) = page(&question, "").await;
    let next = next.unwrap();
    let other = json!({"count": 3, "q": {"kind": "k0"}, "sort": {"n": 1}});
    assert_eq!(page(&other, &next).await.0, 400, "a cursor belongs to its question");
    assert_eq!(page(&question, &next[1..]).await.0, 400, "and nobody makes one");
    let skipping = json!({"count": 3, "skip": 1, "q": {"kind": "k1"}, "sort": {"n": 1}});
    assert_eq!(page(&skipping, &next).await.0, 400);
    assert_eq!(page(&question, &next).await.0, 200);
    put(&anna, "n", Vec::new()).await;
    let (status, refused, _) = page(&question, &next).await;
    assert_eq!((status, &refused["error"]), (410, &json!("page_gone")), "{refused}");

    let (status, found) =
        anna.call(&notes, Method::GET, "/ceps/query/com.example.notes?kind=k1&count=3&_cursor=", Value::Null).await;
    assert_eq!((status, found.as_array().unwrap().len()), (200, 3));
}

/// What a query means, written down a second time and as plainly as possible.
mod reference {
    use std::cmp::Ordering;

    use serde_json::{Map, Value};

    /// All values a path leads to; `None` for each way that ends early.
    fn values(value: &Value, path: &[&str]) -> Vec<Option<Value>> {
        let Some((first, rest)) = path.split_first() else { return vec![Some(value.clone())] };
        match value {
            Value::Object(map) => map.get(*first).map_or_else(|| vec![None], |next| values(next, rest)),
            Value::Array(items) => {
                let mut all = Vec::new();
                if let Some(item) = first.parse::<usize>().ok().and_then(|n| items.get(n)) {
                    all.extend(values(item, rest));
                }
                for item in items.iter().filter(|item| item.is_object()) {
                    all.extend(values(item, path));
                }
                if all.is_empty() { vec![None] } else { all }
            }
            _ => vec![None],
        }
    }

    /// Numbers without rounding: what fits 64 bits as it is, what does not as the float it is read as.
    fn numbers(a: &Value, b: &Value) -> Option<Ordering> {
        let parts = |value: &Value| match (value.as_i64(), value.as_f64()) {
            (Some(whole), _) => Some((i128::from(whole), 0.0)),
            (None, Some(float)) if float.abs() < 1e30 => Some((float.trunc() as i128, float.fract())),
            (None, Some(float)) => Some((if float < 0.0 { i128::MIN } else { i128::MAX }, float / 1e30)),
            _ => None,
        };
        parts(a)?.partial_cmp(&parts(b)?)
    }

    fn same(a: &Value, b: &Value) -> bool {
        match numbers(a, b) {
            Some(order) => order.is_eq(),
            _ => match (a, b) {
                (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
                (Value::Object(a), Value::Object(b)) => {
                    a.len() == b.len() && a.iter().all(|(k, v)| b.get(k).is_some_and(|w| same(v, w)))
                }
                _ => a == b,
            },
        }
    }

    fn less(a: &Value, b: &Value) -> Option<bool> {
        match (a, b) {
            (Value::String(a), Value::String(b)) => Some(a < b),
            (Value::Bool(a), Value::Bool(b)) => Some(!a & b),
            _ => numbers(a, b).map(Ordering::is_lt),
        }
    }

    fn same_kind(a: &Value, b: &Value) -> bool {
        (a.is_number() && b.is_number())
            || (a.is_string() && b.is_string())
            || (a.is_boolean() && b.is_boolean())
            || (a.is_null() && b.is_null())
    }

    fn one(value: &Value, operator: &str, operand: &Value) -> bool {
        match operator {
            "$eq" => same(value, operand),
            "$in" => operand.as_array().unwrap().iter().any(|choice| same(value, choice)),
            "$gt" => same_kind(value, operand) && less(operand, value).unwrap_or(false),
            "$lt" => same_kind(value, operand) && less(value, operand).unwrap_or(false),
            "$gte" => same_kind(value, operand) && (same(value, operand) || less(operand, value).unwrap_or(false)),
            "$lte" => same_kind(value, operand) && (same(value, operand) || less(value, operand).unwrap_or(false)),
            "$regex" => {
                let pattern = regex::Regex::new(operand.as_str().unwrap()).unwrap();
                value.as_str().is_some_and(|text| pattern.is_match(text))
            }
            other => panic!("{other}"),
        }
    }

    fn test(record: &Value, path: &str, operator: &str, operand: &Value) -> bool {
        let path: Vec<&str> = path.split('.').collect();
        let found = values(record, &path);
        match operator {
            "$ne" => !test(record, &path.join("."), "$eq", operand),
            "$nin" => !test(record, &path.join("."), "$in", operand),
            "$not" => {
                let (operator, operand) = operand.as_object().unwrap().iter().next().unwrap();
                !test(record, &path.join("."), operator, operand)
            }
            "$exists" => found.iter().any(Option::is_some) == operand.as_bool().unwrap(),
            "$elemMatch" => found.iter().flatten().filter_map(Value::as_array).flatten().any(|item| {
                let query = operand.as_object().unwrap();
                match query.keys().all(|key| key.starts_with('$')) {
                    true => query.iter().all(|(operator, operand)| {
                        one(item, operator, operand)
                            || item.as_array().is_some_and(|all| all.iter().any(|each| one(each, operator, operand)))
                    }),
                    false => item.is_object() && matches(item, query),
                }
            }),
            _ => found.iter().any(|value| {
                let value = value.clone().unwrap_or(Value::Null);
                one(&value, operator, operand)
                    || value.as_array().is_some_and(|items| items.iter().any(|item| one(item, operator, operand)))
            }),
        }
    }

    pub(super) fn matches(record: &Value, query: &Map<String, Value>) -> bool {
        query.iter().all(|(key, value)| match key.as_str() {
            "$and" => value.as_array().unwrap().iter().all(|part| matches(record, part.as_object().unwrap())),
            "$or" => value.as_array().unwrap().iter().any(|part| matches(record, part.as_object().unwrap())),
            "$nor" => !value.as_array().unwrap().iter().any(|part| matches(record, part.as_object().unwrap())),
            path => match value.as_object().filter(|map| map.keys().any(|key| key.starts_with('$'))) {
                Some(tests) => tests.iter().all(|(operator, operand)| test(record, path, operator, operand)),
                None => test(record, path, "$eq", value),
            },
        })
    }
}

/// How many tables a property is tried on; more of them take `FREEHOLD_CASES`.
fn cases() -> ProptestConfig {
    let cases = std::env::var("FREEHOLD_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(100);
    ProptestConfig { cases, ..ProptestConfig::default() }
}

/// Whole numbers at the edges of what floats and 64 bits hold.
const LARGE: &[i64] =
    &[i64::MAX, i64::MIN, 9_007_199_254_740_991, 9_007_199_254_740_992, 9_007_199_254_740_993, -9_007_199_254_740_993];

const FLOATS: &[f64] =
    &[0.5, 2.0, -1.5, 0.1, 0.2, 0.300_000_000_000_000_04, 1e300, -1e-300, 9_007_199_254_740_992.0, 1.8e19];

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        2 => Just(Value::Null),
        2 => any::<bool>().prop_map(Value::from),
        4 => (-3_i64..4).prop_map(Value::from),
        2 => prop::sample::select(FLOATS).prop_map(Value::from),
        1 => prop::sample::select(LARGE).prop_map(Value::from),
        1 => Just(Value::from(u64::MAX)),
        1 => any::<f64>().prop_filter("JSON has no others", |float| float.is_finite()).prop_map(Value::from),
        4 => "[\\[ab\\]]{0,2}".prop_map(Value::from),
        1 => "[aé\u{d7ff}\u{ffff}\u{10ffff}]{1,3}".prop_map(Value::from),
        1 => prop::sample::select(&["a\0b", "a\"b", "\n", "a\\", "$a", "1"][..]).prop_map(Value::from),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::hash_map("[abc]", inner, 0..3)
                .prop_map(|map| Value::Object(map.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

fn record() -> impl Strategy<Value = Map<String, Value>> {
    prop::collection::hash_map("[abc]", value(), 0..4).prop_map(|map| map.into_iter().collect())
}

fn path() -> impl Strategy<Value = String> {
    prop_oneof!["[abc]", "[abc]\\.[abc01]", "[abc]\\.[abc01]\\.[abc]"]
}

fn pattern() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "\\^[abé]{1,2}",
        2 => "\\^[ab]{1,2}[?*+.$]",
        1 => r"\^(\\\[|a\\\.)[ab]?",
        1 => "[ab]{1,2}",
        1 => "\\^a\\|b",
        1 => "\\(\\?i\\)\\^A",
        1 => "\\^\\[ab\\]",
    ]
}

fn tests() -> impl Strategy<Value = Value> {
    let list = || prop::collection::vec(scalar(), 0..4);
    let compared = || prop_oneof![Just("$gt"), Just("$gte"), Just("$lt"), Just("$lte"), Just("$eq")];
    prop_oneof![
        4 => value().prop_filter("an operator's name is no value", |v| !v.is_object()),
        3 => (compared(), scalar()).prop_map(|(op, v)| json!({op: v})),
        2 => (compared(), scalar(), compared(), scalar()).prop_map(|(a, v, b, w)| json!({a: v, b: w})),
        1 => scalar().prop_map(|v| json!({"$ne": v})),
        2 => list().prop_map(|v| json!({"$in": v})),
        1 => prop::collection::vec(value(), 0..3).prop_map(|v| json!({"$in": v})),
        1 => list().prop_map(|v| json!({"$nin": v})),
        1 => any::<bool>().prop_map(|v| json!({"$exists": v})),
        1 => (compared(), scalar()).prop_map(|(op, v)| json!({"$not": {op: v}})),
        1 => pattern().prop_map(|v| json!({"$not": {"$regex": v}})),
        2 => pattern().prop_map(|v| json!({"$regex": v})),
        1 => (compared(), scalar()).prop_map(|(op, v)| json!({"$elemMatch": {op: v}})),
        1 => (compared(), scalar(), compared(), scalar()).prop_map(|(a, v, b, w)| json!({"$elemMatch": {a: v, b: w}})),
        1 => list().prop_map(|v| json!({"$elemMatch": {"$in": v}})),
        1 => pattern().prop_map(|v| json!({"$elemMatch": {"$regex": v}})),
        1 => ("[abc]", compared(), scalar()).prop_map(|(f, op, v)| json!({"$elemMatch": {f: {op: v}}})),
    ]
}

fn query() -> impl Strategy<Value = Value> {
    let leaf = prop::collection::hash_map(path(), tests(), 0..3)
        .prop_map(|map| Value::Object(map.into_iter().collect::<Map<_, _>>()));
    leaf.prop_recursive(2, 8, 2, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..3).prop_map(|parts| json!({"$and": parts})),
            prop::collection::vec(inner.clone(), 1..3).prop_map(|parts| json!({"$or": parts})),
            prop::collection::vec(inner, 1..2).prop_map(|parts| json!({"$nor": parts})),
        ]
    })
}

fn sort() -> impl Strategy<Value = Vec<Key>> {
    let path = prop_oneof![3 => path(), 1 => Just("_id".to_owned()), 1 => Just("_date_modified".to_owned())];
    let key = (path, any::<bool>()).prop_map(|(path, descending)| Key { path, descending });
    prop::collection::vec(key, 0..3)
}

/// The same, as it is after it was written down once.
fn written<T: serde::Serialize + serde::de::DeserializeOwned>(value: &T) -> T {
    serde_json::from_str(&serde_json::to_string(value).unwrap()).unwrap()
}

/// Tables with the same records and these indexes each.
fn tables(db: &Connection, rows: &[Row], indexes: &[&[&str]]) -> Vec<TableName> {
    tenant_runtime::schema::migrate(db).unwrap();
    let table = |(nth, indexes): (usize, &&[&str])| {
        let table = TableName::new(&"com.example.notes".parse().unwrap(), &format!("t{nth}")).unwrap();
        let indexes: Vec<String> = indexes.iter().map(|index| (*index).to_owned()).collect();
        // Half of the records were there before the index.
        let (before, after) = rows.split_at(rows.len() / 2);
        documents::put_kept(db, &table, before).unwrap();
        documents::declare(db, &table, &indexes).unwrap();
        documents::put_kept(db, &table, after).unwrap();
        table
    };
    indexes.iter().enumerate().map(table).collect()
}

/// All ways of indexing that are held against each other; the first one is none.
const INDEXES: &[&[&str]] = &[
    &[],
    &["a", "b", "b.c"],
    &["a, b", "a.b", "b.c.a, c", "c"],
    &["each(a)", "each(b)", "each(b.c)"],
    &["c, a", "each(a.b)", "each(c)", "b"],
];

/// Everything that is found, page by page.
fn leaf_through(db: &Connection, table: &TableName, search: &Search) -> Vec<String> {
    let mut all = Vec::new();
    let mut search = Search { page: Page::First, ..search.clone() };
    loop {
        let found = documents::look(db, table, &search, Budget::default()).unwrap();
        assert!(found.rows.len() <= search.count, "no page is longer than asked for");
        all.extend(found.rows.into_iter().map(|row| row.id));
        match found.next {
            Some(next) => search.page = Page::After(next),
            None => return all,
        }
    }
}

fn found(db: &Connection, table: &TableName, query: &Value) -> Vec<String> {
    let filter = Filter::parse(query).unwrap();
    let search = Search { filter: filter.clone(), count: 1000, ..Search::default() };
    let mut ids: Vec<String> = documents::search(db, table, &search).unwrap().into_iter().map(|row| row.id).collect();
    ids.sort();
    let mut direct = documents::ids(db, table, &filter).unwrap();
    direct.sort();
    assert_eq!(ids, direct, "search and ids disagree on {query}");
    ids
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn any_query_finds_what_the_reference_finds(
        records in prop::collection::vec(record(), 1..14),
        queries in prop::collection::vec(query(), 1..8),
        sort in sort(),
        count in 1_usize..6,
    ) {
        let db = Connection::open_in_memory().unwrap();
        let rows: Vec<Row> = records.iter().enumerate().map(|(n, record)| Row {
            id: format!("{n:03}"), created: 1, modified: n as i64 / 3, doc: Value::Object(record.clone()).to_string(),
        }).collect();
        let tables = tables(&db, &rows, INDEXES);
        for query in queries.iter().map(written) {
            let expected: Vec<String> = records.iter().map(written).enumerate()
                .filter(|(_, record)| reference::matches(&Value::Object(record.clone()), query.as_object().unwrap()))
                .map(|(n, _)| format!("{n:03}")).collect();
            let mut whole = None;
            for (table, indexes) in tables.iter().zip(INDEXES) {
                prop_assert_eq!(found(&db, table, &query), expected.clone(), "{} with {:?}", query, indexes);
                let search = Search { filter: Filter::parse(&query).unwrap(), sort: sort.clone(), ..Search::default() };
                let rows = documents::search(&db, table, &search).unwrap();
                let all: Vec<String> = rows.into_iter().map(|row| row.id).collect();
                let whole: &Vec<String> = whole.get_or_insert_with(|| all.clone());
                prop_assert_eq!(&all, whole, "{} by {:?} with {:?}", query, sort, indexes);
                let leafed = leaf_through(&db, table, &Search { count, ..search });
                prop_assert_eq!(&leafed, whole, "{} by {:?}, {} a page, with {:?}", query, sort, count, indexes);
            }
        }
    }

    #[test]
    fn what_nobody_changes_is_met_once_while_others_come_go_and_change(
        records in prop::collection::vec(record(), 4..24),
        query in prop_oneof![Just(json!({})), query()],
        sort in sort(),
        count in 1_usize..5,
        changes in prop::collection::vec((0_u8..3, 0_usize..24, record()), 0..12),
    ) {
        let db = Connection::open_in_memory().unwrap();
        let rows: Vec<Row> = records.iter().enumerate().map(|(n, record)| Row {
            id: format!("{n:03}"), created: 1, modified: n as i64 / 3, doc: Value::Object(record.clone()).to_string(),
        }).collect();
        let query = written(&query);
        for (table, indexes) in tables(&db, &rows, INDEXES).iter().zip(INDEXES) {
            let mut changes = changes.iter().enumerate();
            let mut search = Search { filter: Filter::parse(&query).unwrap(), sort: sort.clone(), count, page: Page::First, ..Search::default() };
            let (mut met, mut touched) = (Vec::new(), std::collections::BTreeSet::new());
            loop {
                let page = documents::look(&db, table, &search, Budget::default()).unwrap();
                met.extend(page.rows.into_iter().map(|row| row.id));
                let Some(next) = page.next else { break };
                search.page = Page::After(next);
                if let Some((nth, (kind, which, record))) = changes.next() {
                    let (old, new) = (format!("{:03}", which % rows.len()), format!("new-{nth}"));
                    let id = if *kind == 0 { new } else { old };
                    touched.insert(id.clone());
                    if *kind == 2 {
                        let _ = documents::remove(&db, table, &id);
                    } else {
                        let row = Row { id, created: 1, modified: 100 + nth as i64, doc: Value::Object(record.clone()).to_string() };
                        documents::put_kept(&db, table, &[row]).unwrap();
                    }
                }
            }
            let untouched: Vec<&String> = met.iter().filter(|id| !touched.contains(*id)).collect();
            let mut once: Vec<String> = untouched.iter().map(|id| (*id).clone()).collect();
            once.sort();
            let expected: Vec<String> = records.iter().map(written).enumerate()
                .filter(|(_, record)| reference::matches(&Value::Object(record.clone()), query.as_object().unwrap()))
                .map(|(n, _)| format!("{n:03}")).filter(|id| !touched.contains(id)).collect();
            prop_assert_eq!(once, expected, "{} by {:?}, {} a page, with {:?}", query, sort, count, indexes);
            if let [Key { path, .. }] = sort.as_slice() && path == "_id" {
                let (all, mut different) = (met.len(), met.clone());
                different.sort();
                different.dedup();
                prop_assert_eq!(all, different.len(), "by _id nothing moves");
            }
        }
    }

    #[test]
    fn any_order_is_that_of_sorting_everything(
        values in prop::collection::vec((ordered_value(), prop_oneof![3 => Just(json!("x")), 1 => Just(json!("y")), 1 => Just(json!(["x"]))]), 1..30),
        skip in 0_usize..6, count in 1_usize..8, descending in any::<bool>(), only_x in any::<bool>(), above in prop::option::of(-3_i64..3),
        arrays in any::<bool>(),
    ) {
        let db = Connection::open_in_memory().unwrap();
        tenant_runtime::schema::migrate(&db).unwrap();
        let app = "com.example.notes".parse().unwrap();
        let values: Vec<(Value, Value)> = values.into_iter().filter(|(v, k)| arrays || !(v.is_array() || v.is_object() || k.is_array())).collect();
        let rows: Vec<Row> = values.iter().enumerate().map(|(n, (value, kind))| Row {
            id: format!("{n:03}"), created: 1, modified: n as i64 / 2, doc: json!({"v": value, "k": kind}).to_string(),
        }).collect();
        let mut query = Map::new();
        if only_x {
            query.insert("k".into(), json!("x"));
        }
        if let Some(above) = above {
            query.insert("v".into(), json!({"$gt": above}));
        }
        let query = Value::Object(query);
        let rank = |value: &Value| match value {
            Value::Null => (0, 0.0, String::new()),
            Value::Number(n) => (1, n.as_f64().unwrap(), String::new()),
            Value::String(s) => (2, 0.0, s.clone()),
            Value::Object(_) => (3, 0.0, String::new()),
            // Of arrays there is only one kind here.
            Value::Array(_) => (4, 0.0, String::new()),
            Value::Bool(b) => (5, f64::from(*b), String::new()),
        };
        let mut all: Vec<usize> = (0..values.len())
            .filter(|n| reference::matches(&json!({"v": values[*n].0, "k": values[*n].1}), query.as_object().unwrap()))
            .collect();
        all.sort_by(|a, b| {
            let order = rank(&values[*a].0).partial_cmp(&rank(&values[*b].0)).unwrap();
            (if descending { order.reverse() } else { order }).then((b / 2, b).cmp(&(a / 2, a)))
        });
        let expected: Vec<String> = all.into_iter().skip(skip).take(count).map(|n| format!("{n:03}")).collect();
        for (at, indexes) in [&[][..], &["v"], &["k, v"], &["k", "v"]].into_iter().enumerate() {
            let table = TableName::new(&app, &format!("t{at}")).unwrap();
            let indexes: Vec<String> = indexes.iter().map(|index| (*index).to_owned()).collect();
            documents::declare(&db, &table, &indexes).unwrap();
            documents::put_kept(&db, &table, &rows).unwrap();
            let key = documents::Key { path: "v".into(), descending };
            let search = Search { filter: Filter::parse(&query).unwrap(), sort: vec![key], skip, count, ..Search::default() };
            let got: Vec<String> = documents::search(&db, &table, &search).unwrap().into_iter().map(|row| row.id).collect();
            prop_assert_eq!(&got, &expected, "{} with {:?}", query, indexes);
            let newest = Search { filter: Filter::parse(&query).unwrap(), ..Search::default() };
            let got: Vec<String> = documents::search(&db, &table, &newest).unwrap().into_iter().map(|row| row.id).collect();
            let mut sorted = got.clone();
            sorted.sort_by(|a, b| b.cmp(a));
            prop_assert_eq!(got, sorted, "newest first, {} with {:?}", query, indexes);
        }
    }
}

/// A value whose place among others is beyond doubt.
fn ordered_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => (-3_i64..3).prop_map(Value::from),
        1 => prop_oneof![Just(0.5), Just(-1.5)].prop_map(Value::from),
        4 => "[ab]{0,2}".prop_map(Value::from),
        1 => any::<bool>().prop_map(Value::from),
        1 => Just(Value::Null),
        1 => Just(json!({"o": 1})),
        1 => Just(json!([5])),
    ]
}
