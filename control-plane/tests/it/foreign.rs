//! Other kinds of servers: from a freezr (a stub of one, see `support/freezr.rs`) to here and from here to one.

use std::collections::BTreeMap;

use axum::body::{Body, Bytes};
use axum::response::{IntoResponse as _, Redirect, Response};
use control_plane::audit;
use control_plane::moves::foreign::{self, Foreign, ForeignId, State, Wanted};
use control_plane::operations::{self};
use control_plane::paging::Ask;
use control_plane::places::Secret;
use control_plane::{Actor, Kind};
use export_format::entry::{AppPart, Kind as Stands};
use export_format::reader::{Limits, Reader};
use export_format::row::Value as Row;
use export_format::signature::Trust;
use http::{StatusCode, header};
use serde_json::{Value, json};
use tenant_runtime::ids::ServerId;

use crate::support::{Database, Freezr, USER, World, eventually, on_each_database};

const POSTER: &str = "com.salmanff.poster";
const PHOTOS: &str = "com.example.photos";

/// Records by table and id.
type Tables = BTreeMap<String, BTreeMap<String, Value>>;

/// A freezr with two apps in use.
async fn in_use() -> Freezr {
    let freezr = Freezr::start().await;
    freezr.install(POSTER, "Poster", &["com.salmanff.poster.posts", "drafts"]);
    freezr.install(PHOTOS, "Photos", &[]);
    for n in 0..1203_i64 {
        let at = 1_600_000_000_000 + n;
        let text = "Grüße 🌿 \u{2028}".repeat((n % 40) as usize);
        freezr.put(
            &format!("{POSTER}.posts"),
            json!({"_id": format!("p{:05}", (n * 7919) % 100_003), "n": n, "text": text, "half": n as f64 / 8.0 + 0.01,
                "big": 9_007_199_254_740_993_i64 + n, "deep": {"list": [1, null, {"$set": true}]},
                "_date_created": at, "_date_modified": at + 5}),
        );
    }
    for id in ["a/b?c=d&e", "ü ñ", ".", "..", "x%2fy", "\"quoted\""] {
        freezr.put(&format!("{POSTER}.drafts"), json!({"_id": id, "_date_created": 1, "_date_modified": 2}));
    }
    freezr.put(POSTER, json!({"_id": "own", "kind": "settings", "_date_created": 3, "_date_modified": 4}));
    for n in 0..20_u8 {
        let content: Vec<u8> = (0..u32::from(n) * 5000).map(|at| (at as u8).wrapping_mul(n)).collect();
        freezr.put_file(
            PHOTOS,
            &format!("2026/album {}/IMG_{n}.jpg", n % 3),
            content,
            json!({"title": format!("No {n}")}),
        );
    }
    freezr.put_file(PHOTOS, "what? 100%.txt", "odd name", json!({}));
    freezr.put_bare_file(PHOTOS, "loose.bin", "no record of it");
    freezr
}

fn wanted(freezr: &Freezr, apps: &[&str]) -> Wanted {
    let apps = apps.iter().map(|app| ((*app).to_owned(), Secret(freezr.password(app))));
    Wanted { address: freezr.url(), user: USER.into(), apps: apps.collect() }
}

async fn ended(world: &World, actor: &Actor, id: ForeignId) -> Foreign {
    eventually("the work with the other server ends", async || {
        foreign::foreign(&world.plane, actor, id).await.unwrap().state.is_final()
    })
    .await;
    foreign::foreign(&world.plane, actor, id).await.unwrap()
}

async fn done(world: &World, actor: &Actor, id: ForeignId) -> Foreign {
    let work = ended(world, actor, id).await;
    assert_eq!(work.state, State::Done, "{work:?}");
    work
}

