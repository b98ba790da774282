//! Handlers that were stopped because they failed again and again; and what handlers tell the owner, which is a notice like any.

use export_format::AppId;
use rusqlite::{Connection, OptionalExtension as _};

use crate::events::{self, What};
use crate::happenings::{Words, notices};
use crate::problem::Problem;
use crate::server::Server;
use crate::throttle::Rate;

/// How often one app may say something.
const WORDS: Rate = Rate { burst: 20.0, each_second: 0.01 };

/// The longest line of a notice, and what may follow it, in characters.
const LINE: usize = 200;
const LONGEST: usize = 2_000;

/// Tells the owner what a handler says: a line, and what does not fit into it below.
pub(super) async fn tell(server: &Server, app: &AppId, text: &str, now: i64) -> Result<(), Problem> {
    server.writable()?;
    server.throttle.take(&format!("notice {app}"), WORDS)?;
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let plain = plain.trim();
    if plain.is_empty() {
        return Err(Problem::bad_request("There is nothing to tell in it."));
    }
    let (title, text) = (plain.chars().take(LINE).collect(), plain.chars().skip(LINE).take(LONGEST).collect());
    let (app, words) = (app.clone(), Words { title, text, link: None });
    server.home.write(move |db| Ok::<_, Problem>(notices::add(db, &app, &words, now)?)).await
}

/// Why a release of an app is not called, if it was stopped.
pub(crate) fn stopped(db: &Connection, app: &AppId, release: u32) -> Result<Option<String>, Problem> {
    let sql = "select why from handler_stop where app = ?1 and release = ?2";
    Ok(db.prepare_cached(sql)?.query_row((app.as_str(), release), |row| row.get(0)).optional()?)
}

/// Stops a release of an app, and tells its owner.
pub(super) async fn stop(server: &Server, app: &AppId, release: u32, why: String, now: i64) -> Result<(), Problem> {
    let (app, called) = (app.clone(), server.called(app));
    let stop = move |db: &Connection| {
        let text = format!("The code of {called} that runs on the server was stopped: {why}");
        events::note(db, now, What::Update, &text, &[("app", app.as_str())])?;
        let sql = "insert or replace into handler_stop (app, release, at, why) values (?1, ?2, ?3, ?4)";
        Ok::<_, Problem>(db.execute(sql, (app.as_str(), release, now, why))?)
    };
    server.home.write(stop).await.map(drop)
}

/// Lets an app be called again.
pub(crate) async fn start_again(server: &Server, app: AppId) -> Result<(), Problem> {
    let start =
        move |db: &Connection| Ok::<_, Problem>(db.execute("delete from handler_stop where app = ?1", [app.as_str()])?);
    server.home.write(start).await.map(drop)
}
