//! SQLite's way to pages that are not here yet: a thin layer over its own unix file system.
//!
//! Only one thing differs from plain files: before a part of a database known here is read, [`Pages`] is asked to
//! bring it, and what SQLite writes counts as brought. Locks, the log and its shared index go straight through to the
//! layer below. SQLite can be told no more than "input/output error", so the reason is kept for the thread that
//! asked: whoever runs SQL on such a database looks at [`failure`] afterwards, and its answer outranks SQLite's.
//!
//! Why `unsafe` is allowed here: SQLite takes such a layer only as C tables of functions. The rules that make it sound
//! are few. A file is opened in memory that SQLite gives, `szOsFile` bytes aligned for any pointer: first a [`Shim`],
//! then, at [`BELOW`], the file of the layer below. The shim owns one [`Pages`], made in `open` and dropped in
//! `close`, and SQLite calls nothing on a file before the one or after the other. Nothing here unwinds into C.

#![allow(unsafe_code, reason = "SQLite takes a file system only as C tables of functions")]

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::{CStr, OsStr, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::{LazyLock, OnceLock};

use parking_lot::Mutex;
use rusqlite::ffi;

use super::error::Error;
use super::pages::Pages;

/// The name under which SQLite knows this layer.
pub(super) const NAME: &CStr = c"freehold";

/// Databases whose pages may be elsewhere, by the full path under which SQLite opens them.
static KNOWN: LazyLock<Mutex<HashMap<PathBuf, Pages>>> = LazyLock::new(Mutex::default);

/// The layer below, once ours is registered; nothing if SQLite would not have it.
static BELOW_US: OnceLock<Option<Layer>> = OnceLock::new();

thread_local! {
    static FAILURE: RefCell<Option<Error>> = const { RefCell::new(None) };
}

/// Lets `pages` answer for the database at `path`, which must be free of symbolic links.
pub(super) fn know(path: PathBuf, pages: Pages) -> Result<(), Error> {
    if BELOW_US.get_or_init(install).is_none() {
        let refused = std::io::Error::other("SQLite did not take the file system layer");
        return Err(Error::cache("reach pages")(refused));
    }
    KNOWN.lock().insert(path, pages);
    Ok(())
}

/// Nobody opens the database at `path` any more; connections that are open keep what they have.
pub(super) fn forget(path: &Path) {
    KNOWN.lock().remove(path);
}

/// Why a page could not be brought to this thread since this was last asked.
pub(super) fn failure() -> Option<Error> {
    FAILURE.take()
}

struct Layer(*mut ffi::sqlite3_vfs);

// SAFETY: SQLite's own layers live as long as the process and are made to be used from any thread.
unsafe impl Send for Layer {}
// SAFETY: as above; nothing here writes to it.
unsafe impl Sync for Layer {}

/// What stands before the file of the layer below.
#[repr(C)]
struct Shim {
    methods: ffi::sqlite3_file,
    pages: *mut Pages,
}

/// Where the file of the layer below begins; a multiple of every alignment SQLite's files have.
const BELOW: usize = size_of::<Shim>().next_multiple_of(16);

fn install() -> Option<Layer> {
    // SAFETY: the name ends in zero; SQLite initialises itself and returns a layer that lives for ever, or null.
    let below = unsafe { ffi::sqlite3_vfs_find(c"unix".as_ptr()) };
    if below.is_null() {
        return None;
    }
    // SAFETY: not null, and of the type SQLite declares. A copy shares all functions but the one that opens files;
    // they take no notice of which layer they are called through.
    let mut own = unsafe { *below };
    own.szOsFile += BELOW as c_int;
    own.pNext = ptr::null_mut();
    own.zName = NAME.as_ptr();
    own.xOpen = Some(open);
    // SAFETY: SQLite keeps the pointer, so the layer is leaked, once a process.
    let end = unsafe { ffi::sqlite3_vfs_register(Box::leak(Box::new(own)), 0) };
    (end == ffi::SQLITE_OK).then_some(Layer(below))
}

/// The file of the layer below.
///
/// # Safety
/// `file` was given to [`open`], for a database known here.
unsafe fn below(file: *mut ffi::sqlite3_file) -> *mut ffi::sqlite3_file {
    // SAFETY: SQLite gave `szOsFile` bytes, which includes everything from `BELOW` on.
    unsafe { file.byte_add(BELOW) }
}

/// # Safety
/// As SQLite calls `xOpen`: `file` has room for `szOsFile` bytes, `name` is null or ends in zero.
unsafe extern "C" fn open(
    _: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    let Some(Some(layer)) = BELOW_US.get() else { return ffi::SQLITE_CANTOPEN };
    // SAFETY: the layer lives for ever.
    let Some(open) = (unsafe { (*layer.0).xOpen }) else { return ffi::SQLITE_CANTOPEN };
    let known = if flags & ffi::SQLITE_OPEN_MAIN_DB == 0 || name.is_null() {
        None
    } else {
        // SAFETY: not null, and SQLite's names end in zero.
        let path = unsafe { CStr::from_ptr(name.cast::<c_char>()) };
        KNOWN.lock().get(Path::new(OsStr::from_bytes(path.to_bytes()))).cloned()
    };
    let Some(pages) = known else {
        // SAFETY: the call is passed on as it came; there is more room than the layer below needs.
        return unsafe { open(layer.0, name, file, flags, out) };
    };
    // SAFETY: `file` has room for a shim and for the file below it. The shim is written only when that is open, and
    // until then says that there is nothing to close.
    unsafe {
        (*file).pMethods = ptr::null();
        let end = open(layer.0, name, below(file), flags, out);
        if end == ffi::SQLITE_OK {
            let shim = file.cast::<Shim>();
            (*shim).pages = Box::into_raw(Box::new(pages));
            (*shim).methods.pMethods = &raw const METHODS;
        }
        end
    }
}

/// # Safety
/// As SQLite calls methods of a file that [`open`] has opened.
unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: SQLite closes a file once, so the box is still there and nobody else has it.
    unsafe {
        let end = close_below(file);
        drop(Box::from_raw((*file.cast::<Shim>()).pages));
        end
    }
}