/// What an archive holds, as a freezr would.
fn content(archive: &[u8]) -> (Tables, BTreeMap<String, Vec<u8>>) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.pcc.zip");
    std::fs::write(&path, archive).unwrap();
    let report = export_format::check::check(
        &std::fs::File::open(&path).unwrap(),
        &Limits::default(),
        &Trust::Anyone,
        &mut |_| {},
    );
    assert!(report.findings.accepted(), "{report:?}");
    let reader = Reader::open(std::fs::File::open(&path).unwrap(), &Limits::default()).unwrap();
    let reader = reader.verify(&Trust::Anyone, &mut |_| {}).unwrap();
    let (mut tables, mut files) = (Tables::new(), BTreeMap::new());
    for entry in reader.entries() {
        match Stands::of(entry.path()) {
            Stands::App(app, AppPart::Segment(table)) => {
                let table = if table == "~" { app.to_owned() } else { format!("{app}.{table}") };
                for row in reader.rows(entry).unwrap() {
                    let row = row.unwrap();
                    let id = row.get("_id").and_then(Row::as_text).unwrap().to_owned();
                    let record = serde_json::from_str(&row.to_stored()).unwrap();
                    assert!(tables.entry(table.clone()).or_default().insert(id, record).is_none());
                }
            }
            Stands::App(app, AppPart::Files) => {
                for row in reader.rows(entry).unwrap() {
                    let row = row.unwrap();
                    let text = |name: &str| row.get(name).and_then(Row::as_text).map(str::to_owned);
                    let within = text("path").unwrap();
                    let truly = text("truePath").unwrap_or_else(|| within.trim_start_matches("files/").to_owned());
                    let stands = reader.find(&format!("data/apps/{app}/{within}")).unwrap();
                    let mut bytes = Vec::new();
                    std::io::Read::read_to_end(&mut reader.content(stands).unwrap(), &mut bytes).unwrap();
                    files.insert(format!("{app}:{truly}"), bytes);
                }
            }
            _ => {}
        }
    }
    (tables, files)
}

/// The same tables; the first record that is not, otherwise.
fn assert_same(these: &Tables, those: &Tables) {
    assert_eq!(these.keys().collect::<Vec<_>>(), those.keys().collect::<Vec<_>>());
    for (table, records) in these {
        for (id, record) in records {
            assert_eq!(Some(record), those[table].get(id), "{id} of {table}");
        }
        assert_eq!(records.len(), those[table].len(), "{table}");
    }
}

fn files_of(freezr: &Freezr) -> BTreeMap<String, Vec<u8>> {
    let files = freezr.held().files.into_iter();
    files.map(|((app, path), content)| (format!("{app}:{path}"), content.to_vec())).collect()
}

/// What was gathered and waits for its owner's yes.
async fn gathered(world: &World, actor: &Actor, server: ServerId, work: &Foreign) -> Vec<u8> {
    let import = work.import.expect("an import");
    eventually("the report", async || {
        world.plane.operations().operation(actor, import).await.unwrap().report.is_some()
    })
    .await;
    let operation = world.plane.operations().operation(actor, import).await.unwrap();
    assert_eq!(operation.state, operations::State::Waiting, "nothing is taken before the yes");
    world.host.taken(server).unwrap()
}

