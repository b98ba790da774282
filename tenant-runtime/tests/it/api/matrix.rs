//! Who may call what: every call of the app API, by everyone there is.
//!
//! The calls are those of `openapi.json`, which the routes are held to; one that nobody has put into a class here fails the test.

use reqwest::{Method, Response};
use serde_json::{Value, json};
use tenant_runtime::ceps::openapi;
use tenant_runtime::server::now;
use tenant_runtime::sessions::token::Purpose;

use super::between::{Pair, host};
use super::sharing::answer_wish;
use super::{Anna, App};

const APP: &str = "com.example.chat";
const TABLE: &str = "com.example.chat.notes";
const READER: &str = "com.example.reader";

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    /// The owner's browser on the server's own origin.
    Owner,
    /// The app whose data these are.
    SameApp,
    /// Another app of the owner's, which was granted reading.
    Granted,
    /// The same, before it was granted anything.
    OtherApp,
    /// The same, after that was taken back.
    Revoked,
    /// Somebody with a token that is over.
    Expired,
    /// A contact with whom one record is shared.
    Contact,
    /// Nobody that is known.
    Stranger,
}

use Who::{Contact, Expired, Granted, OtherApp, Owner, Revoked, SameApp, Stranger};

/// What kind of call it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// Reads records of a table.
    Reads,
    /// Listens to a table.
    Listens,
    /// Changes records of a table.
    Changes,
    /// Concerns one app's own things, which the address names.
    OwnThings,
    /// Concerns the calling app, whichever it is.
    AnyApp,
    /// Only for the owner.
    Owners,
    /// For everyone, who sees only what is public.
    Public,
    /// For whoever brings a secret, which is another matter.
    BySecret,
}

use Class::{AnyApp, BySecret, Changes, Listens, OwnThings, Owners, Public, Reads};

fn class(operation: &str) -> Option<Class> {
    Some(match operation {
        "cepsRead" | "fepsRead" | "cepsQueryByFields" | "fepsQueryByFields" | "cepsQuery" | "fepsQuery" => Reads,
        "changes" => Listens,
        "cepsWrite" | "fepsWrite" | "writeAt" | "cepsUpdate" | "fepsUpdate" | "updateMany" | "cepsDelete"
        | "fepsDelete" | "deleteMany" | "restore" | "shareRecords" | "initiateMessage" => Changes,
        "uploadPut" | "uploadPost" | "readFile" | "fileToken" | "fileTree" | "beginUpload" | "uploadOffset"
        | "uploadPart" | "abortUpload" | "finishUpload" | "manifest" | "allPermissions" | "setValidationToken" => {
            OwnThings
        }
        "ownPermissions" | "markRead" | "gotMessages" | "sentMessages" => AnyApp,
        "schedules" | "schedule" | "putSchedule" | "removeSchedule" | "happenings" => AnyApp,
        "webhooks" | "putWebhook" | "removeWebhook" | "rotateWebhook" => AnyApp,
        "makeAppPassword" | "answerPermission" => Owners,
        "openapi" | "ping" => Public,
        _ if operation.starts_with("public") || operation.starts_with("readPublic") => Public,
        _ if operation.starts_with("rss") || operation.starts_with("atom") => Public,
        "exchangePassword" | "validateToken" | "verifyToken" | "transmitMessage" | "verifyMessage" | "callWebhook" => {
            BySecret
        }
        _ => return None,
    })
}

/// What must come of it: whether it is let through, or with which status it is not.
fn verdict(class: Class, who: Who) -> Result<(), &'static [u16]> {
    match (class, who) {
        (Public, _) | (Owners, Owner) => Ok(()),
        (BySecret, _) => Err(&[400, 401, 403, 404]),
        (Owners, _) => Err(&[401]),
        (_, Owner | Expired | Stranger) => Err(&[401]),
        (Reads | Listens | Changes | OwnThings | AnyApp, SameApp) | (Reads, Contact) => Ok(()),
        (_, Contact) => Err(&[401]),
        (AnyApp, _) | (Reads | Listens, Granted) => Ok(()),
        (_, Granted | OtherApp | Revoked) => Err(&[403]),
    }
}

fn body(operation: &str, record: &str, pair: &Pair) -> Value {
    match operation {
        "updateMany" => json!({"q": {"_id": record}, "keys": {"x": 1}}),
        "deleteMany" => json!({"q": {"_id": record}}),
        "restore" => json!({"record": {"_id": format!("{record}-back"), "x": 1}}),
        "shareRecords" => {
            json!({"name": "share", "table_id": TABLE, "action": "deny", "grantees": "_public", "record_id": record})
        }
        "initiateMessage" => {
            json!({"messaging_permission": "send", "table_id": TABLE, "record_id": record, "app_id": APP,
            "recipient_id": "bob", "recipient_host": host(&pair.bob)})
        }
        "setValidationToken" => json!({"data_owner_user": "bob", "data_owner_host": host(&pair.bob), "table_id": TABLE,
            "permission": "share", "app_id": APP}),
        "beginUpload" => json!({"fileName": format!("{record}.txt"), "size": 1}),
        "answerPermission" => json!({"change": {"name": "none", "action": "Deny", "requestor_app": APP}}),
        "exchangePassword" => json!({"username": "anna", "password": "wrong", "client_id": APP}),
        "putSchedule" => json!({"cron": "0 7 * * *", "notice": {"title": "x"}}),
        "putWebhook" => json!({"notice": {"title": "x"}}),
        "markRead" => json!({"mark_all": true}),
        "cepsQuery" | "fepsQuery" => json!({"q": {}}),
        _ => json!({"x": 1}),
    }
}

