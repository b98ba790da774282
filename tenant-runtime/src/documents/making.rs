//! Making an index of a collection that has many records, in steps, so that other writes go in between.
//!
//! Triggers keep what is there of it in the transaction of every write from the first moment on, while the steps go through
//! the records that were there then, in the order of their numbers; a record that is met by both is in it once. So the number
//! of steps is known from the start, however much is written meanwhile. What is not whole stands in `document_index_making`
//! alone, so no search knows of it; a server that ends meanwhile goes on where it was.
//!
//! SQLite makes an index over fields in one statement only. So it is made on a table of its own that holds nothing but keys,
//! under the numbers of the records they are of: that index has the very entries that one on the records would have, which are
//! the keys and the number, as SQLite's file format has it. When it is whole, the schema is told that it is theirs, and the
//! table of keys goes. Both happen in one transaction, like every step, so a home has the one or the other at any moment; and
//! `integrity_check` holds the entries to the records.
//!
//! Every step touches most pages of what is being made, so steps grow with the collection: an index costs some
//! [`STEPS`] / 2 times its size in log, and nobody waits longer than one part in [`STEPS`] of the work and what it takes to
//! send such an index once. With twice the steps that would be little less, and the log twice as much.
//!
//! Failure: where there is not an entry for each record at the end, which triggers that somebody broke would bring about, all of
//! it is given up, and searches do without.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::Error;
use super::index::{self, Index};

/// In how many steps an index is made.
const STEPS: i64 = 12;
/// The fewest records of a step. A collection of no more has its indexes made at once.
const LEAST: i64 = 1000;

/// How far the making of indexes has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// There is none to be made.
    Nothing,
    /// One is a step nearer.
    Further,
    /// This one is whole, and searches use it.
    Whole(String),
    /// This one is not made: it is there by now, is of a kind unknown here, or did not come out right.
    GivenUp(String),
}

/// Whether an index of this collection is to be made in steps.
pub(super) fn is_long(db: &Connection, n: i64) -> Result<bool, Error> {
    let sql = format!("select count(*) > ?1 from (select 1 from document_{n} limit ?1 + 1)");
    Ok(db.query_row(&sql, [LEAST], |row| row.get(0))?)
}