fn spools(world: &World) -> usize {
    std::fs::read_dir(world.plane.settings().data_dir.join("foreign")).map_or(0, Iterator::count)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_on_a_freezr_comes_here_and_goes_to_another_the_same() {
    on_each_database(async |world: &mut World| {
        world.set_up().await;
        let (anna, made) = world.sign_up("anna").await;
        let (there, elsewhere) = (in_use().await, Freezr::start().await);

        // Given a freezr in use, with a share that means nothing here, when two apps are gathered,
        there.put(POSTER, json!({"_id": "shared", "_accessibles": {"berta": {"read": true}}, "_date_created": 1, "_date_modified": 1}));
        let begun = foreign::gather(&world.plane, &anna, made.server, wanted(&there, &[POSTER, PHOTOS])).await.unwrap();
        let work = done(world, &anna, begun.id).await;
        let archive = gathered(world, &anna, made.server, &work).await;

        // then the archive has every record and file, and says what it has not,
        let (tables, files) = content(&archive);
        let mut held = there.held();
        held.tables.get_mut(POSTER).unwrap().get_mut("shared").unwrap().as_object_mut().unwrap().remove("_accessibles");
        assert_same(&tables, &held.tables);
        assert!(files == files_of(&there));
        assert_eq!((work.records, work.files), (1203 + 6 + 2 + 21, 22));
        assert!(work.left.iter().any(|left| left.what.contains("with whom records") && left.count == 1), "{work:?}");
        let report = text_of(&archive);
        for says in ["apps that you did not name", "permissions of apps", "with whom records of com.salmanff.poster are shared (1)"] {
            assert!(report.contains(says), "{says}");
        }
        assert_eq!(spools(world), 0, "nothing of it lies about");

        // nothing secret was written down,
        for token in there.tokens() {
            for (table, column) in [("audit_event", "text"), ("audit_event", "about"), ("operation", "result")] {
                assert_eq!(world.rows_with(table, column, &token).await, 0);
            }
            assert!(!format!("{work:?}").contains(&token) && !report.contains(&token));
        }
        let told = audit::events(&world.plane, &anna, made.server, &Ask::default()).await.unwrap().items;
        assert!(told.iter().any(|event| event.text.contains("was gathered into an archive")));

        // and given to another freezr it is the same there,
        // (most of it is there already, for a test does not wait for the minutes that freezr asks for)
        world.host.archive_is(archive);
        let posts = &held.tables[&format!("{POSTER}.posts")];
        let (late, early): (Vec<_>, Vec<_>) = posts.values().partition(|post| post["n"].as_i64().unwrap() % 10 == 0);
        early.iter().for_each(|post| elsewhere.put(&format!("{POSTER}.posts"), (*post).clone()));
        let begun = foreign::give(&world.plane, &anna, made.server, wanted(&elsewhere, &[POSTER, PHOTOS])).await.unwrap();
        let work = done(world, &anna, begun.id).await;
        assert_eq!((work.records, work.there), (late.len() as u64 + 6 + 2, early.len() as u64));
        assert!(files_of(&elsewhere) == files_of(&there));
        let mut came = elsewhere.held().tables;
        for (id, record) in came.get_mut(&format!("{PHOTOS}.files")).unwrap() {
            // An upload is of the day it is made, and a file without a record gets one.
            for date in ["_date_created", "_date_modified"] {
                record[date] = 1_700_000_000_000_i64.into();
            }
            if id == "loose.bin" {
                held.tables.get_mut(&format!("{PHOTOS}.files")).unwrap().insert(id.clone(), record.clone());
            }
        }
        assert_same(&came, &held.tables);

        // and giving it once more writes no record twice.
        let before = elsewhere.restored();
        elsewhere.put(&format!("{POSTER}.posts"), json!({"_id": "p00000", "n": "changed there", "_date_created": 1, "_date_modified": 1}));
        let begun = foreign::give(&world.plane, &anna, made.server, wanted(&elsewhere, &[POSTER])).await.unwrap();
        let work = done(world, &anna, begun.id).await;
        assert_eq!((elsewhere.restored() - before, work.records, work.there), (1, 1, 1203 + 6 + 2 - 1));
        assert!(work.left.iter().any(|left| left.what == format!("files of {PHOTOS}") && left.count == 22), "{work:?}");
        assert_eq!(world.host.kept_exports(), 0);
    })
    .await;
}

/// `pcc.json` of an archive.
fn text_of(archive: &[u8]) -> String {
    let at = archive.windows(17).position(|part| part == b"\"format\": \"pcc-ar").unwrap();
    String::from_utf8_lossy(&archive[at..archive.len().min(at + 20_000)]).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stumbles_is_asked_again_and_all_of_it_comes() {
    let (world, anna, server) = alone().await;
    let there = in_use().await;
    let mut asked = 0;
    there.tricks(move |path| {
        asked += 1;
        match asked {
            3 | 4 => Some((StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "0")]).into_response()),
            7 => Some(StatusCode::SERVICE_UNAVAILABLE.into_response()),
            // Cut in the middle of an answer, of a list or of a file.
            9 | 15 | 19 | 20 => Some(cut()),
            _ if path.contains("userfiles") && asked % 9 == 0 => Some(cut()),
            _ => None,
        }
    });
    let begun = foreign::gather(&world.plane, &anna, server, wanted(&there, &[POSTER, PHOTOS])).await.unwrap();
    let work = done(&world, &anna, begun.id).await;
    let (tables, files) = content(&gathered(&world, &anna, server, &work).await);
    assert_same(&tables, &there.held().tables);
    assert!(files == files_of(&there), "{work:?}");

    // The same on the way there.
    world.host.archive_is(world.host.taken(server).unwrap());
    let elsewhere = Freezr::start().await;
    let mut asked = 0;
    elsewhere.tricks(move |_| {
        asked += 1;
        match asked % 50 {
            7 => Some((StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "0")]).into_response()),
            11 => Some(StatusCode::BAD_GATEWAY.into_response()),
            13 => Some(cut()),
            _ => None,
        }
    });
    let begun = foreign::give(&world.plane, &anna, server, wanted(&elsewhere, &[PHOTOS])).await.unwrap();
    done(&world, &anna, begun.id).await;
    assert!(files_of(&elsewhere) == files_of(&there));
    world.end().await;
}

