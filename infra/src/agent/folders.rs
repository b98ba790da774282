//! The folders an agent keeps: run, cache and homes, and what of them a runtime is told.

use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use rustix::fs::{FlockOperation, flock};
use tenant_runtime::ids::ServerId;
use tenant_runtime::launch::{self, Launch, StorageAt};

use crate::isolation::{INNER_CACHE, INNER_HOME, Identity};
use crate::launcher::wire::{Home, SetUp, Spec};
use crate::launcher::{LONGEST_RUN_DIR, PROCESS_FILE, Process};
use crate::outside::{self, Outside, Outward};
use crate::storage;

use super::api::{AgentOptions, Error, SandboxLimits};
use super::caches::Caches;
use super::homes::Homes;
use super::meter::Meter;
use super::sweep;
use super::users::Users;

/// Held for as long as an agent lives; the kernel lets go of it however the process ends.
const LOCK_FILE: &str = "lock";

/// What a file may be larger than the plan's storage: an archive on its way in or out.
const FILE_SLACK_BYTES: u64 = 1 << 30;

/// An agent's folders.
#[derive(Debug)]
pub(super) struct Folders {
    caches: Arc<Caches>,
    homes: Homes,
    users: Mutex<Users>,
    outside: Option<PathBuf>,
    _lock: File,
}

/// Makes the folders, takes the lock, sweeps, and notes the launcher's process.
pub(super) fn prepare(options: &AgentOptions, launcher: u32) -> Result<(Folders, SetUp, Meter), Error> {
    let run_dir = private(&options.run_dir)?;
    private(&options.data_dir)?;
    check_length(&options.run_dir)?;
    let lock = lock(&options.run_dir)?;
    let program =
        options.runtime_exe.canonicalize().map_err(at("finding the runtime's program", &options.runtime_exe))?;
    let set_up = SetUp { groups: groups_name(&run_dir), run_dir, app_host: app_host(&program), program };
    let swept = sweep::leftovers(&set_up.run_dir).map_err(at("sweeping", &set_up.run_dir))?;
    if swept.servers > 0 {
        tracing::info!(swept.servers, swept.processes, "swept what a former run left behind");
    }
    let homes = Homes::of(options)?;
    private(&options.memory_dir)?;
    let meter = Meter::open(&options.memory_dir, &set_up.run_dir)
        .map_err(at("reading what former runs took in", &options.memory_dir))?;
    let users =
        Users::open(&options.memory_dir, &options.data_dir).map_err(at("reading the users in", &options.memory_dir))?;
    let caches = Arc::new(Caches::new(options.data_dir.clone()));
    caches.finish_evicting().map_err(at("emptying caches in", &options.data_dir))?;
    let process = set_up.run_dir.join(PROCESS_FILE);
    let noted = Process::living(launcher.cast_signed()).and_then(|launcher| launcher.note(&process));
    noted.map_err(at("writing", &process))?;
    let outside = options.outward.as_ref().map(|_| set_up.run_dir.join(outside::SOCKET));
    let folders = Folders { caches, homes, users: Mutex::new(users), outside, _lock: lock };
    Ok((folders, set_up, meter))
}

impl Folders {
    /// Opens the way to other people's servers, where somebody carries what goes there.
    pub(super) fn go_outside(&self, outward: Option<Outward>) -> Result<Option<Outside>, Error> {
        match (&self.outside, outward) {
            (Some(socket), Some(outward)) => {
                Outside::listen(socket, outward).map(Some).map_err(at("listening at", socket))
            }
            _ => Ok(None),
        }
    }

