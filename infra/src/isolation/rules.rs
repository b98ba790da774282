//! The second lock on files: landlock, which holds even where a mount was forgotten.
//!
//! It is best effort: a kernel knows an older or newer set of rules or none, and what it knows is applied.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, Ruleset, RulesetAttr, RulesetCreatedAttr, Scope, path_beneath_rules,
};

use super::skeleton::Skeleton;
use super::sys;

/// The newest set of rules that is asked for.
const ASKED: ABI = ABI::V6;

/// The version of landlock this kernel speaks.
pub(super) fn version() -> io::Result<i64> {
    const VERSION: u32 = 1;
    let none = std::ptr::null::<u8>();
    // SAFETY: with this flag the kernel reads no attributes.
    sys::checked(unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, none, 0usize, VERSION) })
}

/// The rules of one runtime, still open for the folder for temporary files that does not exist yet.
pub(super) struct Rules {
    ruleset: OwnedFd,
    writable: u64,
}

impl Rules {
    /// Programs can be run, home and cache can be used, and nothing else.
    pub(super) fn new<'a>(skeleton: &Skeleton, own: impl IntoIterator<Item = &'a Path>) -> io::Result<Option<Self>> {
        let devices = skeleton.devices();
        let writable = writable();
        let ruleset = Ruleset::default()
            .handle_access(AccessFs::from_all(ASKED))
            .and_then(|rules| rules.handle_access(AccessNet::from_all(ASKED)))
            .and_then(|rules| rules.scope(Scope::from_all(ASKED)))
            .and_then(Ruleset::create)
            .and_then(|rules| rules.add_rules(path_beneath_rules(skeleton.code(), AccessFs::from_read(ASKED))))
            .and_then(|rules| rules.add_rules(path_beneath_rules([&devices], AccessFs::ReadFile | AccessFs::WriteFile)))
            .and_then(|rules| rules.add_rules(path_beneath_rules(own, writable)))
            .map_err(io::Error::other)?;
        let writable = writable & AccessFs::from_all(kernel());
        let Some(ruleset) = Option::<OwnedFd>::from(ruleset) else { return Ok(None) };
        Ok(Some(Self { ruleset: sys::above(ruleset.as_fd())?, writable: writable.bits() }))
    }

    /// Adds the folder for temporary files; for the child, so nothing is allocated.
    pub(super) fn add(&self, folder: &std::ffi::CStr) -> io::Result<()> {
        #[repr(C, packed)]
        struct Beneath {
            allowed: u64,
            folder: i32,
        }
        const PATH_BENEATH: u32 = 1;
        // SAFETY: a valid C string; the descriptor is closed below.
        let fd = sys::checked(unsafe { libc::open(folder.as_ptr(), libc::O_PATH | libc::O_CLOEXEC) }.into())?;
        let rule = Beneath { allowed: self.writable, folder: fd as i32 };
        let ruleset = self.ruleset.as_raw_fd();
        // SAFETY: `rule` has the kernel's packed layout and lives for the time of the call.
        unsafe {
            let result = libc::syscall(libc::SYS_landlock_add_rule, ruleset, PATH_BENEATH, &raw const rule, 0);
            let result = sys::checked(result);
            libc::close(fd as i32);
            result.map(drop)
        }
    }

    /// Puts this process under the rules, for good.
    pub(super) fn apply(&self) -> io::Result<()> {
        // SAFETY: takes no pointer.
        let result = unsafe { libc::syscall(libc::SYS_landlock_restrict_self, self.ruleset.as_raw_fd(), 0) };
        sys::checked(result).map(drop)
    }
}

/// Everything one does with one's own files, except running them and making devices.
fn writable() -> BitFlags<AccessFs> {
    let all = AccessFs::from_all(ASKED);
    all & !(AccessFs::Execute | AccessFs::MakeBlock | AccessFs::MakeChar | AccessFs::IoctlDev)
}

/// The kernel's own version, for rules that do not go through the crate's best effort.
fn kernel() -> ABI {
    version().map_or(ABI::Unsupported, |version| ABI::from(i32::try_from(version).unwrap_or(i32::MAX)).min(ASKED))
}
