//! The files of one app of another server: which there are, and each of them.
//!
//! Two lists say which: the records about files, and the tree of what lies there. Both are a stranger's, so a path that leads
//! anywhere else is no file.

use std::collections::BTreeMap;

use export_format::digest::Summary;
use export_format::row::Value;
use futures::TryStreamExt as _;
use http::StatusCode;
use tenant_runtime::files::FilePath;

use super::ceps::{Ceps, Listed, Token};
use super::desk::Job;
use super::spool::{Measured, Spool};
use super::table::Rows;
use crate::places::Secret;
use crate::{Kind, Result};

/// How often a file that breaks off is begun anew.
const TRIES: u32 = 5;
/// How many files one gathering takes.
const MOST_FILES: usize = 200_000;

/// A file that is here.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) listed: Listed,
    pub(super) summary: Summary,
    pub(super) at: u64,
}

/// The files that both lists name, by their paths here.
pub(super) async fn list(
    job: &Job,
    ceps: &Ceps,
    token: &Token,
    rows: &Rows,
    spool: &Spool,
) -> Result<BTreeMap<String, (FilePath, Listed)>> {
    let (tree, is_whole) = ceps.files(token).await?;
    if !is_whole {
        job.say_left(
            &format!("files of {} beyond the list that its server gives, if it keeps no records of them", token.app),
            "the server lists only so many",
        );
    }
    let mut all = BTreeMap::new();
    let mut take = |listed: Listed| match listed.path.parse::<FilePath>() {
        Ok(path) if all.len() < MOST_FILES => {
            let known = all.entry(path.to_string()).or_insert_with(|| (path, listed.clone()));
            let known = &mut known.1;
            known.created = known.created.or(listed.created);
            known.modified = known.modified.or(listed.modified);
            known.media_type = known.media_type.take().or(listed.media_type);
        }
        Ok(_) => job.leave(&format!("files of {}", token.app), "there are more than can be gathered at once"),
        Err(_) => job.leave(&format!("files of {}", token.app), "no file here can have such a name"),
    };
    rows.each(spool, |id, row| {
        let date = |name: &str| match row.get(name) {
            Some(Value::Int(ms)) => i64::try_from(*ms).ok(),
            _ => None,
        };
        take(Listed {
            path: id.to_owned(),
            created: date("_date_created"),
            modified: date("_date_modified"),
            media_type: row.get("_mime_type").and_then(Value::as_text).map(str::to_owned),
        });
    })?;
    tree.into_iter().for_each(take);
    Ok(all)
}

/// Fetches a file into the spool; nothing when it is not to be had, which is noted.
pub(super) async fn fetch(
    job: &Job,
    ceps: &Ceps,
    token: &Token,
    opens: &mut Option<Secret>,
    listed: Listed,
    spool: &mut Spool,
) -> Result<Option<Fetched>> {
    let what = format!("files of {}", token.app);
    let mut anew = true;
    for _ in 0..TRIES {
        let key = match opens {
            Some(key) => key.clone(),
            None => opens.insert(ceps.file_token(token).await?).clone(),
        };
        let answer = match ceps.file(token, &key, &listed.path).await? {
            Ok(answer) => answer,
            // What opens files is short-lived: once more with a new one.
            Err(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) if anew => {
                (anew, *opens) = (false, None);
                continue;
            }
            Err(StatusCode::NOT_FOUND | StatusCode::GONE) => {
                job.leave(&what, "the server names them, but does not have them");
                return Ok(None);
            }
            Err(status) => {
                job.leave(&what, &format!("the server did not give them ({status})"));
                return Ok(None);
            }
        };
        let at = spool.len();
        match whole(ceps, answer, spool).await {
            Ok(summary) => {
                job.note(|now| {
                    now.files += 1;
                    now.bytes += summary.size;
                });
                return Ok(Some(Fetched { listed, summary, at }));
            }
            Err(error) if error.kind() == Kind::Retry => spool.cut(at)?,
            Err(error) => return Err(error),
        }
    }
    job.leave(&what, "the connection broke off again and again while they came");
    Ok(None)
}

async fn whole(ceps: &Ceps, answer: reqwest::Response, spool: &mut Spool) -> Result<Summary> {
    let (announced, mut measured) = (answer.content_length(), Measured::default());
    let mut parts = std::pin::pin!(answer.bytes_stream().map_err(|error| ceps.broken(error)));
    while let Some(part) = ceps.next(&mut parts).await? {
        measured.push(spool, &part)?;
    }
    let summary = measured.finish();
    if announced.is_some_and(|announced| announced != summary.size) {
        return Err(ceps.broke_off());
    }
    Ok(summary)
}