    /// Makes a server's folders and says how it is run.
    pub(super) fn spec(
        &self,
        mut launch: Launch,
        limits: SandboxLimits,
        identity: Identity,
        own_files: bool,
        log: Option<&str>,
    ) -> Result<Spec, Error> {
        let server = launch.server;
        let user = match identity {
            Identity::UserEach => {
                Some(self.users.lock().of(server).map_err(at("giving out a user for", &self.caches.of(server)))?)
            }
            Identity::NamespaceEach | Identity::Shared => None,
        };
        let cache = self.caches.of(server);
        storage::own(&cache, user).map_err(at("making", &cache))?;
        let home = self.homes.make(server, user)?;
        launch.cache = if own_files { INNER_CACHE.into() } else { cache.clone() };
        launch.storage = match &home {
            Home::Folder(_) if own_files => StorageAt::Directory { path: INNER_HOME.into() },
            Home::Folder(folder) => StorageAt::Directory { path: folder.clone() },
            Home::Broker(_) => StorageAt::Broker { patience_ms: self.homes.patience_ms() },
        };
        let outside = self.outside.clone();
        let file_bytes = launch.limits.storage_bytes.saturating_add(FILE_SLACK_BYTES);
        let text = serde_json::to_string(&launch).expect("a launch is plain data with string keys");
        let mut environment = vec![format!("{}={text}", launch::VARIABLE)];
        environment.extend(log.map(|log| format!("RUST_LOG={log}")));
        Ok(Spec { server, environment, home, outside, cache, user, limits, file_bytes })
    }

    /// Removes a server's cache.
    pub(super) fn forget(&self, server: ServerId) -> Result<(), Error> {
        let cache = self.caches.of(server);
        if self.caches.is_owing(server) {
            tracing::warn!(server.id = %server, "acknowledged writes that could not be published go with its cache");
        }
        self.caches.forget(server);
        storage::remove(&cache).map_err(at("removing", &cache))
    }

    /// Deletes a cache that was set aside.
    pub(super) fn remove_aside(&self, server: ServerId) -> Result<(), Error> {
        let aside = self.caches.aside(server);
        self.caches.forget(server);
        storage::remove(&aside).map_err(at("removing", &aside))
    }

    /// The caches of all servers.
    pub(super) fn caches(&self) -> Arc<Caches> {
        Arc::clone(&self.caches)
    }

    /// The homes of this host's servers.
    pub(super) fn homes(&self) -> &Homes {
        &self.homes
    }
}

/// How much a server's cache may hold: a copy of its database beside an import of the same size on its way in.
pub(super) fn cache_bound(spec: &Spec) -> u64 {
    spec.file_bytes.saturating_mul(2)
}

/// Makes a folder that is nobody else's, and gives its full path.
pub(super) fn private(folder: &Path) -> Result<PathBuf, Error> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.and_then(|()| folder.canonicalize()).map_err(at("making", folder))
}

/// The program that runs the code of apps lies beside the runtime's.
fn app_host(program: &Path) -> Option<PathBuf> {
    let app_host = program.with_file_name(tenant_runtime::handlers::start::PROGRAM);
    if !app_host.is_file() {
        tracing::warn!("{} is not there, so code of apps does not run on this host", app_host.display());
        return None;
    }
    Some(app_host)
}

fn check_length(run_dir: &Path) -> Result<(), Error> {
    let length = run_dir.as_os_str().as_bytes().len();
    if length <= LONGEST_RUN_DIR {
        return Ok(());
    }
    Err(Error::LongPath { path: run_dir.to_path_buf(), length, most: LONGEST_RUN_DIR })
}

fn lock(run_dir: &Path) -> Result<File, Error> {
    let path = run_dir.join(LOCK_FILE);
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(at("opening", &path))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(Error::Occupied(run_dir.to_path_buf())),
        Err(e) => Err(at("locking", &path)(e.into())),
    }
}

/// A name that no other provider on this machine has, and that the next run on this folder has again.
fn groups_name(run_dir: &Path) -> String {
    // FNV-1a, 64 bit.
    let digest = run_dir
        .as_os_str()
        .as_bytes()
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |digest, byte| (digest ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    format!("freehold-{digest:016x}")
}

pub(super) fn at(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_path_buf();
    move |source| Error::File { doing, path, source }
}
