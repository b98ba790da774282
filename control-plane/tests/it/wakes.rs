//! Very many schedules on servers that sleep, with crashes between any two steps: each happens once, and in time.
//!
//! Simulated is the clock, how long a process takes to start, and when it dies. Everything else is the real thing: what is due
//! is decided and written by the runtime's own queue in a database of each server's, whom to call when by the provider's own
//! plan, and what it has to remember stands in its own database. A step is a transaction of one of these, or a message between
//! them; after any of them the server or the whole provider may be gone, with all it had in memory.
//!
//! `FREEHOLD_SCHEDULES=10000 FREEHOLD_SLEEPERS=1000` is the full size.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};

use control_plane::db::{Db, on};
use control_plane::wakes;
use control_plane::wakes::plan::{AT_ONCE, Answer, CALL_MS, HORIZON_MS, Plan, Row};
use control_plane::wakes::store::{self, Told};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use rusqlite::Connection;
use tenant_runtime::admin::api::Due;
use tenant_runtime::happenings::{self, Action, Draft, Source, Written};
use tenant_runtime::ids::ServerId;
use tenant_runtime::schema;

use crate::support::{World as Provider, eventually, on_each_database};

/// The simulation begins here, 2026-12-01 00:00 UTC.
const START: i64 = 1_796_083_200_000;
/// All schedules are due within so many minutes.
const MINUTES: i64 = 90;
const IDLE_MS: i64 = 5_000;
/// How long the provider is away after a crash, at most.
const OUTAGE_MS: i64 = 4_000;
/// One step in so many is the last of a server's process, and one in so many of the provider's.
const SERVER_DIES: u32 = 60;
const PROVIDER_DIES: u32 = 4_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// The provider reads its rows.
    Tick,
    /// A call reaches a server, awake by then.
    Arrive { server: usize, epoch: u64, before: usize },
    /// Its answer reaches the provider.
    Answer { server: usize, epoch: u64, before: usize },
    /// A server's own timer.
    Timer { server: usize, process: u64 },
    /// The provider's host tells that a process ended unasked.
    Crashed { server: usize, epoch: u64 },
    /// Servers that nobody talks to are put to sleep.
    Sweep,
    /// The provider starts again.
    Start,
    /// Somebody has an app plan something more, soon.
    Visit { server: usize },
}

struct Server {
    id: ServerId,
    home: Connection,
    /// The process, while there is one, and what it remembers.
    awake: Option<Process>,
    /// When a process of this server ended unasked.
    crashes: Vec<i64>,
    /// By schedule, the time it is for.
    planned: HashMap<String, i64>,
}

#[derive(Clone, Copy)]
struct Process {
    number: u64,
    told: Option<i64>,
    last: i64,
}

struct World {
    now: i64,
    random: StdRng,
    events: BinaryHeap<Reverse<(i64, u64, Event)>>,
    numbers: u64,
    db: Db,
    servers: Vec<Server>,
    by_id: HashMap<ServerId, usize>,
    /// Nothing while the provider is away.
    plan: Option<Plan>,
    epoch: u64,
    before: Vec<Option<Told>>,
    answers: HashMap<usize, (Answer, u64)>,
    outages: Vec<(i64, i64)>,
    woken: usize,
}

/// A process ended unasked.
struct Died;

impl World {
    fn after(&mut self, ms: i64, event: Event) {
        self.numbers += 1;
        self.events.push(Reverse((self.now + ms, self.numbers, event)));
    }

    fn dies(&mut self, one_in: u32) -> bool {
        self.random.random_ratio(1, one_in)
    }

    /// A step of a server's process, which may be its last.
    fn step(&mut self, server: usize) -> Result<(), Died> {
        if self.dies(SERVER_DIES) {
            self.servers[server].awake = None;
            self.servers[server].crashes.push(self.now);
            self.after(5, Event::Crashed { server, epoch: self.epoch });
            return Err(Died);
        }
        Ok(())
    }