/// The indexes of a collection that are being made: number, definition, and whether its app declares it.
pub(super) fn rows(db: &Connection, n: i64) -> Result<Vec<(i64, String, bool)>, Error> {
    let sql = "select id, definition, declared from document_index_making where collection = ?1";
    let mut query = db.prepare_cached(sql)?;
    let rows = query.query_map([n], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Begins to make an index; false when that has begun.
pub(super) fn begin(db: &Connection, n: i64, index: &Index, declared: bool) -> Result<bool, Error> {
    let known = rows(db, n)?.into_iter().find(|(_, definition, _)| *definition == index.to_string());
    if let Some((id, _, _)) = known {
        return if declared { declare(db, id).map(|()| false) } else { Ok(false) };
    }
    // Its number is drawn where that of every index is, so that it is no other's.
    let values = params![n, index.to_string(), declared];
    db.execute("insert into document_index (collection, definition, declared) values (?1, ?2, ?3)", values)?;
    let id = db.last_insert_rowid();
    db.execute("delete from document_index where id = ?1", [id])?;
    let number = |sql: &str| db.query_row(&format!("select {sql} from document_{n}"), [], |row| row.get::<_, i64>(0));
    let (last, count) = (number("coalesce(max(n), 0)")?, number("count(*)")?);
    db.execute(
        "insert into document_index_making (id, collection, definition, declared, last, step) values (?1, ?2, ?3, ?4, ?5, ?6)",
        params![id, n, index.to_string(), declared, last, LEAST.max(count / STEPS + 1)],
    )?;
    match index {
        Index::Fields(paths) => lay_keys(db, n, id, paths)?,
        Index::Each(_) | Index::Text(_) => index::lay(db, n, id, index)?,
    }
    Ok(true)
}

/// Of the declared indexes that are being made keeps those that still are declared.
pub(super) fn keep(db: &Connection, n: i64, wanted: &[Index]) -> Result<(), Error> {
    for (id, definition, declared) in rows(db, n)? {
        match (index::is_among(wanted, &definition), declared) {
            (true, false) => declare(db, id)?,
            (false, true) => give_up(db, n, id)?,
            _ => {}
        }
    }
    Ok(())
}

fn declare(db: &Connection, id: i64) -> Result<(), Error> {
    db.execute("update document_index_making set declared = 1 where id = ?1", [id])?;
    Ok(())
}

/// Takes back what there is of an index that is not whole.
pub(super) fn give_up(db: &Connection, n: i64, id: i64) -> Result<(), Error> {
    index::remove(db, n, id)?;
    db.execute("delete from document_index_making where id = ?1", [id])?;
    Ok(())
}

/// Takes back an index that is being made because searches missed it, as when there is no room for it; says which.
pub fn give_up_missed(db: &Connection) -> Result<Option<String>, Error> {
    let Some(making) = first(db, "where not declared")? else { return Ok(None) };
    give_up(db, making.n, making.id)?;
    Ok(Some(making.definition))
}

/// Whether there is an index to be made.
pub fn is_making(db: &Connection) -> Result<bool, Error> {
    Ok(db.query_row("select exists (select 1 from document_index_making)", [], |row| row.get(0))?)
}

/// One step of the index that was begun first.
pub fn make_further(db: &Connection) -> Result<Step, Error> {
    let Some(making) = first(db, "")? else { return Ok(Step::Nothing) };
    let Making { id, n, definition, .. } = making;
    let is_there = "select exists (select 1 from document_index where collection = ?1 and definition = ?2)";
    let is_there: bool = db.query_row(is_there, params![n, definition], |row| row.get(0))?;
    let Some(index) = definition.parse::<Index>().ok().filter(|_| !is_there) else {
        give_up(db, n, id)?;
        return Ok(Step::GivenUp(definition));
    };
    let next = format!("select max(n) from (select n from document_{n} where n > ?1 and n <= ?2 order by n limit ?3)");
    let next: Option<i64> = db.query_row(&next, [making.upto, making.last, making.step], |row| row.get(0))?;
    if let Some(next) = next {
        match &index {
            Index::Fields(paths) => add_keys(db, n, id, paths, making.upto, next)?,
            Index::Each(_) | Index::Text(_) => index::fill(db, n, id, &index, making.upto, next)?,
        }
        db.execute("update document_index_making set upto = ?2 where id = ?1", [id, next])?;
        return Ok(Step::Further);
    }
    if !has_all(db, n, id, &index)? {
        give_up(db, n, id)?;
        return Ok(Step::GivenUp(definition));
    }
    if let Index::Fields(paths) = &index {
        hand_over(db, n, id, paths)?;
    }
    db.execute("delete from document_index_making where id = ?1", [id])?;
    let whole = "insert into document_index (id, collection, definition, declared) values (?1, ?2, ?3, ?4)";
    db.execute(whole, params![id, n, definition, making.declared])?;
    Ok(Step::Whole(definition))
}

/// An index that is being made.
struct Making {
    id: i64,
    n: i64,
    definition: String,
    declared: bool,
    upto: i64,
    last: i64,
    step: i64,
}

/// The one of these that was begun first.
fn first(db: &Connection, of: &str) -> Result<Option<Making>, Error> {
    let columns = "id, collection, definition, declared, upto, last, step";
    let making =
        db.query_row(&format!("select {columns} from document_index_making {of} order by id limit 1"), [], |row| {
            let (id, n, definition, declared) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
            Ok(Making { id, n, definition, declared, upto: row.get(4)?, last: row.get(5)?, step: row.get(6)? })
        });
    Ok(making.optional()?)
}

/// The names of the columns of a table of keys: kind and value of each path.
fn names(paths: &[String]) -> String {
    let names: Vec<String> = (0..paths.len()).map(|at| format!("kind{at}, value{at}")).collect();
    names.join(", ")
}

/// A table of keys with its index, and what keeps it. What is there is deleted first and not replaced: how a conflict ends is
/// decided by the statement that sets a trigger off.
fn lay_keys(db: &Connection, n: i64, id: i64, paths: &[String]) -> Result<(), Error> {
    let (name, names) = (index::name(n, id), names(paths));
    let new = index::columns(paths, "new.");
    db.execute_batch(&format!(
        "create table {name}_keys (n integer primary key, {names}, modified);
         create index {name} on {name}_keys ({names}, modified);
         create trigger {name}_insert after insert on document_{n} begin
            delete from {name}_keys where n = new.n;
            insert into {name}_keys values (new.n, {new}, new.modified);
         end;
         create trigger {name}_delete after delete on document_{n} begin
            delete from {name}_keys where n = old.n;
         end;
         create trigger {name}_update after update of doc, modified on document_{n} begin
            delete from {name}_keys where n in (old.n, new.n);
            insert into {name}_keys values (new.n, {new}, new.modified);
         end;"
    ))?;
    Ok(())
}

/// The keys of some more records, in their own order, so that no page of the index is touched twice.
fn add_keys(db: &Connection, n: i64, id: i64, paths: &[String], after: i64, upto: i64) -> Result<(), Error> {
    let (name, keys) = (index::name(n, id), index::columns(paths, ""));
    let order: Vec<String> = (0..=paths.len() * 2).map(|at| (at + 2).to_string()).collect();
    let order = order.join(", ");
    db.execute(
        &format!(
            "insert or ignore into {name}_keys select n, {keys}, modified from document_{n} where n > ?1 and n <= ?2
                order by {order}"
        ),
        [after, upto],
    )?;
    Ok(())
}

/// Whether it has as many records as the collection, where that can be counted: one may have no element, or many.
fn has_all(db: &Connection, n: i64, id: i64, index: &Index) -> Result<bool, Error> {
    let name = index::name(n, id);
    let known = match index {
        Index::Fields(_) => format!("{name}_keys"),
        Index::Text(_) => format!("{name}_docsize"),
        Index::Each(_) => return Ok(true),
    };
    let sql = format!("select (select count(*) from {known}) = (select count(*) from document_{n})");
    Ok(db.query_row(&sql, [], |row| row.get(0))?)
}

/// The index becomes that of the records.
///
/// The text that is written into the schema is the one `create index` would have left there: numbers of ours, and paths that
/// [`index::is_indexable`] let pass, whatever an app called its fields. Nothing but this row is changed in it.
fn hand_over(db: &Connection, n: i64, id: i64, paths: &[String]) -> Result<(), Error> {
    let name = index::name(n, id);
    db.execute_batch(&format!("drop trigger {name}_insert; drop trigger {name}_delete; drop trigger {name}_update;"))?;
    db.execute_batch("pragma writable_schema = on")?;
    let told = db.execute(
        "update sqlite_schema set tbl_name = ?2, sql = ?3 where type = 'index' and name = ?1 and tbl_name = ?1 || '_keys'",
        params![name, format!("document_{n}"), index::statement(n, id, paths)],
    );
    // It also lets SQLite read the schema anew.
    db.execute_batch("pragma writable_schema = reset")?;
    match told? {
        1 => Ok(db.execute_batch(&format!("drop table {name}_keys"))?),
        other => Err(rusqlite::Error::StatementChangedRows(other).into()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;
    use crate::documents::{self, Row, TableName};
    use crate::schema;

    const ALL: [&str; 4] = ["kind, at", "at", "each(tags)", "text(words)"];

    fn table() -> TableName {
        TableName::new(&"com.example.atlas".parse().unwrap(), "places").unwrap()
    }

    fn row(nth: i64) -> Row {
        let (kind, at) = (["a", "b", "c"][nth as usize % 3], json!(nth * 7919 % 1013));
        let at = if nth % 11 == 0 { json!(null) } else { at };
        let tags = if nth % 13 == 0 { json!("bare") } else { json!([nth % 5, format!("t{}", nth % 7), nth % 5]) };
        let doc = json!({"kind": kind, "at": at, "tags": tags, "words": format!("word{} and more", nth % 17)});
        Row { id: format!("{nth:06}"), created: nth, modified: nth, doc: doc.to_string() }
    }

    fn filled(to: i64) -> Connection {
        let db = schema::in_memory();
        documents::put_kept(&db, &table(), &(0..to).map(row).collect::<Vec<_>>()).unwrap();
        db
    }

    fn declare(db: &Connection, indexes: &[&str]) {
        let indexes: Vec<String> = indexes.iter().map(|index| (*index).to_owned()).collect();
        documents::begin_declared(db, &table(), &indexes).unwrap();
    }

    fn names(db: &Connection, sql: &str) -> Vec<String> {
        let mut query = db.prepare(sql).unwrap();
        query.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    }

    const WHOLE: &str = "select definition from document_index order by id";
    const SCHEMA: &str = "select type || ' ' || name || ' ' || tbl_name || ' ' || coalesce(sql, '') from sqlite_schema
        where name not like 'document_1_index_4_%' order by name";

    /// What stands in each index, whatever made it.
    fn entries(db: &Connection) -> Vec<String> {
        let of = |id: i64, paths: &[&str]| {
            let paths: Vec<String> = paths.iter().map(|path| (*path).to_owned()).collect();
            let keys = index::columns(&paths, "");
            format!(
                "select json_array({keys}, n) from document_1 indexed by document_1_index_{id} order by {keys}, modified, n"
            )
        };
        let mut all = names(db, "pragma integrity_check");
        all.extend(names(db, &of(1, &["kind", "at"])));
        all.extend(names(db, &of(2, &["at"])));
        all.extend(names(db, "select json_array(kind, value, changed, record) from document_1_index_3"));
        for word in ["word3", "more", "new"] {
            let found = format!("select '{word} ' || rowid from document_1_index_4 ('{word}') order by rowid");
            all.extend(names(db, &found));
        }
        all
    }

    /// Writes of every kind to records on both sides of where the making stands.
    fn write(db: &Connection, nth: i64) {
        let fields = |value: serde_json::Value| value.as_object().unwrap().clone();
        let changed = fields(json!({"kind": "new", "at": [nth], "tags": ["new", nth], "words": "new words"}));
        for id in [nth, 4999 - nth] {
            let id = format!("{id:06}");
            documents::update(db, &table(), &id, changed.clone(), documents::Others::Dropped, 9000 + nth).unwrap();
        }
        for id in [100 + nth, 4899 - nth] {
            documents::remove(db, &table(), &format!("{id:06}")).unwrap();
        }
        documents::create(db, &table(), &format!("new{nth}"), changed, 9000 + nth).unwrap();
        documents::put_kept(db, &table(), &[row(200 + nth), row(6000 + nth)]).unwrap();
    }

    #[test]
    fn what_is_made_in_steps_among_writes_is_what_is_made_at_once() {
        let (slow, quick) = (filled(5000), filled(5000));
        let wanted: Vec<Index> = ALL.iter().map(|text| text.parse().unwrap()).collect();
        index::declare(&quick, 1, &wanted).unwrap();
        declare(&slow, &ALL);
        assert!(is_making(&slow).unwrap());
        let (mut steps, mut whole) = (0, Vec::new());
        loop {
            assert_eq!(names(&slow, WHOLE), whole, "what is not whole is not known to searches");
            if steps < 44 {
                write(&slow, steps);
                write(&quick, steps);
            }
            match make_further(&slow).unwrap() {
                Step::Nothing => break,
                Step::Further => {}
                Step::Whole(index) => whole.push(index),
                Step::GivenUp(index) => panic!("{index} is given up"),
            }
            steps += 1;
        }
        assert_eq!(whole, ALL);
        assert!(steps > 4 * 5, "{steps} steps");
        for nth in steps + 1..45 {
            write(&slow, nth);
            write(&quick, nth);
        }
        assert_eq!(entries(&slow), entries(&quick));
        assert_eq!(names(&slow, SCHEMA), names(&quick, SCHEMA));
    }

    #[test]
    fn what_is_not_wanted_any_more_goes_however_far_it_has_come() {
        for steps in 0..4 {
            let db = filled(5000);
            let before = names(&db, SCHEMA);
            declare(&db, &["kind, at"]);
            for _ in 0..steps {
                make_further(&db).unwrap();
            }
            declare(&db, &["kind, at"]);
            assert!(!documents::begin_missed(&db, &table(), &"kind, at".parse().unwrap()).unwrap(), "it is under way");
            declare(&db, &[]);
            assert_eq!((is_making(&db).unwrap(), names(&db, SCHEMA)), (false, before.clone()), "after {steps}");
            declare(&db, &["each(tags)", "at"]);
            make_further(&db).unwrap();
            assert_eq!(give_up_missed(&db).unwrap(), None, "an app needs what it declares");
            assert!(documents::begin_missed(&db, &table(), &"kind".parse().unwrap()).unwrap());
            assert_eq!(give_up_missed(&db).unwrap().as_deref(), Some("kind"));
            assert!(is_making(&db).unwrap());
            documents::drop_collection(&db, &table()).unwrap();
            assert_eq!(make_further(&db).unwrap(), Step::Nothing);
            assert_eq!(names(&db, "pragma integrity_check"), ["ok"]);
        }
    }

    #[test]
    fn an_end_comes_however_much_is_written_between_two_steps() {
        let db = filled(1500);
        declare(&db, &["kind, at", "text(words)"]);
        let mut steps = 0;
        while is_making(&db).unwrap() {
            make_further(&db).unwrap();
            let more: Vec<Row> = (0..10).map(|nth| row(2000 + steps * 10 + nth)).collect();
            documents::put_kept(&db, &table(), &more).unwrap();
            steps += 1;
        }
        assert_eq!(steps, 2 * 3, "two of records, and one that makes it whole");
    }

    #[test]
    fn what_does_not_have_every_record_is_not_made() {
        for (index, breaks) in [
            ("kind, at", "drop trigger document_1_index_1_insert"),
            ("kind, at", "delete from document_1_index_1_keys where n = 7"),
            ("text(words)", "delete from document_1_index_1 where rowid = 7"),
        ] {
            let db = filled(1500);
            let before = names(&db, SCHEMA);
            declare(&db, &[index]);
            assert_eq!(make_further(&db).unwrap(), Step::Further);
            db.execute_batch(breaks).unwrap();
            documents::put_kept(&db, &table(), &[row(5000)]).unwrap();
            assert_eq!(make_further(&db).unwrap(), Step::Further);
            assert_eq!(make_further(&db).unwrap(), Step::GivenUp(index.to_owned()), "{breaks}");
            assert_eq!((names(&db, SCHEMA), is_making(&db).unwrap()), (before, false));
            assert_eq!(names(&db, WHOLE), [] as [&str; 0]);
        }
    }

    #[test]
    fn nothing_an_app_calls_its_fields_gets_into_the_schema() {
        let db = filled(1500);
        let before = names(&db, SCHEMA);
        declare(&db, &["a'); drop table document_1; --", "a\"b", "a,b'", "each(a')", "text(a, b) , c", "a.0", "\u{0}"]);
        assert_eq!((names(&db, SCHEMA), is_making(&db).unwrap()), (before, false));
        declare(&db, &["select, from", "drop.table.document_1", "each(index)", "text(order, by)"]);
        while is_making(&db).unwrap() {
            assert!(!matches!(make_further(&db).unwrap(), Step::GivenUp(_)));
        }
        assert_eq!((names(&db, WHOLE).len(), names(&db, "pragma integrity_check")), (4, vec!["ok".to_owned()]));
    }

    #[test]
    fn a_hand_over_that_is_taken_back_leaves_everything_as_it_was() {
        let db = filled(1500);
        declare(&db, &["kind, at"]);
        let mut steps = 0;
        loop {
            let before = names(&db, SCHEMA);
            db.execute_batch("begin; savepoint operation").unwrap();
            let step = make_further(&db).unwrap();
            db.execute_batch("rollback to operation; release operation").unwrap();
            documents::put_kept(&db, &table(), &[row(steps)]).unwrap();
            db.execute_batch("commit").unwrap();
            assert_eq!(names(&db, SCHEMA), before);
            assert_eq!(names(&db, "pragma integrity_check"), ["ok"]);
            assert_eq!(make_further(&db).unwrap(), step);
            steps += 1;
            if step == Step::Whole("kind, at".to_owned()) {
                break;
            }
        }
        assert_eq!(names(&db, "pragma integrity_check"), ["ok"]);
        assert_eq!(names(&db, WHOLE), ["kind, at"]);
    }
}