struct Callers {
    owner: String,
    own: App,
    reader: App,
    expired: String,
    visitor: String,
}

async fn ask(
    pair: &Pair,
    callers: &Callers,
    who: Who,
    (method, path): (&Method, &str),
    body: &Value,
    form: bool,
) -> Response {
    let anna = &pair.anna;
    let mut request = anna.ask(method.clone(), "", path);
    request = match who {
        Owner => request.header("cookie", &callers.owner).header("origin", anna.origin("")),
        SameApp => request.bearer_auth(&callers.own.token),
        Granted | OtherApp | Revoked => request.bearer_auth(&callers.reader.token),
        Expired => request.bearer_auth(&callers.expired),
        Contact => request.bearer_auth(&callers.visitor),
        Stranger => request,
    };
    if form {
        request = request.multipart(reqwest::multipart::Form::new().text("options", "{}"));
    } else if *method != Method::GET {
        request = request.json(body);
    }
    request.send().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn everyone_may_call_what_is_theirs_to_call_and_nothing_else() {
    let pair = Pair::start().await;
    let shared = seed(&pair.anna, &pair.annas, "shared").await;
    let to = json!({"name": "share", "table_id": TABLE, "action": "grant", "grantees": [format!("bob@{}", host(&pair.bob))], "record_id": shared});
    pair.anna.post(&pair.annas, "/ceps/perms/share_records", to).await;
    let (status, let_in) = pair.visit().await;
    assert_eq!(status, 200, "{let_in}");

    let manifest = json!({"identifier": READER, "pages": {"index": {}}, "permissions": [{"name": "r", "type": "read_all", "table_id": TABLE}]});
    let record = pair.anna.install(&[("manifest.json", &manifest.to_string()), ("index.html", "<p>")]).await;
    let reader = pair.anna.open(record).await;
    let sessions = &pair.anna.server.sessions;
    let session = sessions.list(now()).into_iter().next().unwrap();
    let past = now() - 400 * 24 * 60 * 60 * 1000;
    let mut over = session.clone();
    over.expires = past + 1;
    let expired = sessions.token(&over, Purpose::App, Some(&APP.parse().unwrap()), past);
    let own = pair.anna.open(pair.annas.record.clone()).await;
    let visitor = let_in["access-token"].as_str().unwrap().to_owned();
    let callers = Callers { owner: pair.anna.sign_in().await, own, reader, expired, visitor };

    let document: Value = serde_json::from_str(openapi::TEXT).unwrap();
    let mut wrong = Vec::new();
    let mut asked = 0;
    for who in [OtherApp, Granted, Revoked, SameApp, Contact, Expired, Stranger, Owner] {
        match who {
            Granted => answer_wish(&pair.anna, READER, "r", "Accept").await,
            Revoked => answer_wish(&pair.anna, READER, "r", "Deny").await,
            _ => {}
        }
        for (path, operations) in document["paths"].as_object().unwrap() {
            for (method, operation) in operations.as_object().unwrap() {
                let id = operation["operationId"].as_str().unwrap();
                let class = class(id).unwrap_or_else(|| panic!("{id} is in no class: say here who may call it"));
                let record = match (class, who) {
                    (Reads, Contact) => shared.clone(),
                    _ => seed(&pair.anna, &callers.own, &format!("r{asked}")).await,
                };
                let address = path
                    .replace("{table}", TABLE)
                    .replace("{id}", &record)
                    .replace("{app}", if id.starts_with("public") { "com.example.none" } else { APP })
                    .replace("{user}", "anna")
                    .replace("{name}", "reminder")
                    .replace("{secret}", "guessed")
                    .replace("{path}", "nothing/at/all");
                let address = if id == "makeAppPassword" { format!("{address}?app_name={APP}") } else { address };
                let method: Method = method.to_uppercase().parse().unwrap();
                let body = body(id, &record, &pair);
                let response = ask(
                    &pair,
                    &callers,
                    who,
                    (&method, &address),
                    &body,
                    id.starts_with("uploadPut") || id == "uploadPost",
                )
                .await;
                let status = response.status().as_u16();
                let is_right = match verdict(class, who) {
                    Ok(()) => status < 500 && !matches!(status, 401 | 403),
                    Err(these) => these.contains(&status),
                };
                if !is_right {
                    let said =
                        if class == Listens && status == 200 { String::new() } else { response.text().await.unwrap() };
                    wrong.push(format!("{who:?} {method} {address} ({class:?}): {status} {said}"));
                }
                asked += 1;
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {asked}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(asked > 400, "{asked}");
}

async fn seed(anna: &Anna, app: &App, id: &str) -> String {
    let (status, said) = anna.post(app, &format!("/feps/write/{TABLE}/{id}"), json!({"x": 1})).await;
    assert_eq!(status, 200, "{said}");
    id.to_owned()
}