    /// A step of the provider, which may be its last: its launcher and all processes of servers go with it.
    fn provider_step(&mut self) -> Result<(), Died> {
        if !self.dies(PROVIDER_DIES) {
            return Ok(());
        }
        let away = self.random.random_range(200..OUTAGE_MS);
        self.plan = None;
        self.epoch += 1;
        self.outages.push((self.now, self.now + away));
        for server in &mut self.servers {
            server.awake = None;
        }
        self.after(away, Event::Start);
        Err(Died)
    }

    fn wake(&mut self, server: usize) {
        if self.servers[server].awake.is_none() {
            self.numbers += 1;
            self.woken += 1;
            self.servers[server].awake = Some(Process { number: self.numbers, told: None, last: self.now });
        }
        if let Some(process) = &mut self.servers[server].awake {
            process.last = self.now;
        }
    }

    /// What a runtime does when it looks at what is due, as `happenings::round` does.
    async fn work(&mut self, server: usize) -> Result<Option<i64>, Died> {
        self.step(server)?;
        loop {
            let (now, home) = (self.now, &mut self.servers[server].home);
            let turn = home.transaction().unwrap();
            let fired = happenings::fire(&turn, now).unwrap();
            turn.commit().unwrap();
            self.step(server)?;
            if fired == 0 {
                break;
            }
        }
        let next = happenings::next_due(&self.servers[server].home).unwrap();
        self.tell(server, next).await?;
        let process = self.servers[server].awake.expect("it works").number;
        if let Some(next) = next {
            self.after(next - self.now, Event::Timer { server, process });
        }
        Ok(next)
    }

    /// Has the provider remember when a server wants to be awake, where that is sooner than it knows.
    async fn tell(&mut self, server: usize, next: Option<i64>) -> Result<(), Died> {
        let (Some(next), Some(process)) = (next, self.servers[server].awake) else { return Ok(()) };
        if process.told.is_some_and(|told| (self.now..=next).contains(&told)) {
            return Ok(());
        }
        self.step(server)?;
        store::remember(&self.db, self.servers[server].id, next).await.unwrap();
        self.step(server)?;
        self.servers[server].awake = Some(Process { told: Some(next), ..process });
        Ok(())
    }

    async fn told(&self, server: usize) -> Option<Told> {
        let id = self.servers[server].id;
        store::told(&self.db, &[id]).await.unwrap().remove(&id)
    }

    async fn take(&mut self, event: Event) -> Result<(), Died> {
        match event {
            Event::Start => {
                self.plan = Some(Plan::default());
                self.read().await
            }
            Event::Tick => {
                self.after(1_000, Event::Tick);
                if self.plan.is_some() { self.read().await } else { Ok(()) }
            }
            Event::Arrive { server, epoch, before } if epoch == self.epoch => {
                self.wake(server);
                let answer = self.work(server).await.map_or(Answer::Failed, Answer::Next);
                self.numbers += 1;
                self.answers.insert(server, (answer, epoch));
                let way = self.random.random_range(2..15);
                self.after(way, Event::Answer { server, epoch, before });
                Ok(())
            }
            Event::Answer { server, epoch, before } if epoch == self.epoch => {
                self.provider_step()?;
                let Some((answer, _)) = self.answers.remove(&server) else { return Ok(()) };
                let (id, now) = (self.servers[server].id, self.now);
                let row = self.plan.as_mut().map_or(Row::Stays, |plan| plan.told(id, answer, now));
                self.provider_step()?;
                if let Row::Says(due) = row {
                    store::note(&self.db, id, self.before[before], due, None).await.unwrap();
                }
                self.provider_step()?;
                self.call().await
            }
            Event::Timer { server, process } => {
                if self.servers[server].awake.is_some_and(|awake| awake.number == process) {
                    let _ = self.work(server).await;
                }
                Ok(())
            }
            Event::Sweep => {
                self.after(1_000, Event::Sweep);
                self.sweep().await
            }
            Event::Visit { server } if self.plan.is_some() => {
                self.wake(server);
                let _ = self.plan_something(server).await;
                Ok(())
            }
            Event::Crashed { server, epoch } if epoch == self.epoch => {
                let id = self.servers[server].id;
                if let Some(plan) = &mut self.plan {
                    plan.lost(id);
                }
                self.call().await
            }
            Event::Arrive { .. } | Event::Answer { .. } | Event::Visit { .. } | Event::Crashed { .. } => Ok(()),
        }
    }

