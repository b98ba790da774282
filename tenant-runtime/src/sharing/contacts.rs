//! The people the owner knows: records of `dev.ceps.contacts`, `{username, serverurl, searchname, blocked?}`, and of
//! `dev.ceps.groups`, `{name, members: ["user@host"]}`, which apps with permission and the owner's own page keep.

use rusqlite::Connection;
use serde_json::{Map, Value, json};

use super::grantee::{Grantee, Person};
use crate::documents::{self, Error, Others, Row, Search, TableName};

/// The table of contacts.
const CONTACTS: &str = "dev.ceps.contacts";
/// The table of groups.
const GROUPS: &str = "dev.ceps.groups";
/// How many contacts and groups are looked through.
const MOST: usize = 5_000;

/// One person the owner knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Contact {
    /// Its record.
    pub(crate) id: String,
    /// Who it is.
    pub(crate) person: Person,
    /// Nothing is taken from them, and nothing is shown to them.
    pub(crate) blocked: bool,
    /// Where their server was before.
    pub(crate) former: Vec<Person>,
}

/// A table of contacts or groups, if a text names one.
pub(crate) fn table_called(text: &str) -> Option<TableName> {
    [CONTACTS, GROUPS].contains(&text).then(|| table(text))
}

fn table(name: &str) -> TableName {
    TableName::new(&name.parse().expect("an app's name"), "").expect("an app's own table")
}

/// Everybody the owner knows, by address.
pub(crate) fn contacts(db: &Connection) -> Result<Vec<Contact>, Error> {
    let rows = documents::search(db, &table(CONTACTS), &Search { count: MOST, ..Search::default() })?;
    let mut all: Vec<Contact> = rows.iter().filter_map(contact).collect();
    all.sort_by(|a, b| a.person.cmp(&b.person));
    Ok(all)
}

/// Whether the owner knows somebody and has not blocked them.
pub(crate) fn is_known(db: &Connection, person: &Person) -> Result<bool, Error> {
    let all = contacts(db)?;
    let mut same = all.iter().filter(|contact| contact.person == *person).peekable();
    Ok(same.peek().is_some() && same.all(|contact| !contact.blocked))
}

/// The only contact of a name.
pub(crate) fn contact_called(db: &Connection, name: &str) -> Result<Option<Person>, Error> {
    let mut people: Vec<Person> = contacts(db)?.into_iter().map(|contact| contact.person).collect();
    people.retain(|person| person.user.eq_ignore_ascii_case(name));
    people.dedup();
    Ok(if people.len() == 1 { people.pop() } else { None })
}

/// As whom somebody may be meant: as themselves, by an address they had, and as a member of groups.
pub(crate) fn as_grantees(db: &Connection, person: &Person) -> Result<Vec<Grantee>, Error> {
    let mut all = vec![Grantee::Person(person.clone())];
    for contact in contacts(db)?.into_iter().filter(|contact| contact.person == *person) {
        all.extend(contact.former.into_iter().map(Grantee::Person));
    }
    for group in documents::search(db, &table(GROUPS), &Search { count: MOST, ..Search::default() })? {
        let fields = group.fields();
        let members = fields.get("members").and_then(Value::as_array);
        let is_in = |members: &Vec<Value>| {
            members.iter().filter_map(Value::as_str).any(|text| text.parse::<Person>().is_ok_and(|one| one == *person))
        };
        let name = fields.get("name").and_then(Value::as_str);
        if let (true, Some(name)) = (members.is_some_and(is_in), name)
            && let Ok(grantee) = format!("group:{name}").parse()
        {
            all.push(grantee);
        }
    }
    Ok(all)
}

/// Adds somebody, unless they are known.
pub(crate) fn add(db: &Connection, person: &Person, now: i64) -> Result<Option<Row>, Error> {
    if contacts(db)?.iter().any(|contact| contact.person == *person) {
        return Ok(None);
    }
    let fields = json!({"username": person.user, "serverurl": person.host, "searchname": person.to_string()});
    let Value::Object(fields) = fields else { unreachable!("it was written as an object") };
    let id = uuid::Uuid::now_v7().simple().to_string();
    documents::create(db, &table(CONTACTS), &id, fields, now).map(Some)
}

/// Blocks somebody or lets them again.
pub(crate) fn set_blocked(db: &Connection, id: &str, blocked: bool, now: i64) -> Result<Row, Error> {
    let fields = Map::from_iter([("blocked".to_owned(), blocked.into())]);
    documents::update(db, &table(CONTACTS), id, fields, Others::Kept, now)
}

/// Forgets somebody.
pub(crate) fn remove(db: &Connection, id: &str) -> Result<Row, Error> {
    documents::remove(db, &table(CONTACTS), id)
}

/// Writes down that somebody's server is elsewhere now, in every contact and group.
pub(crate) fn moved(db: &Connection, was: &Person, is: &Person, now: i64) -> Result<(), Error> {
    for contact in contacts(db)?.into_iter().filter(|contact| contact.person == *was) {
        let mut former = contact.former;
        former.push(was.clone());
        let former: Vec<String> = former.iter().map(Person::to_string).collect();
        let fields = json!({"username": is.user, "serverurl": is.host, "moved_from": former});
        let Value::Object(fields) = fields else { unreachable!("it was written as an object") };
        documents::update(db, &table(CONTACTS), &contact.id, fields, Others::Kept, now)?;
    }
    for group in documents::search(db, &table(GROUPS), &Search { count: MOST, ..Search::default() })? {
        let Some(Value::Array(mut members)) = group.fields().remove("members") else { continue };
        let mut changed = false;
        for member in &mut members {
            if member.as_str().and_then(|text| text.parse::<Person>().ok()).is_some_and(|one| one == *was) {
                *member = is.to_string().into();
                changed = true;
            }
        }
        if changed {
            let fields = Map::from_iter([("members".to_owned(), members.into())]);
            documents::update(db, &table(GROUPS), &group.id, fields, Others::Kept, now)?;
        }
    }
    Ok(())
}

fn contact(row: &Row) -> Option<Contact> {
    let fields = row.fields();
    let text = |name: &str| fields.get(name).and_then(Value::as_str);
    let server = text("serverurl")?;
    let host = server.split_once("://").map_or(server, |(_, rest)| rest).split('/').next().unwrap_or_default();
    let person = format!("{}@{host}", text("username")?).parse().ok()?;
    let former = fields.get("moved_from").and_then(Value::as_array).into_iter().flatten();
    let former = former.filter_map(|one| one.as_str()?.parse().ok()).collect();
    Some(Contact { id: row.id.clone(), person, blocked: fields.get("blocked") == Some(&Value::Bool(true)), former })
}