/// # Safety
/// As [`close`]; `into` has room for `len` bytes.
unsafe extern "C" fn read(file: *mut ffi::sqlite3_file, into: *mut c_void, len: c_int, at: i64) -> c_int {
    // SAFETY: the file is open, so its pages are there.
    let pages = unsafe { &*(*file.cast::<Shim>()).pages };
    let there = catch_unwind(AssertUnwindSafe(|| pages.ensure(at as u64, len as usize)));
    match there.unwrap_or(Err(Error::Panicked)) {
        // SAFETY: passed on as it came.
        Ok(()) => unsafe { read_below(file, into, len, at) },
        Err(error) => {
            FAILURE.set(Some(error));
            ffi::SQLITE_IOERR_READ
        }
    }
}

/// # Safety
/// As [`close`]; `from` has `len` bytes.
unsafe extern "C" fn write(file: *mut ffi::sqlite3_file, from: *const c_void, len: c_int, at: i64) -> c_int {
    // SAFETY: the file is open, so its pages are there.
    let pages = unsafe { &*(*file.cast::<Shim>()).pages };
    let written = pages.written(at as u64, len as usize, || {
        // SAFETY: passed on as it came.
        match unsafe { write_below(file, from, len, at) } {
            ffi::SQLITE_OK => Ok(()),
            code => Err(code),
        }
    });
    written.err().unwrap_or(ffi::SQLITE_OK)
}

/// # Safety
/// As [`close`].
unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, len: i64) -> c_int {
    // SAFETY: the file is open, so its pages are there.
    let pages = unsafe { &*(*file.cast::<Shim>()).pages };
    // SAFETY: passed on as it came.
    pages.alone(|| unsafe { truncate_below(file, len) })
}

/// Methods that go straight to the layer below. All are called as [`close`] is.
macro_rules! pass_on {
    ($($name:ident: $method:ident($($arg:ident: $type:ty),*);)*) => {$(
        unsafe extern "C" fn $name(file: *mut ffi::sqlite3_file $(, $arg: $type)*) -> c_int {
            // SAFETY: the file below is open, and its methods live as long as the process.
            unsafe {
                let below = below(file);
                match (*(*below).pMethods).$method {
                    Some(method) => method(below $(, $arg)*),
                    None => ffi::SQLITE_IOERR,
                }
            }
        }
    )*};
}

pass_on! {
    close_below: xClose();
    read_below: xRead(into: *mut c_void, len: c_int, at: i64);
    write_below: xWrite(from: *const c_void, len: c_int, at: i64);
    truncate_below: xTruncate(len: i64);
    sync: xSync(flags: c_int);
    size: xFileSize(out: *mut i64);
    lock: xLock(how: c_int);
    unlock: xUnlock(how: c_int);
    check_reserved: xCheckReservedLock(out: *mut c_int);
    control: xFileControl(what: c_int, arg: *mut c_void);
    sector: xSectorSize();
    characteristics: xDeviceCharacteristics();
    share: xShmMap(region: c_int, size: c_int, extend: c_int, out: *mut *mut c_void);
    share_lock: xShmLock(offset: c_int, count: c_int, flags: c_int);
    unshare: xShmUnmap(delete: c_int);
}

unsafe extern "C" fn barrier(file: *mut ffi::sqlite3_file) {
    // SAFETY: as in `pass_on`.
    unsafe {
        let below = below(file);
        if let Some(method) = (*(*below).pMethods).xShmBarrier {
            method(below);
        }
    }
}

/// Version 2: with shared memory for the log's index, without mapped reads, which would pass us by.
static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved),
    xFileControl: Some(control),
    xSectorSize: Some(sector),
    xDeviceCharacteristics: Some(characteristics),
    xShmMap: Some(share),
    xShmLock: Some(share_lock),
    xShmBarrier: Some(barrier),
    xShmUnmap: Some(unshare),
    xFetch: None,
    xUnfetch: None,
};
