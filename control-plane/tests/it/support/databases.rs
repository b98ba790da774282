//! The databases of a test: a file, and a fresh database in PostgreSQL.
//!
//! PostgreSQL is the one of `FREEHOLD_TEST_POSTGRES`, or a private cluster of this test process, which ends with it
//! whichever way that goes: a shell holds it and waits for its own input to close.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use sqlx::{Connection as _, Executor as _, PgConnection};
use tempfile::TempDir;
use tokio::sync::OnceCell;

/// One fresh database.
pub(crate) struct Database {
    pub(crate) url: String,
    of: Of,
}

enum Of {
    Sqlite { _dir: TempDir },
    Postgres { admin: String, name: String },
}

impl Database {
    /// One of each kind there is.
    pub(crate) async fn all() -> Vec<Self> {
        let mut all = vec![Self::sqlite()];
        match admin_url().await {
            Some(admin) => all.push(Self::postgres(admin).await),
            None if std::env::var("FREEHOLD_REQUIRE_PEERS").is_ok_and(|set| set == "1") => {
                panic!("PostgreSQL is required here and not installed; set FREEHOLD_TEST_POSTGRES or install it")
            }
            None => eprintln!("skipped on PostgreSQL: it is not installed and FREEHOLD_TEST_POSTGRES is not set"),
        }
        all
    }

    pub(crate) fn sqlite() -> Self {
        let dir = TempDir::new().unwrap();
        Self { url: control_plane::db::Db::url_in(dir.path()), of: Of::Sqlite { _dir: dir } }
    }

    async fn postgres(admin: &str) -> Self {
        let name = format!("freehold_{}", uuid::Uuid::now_v7().simple());
        run(admin, format!("create database {name}")).await;
        let url = match admin.split_once('?') {
            Some((base, query)) => format!("{}/{name}?{query}", base.rsplit_once('/').unwrap().0),
            None => format!("{}/{name}", admin.rsplit_once('/').unwrap().0),
        };
        Self { url, of: Of::Postgres { admin: admin.into(), name } }
    }

    pub(crate) fn name(&self) -> &'static str {
        match self.of {
            Of::Sqlite { .. } => "SQLite",
            Of::Postgres { .. } => "PostgreSQL",
        }
    }

    pub(crate) async fn drop(self) {
        if let Of::Postgres { admin, name } = self.of {
            run(&admin, format!("drop database {name} with (force)")).await;
        }
    }
}

async fn run(url: &str, sql: String) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    connection.execute(sqlx::AssertSqlSafe(sql)).await.unwrap();
    connection.close().await.unwrap();
}

/// The address of a database from which others can be made.
async fn admin_url() -> Option<&'static str> {
    static URL: OnceCell<Option<String>> = OnceCell::const_new();
    let find = async || match std::env::var("FREEHOLD_TEST_POSTGRES") {
        Ok(url) => Some(url),
        Err(_) => match programs() {
            Some(programs) => Some(private_cluster(&programs).await),
            None => None,
        },
    };
    URL.get_or_init(find).await.as_deref()
}

fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
    versions.filter_map(|version| Some(version.ok()?.path().join("bin"))).find(|bin| bin.join("initdb").exists())
}

async fn private_cluster(bin: &Path) -> String {
    let dir = TempDir::with_prefix("fhpg").unwrap().keep();
    let mut shell = Command::new("/bin/sh");
    if fs::metadata(&dir).unwrap().uid() == 0 {
        // PostgreSQL does not run as root.
        let (uid, gid) = user("postgres").expect("PostgreSQL comes with a user of its own");
        chown(&dir, Some(uid), Some(gid)).unwrap();
        shell.gid(gid).uid(uid);
    }
    let script = r#"
        cd / && "$1/initdb" -D "$2/data" -A trust -U postgres -E UTF8 --locale=C --no-sync >"$2/initdb.log" 2>&1 || exit 1
        "$1/postgres" -D "$2/data" -k "$2" -c listen_addresses= -c fsync=off -c max_connections=100 \
            </dev/null >"$2/log" 2>&1 &
        server=$!
        read -r ended
        kill -INT $server
        wait $server
        rm -rf "$2"
    "#;
    let shell = shell.arg("-c").arg(script).arg("sh").arg(bin).arg(&dir).current_dir(&dir);
    let shell = shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    // Held, with its input, for the life of this process; the end of the process closes it.
    static HELD: OnceLock<Child> = OnceLock::new();
    HELD.set(shell).expect("there is one cluster a process");

    let url = format!("postgres://postgres@localhost/postgres?host={}", dir.display());
    for _ in 0..600 {
        if PgConnection::connect(&url).await.is_ok() {
            return url;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("PostgreSQL does not start; see {}", dir.display());
}

fn user(name: &str) -> Option<(u32, u32)> {
    let passwd = fs::read_to_string("/etc/passwd").ok()?;
    let line = passwd.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::to_owned))?;
    let mut fields = line.split(':').skip(1);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}
