//! Long lists, a page at a time: what is asked for, and one page of the answer.
//!
//! A page begins at an id, never at a count of rows: ids sort by creation and are indexed, so the last page of a hundred
//! thousand costs what the first does, and nothing is shown twice or left out because somebody signed up meanwhile.
//!
//! What a list can be searched by stands in its own module; how a page is asked for is the same for all of them.

use sqlx::AssertSqlSafe;

/// How many a page shows.
pub const SHOWN: usize = 50;

/// What is asked of a list, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ask {
    /// What the listed must contain; empty for everything.
    pub search: String,
    /// The one state they must be in; empty for any.
    pub only: String,
    /// Where the page begins.
    pub place: Place,
}

/// Where a page begins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Place {
    /// At the newest.
    #[default]
    Newest,
    /// Below the one with this id.
    OlderThan(String),
    /// Above the one with this id.
    NewerThan(String),
}

/// One page of a list, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// What it shows.
    pub items: Vec<T>,
    /// The id above which newer ones are, if there are any.
    pub newer: Option<String>,
    /// The id below which older ones are, if there are any.
    pub older: Option<String>,
}

impl<T> Page<T> {
    /// The same page of something made from each of its items.
    pub(crate) fn try_map<U, E>(self, make: impl FnMut(T) -> Result<U, E>) -> Result<Page<U>, E> {
        let items = self.items.into_iter().map(make).collect::<Result<_, _>>()?;
        Ok(Page { items, newer: self.newer, older: self.older })
    }
}

/// The statement that finds one page: conditions and the texts bound to them.
#[derive(Debug)]
pub(crate) struct Select<'a> {
    key: &'static str,
    ask: &'a Ask,
    conditions: Vec<String>,
    binds: Vec<String>,
}

impl<'a> Select<'a> {
    /// A page in the order of the column `key`, which holds ids.
    pub(crate) fn by(key: &'static str, ask: &'a Ask) -> Self {
        let mut select = Self { key, ask, conditions: Vec::new(), binds: Vec::new() };
        let bound = match &ask.place {
            Place::Newest => None,
            Place::OlderThan(id) => Some(('<', id)),
            Place::NewerThan(id) => Some(('>', id)),
        };
        if let Some((than, id)) = bound {
            let id = select.bind(id.as_str());
            select.and(format!("{key} {than} {id}"));
        }
        select
    }

    /// Binds a text and says how the statement names it.
    pub(crate) fn bind(&mut self, text: impl Into<String>) -> String {
        self.binds.push(text.into());
        format!("${}", self.binds.len())
    }

    /// Adds a condition.
    pub(crate) fn and(&mut self, condition: String) {
        self.conditions.push(condition);
    }

    /// What is searched for, bound and ready to be compared; nothing when everything is asked for.
    pub(crate) fn wanted(&mut self) -> Option<Wanted> {
        let text = self.ask.search.trim();
        if text.is_empty() {
            return None;
        }
        let folded: String = text.chars().map(small).collect();
        let mut folds: Vec<(char, char)> = folded.chars().filter_map(|small| Some((capital(small)?, small))).collect();
        folds.sort_unstable();
        folds.dedup();
        let folds = folds.into_iter().map(|(capital, small)| (self.bind(capital), self.bind(small))).collect();
        Some(Wanted { pattern: self.bind(containing(&folded)), exact: self.bind(text), folds })
    }

    /// Adds that one of these conditions holds.
    pub(crate) fn any(&mut self, conditions: &[String]) {
        self.and(format!("({})", conditions.join(" or ")));
    }

    /// Where one state is asked for.
    pub(crate) fn only(&mut self, column: &str) {
        if !self.ask.only.is_empty() {
            let state = self.bind(self.ask.only.as_str());
            self.and(format!("{column} = {state}"));
        }
    }

    /// The whole statement; `head` is everything before `where`.
    pub(crate) fn sql(&self, head: &str) -> AssertSqlSafe<String> {
        let place =
            if self.conditions.is_empty() { String::new() } else { format!("where {}", self.conditions.join(" and ")) };
        let order = if matches!(self.ask.place, Place::NewerThan(_)) { "asc" } else { "desc" };
        AssertSqlSafe(format!("{head} {place} order by {} {order} limit {}", self.key, SHOWN + 1))
    }

    /// What is bound, in order.
    pub(crate) fn binds(&self) -> &[String] {
        &self.binds
    }

