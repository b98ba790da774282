//! Giving memory back while nobody asks anything.
//!
//! A host holds hundreds of awake servers, most of them idle, so an idle one must cost next to nothing. What it used to
//! start and to answer stays mapped otherwise: megabytes of the program's own pages, which a lone server pays for
//! alone, and memory that the allocator keeps for the next request.
//!
//! A moment after the last request all of that is given back at once. Pages of the program come again from the
//! kernel's page cache when they are next touched, without any reading; nothing that was ever written to is
//! let go of but what the allocator itself calls free.
//!
//! This is about the process and not about one server in it, so its state is the process's own.
#![allow(unsafe_code, reason = "the kernel is told which pages may go, and the C library to trim its heap")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

/// How long nobody must have asked anything. The home closes what it does not need a little earlier.
const IDLE: Duration = Duration::from_secs(3);

/// What lies this far below the present end of the stack may still be in use by the caller.
const STACK_IN_USE: usize = 32 << 10;

/// No call goes deeper than this.
const DEEPEST_STACK: usize = 1 << 20;

/// How much of its heap a runtime has used by its first answer.
const HEAP_OF_A_START: usize = 512 << 10;

static STIRRED: AtomicBool = AtomicBool::new(false);
static STIRRING: Notify = Notify::const_new();

/// Says that somebody asks something. It costs next to nothing, for it is said at every request.
pub fn stir() {
    if !STIRRED.load(Ordering::Relaxed) {
        STIRRED.store(true, Ordering::Relaxed);
        STIRRING.notify_one();
    }
}

/// Gives memory back each time the process has been idle for a while. Between requests it waits without a timer, for
/// a process that wakes up now and then is not idle.
pub async fn whenever_idle() {
    rest_after(IDLE, give_back).await;
}

async fn rest_after(idle: Duration, rest: impl Fn()) {
    loop {
        tokio::time::sleep(idle).await;
        if !STIRRED.swap(false, Ordering::Relaxed) {
            rest();
            STIRRING.notified().await;
        }
    }
}

/// Keeps the allocator from spreading out: one heap for all threads, of which a little is kept when it is freed. For a
/// process with one busy thread; call it before there is a second one.
///
/// What a start takes of that heap is asked for at once, which costs the kernel less than page by page.
pub fn keep_heap_small() {
    #[cfg(target_env = "gnu")]
    // SAFETY: plain numbers, and pages of the heap, which keep what they hold; the process has one thread as yet.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 256 << 10);
        libc::mallopt(libc::M_MMAP_THRESHOLD, 128 << 10);
        libc::mallopt(libc::M_TOP_PAD, HEAP_OF_A_START as libc::c_int);
        // Two blocks, for one might fit into what there is.
        let blocks = [libc::malloc(HEAP_OF_A_START / 5), libc::malloc(HEAP_OF_A_START / 5)];
        // Seen from outside, so that the compiler does not leave out what is never used.
        std::hint::black_box(blocks).into_iter().for_each(|block| libc::free(block));
        let start = blocks[0].map_addr(|block| block.next_multiple_of(page()));
        let length = libc::sbrk(0).addr().saturating_sub(start.addr()).min(HEAP_OF_A_START) & !(page() - 1);
        // Kernels that cannot do it bring each page when it is touched.
        libc::madvise(start, length, libc::MADV_POPULATE_WRITE);
    }
}

/// Gives back what the process does not need to wait for a request.
fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: takes no pointer; the allocator locks itself.
    unsafe {
        libc::malloc_trim(0);
    }
    release_stack();
    // SAFETY: `release_program` is a callback of the right type and is given no data.
    unsafe { libc::dl_iterate_phdr(Some(release_program), std::ptr::null_mut()) };
}

/// Lets go of the stack that deep calls have left behind.
#[inline(never)]
fn release_stack() {
    let here = 0u8;
    let end = ((&raw const here).addr() - STACK_IN_USE) & !(page() - 1);
    let start = end - DEEPEST_STACK;
    // SAFETY: below the present end of the stack, beyond any red zone, nothing is alive. Where the stack has not grown
    // that far the kernel answers ENOMEM and has done the rest.
    unsafe { libc::madvise(std::ptr::without_provenance_mut(start), end - start, libc::MADV_DONTNEED) };
}

/// Lets go of the read-only parts of one loaded object: code and constants, which are in its file.
unsafe extern "C" fn release_program(
    object: *mut libc::dl_phdr_info,
    _: libc::size_t,
    _: *mut libc::c_void,
) -> libc::c_int {
    // SAFETY: the loader hands out a valid object with as many headers as it says.
    let (base, headers) = unsafe {
        let object = &*object;
        (object.dlpi_addr, std::slice::from_raw_parts(object.dlpi_phdr, object.dlpi_phnum.into()))
    };
    for header in headers {
        let is_constant = header.p_type == libc::PT_LOAD && header.p_flags & libc::PF_W == 0;
        if !is_constant {
            continue;
        }
        let first = (base + header.p_vaddr) as usize & !(page() - 1);
        let length = (base + header.p_vaddr + header.p_memsz) as usize - first;
        // SAFETY: a private mapping of a file that was never written to: what is let go of is read from the file again.
        unsafe { libc::madvise(std::ptr::without_provenance_mut(first), length, libc::MADV_DONTNEED) };
    }
    0
}

/// The size of a page. Asked of the C library, which was told by the kernel: in a sandbox there is no file to ask.
fn page() -> usize {
    // SAFETY: takes no pointer.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::FileExt;
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;

    use super::*;

    /// A part of the program that nothing else touches, whatever other tests do meanwhile.
    static PART: [u8; 1 << 20] = [7; 1 << 20];

    /// How many pages of [`PART`] are mapped in. The kernel may bring neighbours of a page along; the ends, which have
    /// strange ones, are not counted.
    fn mapped_pages() -> usize {
        const AROUND: usize = 128 << 10;
        let (first, last) =
            ((PART.as_ptr().addr() + AROUND) / page(), (PART.as_ptr().addr() + PART.len() - AROUND) / page());
        let map = File::open("/proc/self/pagemap").expect("the kernel's own list");
        let is_mapped = |page: &usize| {
            let mut entry = [0; 8];
            map.read_exact_at(&mut entry, *page as u64 * 8).expect("an entry for each page");
            u64::from_ne_bytes(entry) >> 63 == 1
        };
        (first..last).filter(is_mapped).count()
    }

    #[test]
    fn the_programs_own_pages_are_given_back_and_come_again() {
        let sum = || std::hint::black_box(&PART).iter().map(|byte| usize::from(*byte)).sum::<usize>();
        assert_eq!(sum(), 7 << 20);
        assert!(mapped_pages() > 0, "what was read is mapped");
        give_back();
        assert_eq!(mapped_pages(), 0, "nothing of it is mapped any more");
        assert_eq!(sum(), 7 << 20);
        assert!(mapped_pages() > 0);
    }

    #[tokio::test]
    async fn it_rests_after_a_stir_and_again_after_the_next() {
        let rests = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&rests);
        let resting = tokio::spawn(rest_after(Duration::from_millis(1), move || {
            counted.fetch_add(1, Ordering::Relaxed);
        }));
        for _ in 0..3 {
            let before = rests.load(Ordering::Relaxed);
            stir();
            while rests.load(Ordering::Relaxed) == before {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        assert!(!resting.is_finished());
        resting.abort();
    }
}
