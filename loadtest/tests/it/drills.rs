//! Exit drills through whole providers: a stand-in takes the archive in and gives it out again, and the pages say what
//! came of it, also of a home that is damaged and after a kill in the midst of it.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use loadtest::person::Person;
use loadtest::platform::{Platform, Wish};
use loadtest::storage::figures::asleep;
use rusqlite::{Connection, OpenFlags};
use serde_json::json;

use crate::bounds::until;
use crate::damaged::House;
use crate::killed::{Process, opened};
use crate::support::{NOTES, PHOTOS, noise, put_file, records, write};

const LEAVE: &str = "/servers/anna/leave";
const PASSED: &str = "the same again, to the last byte";

/// Taps *Test it now*, as on the page of leaving.
async fn tap(person: &Person) {
    let form = person.form(LEAVE, "/servers/anna/drills").await.unwrap();
    person.submit(form).await.unwrap();
}

/// Waits until no test is under way, and says what the page tells then.
async fn told(person: &Person) -> String {
    until("the end of the drill", async || {
        let page = person.page(LEAVE).await.unwrap();
        page.contains("Test it now")
    })
    .await;
    person.page(LEAVE).await.unwrap()
}

/// What is in a folder of the data directory, hidden things apart.
fn names(folder: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| !name.starts_with('.')).collect()
}

fn homes(data: &Path) -> BTreeSet<String> {
    names(&data.join("objects/t"))
}

