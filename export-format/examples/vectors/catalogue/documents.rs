//! One broken archive for each breach of a document.

use export_format::Digest;
use export_format::finding::Code;

use super::Vector;
use super::broken::also_folder;
use super::forge::{Forge, item};

const APP: &str = "data/apps/org.example.notes";

pub(crate) fn all() -> Vec<Vector> {
    [json(), kinds(), rows(), order(), tables(), files(), history()].into_iter().flatten().collect()
}

/// An account and this document.
fn beside(path: &str, content: &str) -> Forge {
    Forge::tiny().with(item(path, content.as_bytes())).resign()
}

/// The small archive with this document.
fn within(path: &str, content: &str) -> Forge {
    Forge::small().with(item(path, content.as_bytes())).resign()
}

fn json() -> Vec<Vector> {
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(64), "]".repeat(64));
    [
        ("empty", "", "an empty document"),
        ("cut", "{", "it ends early"),
        ("two", "{} {}", "two values"),
        ("comma", "{\"a\":1,}", "a comma before the end"),
        ("comment", "{} // x", "a comment"),
        ("nan", "{\"a\":NaN}", "NaN"),
        ("leading-zero", "{\"a\":01}", "a number begins with a zero"),
        ("bare-point", "{\"a\":1.}", "a point without digits"),
        ("single-quotes", "{'a':1}", "single quotes"),
        ("control", "{\"a\":\"\t\"}", "a tab within a text"),
        ("blank", "{\"a\":\u{a0}1}", "a no-break space between values"),
        ("bom", "\u{feff}{}", "a byte order mark"),
        ("twice", "{\"a\":1,\"a\":2}", "a member stands twice"),
        ("twice-escaped", "{\"a\":1,\"\\u0061\":2}", "a member stands twice, once escaped"),
        ("big", "{\"a\":9007199254740992}", "a whole number beyond 2^53-1"),
        ("big-exponent", "{\"a\":1e16}", "a whole number beyond 2^53-1, with an exponent"),
        ("big-fraction", "{\"a\":9007199254740992.5}", "a number whose binary64 is whole and beyond 2^53-1"),
        ("infinite", "{\"a\":1e999}", "a number beyond binary64"),
        ("surrogate", "{\"a\":\"\\ud800\"}", "half a surrogate pair"),
        ("surrogate-low", "{\"\\udc00\":1}", "the second half of a surrogate pair in a name"),
        ("surrogate-two", "{\"a\":\"\\ud800\\ud800\"}", "two first halves of a surrogate pair"),
        ("escape", "{\"a\":\"\\x41\"}", "an unknown escape"),
        ("deep", deep.as_str(), "65 levels"),
    ]
    .into_iter()
    .map(|(name, content, says)| {
        let forge = beside("data/settings.json", content);
        also_folder(&format!("json/{name}"), "5.7", Code::Json, says, forge)
    })
    .chain([also_folder(
        "json/latin-1",
        "5.7",
        Code::Json,
        "it is not UTF-8",
        Forge::tiny().with(item("data/settings.json", b"{\"a\":\"\xfc\"}")).resign(),
    )])
    .collect()
}

