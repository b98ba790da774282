//! Which user each server runs under, where each has its own.
//!
//! The file only grows: a user id, once given, is never another server's, so files left behind by one server can
//! never be read by the next.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tenant_runtime::ids::ServerId;

use crate::isolation::Identity;

const FILE: &str = "users";

/// The users given so far.
#[derive(Debug)]
pub(super) struct Users {
    file: PathBuf,
    given: HashMap<ServerId, u32>,
    next: u32,
}

impl Users {
    /// Reads those given so far. Earlier releases kept them in `former`.
    pub(super) fn open(folder: &Path, former: &Path) -> io::Result<Self> {
        let file = folder.join(FILE);
        let former = former.join(FILE);
        if !file.exists() && former.exists() {
            let moving = folder.join(format!("{FILE}.new"));
            fs::copy(&former, &moving)?;
            fs::File::open(&moving)?.sync_all()?;
            fs::rename(moving, &file)?;
            fs::remove_file(former)?;
        }
        let text = match fs::read_to_string(&file) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => String::new(),
            other => other?,
        };
        let given: HashMap<ServerId, u32> = text.lines().filter_map(parse).collect();
        let next = given.values().max().map_or(Identity::FIRST_USER, |last| last + 1);
        // A line cut off by a crash was never used; it must not swallow the next one.
        if !text.is_empty() && !text.ends_with('\n') {
            let whole: String =
                text.lines().filter(|line| parse(line).is_some()).map(|line| format!("{line}\n")).collect();
            fs::write(&file, whole)?;
        }
        Ok(Self { file, given, next })
    }

    /// The user of a server, the same every time.
    pub(super) fn of(&mut self, server: ServerId) -> io::Result<u32> {
        if let Some(user) = self.given.get(&server) {
            return Ok(*user);
        }
        let user = self.next;
        let mut file = fs::OpenOptions::new().create(true).append(true).open(&self.file)?;
        file.write_all(format!("{server} {user} .\n").as_bytes())?;
        file.sync_data()?;
        self.next += 1;
        self.given.insert(server, user);
        Ok(user)
    }
}

/// `srv_… 200000 .`; the dot shows that the line is whole.
fn parse(line: &str) -> Option<(ServerId, u32)> {
    let mut parts = line.strip_suffix(" .")?.split(' ');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_given_once_and_a_torn_line_is_forgotten() {
        let folder = tempfile::tempdir().expect("a folder");
        let servers = [ServerId::new(1), ServerId::new(2), ServerId::new(3)];
        let former = folder.path().join("former");
        fs::create_dir(&former).expect("a folder");
        let open = || Users::open(folder.path(), &former);
        let mut users = open().expect("none yet");
        let first = servers.map(|server| users.of(server).expect("a user"));
        assert_eq!(first, [200_000, 200_001, 200_002]);

        let file = folder.path().join(FILE);
        let text = fs::read_to_string(&file).expect("a file");
        fs::write(&file, &text[..text.len() - 4]).expect("torn");
        let mut users = open().expect("the rest");
        let newcomer = ServerId::new(4);
        assert_eq!(users.of(newcomer).expect("a user"), 200_002);
        fs::rename(&file, former.join(FILE)).expect("as an earlier release had it");
        let mut users = open().expect("all");
        assert_eq!(users.of(servers[1]).expect("a user"), 200_001);
        assert_eq!(users.of(newcomer).expect("a user"), 200_002);
        assert_eq!(users.of(servers[2]).expect("a user"), 200_003);
    }
}