    /// Reads rows.
    async fn read(&mut self) -> Result<(), Died> {
        let rows = store::due(&self.db, self.now + HORIZON_MS, 5_000).await.unwrap();
        self.provider_step()?;
        if let Some(plan) = &mut self.plan {
            plan.learn(&rows);
        }
        self.call().await
    }

    /// Calls whom the plan says.
    async fn call(&mut self) -> Result<(), Died> {
        let now = self.now;
        let called = match &mut self.plan {
            Some(plan) => plan.call(now),
            None => return Ok(()),
        };
        for id in called {
            let server = self.by_id[&id];
            let before = self.told(server).await;
            self.before.push(before);
            let before = self.before.len() - 1;
            let start = if self.servers[server].awake.is_some() { 2 } else { self.random.random_range(30..150) };
            self.after(start, Event::Arrive { server, epoch: self.epoch, before });
            self.provider_step()?;
        }
        if let Some(next) = self.plan.as_ref().and_then(Plan::next).filter(|next| *next > now && *next < now + 1_000) {
            // It looks again exactly then.
            self.numbers += 1;
            self.events.push(Reverse((
                next,
                self.numbers,
                Event::Arrive { server: usize::MAX, epoch: u64::MAX, before: 0 },
            )));
        }
        Ok(())
    }

    async fn sweep(&mut self) -> Result<(), Died> {
        for server in 0..self.servers.len() {
            let Some(process) = self.servers[server].awake else { continue };
            let keeps = self.plan.as_ref().is_none_or(|plan| plan.keeps(self.servers[server].id));
            if keeps || self.now - process.last < IDLE_MS {
                continue;
            }
            let before = self.told(server).await;
            self.provider_step()?;
            let due = happenings::next_due(&self.servers[server].home).unwrap();
            let id = self.servers[server].id;
            store::note(&self.db, id, before, due, None).await.unwrap();
            self.provider_step()?;
            self.servers[server].awake = None;
        }
        Ok(())
    }

    /// An app plans something for soon; once it is acknowledged it must happen.
    async fn plan_something(&mut self, server: usize) -> Result<(), Died> {
        self.step(server)?;
        let at = (self.now / 60_000 + self.random.random_range(1..4)) * 60_000;
        let name = format!("more-{}", self.numbers);
        let home = &mut self.servers[server].home;
        put(home, &name, at, self.now);
        self.step(server)?;
        let next = happenings::next_due(&self.servers[server].home).unwrap();
        self.tell(server, next).await?;
        let process = self.servers[server].awake.expect("it lives").number;
        self.after(next.unwrap_or(at) - self.now, Event::Timer { server, process });
        self.servers[server].planned.insert(name, at);
        Ok(())
    }
}

fn put(home: &mut Connection, name: &str, at: i64, now: i64) {
    let wall = jiff::Timestamp::from_millisecond(at).unwrap().strftime("%Y-%m-%dT%H:%M").to_string();
    let when = Written { start: Some(wall), zone: Some("UTC".into()), ..Written::default() };
    let words = happenings::Words { title: name.to_owned(), ..happenings::Words::default() };
    let draft =
        Draft { name: name.to_owned(), title: name.to_owned(), when, action: Action::Notice(words), paused: false };
    let turn = home.transaction().unwrap();
    happenings::put(&turn, &"com.example.tasks".parse().unwrap(), &draft, Source::Manifest, now).unwrap();
    turn.commit().unwrap();
}

