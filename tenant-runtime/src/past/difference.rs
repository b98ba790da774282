//! What differs between now and a moment of the past, counted without holding either of them in memory.
//!
//! Both sides tell what they hold in the same order, each on a thread of its own, through a short queue; one pass over
//! the two finds what is only here, only there, and different. A record is told by a hash of its content, so a large
//! record costs no more than a small one.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher as _};

use export_format::AppId;
use rusqlite::Connection;
use tokio::sync::mpsc;

use crate::admin::api::{AppDifference, FileDifference, PastPreview, TableDifference};
use crate::archive::Error;
use crate::store::{Home, Snapshot};
use crate::{apps, documents, files, settings};

/// How many things are passed on at once, and how many such heaps may wait.
const HEAP: usize = 256;
const WAITING: usize = 8;

/// Where something stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Table(AppId, String),
    Files(AppId),
}

/// Something a side holds: where, under which name, and a hash of what it is.
type Thing = (Place, String, u64);

/// What a place has more, other and less of once the moment is back.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    returning: u64,
    changing: u64,
    leaving: u64,
}

/// Compares the live home with a moment.
pub(super) async fn between(home: &Home, then: &Snapshot, at_ms: i64) -> Result<PastPreview, Error> {
    let (of_now, now_things) = mpsc::channel(WAITING);
    let (of_then, then_things) = mpsc::channel(WAITING);
    let read_now = home.read(move |db| tell(db, &of_now).and_then(|()| Words::read(db)));
    let read_then = then.read(move |db| tell(db, &of_then).and_then(|()| Words::read(db)));
    let (now, then, tallies) = tokio::join!(read_now, read_then, merge(now_things, then_things));
    let (now, then) = (now?, then?);
    let name = |app: &AppId| {
        now.apps.get(app).or(then.apps.get(app)).map_or_else(|| app.to_string(), |(name, _)| name.clone())
    };
    let (mut tables, mut in_files) = (Vec::new(), Vec::new());
    for (place, Tally { returning, changing, leaving }) in tallies {
        match place {
            Place::Table(app, table) => {
                let (app_name, app) = (name(&app), app.to_string());
                tables.push(TableDifference { app, app_name, table, returning, changing, leaving });
            }
            Place::Files(app) => {
                let (app_name, app) = (name(&app), app.to_string());
                in_files.push(FileDifference { app, app_name, returning, changing, leaving });
            }
        }
    }
    Ok(PastPreview {
        at_ms,
        tables,
        files: in_files,
        apps: apps_between(&now, &then),
        settings: settings_between(&now, &then),
    })
}

/// What is small enough to be held: apps and settings.
struct Words {
    /// Name and, unless it is removed, version, by app.
    apps: BTreeMap<AppId, (String, Option<String>)>,
    settings: BTreeMap<String, String>,
}

impl Words {
    fn read(db: &Connection) -> Result<Self, Error> {
        if !is_furnished(db)? {
            return Ok(Self { apps: BTreeMap::new(), settings: BTreeMap::new() });
        }
        let all = apps::list(db)?.into_iter();
        let apps = all.map(|app| (app.id, (app.name, app.removed.is_none().then_some(app.version)))).collect();
        Ok(Self { apps, settings: settings::all(db)?.into_iter().collect() })
    }
}

fn apps_between(now: &Words, then: &Words) -> Vec<AppDifference> {
    let mut all: BTreeMap<&AppId, AppDifference> = BTreeMap::new();
    for (id, (name, version)) in &now.apps {
        all.insert(id, AppDifference { id: id.to_string(), name: name.clone(), now: version.clone(), then: None });
    }
    for (id, (name, version)) in &then.apps {
        let new = || AppDifference { id: id.to_string(), name: name.clone(), now: None, then: None };
        all.entry(id).or_insert_with(new).then.clone_from(version);
    }
    all.into_values().filter(|app| app.now != app.then).collect()
}

