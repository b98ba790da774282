//! What an awake runtime takes of the machine, read from the kernel's files about its process.

use std::fs;

use crate::launcher::Process;

use super::api::{RunId, Usage};

/// Reads them; what cannot be read is left out, for the process may have just ended.
pub(super) fn of(pid: u32, charged_bytes: Option<u64>) -> Usage {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok();
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok();
    Usage { pss_bytes: rollup.as_deref().and_then(pss_bytes), charged_bytes, cpu_ms: stat.as_deref().and_then(cpu_ms) }
}

/// The processor's time of a run, in microseconds, if this process still is that run.
pub(super) fn cpu_us_of(pid: u32, run: &RunId) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The id may have gone to another process since it was told.
    let same = Process::of(pid.cast_signed(), &stat)?.run() == *run;
    same.then(|| cpu_ms(&stat).map(|ms| ms * 1000)).flatten()
}

fn pss_bytes(rollup: &str) -> Option<u64> {
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// The 14th and 15th field, in ticks of a hundredth of a second on every Linux of today.
fn cpu_ms(stat: &str) -> Option<u64> {
    const TICK_MS: u64 = 10;
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some((user + system) * TICK_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_files_are_read_right() {
        assert_eq!(pss_bytes("Rss:  900 kB\nPss:             785 kB\nPss_Dirty: 1 kB\n"), Some(785 * 1024));
        assert_eq!(cpu_ms("7 (a b) S 1 7 7 0 -1 0 0 0 0 0 12 30 0 0 20"), Some(420));
        let own = of(std::process::id(), Some(1));
        assert!(own.pss_bytes.is_some_and(|bytes| bytes > 0) && own.cpu_ms.is_some());
        assert_eq!(of(u32::MAX, None), Usage::default());
    }
}