async fn world(sleepers: usize, schedules: usize, seed: u64, folder: &std::path::Path) -> World {
    let db = Db::open(&Db::url_in(folder)).await.unwrap();
    let mut random = StdRng::seed_from_u64(seed);
    for sql in [
        "insert into account (id, email, display_name, password_hash, created_ms) values ('acc', 'a@b.example', 'A', '', 0)",
        "insert into plan (id, position, terms, offered, changed_ms) values ('plan', 1, '{}', true, 0)",
        "insert into subscription (id, account_id, plan_id, terms, anchor_ms) values ('sub', 'acc', 'plan', '{}', 0)",
    ] {
        on!(db.writer(), e => sqlx::query(sql).execute(e).await.map(|_| ())).unwrap();
    }
    let mut servers = Vec::new();
    for n in 0..sleepers {
        let id = ServerId::new(START + n as i64);
        on!(db.writer(), e => sqlx::query(
            "insert into server (id, account_id, subscription_id, name, desired, desired_ms, created_ms) \
             values ($1, 'acc', 'sub', $2, 'kept', 0, 0)"
        )
        .bind(id.to_string())
        .bind(format!("s{n}"))
        .execute(e).await.map(|_| ()))
        .unwrap();
        let home = Connection::open_in_memory().unwrap();
        schema::migrate(&home).unwrap();
        home.execute("insert into app (id, label, release, installed) values ('com.example.tasks', 'tasks', 1, 1)", [])
            .unwrap();
        servers.push(Server { id, home, awake: None, crashes: Vec::new(), planned: HashMap::new() });
    }
    for n in 0..schedules {
        let server = &mut servers[n % sleepers];
        // One in five is for the same minute on every server.
        let minute = if n % 5 == n / sleepers % 5 { 40 } else { random.random_range(3..MINUTES) };
        let (name, at) = (format!("n{n}"), START + minute * 60_000);
        put(&mut server.home, &name, at, START);
        server.planned.insert(name, at);
    }
    for server in &servers {
        let next = happenings::next_due(&server.home).unwrap();
        store::note(&db, server.id, None, next, None).await.unwrap();
    }
    let by_id = servers.iter().enumerate().map(|(at, server)| (server.id, at)).collect();
    World {
        now: START,
        random,
        events: BinaryHeap::new(),
        numbers: 0,
        db,
        servers,
        by_id,
        plan: Some(Plan::default()),
        epoch: 0,
        before: Vec::new(),
        answers: HashMap::new(),
        outages: Vec::new(),
        woken: 0,
    }
}

/// How many servers had something due between two moments.
fn crowd(world: &World, from: i64, to: i64) -> usize {
    let is_of_it = |server: &&Server| server.planned.values().any(|due| (from..=to).contains(due));
    world.servers.iter().filter(is_of_it).count()
}