fn kinds() -> Vec<Vector> {
    let account = |text: &str| beside("data/account.json", text);
    let whole =
        r#"{"schema":"pcc/account@1","id":"did:web:anna.example","handle":"anna.example","displayName":"Anna"}"#;
    let app = |text: &str| beside(&format!("{APP}/app.json"), text);
    let notes = r#"{"schema":"pcc/app@1","id":"org.example.notes","name":"Notes","version":"1","runtime":"static"}"#;
    let mut all: Vec<Vector> = [
        ("account-no-id", "an account without id", account(&whole.replace("\"id\"", "\"no\""))),
        ("account-no-name", "an account without name", account(&whole.replace("displayName", "name"))),
        ("account-schema", "an account of another shape", account(&whole.replace("@1", "@2"))),
        ("account-type", "an account whose name is a number", account(&whole.replace("\"Anna\"", "5"))),
        ("account-list", "an account that is a list", account("[]")),
        ("settings-list", "settings that are a list", beside("data/settings.json", "[]")),
        ("settings-schema", "settings of another kind", beside("data/settings.json", r#"{"schema":"pcc/account@1"}"#)),
        (
            "domains-schema",
            "domains of another shape",
            beside("data/domains/domains.json", r#"{"schema":"pcc/domains@2"}"#),
        ),
        ("app-none", "an app's folder without app.json", beside(&format!("{APP}/code/index.html"), "x")),
        ("app-other-id", "an app.json of another app", app(&notes.replace("example.notes", "example.photos"))),
        ("app-schema", "an app.json of another shape", app(&notes.replace("@1", "@3"))),
        ("app-no-version", "an app.json without version", app(&notes.replace("version", "revision"))),
        (
            "app-tables",
            "an app.json whose tables are an object",
            app(&notes.replace("\"runtime\"", "\"tables\":{},\"runtime\"")),
        ),
        (
            "app-count",
            "a table whose count is 2.0",
            app(&notes
                .replace("\"runtime\"", "\"tables\":[{\"name\":\"a\",\"count\":0.0,\"segments\":[]}],\"runtime\"")),
        ),
    ]
    .into_iter()
    .map(|(name, says, forge)| also_folder(&format!("document/{name}"), "13", Code::Document, says, forge))
    .collect();
    for (name, id) in [
        ("two-parts", "org.notes"),
        ("upper-case", "org.Example.notes"),
        ("underscore", "org.example.my_notes"),
        ("digit", "1org.example.notes"),
        ("hyphen", "org.example.-notes"),
        ("long", "org.example.a-name-that-is-far-too-long"),
    ] {
        let forge = beside(&format!("data/apps/{id}/app.json"), &notes.replace("org.example.notes", id));
        all.push(also_folder(
            &format!("document/app-id-{name}"),
            "5.6",
            Code::Document,
            "an app with an id that is none",
            forge,
        ));
    }
    all
}

fn rows() -> Vec<Vector> {
    let deep = format!("{{\"_id\":\"a\",\"x\":{}{}}}\n{{\"_id\":\"b\"}}\n", "[".repeat(64), "]".repeat(64));
    let second = |first: &str| format!("{{\"_id\":\"a\",\"x\":{first}}}\n{{\"_id\":\"b\"}}\n");
    let blob =
        format!(r#"{{"$blob":{{"path":"files/Photos/a.jpg","sha256":"{}","size":1,"type":""}}}}"#, Digest::of(b"x"));
    let mut texts: Vec<(String, &'static str, String, &'static str)> = Vec::new();
    let mut add = |name: &str, clause: &'static str, text: String, says: &'static str| {
        texts.push((name.to_owned(), clause, text, says));
    };
    for (name, text, says) in [
        ("unended", "{\"_id\":\"a\"}\n{\"_id\":\"b\"}", "the last line does not end"),
        ("crlf", "{\"_id\":\"a\"}\r\n{\"_id\":\"b\"}\r\n", "lines end in carriage return and line feed"),
        ("empty-line", "{\"_id\":\"a\"}\n\n{\"_id\":\"b\"}\n", "an empty line"),
        ("list", "[]\n[]\n", "rows that are lists"),
        ("bom", "\u{feff}{\"_id\":\"a\"}\n{\"_id\":\"b\"}\n", "a byte order mark"),
    ] {
        add(name, "6.1", text.to_owned(), says);
    }
    for (name, text, says) in [
        ("blank", "{\"_id\": \"a\"}\n{\"_id\":\"b\"}\n", "a space"),
        ("unsorted", "{\"b\":1,\"_id\":\"a\"}\n{\"_id\":\"b\"}\n", "members that are not sorted"),
        (
            "unsorted-utf-16",
            "{\"_id\":\"a\",\"\u{fb33}\":1,\"\u{1f600}\":2}\n{\"_id\":\"b\"}\n",
            "members sorted by UTF-8",
        ),
        ("twice", "{\"_id\":\"a\",\"_id\":\"a\"}\n{\"_id\":\"b\"}\n", "a member stands twice"),
        ("escaped", "{\"_id\":\"\\u0061\"}\n{\"_id\":\"b\"}\n", "a letter is escaped"),
        ("slash", "{\"_id\":\"a\",\"x\":\"\\/\"}\n{\"_id\":\"b\"}\n", "a slash is escaped"),
        ("hex-upper-case", "{\"_id\":\"a\",\"x\":\"\\u001F\"}\n{\"_id\":\"b\"}\n", "an escape in upper case"),
        ("tab-as-number", "{\"_id\":\"a\",\"x\":\"\\u0009\"}\n{\"_id\":\"b\"}\n", "a tab as a number"),
        ("surrogate", "{\"_id\":\"a\",\"x\":\"\\ud83d\\ude00\"}\n{\"_id\":\"b\"}\n", "a character as a surrogate pair"),
    ] {
        add(name, "6.2", text.to_owned(), says);
    }
    add("deep", "6.2", deep, "65 levels");
    for (name, value, says) in [
        ("int-small", "{\"$int\":\"5\"}", "a small number as $int"),
        ("int-zero", "{\"$int\":\"09007199254740993\"}", "an $int begins with a zero"),
        ("int-plus", "{\"$int\":\"+9007199254740993\"}", "an $int with a plus sign"),
        ("int-huge", "{\"$int\":\"1000000000000000000000\"}", "an $int of 10^21"),
        ("int-number", "{\"$int\":9007199254740993}", "an $int that is no text"),
        ("int-and-more", "{\"$int\":\"9007199254740993\",\"a\":1}", "an $int with another member"),
        ("bytes-unpadded", "{\"$bytes\":\"AAE\"}", "base64 without padding"),
        ("bytes-url", "{\"$bytes\":\"_-8=\"}", "base64 of another alphabet"),
        ("bytes-bits", "{\"$bytes\":\"AAF=\"}", "base64 whose unused bits are not zero"),
        ("bytes-line", "{\"$bytes\":\"AAEC\\n\"}", "base64 with a line feed"),
        ("unknown-tag", "{\"$date\":1}", "an unknown tag"),
        ("bare-dollar", "{\"$\":1}", "a member called $"),
        ("blob-three", "{\"$blob\":{\"path\":\"files/a\",\"size\":1,\"type\":\"\"}}", "a $blob without digest"),
        ("big", "9007199254740993", "a whole number beyond 2^53-1"),
        ("big-as-double", "100000000000000000000", "10^20 without a tag"),
    ] {
        add(name, "6.3", second(value), says);
    }
    add("blob-five", "6.3", second(&blob.replace("}}", ",\"x\":1}}")), "a $blob with a fifth member");
    add("blob-path", "6.3", second(&blob.replace("files/", "../")), "a $blob whose path leads out");
    add("blob-size", "6.3", second(&blob.replace(":1,", ":-1,")), "a $blob of a negative length");
    add(
        "blob-digest",
        "6.3",
        second(&blob.replace("\"sha256\":\"", "\"sha256\":\"0")),
        "a $blob with a digest of 65 digits",
    );
    for (name, value, says) in [
        ("number-fraction", "1.0", "5 as 5.0"),
        ("number-minus-zero", "-0", "zero with a sign"),
        ("number-exponent", "1e2", "100 with an exponent"),
        ("number-capital", "1E-7", "a capital E"),
        ("number-no-plus", "1e21", "an exponent without plus"),
        ("number-long", "0.10", "a digit too many"),
        ("number-rounded", "0.1000000000000000055511151231257827", "all digits of a binary64"),
        ("number-tie", "1424953923781206.3", "the odd one of two equally near"),
        ("number-fixed", "0.0000001", "10^-7 without an exponent"),
        ("number-exponential", "1e-6", "10^-6 with an exponent"),
        ("number-infinite", "1e400", "a number beyond binary64"),
    ] {
        add(name, "6.5", second(value), says);
    }
    add("id-none", "6.6", "{\"a\":1}\n{\"_id\":\"b\"}\n".to_owned(), "a row without _id");
    add("id-number", "6.6", "{\"_id\":1}\n{\"_id\":\"b\"}\n".to_owned(), "a row whose _id is a number");
    let table = format!("{APP}/tables/notes/00.ndjson");
    let mut all: Vec<Vector> = texts
        .into_iter()
        .map(|(name, clause, text, says)| {
            also_folder(&format!("row/{name}"), clause, Code::Row, says, within(&table, &text))
        })
        .collect();
    let long = format!("{{\"_id\":\"a\",\"x\":\"{}\"}}\n{{\"_id\":\"b\"}}\n", "x".repeat(4 << 20));
    all.push(Vector {
        is_large: true,
        ..also_folder("row/long", "6.2", Code::Row, "a row longer than 4 MiB", within(&table, &long))
    });
    let latin = Forge::small().with(item(&table, b"{\"_id\":\"a\",\"x\":\"\xfc\"}\n{\"_id\":\"b\"}\n")).resign();
    all.push(also_folder("row/latin-1", "6.1", Code::Row, "it is not UTF-8", latin));
    let grants = |text: &str| beside("data/permissions.ndjson", text);
    let grant = "{\"actions\":[\"read\"],\"grantee\":{},\"grantor\":\"\",\"id\":\"p\",\"resource\":{},\"schema\":\"pcc/permission@1\"}\n";
    for (name, from, to, says) in [
        ("actions", "[\"read\"]", "\"read\"", "a grant whose actions are a text"),
        ("grantee", "\"grantee\"", "\"grantees\"", "a grant to nobody"),
        ("schema", "@1", "@2", "a grant of another shape"),
    ] {
        all.push(also_folder(&format!("row/grant-{name}"), "13", Code::Row, says, grants(&grant.replace(from, to))));
    }
    all.push(also_folder(
        "row/schedules",
        "6.1",
        Code::Row,
        "schedules that are one JSON document",
        beside("data/schedules.ndjson", "[{}]\n"),
    ));
    all.push(also_folder(
        "row/messages",
        "5.6",
        Code::Row,
        "messages that are not canonical",
        beside("data/messages/x/inbox.ndjson", "{ }\n"),
    ));
    all.push(also_folder(
        "json/messages",
        "5.6",
        Code::Json,
        "a message that is no JSON",
        beside("data/messages/x/a.json", "{"),
    ));
    let elsewhere = format!("{{\"_id\":\"a\",\"x\":{blob}}}\n{{\"_id\":\"b\"}}\n");
    all.push(also_folder(
        "row/blob-missing",
        "6.3",
        Code::BlobMissing,
        "a row refers to a file of another digest",
        within(&table, &elsewhere),
    ));
    all
}

fn order() -> Vec<Vector> {
    let table = format!("{APP}/tables/notes/00.ndjson");
    let mut all = Vec::new();
    for (name, text, says) in [
        ("unsorted", "{\"_id\":\"b\"}\n{\"_id\":\"a\"}\n", "rows that are not sorted"),
        ("twice", "{\"_id\":\"a\"}\n{\"_id\":\"a\"}\n", "a row stands twice"),
        ("utf-16", "{\"_id\":\"\u{1f600}\"}\n{\"_id\":\"\u{fb33}\"}\n", "rows sorted by UTF-16"),
    ] {
        all.push(also_folder(&format!("row/order-{name}"), "6.6", Code::RowOrder, says, within(&table, text)));
    }
    for (name, first, second, says) in [
        ("segments", "b", "a", "the second segment begins before the first ends"),
        ("segments-twice", "a", "a", "a row stands in two segments"),
    ] {
        let forge = Forge::small()
            .with(item(
                &format!("{APP}/app.json"),
                app(r#"[{"name":"notes","count":2,"segments":["tables/notes/00.ndjson","tables/notes/01.ndjson"]}]"#)
                    .as_bytes(),
            ))
            .with(item(&table, format!("{{\"_id\":\"{first}\"}}\n").as_bytes()))
            .with(item(&format!("{APP}/tables/notes/01.ndjson"), format!("{{\"_id\":\"{second}\"}}\n").as_bytes()))
            .resign();
        all.push(also_folder(&format!("row/order-{name}"), "6.6", Code::RowOrder, says, forge));
    }
    all
}

pub(super) fn app(tables: &str) -> String {
    format!(
        r#"{{"schema":"pcc/app@1","id":"org.example.notes","name":"Notes","version":"1.0.0","runtime":"static","tables":{tables}}}"#
    )
}

fn tables() -> Vec<Vector> {
    let with_app = |tables: &str| within(&format!("{APP}/app.json"), &app(tables));
    let segment = "tables/notes/00.ndjson";
    let one = format!(r#"{{"name":"notes","count":2,"segments":["{segment}"]}}"#);
    [
        ("unlisted", "no table lists a segment", within(&format!("{APP}/tables/notes/01.ndjson"), "{\"_id\":\"z\"}\n")),
        (
            "missing",
            "a table lists a segment that is not there",
            with_app(&format!("[{}]", one.replace("\"]}", "\",\"tables/notes/01.ndjson\"]}"))),
        ),
        ("count", "a table counts another number of rows", with_app(&format!("[{}]", one.replace('2', "3")))),
        (
            "twice",
            "a table lists a segment twice",
            with_app(&format!("[{}]", one.replace(&format!("\"{segment}\""), &format!("\"{segment}\",\"{segment}\"")))),
        ),
        (
            "two-tables",
            "two tables list one segment",
            with_app(&format!("[{one},{}]", one.replace("\"notes\"", "\"other\""))),
        ),
        (
            "one-name",
            "two tables have one name",
            with_app(&format!(r#"[{one},{{"name":"notes","count":0,"segments":[]}}]"#)),
        ),
        (
            "no-schema",
            "a table's schema is not there",
            with_app(&format!("[{}]", one.replace("\"count\"", "\"schema\":\"tables/notes.schema.json\",\"count\""))),
        ),
        (
            "empty",
            "a segment has no row",
            with_app(&format!(r#"[{one},{{"name":"other","count":0,"segments":["tables/other/00.ndjson"]}}]"#))
                .with(item(&format!("{APP}/tables/other/00.ndjson"), b""))
                .resign(),
        ),
    ]
    .into_iter()
    .map(|(name, says, forge)| also_folder(&format!("table/{name}"), "5.6", Code::Segment, says, forge))
    .collect()
}

fn files() -> Vec<Vector> {
    let row = |path: &str, content: &[u8]| {
        format!(
            "{{\"name\":\"x\",\"path\":\"{path}\",\"sha256\":\"{}\",\"size\":{},\"type\":\"x/y\"}}\n",
            Digest::of(content),
            content.len()
        )
    };
    let photo = "files/Photos/a.jpg";
    let more = |text: &str| within(&format!("{APP}/files.01.ndjson"), text);
    let instead = |text: &str| within(&format!("{APP}/files.ndjson"), text);
    let mut all: Vec<Vector> = [
        ("unlisted", "a file is in no list", within(&format!("{APP}/files/stray"), "x")),
        ("none", "there is no list", Forge::small().without("notes/files.ndjson").resign()),
        ("empty", "the list is empty", instead("")),
        ("missing", "a listed file is not there", more(&row("files/none", b"x"))),
        ("changed", "a file is listed with another digest", instead(&row(photo, b"x"))),
        ("outside", "the list leads out of its folder", more(&row("../../account.json", b"x"))),
        (
            "code",
            "the list names a file of the app itself",
            more(&row("code/index.html", super::made::PAGE.as_bytes())),
        ),
    ]
    .into_iter()
    .map(|(name, says, forge)| also_folder(&format!("files/{name}"), "5.6", Code::Files, says, forge))
    .collect();
    let mut twice = Forge::small();
    let list = twice.named("notes/files.ndjson").plain.clone();
    all.push(also_folder(
        "files/twice",
        "5.6",
        Code::Files,
        "a file stands in two lists",
        more(&String::from_utf8(list).unwrap()),
    ));
    for (name, from, to, says) in [
        ("row-digest", "sha256", "md5", "a file's row without digest"),
        ("row-size", "\"size\":1", "\"size\":\"1\"", "a file's length as a text"),
        ("row-size-negative", "\"size\":1", "\"size\":-1", "a file of a negative length"),
        ("row-no-name", "\"name\":\"x\",", "", "a file's row without name"),
    ] {
        // Members must stay sorted, so that nothing else is wrong.
        let text = row("files/none", b"x").replace(from, to);
        let text = if name == "row-digest" { text.replace("\"md5\"", "\"sha255\"") } else { text };
        all.push(also_folder(&format!("files/{name}"), "13", Code::Row, says, more(&text)));
    }
    all
}

fn history() -> Vec<Vector> {
    const FOLDER: &str = "data/providers/console.example";
    let at = |name: &str, text: &str| beside(&format!("{FOLDER}/{name}"), text);
    let bill = "{\"amount\":500,\"currency\":\"EUR\",\"id\":\"i\",\"issued\":\"2026-11-01T00:00:00Z\",\"schema\":\"pcc/invoice@1\",\"status\":\"open\",\"text\":\"invoices/i.txt\"}\n";
    let day = "{\"bytesIn\":1,\"date\":\"2026-11-20\",\"schema\":\"pcc/usage@1\"}\n";
    let event = "{\"at\":\"2026-11-20T07:00:00Z\",\"id\":\"e\",\"schema\":\"pcc/event@1\",\"text\":\"x\",\"what\":\"sign-in\",\"who\":{\"kind\":\"owner\"}}\n";
    let mut all = Vec::new();
    for (name, file, text, says) in [
        ("bill-amount", "invoices.ndjson", bill.replace("500", "5.5"), "a bill of half a cent"),
        ("bill-big", "invoices.ndjson", bill.replace("500", "{\"$int\":\"9007199254740993\"}"), "a bill beyond 2^53"),
        ("bill-issued", "invoices.ndjson", bill.replace("T00:00:00Z", ""), "a bill written on a day"),
        ("bill-status", "invoices.01.ndjson", bill.replace("status", "state"), "a bill without status"),
        ("day-date", "usage.ndjson", day.replace("2026-11-20", "2026-11-31"), "a day that is none"),
        ("day-schema", "usage.ndjson", day.replace("usage@1", "event@1"), "a day of another kind"),
        ("event-who", "log.ndjson", event.replace("{\"kind\":\"owner\"}", "\"owner\""), "who did something is a text"),
        ("event-at", "log.01.ndjson", event.replace("07:00:00Z", "07:00:00+01:00"), "an event at a local time"),
        ("event-blank", "log.ndjson", event.replace("\":", "\": "), "an event that is not canonical"),
    ] {
        all.push(also_folder(&format!("history/{name}"), "12.3", Code::Row, says, at(file, &text)));
    }
    all.push(also_folder(
        "history/provider",
        "12.3",
        Code::Document,
        "a provider without origin",
        at("provider.json", r#"{"schema":"pcc/provider@1","name":"X"}"#),
    ));
    all.push(also_folder(
        "history/provider-json",
        "12.3",
        Code::Json,
        "a provider.json that is no JSON",
        at("provider.json", "{"),
    ));
    all.push(also_folder(
        "history/bill-unread",
        "12.3",
        Code::BlobMissing,
        "a bill whose readable form is not there",
        at("invoices.ndjson", bill),
    ));
    all
}
