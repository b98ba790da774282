//! What starts by itself travels, and does nothing where it comes until the owner says so.

use tenant_runtime::happenings::{self, Action, Draft, Source, Words, Written};

use super::*;

const DAY: i64 = 24 * 60 * 60 * 1000;

/// A schedule that is on and one that is paused, a webhook, a happening that waits, one that is over, a notice.
async fn plan(server: &Server) {
    let digest = export_format::Digest::of(b"the secret of the hook");
    let rest = format!(
        "update schedule set state = 'paused', due = null where name = 'quiet';
         insert into webhook values ('whk_1', 'org.example.notes', 'hook', 'Builds', '{digest}', 'x-signed', 'the key of the hook',
            '{{\"handler\":{{}}}}', 'app', 'on', {NOW}, {NOW});
         insert into happening values ('hap_1', 'org.example.notes', 'webhook', 'whk_1', 'hook', 'Builds', 'id 77', {NOW},
            '{{\"handler\":{{}}}}', '{{\"json\":{{\"big\":9007199254740993}}}}', 'waiting', 3, {NOW}, 'it was away', {NOW}, null);"
    );
    let put = move |db: &rusqlite::Connection| {
        let app = "org.example.notes".parse().unwrap();
        let words =
            Words { title: "Grüße".into(), text: "Now.".into(), link: Some("/apps/org.example.notes/index".into()) };
        let rule =
            |cron: &str| Written { cron: Some(cron.into()), zone: Some("Europe/Vienna".into()), ..Written::default() };
        for name in ["daily", "quiet"] {
            let action = Action::Notice(words.clone());
            let draft = Draft { name: name.into(), title: name.into(), when: rule("0 7 * * *"), action, paused: false };
            happenings::put(db, &app, &draft, Source::App, NOW)?;
        }
        happenings::fire(db, NOW + DAY)?;
        Ok::<_, happenings::Error>(db.execute_batch(&rest)?)
    };
    server.home.write(put).await.unwrap();
}

async fn next_due(server: &Server) -> Option<i64> {
    server.home.read(happenings::next_due).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn schedules_and_webhooks_come_paused_and_leave_as_they_came_until_the_owner_says_so() {
    let root = tempfile::tempdir().unwrap();
    let first = furnished(root.path(), "localhost").await;
    plan(&first).await;
    assert_eq!(next_due(&first).await, Some(NOW), "what waits is due first");
    first.export("e").await;
    let archive = first.fetch("e").await;
    let wanted = payload_manifest(&archive);
    for document in ["schedules", "happenings", "notices"] {
        assert!(wanted.contains(&format!("data/{document}.ndjson")), "{wanted}");
    }
    let has = |text: &str| archive.windows(text.len()).any(|part| part == text.as_bytes());
    assert!(!has("the key of the hook") && !has("the secret of the hook"));

    let root = tempfile::tempdir().unwrap();
    let second = Server::wake(root.path(), launch("annette", "other.localhost", 1 << 30)).await;
    let done = second.import("op", &archive).await;
    assert_eq!((done.state, done.report.unwrap().schedules_paused), (ImportState::Done, 3), "{:?}", done.error);
    assert_eq!(next_due(&second).await, None, "nothing starts by itself");
    let held = "select (select count(*) from schedule where state = 'held') * 100
         + (select count(*) from webhook where state = 'held') * 10 + (select count(*) from happening where state = 'held')";
    assert_eq!(second.number(held).await, 111);
    assert_eq!(second.number("select count(*) from schedule where state = 'paused'").await, 1, "as it was there");
    assert_eq!(second.number("select count(*) from webhook where key is not null").await, 0);
    second.export("on").await;
    assert_eq!(payload_manifest(&second.fetch("on").await), wanted);

    let later = NOW + 40 * DAY;
    second.home.write(move |db| happenings::answer_all(db, true, later)).await.unwrap();
    assert_eq!(next_due(&second).await, Some(later), "what waited there is done here");
    let first_due = second.number("select due from schedule where name = 'daily'").await;
    assert!((later..=later + DAY).contains(&first_due), "it goes on from now");
    assert_eq!(second.number("select due is null from schedule where name = 'quiet'").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moment_of_the_past_brings_schedules_back_and_does_nothing_twice() {
    let root = tempfile::tempdir().unwrap();
    let server = furnished(root.path(), "localhost").await;
    plan(&server).await;
    let done = "select count(*) from happening where state = 'done'";
    let before = server.number(done).await;
    server.home.snapshot("then").await.unwrap();
    let change = |db: &rusqlite::Connection| {
        db.execute_batch(
            "delete from schedule; update happening set state = 'done', next = null, ended = 5 where state = 'waiting'",
        )
    };
    server.home.write(move |db| change(db).map_err(Error::from)).await.unwrap();
    assert_eq!(server.number(done).await, before + 1);
    let present = server.home.read(happenings::Now::take).await.unwrap();
    let staged = server.home.stage_from("then", "back").await.unwrap();
    let now = NOW + 40 * DAY;
    staged.write(move |tx| present.put(tx, now)).await.unwrap();
    server.home.adopt(staged, "before").await.unwrap();
    assert_eq!(server.number(done).await, before + 1, "what was done is not done again");
    let due = next_due(&server).await.unwrap();
    assert!((now..=now + DAY).contains(&due), "schedules are back, and go on from now");
}
