//! What a home costs and how long it takes: wakes, writes, requests, with a bucket 15 ms away.
//!
//! `cargo bench -p tenant-runtime --bench store` prints a table. Every figure stands beside a plain one of the same
//! run: a wake beside fetching all of the home's packs one after another, writes beside one bare conditional write.
//! `FREEHOLD_BENCH_MB` names the sizes (`1,100,1024`), `FREEHOLD_BENCH_ROUNDS` the wakes of each (25),
//! `FREEHOLD_BENCH_SECONDS` how long is written with each number of clients (5).
#![allow(clippy::unwrap_used)]

#[path = "../tests/it/store_slow.rs"]
mod store_slow;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use store_slow::{Counts, Slow};
use tenant_runtime::store::bucket::{Directory, Driver, Expect, Put};
use tenant_runtime::store::{Bucket, Durability, Home, Options, Place};

const LATENCY: Duration = Duration::from_millis(15);
const SPEED: u64 = 100_000_000;

fn main() {
    let number = |name: &str, usual: u64| std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(usual);
    let sizes = std::env::var("FREEHOLD_BENCH_MB").unwrap_or_else(|_| "1,100,1024".to_owned());
    let (rounds, seconds) = (number("FREEHOLD_BENCH_ROUNDS", 25), number("FREEHOLD_BENCH_SECONDS", 5));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    println!("bucket: a folder, {} ms and {} MB/s a call", LATENCY.as_millis(), SPEED / 1_000_000);
    runtime.block_on(async {
        for size in sizes.split(',').filter_map(|size| size.parse().ok()) {
            wakes(size, rounds).await;
        }
        writes(Duration::from_secs(seconds)).await;
    });
}

/// A folder at a distance, and what went there.
fn far(root: &Path, latency: Duration) -> (Bucket, Arc<Counts>) {
    let near: Arc<dyn Driver> = Arc::new(Directory::new(root.join("bucket")));
    let slow = Slow::new(near, latency, if latency.is_zero() { 0 } else { SPEED });
    let counts = Arc::clone(&slow.counts);
    (Bucket::new(slow), counts)
}

async fn open(bucket: &Bucket, cache: &Path, options: Options) -> Home {
    let place = Place { bucket: bucket.clone(), cache: cache.to_owned(), owner: "bench".to_owned() };
    Home::open(place, options).await.unwrap()
}

async fn sql(home: &Home, text: String) {
    home.write(move |db| Ok::<_, anyhow::Error>(db.execute_batch(&text)?)).await.unwrap();
}

/// A look-up by index, as a first answer is.
async fn answer(home: &Home, id: u64) {
    let id = format!("note-{id}");
    let find = "select length(doc) from note where _id = ?1";
    let len: i64 =
        home.read(move |db| Ok::<_, anyhow::Error>(db.query_row(find, [id], |row| row.get(0))?)).await.unwrap();
    assert!(len > 900);
}

