//! The file tree every runtime sees: its program, the libraries it needs, two devices, and places for its own folders.
//!
//! It is made once, in the launcher's own mount namespace, so that it ends with the launcher however that ends.
//! Nothing in it can be written, and it holds no shell, no `/proc`, no `/etc`.
//!
//! Runtimes are born in it: a second mount namespace has nothing but the skeleton, and a start is a copy of that. To
//! copy the host's mounts, move to another root and let go of them took longer, and moving looks at every process.

use std::ffi::{CStr, CString, OsStr};
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{StatVfsMountFlags, statvfs};

use super::{libraries, settled, sys};

/// The program of a runtime, as it is called inside.
pub(super) const PROGRAM: &CStr = c"/bin/freehold-runtime";

/// The program of an app host.
pub(super) const APP_HOST: &CStr = c"/bin/freehold-apphost";

/// The runtime's cache, as it is called inside.
pub(super) const CACHE: &CStr = c"/data";

/// The runtime's home, as it is called inside.
pub(super) const HOME: &CStr = c"/home";

/// The folder for temporary files.
pub(super) const TEMPORARY: &CStr = c"/tmp";

/// The name of its cache, for the launch it is given.
pub(crate) const INNER_CACHE: &str = text(CACHE);

/// The name of its home.
pub(crate) const INNER_HOME: &str = text(HOME);

const fn text(name: &'static CStr) -> &'static str {
    match name.to_str() {
        Ok(text) => text,
        Err(_) => panic!("names are plain text"),
    }
}

const DEVICES: [&str; 2] = ["/dev/null", "/dev/urandom"];

/// A tree that is ready to be entered.
#[derive(Debug)]
pub(super) struct Skeleton {
    folder: PathBuf,
    /// The top folders that hold programs and libraries.
    code: Vec<PathBuf>,
    /// Whether all runtimes share one copy of the program, for the operator.
    program: String,
    /// The mount namespaces of the launcher and of nothing but this tree.
    outside: OwnedFd,
    inside: OwnedFd,
}

impl Skeleton {
    /// Makes the tree at `folder`. The process must be in a mount namespace of its own.
    pub(super) fn make(folder: &Path, program: &Path, app_host: Option<&Path>) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let root = c_path(folder)?;
        sys::mount_tmpfs(&root, 0, c"size=1m,nr_inodes=256,mode=0755")?;
        for name in [CACHE, HOME, TEMPORARY] {
            fs::create_dir(inside(folder, named(name)))?;
        }
        let guarded = sys::READ_ONLY | sys::NO_SUID;
        let shown = show_program(folder, program, guarded | sys::NO_DEVICES)?;
        let mut libraries = libraries::of(program)?;
        if let Some(app_host) = app_host {
            show(folder, app_host, named(APP_HOST), guarded | sys::NO_DEVICES)?;
            libraries.extend(libraries::of(app_host)?);
            libraries.sort();
            libraries.dedup();
        }
        for library in &libraries {
            show(folder, library, library, guarded | sys::NO_DEVICES)?;
        }
        for device in DEVICES.map(Path::new) {
            show(folder, device, device, guarded | sys::NO_PROGRAMS)?;
        }
        sys::restrict_mount(&root, guarded | sys::NO_DEVICES)?;
        let mut code: Vec<_> = libraries.iter().map(|path| top_of(path)).chain([PathBuf::from("bin")]).collect();
        code.sort();
        code.dedup();
        let code = code.iter().map(|name| folder.join(name)).collect();
        let (outside, inside) = alone(&root)?;
        Ok(Self { folder: folder.to_path_buf(), code, program: shown, outside, inside })
    }

    /// Does something with this tree for its root: a process that is born meanwhile, in a mount namespace of its own,
    /// has a copy of it. The process must have a single thread.
    pub(super) fn within<T>(&self, act: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        sys::enter_files(self.inside.as_fd())?;
        let done = act();
        // Where it is now it can do nothing any more, and its servers have no cache but there.
        sys::enter_files(self.outside.as_fd()).expect("a process can enter its own mount namespace again");
        done
    }

    /// The folders whose files may be run.
    pub(super) fn code(&self) -> &[PathBuf] {
        &self.code
    }

    /// How the program is shown, in a few words.
    pub(super) fn program(&self) -> &str {
        &self.program
    }

    /// The folder of the devices.
    pub(super) fn devices(&self) -> PathBuf {
        self.folder.join("dev")
    }
}

/// Shows the program: settled, or as it is where that cannot be had. Says which.
fn show_program(folder: &Path, program: &Path, attributes: u64) -> io::Result<String> {
    let file = folder.with_extension("program");
    // One that an earlier launcher left, cut off here, is in nobody's way: it could not be written over.
    fs::remove_file(&file).ok();
    let shown = write_settled(program, &file).and_then(|()| Ok(show(folder, &file, named(PROGRAM), attributes)?));
    // What is shown stays for as long as anybody sees it.
    fs::remove_file(&file).ok();
    let Err(reason) = shown else { return Ok("one copy of the program for all".to_owned()) };
    show(folder, program, named(PROGRAM), attributes)?;
    Ok(format!("each runtime finishes its own copy of the program, because {reason}"))
}

/// Not on a file system in memory: there it would never make room for anything else.
fn write_settled(program: &Path, file: &Path) -> Result<(), settled::Unsettled> {
    if statvfs(file.parent().unwrap_or(file)).map_err(io::Error::from)?.f_flag.contains(StatVfsMountFlags::NOEXEC) {
        return Err(settled::Unsettled::Unknown("no program may run from the folder of what runs"));
    }
    let image = settled::settle(&fs::File::open(program)?, settled::anywhere())?;
    fs::write(file, image)?;
    Ok(fs::set_permissions(file, fs::Permissions::from_mode(0o555))?)
}

/// Shows one file of the host inside the tree.
fn show(folder: &Path, file: &Path, named: &Path, attributes: u64) -> io::Result<()> {
    let at = inside(folder, named);
    if let Some(parent) = at.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::File::create(&at)?;
    let naming = |e: io::Error| io::Error::new(e.kind(), format!("showing {}: {e}", file.display()));
    sys::bind(&c_path(file)?, &c_path(&at)?, attributes).map_err(naming)
}

/// The mount namespace of this process, and one of its own for what is mounted at `root`.
fn alone(root: &CStr) -> io::Result<(OwnedFd, OwnedFd)> {
    let outside = sys::own_files()?;
    sys::unshare(sys::NEW_FILES)?;
    let inside = sys::own_files().and_then(|inside| {
        sys::bind(root, root, 0)?;
        sys::move_root(root)?;
        Ok(inside)
    });
    sys::enter_files(outside.as_fd())?;
    Ok((outside, inside?))
}

fn named(name: &CStr) -> &Path {
    Path::new(OsStr::from_bytes(name.to_bytes()))
}

fn inside(folder: &Path, name: &Path) -> PathBuf {
    folder.join(name.strip_prefix("/").unwrap_or(name))
}

fn top_of(path: &Path) -> PathBuf {
    path.components().nth(1).map_or_else(|| PathBuf::from("lib"), |part| PathBuf::from(part.as_os_str()))
}

/// A path as the kernel takes it.
pub(super) fn c_path(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| io::ErrorKind::InvalidInput.into())
}