fn cut() -> Response {
    let parts: [Result<Bytes, std::io::Error>; 2] =
        [Ok(Bytes::from_static(b"[{\"_id\":")), Err(std::io::Error::other("cut"))];
    Response::builder().header("content-length", 1000).body(Body::from_stream(futures::stream::iter(parts))).unwrap()
}

async fn alone() -> (World, Actor, ServerId) {
    let world = World::new(Database::all().await.remove(0), None).await;
    world.set_up().await;
    let (anna, made) = world.sign_up("anna").await;
    (world, anna, made.server)
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_hostile_server_answers_is_left_out_with_its_reason_or_ends_in_words() {
    let (world, anna, server) = alone().await;
    type Plays = fn(&Freezr);
    // What it plays, whether the work gets to its end, and what is said of it.
    let plays: [(&str, Plays, bool, &str); 12] = [
        ("no JSON", |freezr| answers(freezr, "/ceps/query", "<html>"), false, "cannot be read"),
        ("no list", |freezr| answers(freezr, "/ceps/query", "{\"a\":1}"), false, "cannot be read"),
        ("records of every kind", |freezr| answers(freezr, "/ceps/query", RECORDS), true, "no `_id`"),
        (
            "the same page again and again",
            |freezr| answers(freezr, "/ceps/query/com.salmanff.poster.posts", &page(500)),
            true,
            "again and again",
        ),
        ("an answer without end", endless, true, "more of it than a record may be long"),
        ("a record that is too deep", |freezr| answers(freezr, "/ceps/query", &deep()), true, "cannot be read"),
        ("paths that lead elsewhere", |freezr| answers(freezr, "/feps/read_user", PATHS), true, "such a name"),
        ("files that are not there", |freezr| answers(freezr, "/feps/read_user", GHOSTS), true, "does not have them"),
        ("a list of files of the wrong kind", |freezr| answers(freezr, "/feps/read_user", "[[1]]"), true, ""),
        (
            "a manifest of the wrong kind",
            |freezr| {
                answers(
                    freezr,
                    "/feps/manifest",
                    "{\"manifest\":[],\"app_tables\":{\"a\":1,\"../b\":2,\"org.other.app.x\":3}}",
                )
            },
            true,
            "tables that",
        ),
        (
            "another address",
            |freezr| {
                freezr
                    .tricks(|path| path.contains("query").then(|| Redirect::to("http://127.0.0.1:1/").into_response()))
            },
            false,
            "another address",
        ),
        (
            "no longer",
            |freezr| freezr.tricks(|path| path.contains("manifest").then(|| StatusCode::FORBIDDEN.into_response())),
            false,
            "no longer lets us in",
        ),
    ];
    for (what, play, gets_there, says) in plays {
        println!("{what}");
        let freezr = Freezr::start().await;
        freezr.install(POSTER, "Poster", &["posts"]);
        freezr.put(&format!("{POSTER}.posts"), json!({"_id": "one", "_date_created": 1, "_date_modified": 1}));
        let wanted = wanted(&freezr, &[POSTER]);
        play(&freezr);
        let begun = foreign::gather(&world.plane, &anna, server, wanted).await.unwrap();
        let work = ended(&world, &anna, begun.id).await;
        let said = format!("{:?} {:?}", work.error, work.left);
        assert_eq!(work.state == State::Done, gets_there, "{what}: {said}");
        assert!(said.contains(says), "{what}: {said}");
        assert!(!said.contains("on our side"), "{what}: {said}");
        if gets_there {
            content(&gathered(&world, &anna, server, &work).await);
        } else {
            assert_eq!(work.import, None, "{what}");
        }
        assert_eq!(spools(&world), 0, "{what}");
    }
    world.end().await;
}

const RECORDS: &str = r#"[1, null, "x", [], {}, {"_id": 5}, {"_id": ""}, {"_id": "a\u0000b"}, {"_id": "good", "_date_modified": "yesterday"},
    {"_id": "huge", "n": 1e400}, {"_id": "tagged", "$blob": {"path": "files/a", "sha256": "00", "size": 1, "type": "x"}, "_date_created": 1e300}]"#;
