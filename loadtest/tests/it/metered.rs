//! What the books say of a known load, with kill -9 of the provider in between.
//!
//! The bytes of every body are counted here as well. Once the provider had the time to note them, its books must say
//! exactly the same, and a kill must neither add to them nor take away; what is under way at a kill may or may not count.

use std::path::Path;
use std::time::{Duration, Instant};

use control_plane::metering::EVERY;
use loadtest::person::OwnServer;
use reqwest::Method;
use rusqlite::{Connection, OpenFlags};
use serde_json::json;

use crate::killed::{Process, opened};
use crate::support::TABLE;

/// What the books say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Booked {
    received: u64,
    sent: u64,
    cpu_us: u64,
    awake_ms: u64,
}

impl Booked {
    fn read(data: &Path) -> Self {
        let db = Connection::open_with_flags(data.join("control.db"), OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        db.busy_timeout(Duration::from_secs(10)).unwrap();
        let sql = "select coalesce(sum(received), 0), coalesce(sum(sent), 0), coalesce(sum(cpu_us), 0), \
                   coalesce(sum(awake_ms), 0) from usage_hour";
        let read = |row: &rusqlite::Row<'_>| -> rusqlite::Result<Self> {
            let [received, sent, cpu_us, awake_ms] =
                [0, 1, 2, 3].map(|column| row.get::<_, i64>(column).unwrap().unsigned_abs());
            Ok(Self { received, sent, cpu_us, awake_ms })
        };
        db.query_row(sql, [], read).unwrap()
    }

    fn bytes(self) -> (u64, u64) {
        (self.received, self.sent)
    }

    /// Waits until the books say this, or do not change any more. The patience is for a broken build.
    async fn settle(data: &Path, expected: Option<(u64, u64)>) -> Self {
        let (mut last, mut since) = (Self::read(data), Instant::now());
        while since.elapsed() < EVERY * if expected.is_some() { 12 } else { 3 } {
            let now = Self::read(data);
            if expected == Some(now.bytes()) {
                return now;
            }
            if now.bytes() != last.bytes() {
                (last, since) = (now, Instant::now());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        last
    }
}

/// Writes so many records and gives the bytes of the bodies both ways.
async fn write(server: &OwnServer, count: usize) -> (u64, u64) {
    let (mut up, mut down) = (0, 0);
    for nth in 0..count {
        let body = json!({"nth": nth, "text": "x".repeat(nth * 37 % 5000)}).to_string();
        up += body.len() as u64;
        let request = server.call("notes", Method::POST, &format!("/ceps/write/{TABLE}")).unwrap();
        let answer = request.header("content-type", "application/json").body(body).send().await.unwrap();
        assert!(answer.status().is_success());
        down += answer.bytes().await.unwrap().len() as u64;
    }
    (up, down)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_books_say_what_went_by_and_a_kill_neither_adds_nor_takes_away() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let began = Instant::now();
    let (mut process, server) = opened(&data).await;
    let port = process.address.port();
    // What signing in and opening the app took is not known here; from now on everything is.
    let mut booked = Booked::settle(&data, None).await;
    for round in 0..3 {
        let (up, down) = write(&server, 60 + round * 20).await;
        let expected = (booked.received + up, booked.sent + down);
        let now = Booked::settle(&data, Some(expected)).await;
        assert_eq!(now.bytes(), expected, "round {round}: in the books to the byte");
        assert!(now.cpu_us > booked.cpu_us && now.awake_ms > booked.awake_ms, "{now:?} after {booked:?}");

        // Killed in the midst of more, of which nobody knows how much counts.
        let under_way = tokio::spawn({
            let server = server.clone();
            async move { tokio::time::timeout(Duration::from_millis(300), write(&server, 100_000)).await.is_err() }
        });
        under_way.await.unwrap();
        process.kill(&data);
        let at_rest = Booked::read(&data);
        process = Process::start(&data, port);
        server.open("org.freehold.notes").await.unwrap();
        let before = Booked::settle(&data, None).await;
        assert!(before.received >= at_rest.received && at_rest.received >= expected.0, "nothing is taken away");
        let elapsed_ms = u64::try_from(began.elapsed().as_millis()).unwrap();
        assert!(before.awake_ms <= elapsed_ms, "no time counts twice: {before:?} in {elapsed_ms} ms");
        booked = before;
    }
    println!("3 kills, {booked:?}");
    process.kill(&data);
}