    /// The page, from what the statement found. One row more than is shown says that there are more.
    pub(crate) fn page<T>(&self, mut found: Vec<T>, id: impl Fn(&T) -> String) -> Page<T> {
        let more = found.len() > SHOWN;
        found.truncate(SHOWN);
        let upwards = matches!(self.ask.place, Place::NewerThan(_));
        if upwards {
            found.reverse();
        }
        let (first, last) = (found.first().map(&id), found.last().map(&id));
        let (newer, older) = match &self.ask.place {
            Place::Newest => (None, last.filter(|_| more)),
            Place::OlderThan(_) => (first, last.filter(|_| more)),
            Place::NewerThan(_) => (first.filter(|_| more), last),
        };
        Page { items: found, newer, older }
    }
}

/// What is searched for, as the statement names it.
#[derive(Debug)]
pub(crate) struct Wanted {
    pattern: String,
    exact: String,
    /// The letters in it that a database may not know to be one in upper and lower case.
    folds: Vec<(String, String)>,
}

impl Wanted {
    /// That a column contains it. Upper and lower case are one, in every script that has them: what SQLite's `lower` (and
    /// PostgreSQL's in some locales) leaves as it is, is replaced here, as far as it is searched for.
    pub(crate) fn within(&self, column: &str) -> String {
        let folded = self.folds.iter().fold(format!("lower({column})"), |folded, (capital, small)| {
            format!("replace({folded}, {capital}, {small})")
        });
        format!("{folded} like {} escape '\\'", self.pattern)
    }

    /// That a column is it.
    pub(crate) fn is(&self, column: &str) -> String {
        format!("{column} = {}", self.exact)
    }
}

/// Fetches what a [`Select`] finds: `fetch!(select, head, executor)`.
macro_rules! fetch {
    ($select:expr, $head:expr, $executor:expr) => {
        $crate::db::on!($executor, e => {
            let mut query = sqlx::query_as($select.sql($head));
            for text in $select.binds() {
                query = query.bind(text.as_str());
            }
            query.fetch_all(e).await
        })
    };
}
pub(crate) use fetch;

/// A letter in lower case, where that is one letter too.
fn small(letter: char) -> char {
    let mut small = letter.to_lowercase();
    small.next().filter(|_| small.next().is_none()).unwrap_or(letter)
}

/// The capital of a small letter outside of ASCII.
fn capital(small: char) -> Option<char> {
    let mut capital = small.to_uppercase();
    let one = capital.next().filter(|one| !small.is_ascii() && *one != small)?;
    capital.next().is_none().then_some(one)
}

/// A pattern for whatever contains `text`, taken word for word.
fn containing(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() + 2);
    pattern.push('%');
    for sign in text.chars().take(200) {
        if matches!(sign, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(sign);
    }
    pattern.push('%');
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(place: Place, found: usize) -> Page<String> {
        let ask = Ask { place, ..Ask::default() };
        let ids = (0..found).map(|n| format!("{n:03}"));
        Select::by("id", &ask).page(ids.collect(), Clone::clone)
    }

    #[test]
    fn a_page_knows_whether_there_is_more_in_either_direction() {
        let ends = |page: Page<String>| (page.items.len(), page.newer.is_some(), page.older.is_some());
        assert_eq!(ends(page(Place::Newest, 0)), (0, false, false));
        assert_eq!(ends(page(Place::Newest, SHOWN)), (SHOWN, false, false));
        assert_eq!(ends(page(Place::Newest, SHOWN + 1)), (SHOWN, false, true));
        assert_eq!(ends(page(Place::OlderThan("x".into()), 3)), (3, true, false));
        assert_eq!(ends(page(Place::NewerThan("x".into()), SHOWN + 1)), (SHOWN, true, true));
        assert_eq!(ends(page(Place::NewerThan("x".into()), 2)), (2, false, true));
    }

    #[test]
    fn letters_of_every_script_are_one_in_upper_and_lower_case() {
        assert_eq!("ÄÖẞЖΩaZ7İ".chars().map(small).collect::<String>(), "äößжωaz7İ");
        assert_eq!(['ä', 'ж', 'a', '7', 'ß'].map(capital), [Some('Ä'), Some('Ж'), None, None, None]);
        let ask = Ask { search: "MÄRÄ_".to_owned(), ..Ask::default() };
        let mut select = Select::by("id", &ask);
        let wanted = select.wanted().expect("something");
        assert_eq!(wanted.within("name"), r"replace(lower(name), $1, $2) like $3 escape '\'");
        assert_eq!(select.binds(), ["Ä", "ä", r"%märä\_%", "MÄRÄ_"]);
    }

    #[test]
    fn what_is_searched_for_is_taken_word_for_word() {
        assert_eq!(containing(r"50%_\"), r"%50\%\_\\%");
    }
}