async fn wakes(megabytes: u64, rounds: u64) {
    let root = tempfile::tempdir().unwrap();
    let (near, _) = far(root.path(), Duration::ZERO);
    let notes = megabytes * 940;
    let home =
        open(&near, &root.path().join("filling"), Options { checkpoint_bytes: 64 << 20, ..Options::default() }).await;
    sql(&home, "create table note (n integer primary key, _id text not null unique, doc text)".to_owned()).await;
    let begun = Instant::now();
    for from in (0..notes).step_by(8000) {
        let to = (from + 8000).min(notes) - 1;
        sql(
            &home,
            format!(
                "with recursive c(i) as (select {from} union all select i + 1 from c where i < {to})
                 insert into note (_id, doc) select 'note-' || i, json_object('a', hex(randomblob(250)), 'b', hex(zeroblob(240))) from c"
            ),
        )
        .await;
    }
    home.sleep().await.unwrap();
    drop(home);
    let filled = begun.elapsed();
    let (bucket, counts) = far(root.path(), LATENCY);
    let packs = bucket.list("pack/").await.unwrap();
    let stored: u64 = packs.iter().map(|pack| pack.size).sum();
    println!(
        "\n{megabytes} MB: {} MB in {} packs, filled and packed in {:.1} s",
        stored >> 20,
        packs.len(),
        filled.as_secs_f64()
    );

    // Plainly: the head, and every pack, one after another, with nothing done to them.
    let begun = Instant::now();
    bucket.expect("head").await.unwrap();
    for pack in &packs {
        bucket.expect(&pack.key).await.unwrap();
    }
    let plain = begun.elapsed();
    println!("  fetch whole        {:>8.1} ms", ms(plain));

    counts.take();
    let mut cold = Vec::new();
    for round in 0..rounds {
        let cache = root.path().join("cold");
        std::fs::remove_dir_all(&cache).ok();
        let begun = Instant::now();
        let home = open(&bucket, &cache, Options::default()).await;
        answer(&home, (round * 7919 + 13) % notes).await;
        cold.push(begun.elapsed());
        drop(home);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let [reads, bytes, written, _] = counts.take();
    row("cold wake", &mut cold, plain);
    println!(
        "                     {} reads, {} KB, {} writes a wake",
        reads / rounds,
        bytes / rounds / 1000,
        written / rounds
    );

    let cache = root.path().join("warm");
    let home = open(&bucket, &cache, Options::default()).await;
    answer(&home, 1).await;
    home.sleep().await.unwrap();
    drop(home);
    let mut warm = Vec::new();
    for _ in 0..rounds {
        let begun = Instant::now();
        let home = open(&bucket, &cache, Options::default()).await;
        answer(&home, 1).await;
        warm.push(begun.elapsed());
        home.sleep().await.unwrap();
    }
    row("warm wake, 15 ms", &mut warm, plain);
    let mut cached = Vec::new();
    for _ in 0..rounds {
        let begun = Instant::now();
        let home = open(&near, &cache, Options::default()).await;
        answer(&home, 1).await;
        cached.push(begun.elapsed());
        home.sleep().await.unwrap();
    }
    row("cached wake, 0 ms", &mut cached, plain);

    // All of it, read through the holes.
    let cache = root.path().join("scan");
    let home = open(&bucket, &cache, Options::default()).await;
    let begun = Instant::now();
    let all = "select count(*) from note where length(doc) > 0";
    let count: i64 =
        home.read(move |db| Ok::<_, anyhow::Error>(db.query_row(all, [], |row| row.get(0))?)).await.unwrap();
    assert_eq!(count as u64, notes);
    println!(
        "  scan from nothing  {:>8.1} ms, {:.2} of fetching whole",
        ms(begun.elapsed()),
        begun.elapsed().as_secs_f64() / plain.as_secs_f64()
    );
}

async fn writes(time: Duration) {
    let root = tempfile::tempdir().unwrap();
    let (bucket, _) = far(root.path(), LATENCY);
    let mut version = Expect::Absent;
    let begun = Instant::now();
    let mut bare = 0;
    while begun.elapsed() < time / 2 {
        let Put::Done(next) = bucket.put_if("bare", vec![7; 4096].into(), &version).await.unwrap() else { panic!() };
        version = Expect::Version(next);
        bare += 1;
    }
    let bare = f64::from(bare) / begun.elapsed().as_secs_f64();
    println!("\nwrites of 300 bytes; one bare conditional write after another: {bare:.0}/s");
    for durability in [Durability::Durable, Durability::Within(Duration::from_secs(1))] {
        println!("  {durability:?}");
        for clients in [1u64, 8, 32, 64] {
            let root = tempfile::tempdir().unwrap();
            let (bucket, counts) = far(root.path(), LATENCY);
            let home = open(&bucket, &root.path().join("cache"), Options { durability, ..Options::default() }).await;
            sql(&home, "create table note (n integer primary key, _id text not null unique, doc text)".to_owned())
                .await;
            counts.take();
            let begun = Instant::now();
            let tasks = (0..clients).map(|client| {
                let home = home.clone();
                tokio::spawn(async move {
                    let mut took = Vec::new();
                    for n in 0u64.. {
                        if begun.elapsed() > time {
                            break;
                        }
                        let begun = Instant::now();
                        let insert = "insert into note (_id, doc) values (?1, ?2)";
                        let (id, doc) = (format!("{client}-{n}"), "x".repeat(300));
                        let write = home.write(move |db| Ok::<_, anyhow::Error>(db.execute(insert, (id, doc))?));
                        write.await.unwrap();
                        took.push(begun.elapsed());
                    }
                    took
                })
            });
            let mut took: Vec<Duration> = futures::future::join_all(tasks.collect::<Vec<_>>())
                .await
                .into_iter()
                .flat_map(Result::unwrap)
                .collect();
            let rate = took.len() as f64 / begun.elapsed().as_secs_f64();
            let [_, _, writes, bytes] = counts.take();
            let (p50, p99) = percentiles(&mut took);
            println!(
                "  {clients:>3} clients: p50 {:>6.1} p99 {:>6.1} ms, {rate:>6.0}/s ({:.1} x bare); {:.0} requests and {:.0} KB a 1,000 writes",
                ms(p50),
                ms(p99),
                rate / bare,
                writes as f64 * 1000.0 / took.len() as f64,
                bytes as f64 / took.len() as f64
            );
        }
    }
}

fn row(what: &str, took: &mut [Duration], plain: Duration) {
    let (p50, p99) = percentiles(took);
    println!(
        "  {what:<18} {:>8.1} ms p50, {:>8.1} ms p99, {:.3} of fetching whole",
        ms(p50),
        ms(p99),
        p50.as_secs_f64() / plain.as_secs_f64()
    );
}

fn percentiles(took: &mut [Duration]) -> (Duration, Duration) {
    took.sort();
    (took[took.len() / 2], took[(took.len() * 99 / 100).min(took.len() - 1)])
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
