//! Holding writes, and departing: at every moment, and after whatever comes, a home either takes writes or has departed.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tenant_runtime::store::bucket::Directory;
use tenant_runtime::store::{Bucket, Durability, Error, History, Home, Options, Place};

use crate::bounds::{bounded, until};
use crate::store_basics::{Failure, number, open, place, sql};
use crate::store_faults::{Faults, Faulty};

const ROWS: &str = "select count(*) from row";
const LONG: Duration = Duration::from_secs(60);

async fn home(root: &Path) -> Home {
    let home = open(root).await;
    sql(&home, "create table row (n integer)").await.expect("it writes");
    home
}

fn inserting(home: &Home, n: u32) -> tokio::task::JoinHandle<Result<(), Failure>> {
    let home = home.clone();
    tokio::spawn(async move { sql(&home, &format!("insert into row values ({n})")).await })
}

/// Everything by which the content could change is refused.
async fn takes_nothing(home: &Home) {
    let departed = |end: Result<(), Failure>| assert!(matches!(end, Err(Failure::Store(Error::Departed))), "{end:?}");
    departed(sql(home, "insert into row values (99)").await);
    departed(sql(home, "delete from row").await);
    let before = number(home, ROWS).await.expect("it reads");
    for name in ["before", "now"] {
        let refused = home.restore(name, "undo").await;
        assert!(matches!(refused, Err(Error::Departed)), "{refused:?}");
        let staged = home.stage_from(name, "stage").await.expect("a stage changes nothing yet");
        sql(&staged, "insert into row values (98)").await.expect("it is a home of its own");
        let refused = home.adopt(staged, "undo").await;
        assert!(matches!(refused, Err(Error::Departed)), "{refused:?}");
        home.discard_stage("stage").await.expect("it goes");
    }
    assert_eq!(number(home, ROWS).await.expect("it reads"), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn held_writes_wait_and_then_go_on_in_their_order() {
    let root = tempfile::tempdir().expect("a folder");
    let home = home(root.path()).await;
    home.hold(LONG).await.expect("it holds");
    let seq = home.seq().await.expect("it knows");
    let waiting: Vec<_> = (0..700).map(|n| inserting(&home, n)).collect();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(waiting.iter().all(|write| !write.is_finished()));
    assert_eq!(number(&home, ROWS).await.expect("reads go on"), 0);
    let moment = home.snapshot("moment").await.expect("it is taken");
    assert_eq!((moment.seq, home.seq().await.expect("it knows")), (seq, seq));
    assert!(home.held_until().is_some());

    home.end_hold().await.expect("it ends");
    home.end_hold().await.expect("ending none is fine");
    for write in waiting {
        write.await.expect("it ran").expect("it writes");
    }
    assert_eq!((number(&home, ROWS).await.expect("it reads"), home.held_until()), (700, None));
    assert!(home.seq().await.expect("it knows") > seq);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_ends_by_itself_and_with_the_home() {
    let root = tempfile::tempdir().expect("a folder");
    let home = home(root.path()).await;
    home.hold(Duration::from_millis(50)).await.expect("it holds");
    bounded("a write that was held", inserting(&home, 1)).await.expect("it ran").expect("it writes");
    assert_eq!(home.held_until(), None);

    // Holds that follow each other last for a minute together, and no longer.
    let first = home.hold(Duration::from_secs(50)).await.expect("it holds");
    let again = home.hold(Duration::from_secs(50)).await.expect("it holds");
    assert!(again - first < 11_000, "{} ms", again - first);

    let write = inserting(&home, 2);
    tokio::time::sleep(Duration::from_millis(50)).await;
    bounded("sleep", home.sleep()).await.expect("it sleeps");
    write.await.expect("it ran").expect("what was held is done before the sleep");
    let home = open(root.path()).await;
    assert_eq!(number(&home, ROWS).await.expect("it reads"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_home_departs_only_with_all_that_was_written_and_takes_nothing_from_then_on() {
    let root = tempfile::tempdir().expect("a folder");
    let here = home(root.path()).await;
    inserting(&here, 1).await.expect("it ran").expect("it writes");
    let before = here.snapshot("before").await.expect("it is taken");
    inserting(&here, 2).await.expect("it ran").expect("it writes");
    let behind = here.depart(before.seq, "there".into()).await;
    assert!(matches!(behind, Err(Error::Behind { .. })), "{behind:?}");
    inserting(&here, 3).await.expect("it ran").expect("it is still here");

    here.hold(LONG).await.expect("it holds");
    let now = here.snapshot("now").await.expect("it is taken");
    let held: Vec<_> = (10..20).map(|n| inserting(&here, n)).collect();
    tokio::time::sleep(Duration::from_millis(50)).await;
    here.depart(now.seq, "there".into()).await.expect("it departs");
    for write in held {
        let end = bounded("a write that was held", write).await.expect("it ran");
        assert!(matches!(end, Err(Failure::Store(Error::Departed))), "{end:?}");
    }
    bounded("to hear of it", here.departs()).await;
    assert_eq!(here.departed().as_deref(), Some("there"));
    assert!(matches!(here.depart(now.seq, "elsewhere".into()).await, Err(Error::Departed)));
    assert!(matches!(here.hold(LONG).await, Err(Error::Departed)));
    takes_nothing(&here).await;
    here.checkpoint().await.expect("it folds");
    here.sleep().await.expect("it sleeps");

    // Warm; and cold, after a kill, from the bucket alone.
    for cold in [false, true] {
        if cold {
            std::fs::remove_dir_all(root.path().join("cache")).expect("the cache goes");
        }
        let here = open(root.path()).await;
        assert_eq!(here.departed().as_deref(), Some("there"));
        takes_nothing(&here).await;
        let kept = here.open_snapshot("now").await.expect("it can still be exported");
        assert_eq!(kept.info().seq, now.seq);
        drop(here);
    }

    // Back, by the one who may.
    let here = open(root.path()).await;
    here.upkeep(|db| Ok::<_, Failure>(db.execute_batch("create table note (n integer)")?)).await.expect("it is upkeep");
    here.come_back().await.expect("it comes back");
    here.come_back().await.expect("twice is once");
    assert_eq!(here.departed(), None);
    inserting(&here, 4).await.expect("it ran").expect("it writes");
    here.restore("before", "undo").await.expect("it goes back in time");
    assert_eq!(number(&here, ROWS).await.expect("it reads"), 1);
    drop(here);
    assert_eq!(open(root.path()).await.departed(), None);
}

/// A moment of the time after a departure is brought back when the server is here again: it is not departed for that.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_of_a_departed_home_is_no_departure() {
    let root = tempfile::tempdir().expect("a folder");
    let options = || Options { history: Some(History { window: LONG, bytes: 1 << 20 }), ..Options::default() };
    let home = Home::open(place(root.path()), options()).await.expect("it opens");
    sql(&home, "create table row (n integer)").await.expect("it writes");
    home.depart(home.seq().await.expect("it knows"), "there".into()).await.expect("it departs");
    home.snapshot("departed").await.expect("it is taken");
    home.checkpoint().await.expect("it folds");
    let at_ms = home.moments().await.expect("they are known").until_ms;
    home.snapshot_at("moment", at_ms).await.expect("it is taken");
    home.come_back().await.expect("it comes back");
    for name in ["departed", "moment"] {
        let staged = home.stage_from(name, "stage").await.expect("it begins");
        sql(&staged, "insert into row values (1)").await.expect("a stage takes writes");
        home.adopt(staged, &format!("undo-{name}")).await.expect("it is taken");
        inserting(&home, 2).await.expect("it ran").expect("it writes");
        assert_eq!(home.departed(), None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_host_that_thinks_it_owns_the_home_is_fenced_by_a_departure() {
    let root = tempfile::tempdir().expect("a folder");
    let old = home(root.path()).await;
    let other = Place { cache: root.path().join("other"), ..place(root.path()) };
    let new = Home::open(other, Options::default()).await.expect("it takes over");
    new.depart(new.seq().await.expect("it knows"), "there".into()).await.expect("it departs");
    let end = inserting(&old, 1).await.expect("it ran");
    assert!(matches!(end, Err(Failure::Store(Error::Fenced))), "{end:?}");
    let refused = new.write(|db| Ok::<_, Failure>(db.execute_batch("delete from row")?)).await;
    assert!(matches!(refused, Err(Failure::Store(Error::Departed))), "{refused:?}");
}

/// What was acknowledged and is not yet in the bucket counts as written.
#[tokio::test(flavor = "multi_thread")]
async fn under_bounded_loss_nothing_acknowledged_is_left_behind() {
    let root = tempfile::tempdir().expect("a folder");
    let durability = Durability::Within(LONG);
    let home = Home::open(place(root.path()), Options { durability, ..Options::default() }).await.expect("it opens");
    sql(&home, "create table row (n integer)").await.expect("it writes");
    let moment = home.snapshot("moment").await.expect("it is taken");
    inserting(&home, 1).await.expect("it ran").expect("it writes");
    let behind = home.depart(moment.seq, "there".into()).await;
    assert!(matches!(behind, Err(Error::Behind { .. })), "{behind:?}");
    let moment = home.snapshot("later").await.expect("it is taken");
    home.depart(moment.seq, "there".into()).await.expect("it departs");
    let end = inserting(&home, 2).await.expect("it ran");
    assert!(matches!(end, Err(Failure::Store(Error::Departed))), "{end:?}");
    home.come_back().await.expect("it comes back");
    inserting(&home, 3).await.expect("it ran").expect("it writes");
    home.sleep().await.expect("it sleeps");
    assert_eq!(number(&open(root.path()).await, ROWS).await.expect("it reads"), 2);
}

/// A departure that is cut off anywhere has happened wholly or not at all, and asking again brings it about once.
#[tokio::test(flavor = "multi_thread")]
async fn a_departure_that_is_cut_off_anywhere_has_happened_or_not() {
    let mut seen = std::collections::BTreeSet::new();
    for (changes, last_lands) in (1..4).flat_map(|changes| [(changes, false), (changes, true)]) {
        let root = tempfile::tempdir().expect("a folder");
        let seq = {
            let home = home(root.path()).await;
            inserting(&home, 1).await.expect("it ran").expect("it writes");
            home.seq().await.expect("it knows")
        };
        let faults = Faults::crash_after(changes, last_lands);
        let driver = Faulty(Arc::new(Directory::new(root.path().join("bucket"))), faults.clone());
        let bucket = Bucket::new(driver).with_patience(Duration::from_millis(200));
        let place = Place { bucket, ..place(root.path()) };
        let told = match Home::open(place, Options::default()).await {
            Ok(home) => {
                let told = home.depart(seq, "there".into()).await.is_ok();
                let held = bounded("an answer", inserting(&home, 2)).await.expect("it ran");
                assert!(held.is_err() || !told, "both");
                told
            }
            Err(_) => false,
        };
        let again = open(root.path()).await;
        let departed = again.departed().is_some();
        assert!(departed || !told, "what was told is so");
        seen.insert(departed);
        let wrote = inserting(&again, 3).await.expect("it ran").is_ok();
        assert_ne!(departed, wrote, "it takes writes just when it has not departed");
        if !departed {
            let seq = again.seq().await.expect("it knows");
            again.depart(seq, "there".into()).await.expect("it departs");
        }
        until("a departure", async || again.departed().is_some()).await;
    }
    assert_eq!(seen.len(), 2, "cut off before and after");
}