const PATHS: &str = r#"{"files": [{"path": "../../etc/passwd"}, {"path": "/etc/passwd"}, {"path": "a\\b"}, {"path": ""}, {"path": 7}]}"#;
const GHOSTS: &str = r#"{"files": [{"path": "a/ghost.txt", "size": 99999999999999}], "complete": false}"#;

fn page(records: usize) -> String {
    let records: Vec<Value> = (0..records).map(|n| json!({"_id": format!("r{n}")})).collect();
    Value::from(records).to_string()
}

fn deep() -> String {
    format!("[{{\"_id\":\"deep\",\"a\":{}{}}}]", "[".repeat(5000), "]".repeat(5000))
}

fn answers(freezr: &Freezr, at: &'static str, with: &str) {
    let with = with.to_owned();
    freezr.tricks(move |path| path.starts_with(at).then(|| with.clone().into_response()));
}

/// Every first answer about a table never ends; later ones say that there is nothing more.
fn endless(freezr: &Freezr) {
    let mut asked = 0;
    freezr.tricks(move |path| {
        if !path.starts_with("/ceps/query") {
            return None;
        }
        asked += 1;
        if asked > 8 {
            return Some("[]".into_response());
        }
        let part = Bytes::from(vec![b' '; 1 << 20]);
        Some(
            Body::from_stream(futures::stream::repeat_with(move || Ok::<_, std::io::Error>(part.clone())))
                .into_response(),
        )
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_provider_left_is_removed_and_the_work_is_begun_again() {
    on_each_database(async |world: &mut World| {
        world.set_up().await;
        let (anna, made) = world.sign_up("anna").await;
        let there = in_use().await;
        // Given a gathering that hangs at a file, and a provider that is killed then,
        there.tricks(|path| {
            path.contains("userfiles")
                .then(|| Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>()).into_response())
        });
        let begun = foreign::gather(&world.plane, &anna, made.server, wanted(&there, &[PHOTOS])).await.unwrap();
        eventually("it is at the files", async || {
            foreign::foreign(&world.plane, &anna, begun.id).await.unwrap().doing.contains("Fetching")
        })
        .await;
        assert_eq!(spools(world), 1);
        let again = foreign::gather(&world.plane, &anna, made.server, wanted(&there, &[PHOTOS])).await.unwrap_err();
        assert_eq!(again.kind(), Kind::Conflict, "one at a time");
        let left = world.plane.settings().data_dir.join("foreign").join("frn_left-by-a-kill");
        std::fs::create_dir_all(&left).unwrap();
        world.crash_and_start().await;

        // then nothing of it is left, nothing was taken, and it works when it is begun again.
        assert_eq!(spools(world), 0);
        let error = foreign::foreign(&world.plane, &anna, begun.id).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Gone);
        eventually("the server is back", async || {
            control_plane::servers::usage(&world.plane, &anna, made.server).await.is_ok()
        })
        .await;
        assert_eq!(world.host.taken(made.server), None);
        there.behaves();
        let begun = foreign::gather(&world.plane, &anna, made.server, wanted(&there, &[PHOTOS])).await.unwrap();
        let work = done(world, &anna, begun.id).await;
        let archive = gathered(world, &anna, made.server, &work).await;
        assert!(content(&archive).1 == files_of(&there));

        // A giving that is killed goes on from what is there.
        let there = in_use().await;
        let begun = foreign::gather(&world.plane, &anna, made.server, wanted(&there, &[POSTER])).await.unwrap();
        let work = done(world, &anna, begun.id).await;
        let archive = gathered(world, &anna, made.server, &work).await;
        world.host.archive_is(archive.clone());
        let elsewhere = Freezr::start().await;
        let begun = foreign::give(&world.plane, &anna, made.server, wanted(&elsewhere, &[POSTER])).await.unwrap();
        eventually("some are there", async || elsewhere.restored() > 100).await;
        foreign::stop(&world.plane, &anna, begun.id).await.unwrap();
        world.crash_and_start().await;
        let (before, asked) = (elsewhere.restored(), elsewhere.asked());
        eventually("the server is back", async || {
            control_plane::servers::usage(&world.plane, &anna, made.server).await.is_ok()
        })
        .await;
        world.host.archive_is(archive);
        let few = elsewhere.held();
        for (table, records) in there.held().tables {
            // All but a few are there by now, as if it had gone on: the test does not wait for the minutes that freezr asks for.
            let skipped = records.into_iter().filter(|(id, _)| !id.ends_with("77"));
            skipped.for_each(|(_, record)| elsewhere.put(&table, record));
        }
        let missing = there.held().tables[&format!("{POSTER}.posts")]
            .keys()
            .filter(|id| id.ends_with("77") && !few.tables[&format!("{POSTER}.posts")].contains_key(*id))
            .count() as u64;
        let begun = foreign::give(&world.plane, &anna, made.server, wanted(&elsewhere, &[POSTER])).await.unwrap();
        let work = done(world, &anna, begun.id).await;
        assert_eq!(elsewhere.restored() - before, missing, "none is written twice");
        assert!(work.there + missing == 1203 + 6 + 1, "{work:?}");
        assert!(elsewhere.asked() - asked < 60);
        assert_same(&elsewhere.held().tables, &there.held().tables);
    })
    .await;
}

#[tokio::test]
async fn a_password_that_is_not_taken_is_said_and_the_others_are_not_used_up_for_nothing() {
    let (world, anna, server) = alone().await;
    let there = in_use().await;
    let mut form = wanted(&there, &[POSTER, PHOTOS]);
    form.apps[1].1 = Secret("wrong".into());
    let error = foreign::gather(&world.plane, &anna, server, form.clone()).await.unwrap_err();
    assert_eq!((error.kind(), error.field()), (Kind::Fix, Some("apps")));
    assert!(error.sentence().contains(PHOTOS) && !error.sentence().contains(POSTER), "{error}");
    assert_eq!(foreign::let_in(&world.plane, &anna, server, &form).await.unwrap(), [POSTER]);
    // The first one's password was good for one use, and is not asked for again.
    form.apps[0].1 = Secret::default();
    form.apps[1].1 = Secret(there.password(PHOTOS));
    let begun = foreign::gather(&world.plane, &anna, server, form).await.unwrap();
    done(&world, &anna, begun.id).await;

    for (address, user, app, field) in [
        ("ftp://x.example", USER, POSTER, "address"),
        ("not an address", USER, POSTER, "address"),
        (there.url().as_str(), "", POSTER, "user"),
        (there.url().as_str(), USER, "poster", "apps"),
        (there.url().as_str(), USER, "", "apps"),
    ] {
        let apps = vec![(app.to_owned(), Secret("x".repeat(usize::from(!app.is_empty()))))];
        let form = Wanted { address: address.into(), user: user.into(), apps };
        let error = foreign::gather(&world.plane, &anna, server, form).await.unwrap_err();
        assert_eq!((error.kind(), error.field()), (Kind::Fix, Some(field)), "{address} {user} {app}");
    }
    let nowhere = Wanted { address: "http://127.0.0.1:1".into(), ..wanted(&there, &[POSTER]) };
    let error = foreign::gather(&world.plane, &anna, server, nowhere).await.unwrap_err();
    assert_eq!(error.sentence(), "127.0.0.1:1 cannot be reached.");
    world.end().await;
}