fn size(name: &str, otherwise: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

#[tokio::test]
async fn schedules_of_sleeping_servers_happen_once_and_in_time_whatever_crashes() {
    let (sleepers, schedules) = (size("FREEHOLD_SLEEPERS", 30), size("FREEHOLD_SCHEDULES", 300));
    let seed = size("FREEHOLD_SEED", 7) as u64;
    let folder = tempfile::tempdir().unwrap();
    let mut world = world(sleepers, schedules, seed, folder.path()).await;
    world.after(0, Event::Tick);
    world.after(500, Event::Sweep);
    for visit in 0..sleepers as i64 {
        let at = world.random.random_range(0..(MINUTES - 5) * 60_000);
        world.after(at, Event::Visit { server: (visit as usize * 7) % sleepers });
    }
    while let Some(Reverse((at, _, event))) = world.events.pop() {
        if at > START + (MINUTES + 6) * 60_000 {
            break;
        }
        world.now = at;
        // A look of the plan at a moment of its own is one without rows to read first.
        let done = match event {
            Event::Arrive { server: usize::MAX, .. } => world.call().await,
            event => world.take(event).await,
        };
        let _ = done;
    }
    let (mut late, mut fired, mut worst, mut worst_behind, mut hit) = (Vec::new(), 0, 0, 0, 0);
    for server in &world.servers {
        let mut seen: BTreeMap<String, Vec<(i64, i64)>> = BTreeMap::new();
        for one in happenings::log(&server.home, None, 100_000).unwrap() {
            seen.entry(one.name).or_default().push((one.due, one.ended.expect("a notice is done at once")));
        }
        let notices: i64 = server.home.query_row("select count(*) from notice", [], |row| row.get(0)).unwrap();
        assert_eq!(notices as usize, seen.len(), "a notice for each, and no other");
        for (name, due) in &server.planned {
            let [(of, done)] = seen.remove(name).unwrap_or_default()[..] else {
                panic!("seed {seed}: {name} of {} did not happen once", server.id)
            };
            assert_eq!(of, *due);
            fired += 1;
            // Whatever was in the way: the clock begins anew when it is gone.
            let crashed = server.crashes.iter().filter(|crash| (due - 20_000..=done).contains(*crash)).max();
            let met = world.outages.iter().filter(|(from, to)| *from <= done && *to >= due - 20_000);
            let away = met.max_by_key(|(_, to)| *to);
            let from = [Some(due), crashed, away.map(|(_, to)| to)].into_iter().flatten().max().unwrap();
            // A provider that comes back to a crowd gets through it as fast as it may call.
            let behind = away.map_or(0, |(from, to)| crowd(&world, from - 20_000, *to.max(due)));
            let allowed = 1_000 + behind as i64 * CALL_MS / AT_ONCE as i64;
            hit += usize::from(crashed.is_some() || away.is_some());
            match behind {
                0 => worst = worst.max(done - from),
                _ => worst_behind = worst_behind.max(done - from),
            }
            assert!(done >= *due, "never before its time");
            if done - from > allowed {
                late.push((done - due, done - from));
            }
        }
        for (name, all) in seen {
            // It was written down and not acknowledged, which is no promise; but never twice.
            assert_eq!(all.len(), 1, "seed {seed}: {name}");
        }
    }
    let crashes: usize = world.servers.iter().map(|server| server.crashes.len()).sum();
    println!(
        "{fired} schedules on {sleepers} sleeping servers, each once; {} crashes of the provider and {crashes} of servers, \
         {hit} schedules met one; {} starts of servers; {} late; the latest {worst} ms after its \
         time or the end of its server, {worst_behind} ms after the start of a provider that had been away; seed {seed}",
        world.outages.len(),
        world.woken,
        late.len(),
    );
    late.truncate(20);
    assert!(late.is_empty(), "seed {seed}, after its time and after what was in the way: {late:?}");
    assert!(fired >= schedules && crashes > 0);
}

#[tokio::test]
async fn a_server_is_woken_when_it_said_so_also_by_a_provider_that_was_away_and_not_while_it_is_suspended() {
    on_each_database(async |world: &mut Provider| {
        world.set_up().await;
        let (anna, made) = world.sign_up("anna").await;
        let (_, berta) = world.sign_up("berta").await;
        let after = |minutes: i64| Due {
            next_ms: Some(world.plane.now().as_millisecond() + minutes * 60_000),
            notices: 2,
            busy: false,
        };
        let first = after(30);
        world.host.wants(first);
        drop(world.plane.gates().enter(made.server).await);
        world.plane.gates().sweep(std::time::Duration::ZERO).await;
        assert_eq!(wakes::notices(&world.plane, &anna, made.server).await.unwrap(), 2);
        let due = async |world: &Provider| {
            let told = store::told(world.plane.db(), &[made.server]).await.unwrap();
            told.get(&made.server).and_then(|told| told.due_ms)
        };
        assert_eq!(due(world).await, first.next_ms);

        // The provider is away when the time comes, and calls as soon as it is back.
        let second = after(60 * 24);
        let woken = world.host.wakes(made.server);
        world.clock.forward_minutes(31);
        world.host.wants(second);
        world.restart().await;
        eventually("it is woken", async || world.host.wakes(made.server) > woken).await;
        eventually("its next time is noted", async || due(world).await == second.next_ms).await;
        assert_eq!(world.host.wakes(berta.server), 0, "who wants nothing is let be");

        // Nobody pays: when the time comes it is put off, and the server sleeps on.
        world.clock.forward_days(75);
        let woken = world.host.wakes(made.server);
        let now = world.plane.now().as_millisecond();
        eventually("it is put off", async || due(world).await > Some(now)).await;
        assert_eq!(world.host.wakes(made.server), woken, "it was not woken");
    })
    .await;
}