fn settings_between(now: &Words, then: &Words) -> u64 {
    let names: std::collections::BTreeSet<_> = now.settings.keys().chain(then.settings.keys()).collect();
    names.into_iter().filter(|name| now.settings.get(*name) != then.settings.get(*name)).count() as u64
}

/// Whether the home had its layout at that moment; before its first start it holds nothing.
fn is_furnished(db: &Connection) -> Result<bool, Error> {
    let text = "select count(*) > 0 from sqlite_schema where type = 'table' and name = 'collection'";
    Ok(db.query_row(text, [], |row| row.get(0))?)
}

/// Tells everything a side holds, in order. Whoever listens may go away at any time.
fn tell(db: &Connection, to: &mpsc::Sender<Vec<Thing>>) -> Result<(), Error> {
    if !is_furnished(db)? {
        return Ok(());
    }
    let mut heap = Vec::with_capacity(HEAP);
    let mut say = |thing: Thing| {
        heap.push(thing);
        if heap.len() == HEAP {
            let full = std::mem::replace(&mut heap, Vec::with_capacity(HEAP));
            to.blocking_send(full).map_err(|_| Error::Bug("nobody compares any more".into()))?;
        }
        Ok::<_, Error>(())
    };
    let mut tables: Vec<_> = documents::collections(db)?.into_iter().map(|one| one.table).collect();
    tables.sort_by_key(|table| (table.app().clone(), table.collection().to_owned()));
    for table in tables {
        let place = Place::Table(table.app().clone(), table.collection().to_owned());
        documents::each(db, &table, |row| {
            let hash = hash_of(&(&row.doc, row.created, row.modified));
            say((place.clone(), row.id, hash))
        })?;
    }
    let mut query = db.prepare("select app, path, digest from file order by app, path")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let app = files::parsed(row, 0)?;
        say((Place::Files(app), row.get(1)?, hash_of(&row.get::<_, String>(2)?)))?;
    }
    if !heap.is_empty() {
        to.blocking_send(heap).map_err(|_| Error::Bug("nobody compares any more".into()))?;
    }
    Ok(())
}

fn hash_of(content: &impl std::hash::Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    hasher.finish()
}

/// One side, a thing at a time.
struct Side {
    from: mpsc::Receiver<Vec<Thing>>,
    heap: std::vec::IntoIter<Thing>,
}

impl Side {
    async fn next(&mut self) -> Option<Thing> {
        loop {
            if let Some(thing) = self.heap.next() {
                return Some(thing);
            }
            self.heap = self.from.recv().await?.into_iter();
        }
    }
}

async fn merge(now: mpsc::Receiver<Vec<Thing>>, then: mpsc::Receiver<Vec<Thing>>) -> BTreeMap<Place, Tally> {
    let side = |from| Side { from, heap: Vec::new().into_iter() };
    let (mut now, mut then) = (side(now), side(then));
    let (mut here, mut there) = (now.next().await, then.next().await);
    let mut tallies: BTreeMap<Place, Tally> = BTreeMap::new();
    loop {
        let order = match (&here, &there) {
            (None, None) => return tallies,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(here), Some(there)) => (&here.0, &here.1).cmp(&(&there.0, &there.1)),
        };
        if order != Ordering::Greater
            && let Some((place, _, hash)) = &here
        {
            if order == Ordering::Less {
                tallies.entry(place.clone()).or_default().leaving += 1;
            } else if there.as_ref().is_some_and(|there| there.2 != *hash) {
                tallies.entry(place.clone()).or_default().changing += 1;
            }
        }
        if order == Ordering::Greater
            && let Some((place, ..)) = &there
        {
            tallies.entry(place.clone()).or_default().returning += 1;
        }
        if order != Ordering::Greater {
            here = now.next().await;
        }
        if order != Ordering::Less {
            there = then.next().await;
        }
    }
}