fn books(data: &Path) -> Connection {
    let db = Connection::open_with_flags(data.join("control.db"), OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    db.busy_timeout(Duration::from_secs(10)).unwrap();
    db
}

/// Whether the only server has written nothing since the drill it passed, as it told when it fell asleep.
fn is_unchanged(data: &Path) -> bool {
    let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
    let (seq, told) = books(data).query_row("select seq, told_seq from drill", [], read).unwrap();
    assert!(told >= seq, "{told} writes, and {seq} of them in the archive");
    seq == told
}

/// The servers that the books and the list of homes know.
fn booked(data: &Path) -> BTreeSet<String> {
    let db = books(data);
    let mut read = db.prepare("select server_id from usage_source union select server_id from usage_hour").unwrap();
    let rows = read.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_compares_to_the_last_byte_and_leaves_nothing_behind() {
    let platform = Platform::open(Wish::default()).await.unwrap();
    let anna = platform.visitor().unwrap().sign_up("anna").await.unwrap();
    anna.install(NOTES).await.unwrap();
    anna.install(PHOTOS).await.unwrap();
    for nth in 0..20 {
        write(&anna, &json!({"nth": nth, "text": "Grüße"})).await;
    }
    put_file(&anna, "photo.jpg", noise(1, 300_000)).await;
    let before = records(&anna).await;
    let home = homes(&platform.data());
    assert_eq!(home.len(), 1);
    asleep(&platform).await.unwrap();

    // Given a server that sleeps and was never tested, when its owner taps,
    for page in [LEAVE, "/servers/anna"] {
        assert!(anna.person.page(page).await.unwrap().contains("has not been tested yet"), "{page}");
    }
    assert!(platform.operator.page("/operator/drills").await.unwrap().contains("Never tested"));
    tap(&anna.person).await;
    let page = told(&anna.person).await;

    // then the pages say what was compared (the photo is a file and a record), the server is as it was, and nothing of a stand-in is left.
    assert!(page.contains(PASSED) && page.contains("<dt>Records</dt><dd>21</dd>"), "{page}");
    assert!(anna.person.page("/servers/anna").await.unwrap().contains(PASSED));
    let fleet = platform.operator.page("/operator/drills").await.unwrap();
    assert!(fleet.contains("Passed") && !fleet.contains("Never tested"), "{fleet}");
    assert_eq!(homes(&platform.data()), home);
    assert_eq!(names(&platform.data().join("cache")), home, "no cache but Anna's");
    assert_eq!(platform.provider().agent().seen().await.len(), 1);
    control_plane::metering::collect(platform.provider().plane()).await.unwrap();
    assert_eq!(booked(&platform.data()), home, "nobody else used anything");

    // A drill, a sleep and reading change nothing that would let it be woken for another one; a write does.
    asleep(&platform).await.unwrap();
    assert!(is_unchanged(&platform.data()));
    assert_eq!(records(&anna).await, before);
    asleep(&platform).await.unwrap();
    assert!(is_unchanged(&platform.data()));
    write(&anna, &json!({"nth": 20})).await;
    asleep(&platform).await.unwrap();
    assert!(!is_unchanged(&platform.data()));

    // And once more, over what the first one left at the server.
    tap(&anna.person).await;
    let page = told(&anna.person).await;
    assert!(page.contains(PASSED) && page.contains("<dt>Records</dt><dd>22</dd>"), "{page}");
    platform.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_damaged_home_both_pages_say_that_one_could_not_leave_with_it() {
    let house = House::new().await;
    house.server.install(PHOTOS).await.unwrap();
    put_file(&house.server, "photo.jpg", noise(1, 2_000_000)).await;
    house.sleep_and_forget().await;
    house.flip("blob");
    let (anna, operator) = (&house.server.person, &house.platform.operator);
    tap(anna).await;
    let page = told(anna).await;
    assert!(page.contains("did not pass") && page.contains("breaks off"), "{page}");
    assert!(page.contains("No test has passed so far") && page.contains("Go back in time"), "{page}");
    assert!(anna.page("/servers/anna").await.unwrap().contains("did not pass"));
    for path in ["/operator/drills", "/operator/drills?only=failed"] {
        let fleet = operator.page(path).await.unwrap();
        assert!(fleet.contains("anna") && fleet.contains("Did not pass") && fleet.contains("breaks off"), "{fleet}");
    }
    let overview = operator.page("/operator").await.unwrap();
    assert!(overview.contains("1 server did not pass the last exit drill."), "{overview}");

    // A page of records that is not as it was written is found as well, before anything is given out.
    house.flip("blob");
    house.sleep_and_forget().await;
    house.flip("head");
    tap(anna).await;
    let page = told(anna).await;
    assert!(page.contains("did not pass") && page.contains("something else than was saved"), "{page}");
    house.flip("head");

    // What is whole again passes, and nobody is warned any more.
    tap(anna).await;
    let page = told(anna).await;
    assert!(page.contains(PASSED) && !page.contains("did not pass"), "{page}");
    assert!(!operator.page("/operator").await.unwrap().contains("exit drill."));
    assert_eq!(homes(&house.platform.data()).len(), 1);
    house.platform.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_in_the_midst_of_a_drill_leaves_nothing_and_the_drill_is_done_again() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let (mut process, anna) = opened(&data).await;
    let address = process.address;
    anna.install(PHOTOS).await.unwrap();
    put_file(&anna, "photo.jpg", noise(1, 4_000_000)).await;
    write(&anna, &json!({"text": "kept"})).await;
    let (home, before) = (homes(&data), records(&anna).await);
    for later in [0, 150] {
        tap(&anna.person).await;
        until("the home of a stand-in", async || homes(&data).len() > 1).await;
        let stand_in: Vec<_> = homes(&data).difference(&home).cloned().collect();
        tokio::time::sleep(Duration::from_millis(later)).await;
        let folder = data.clone();
        tokio::task::spawn_blocking(move || process.kill(&folder)).await.unwrap();
        process = Process::start(&data, address.port());

        let page = told(&anna.person).await;
        assert!(page.contains(PASSED), "{page}");
        assert_eq!(homes(&data), home, "{stand_in:?} is gone");
        assert_eq!(names(&data.join("cache")), home, "and its cache");
        assert_eq!(records(&anna).await, before);
    }
    tokio::task::spawn_blocking(move || process.kill(&data)).await.unwrap();
}
