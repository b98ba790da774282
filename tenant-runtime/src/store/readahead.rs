//! How many groups to fetch at once: one for a look-up, ever more for a scan.

/// How many scans are told apart; several readers may each be in the middle of one.
const SCANS: usize = 4;

/// The most groups fetched ahead; 4 MiB of pages.
const MOST: u32 = 16;

/// How far behind the expected group a scan may go on; other tables' groups lie between.
const SLACK: u32 = 2;

/// The scans that may be under way.
#[derive(Debug, Default)]
pub(super) struct ReadAhead {
    scans: [Scan; SCANS],
    oldest: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Scan {
    next: u32,
    window: u32,
}

impl ReadAhead {
    /// `group` is not there and somebody waits for it: how many groups, from it on, to fetch.
    pub(super) fn missed(&mut self, group: u32) -> u32 {
        let goes_on = |scan: &&mut Scan| scan.window > 0 && (scan.next..=scan.next + SLACK).contains(&group);
        if let Some(scan) = self.scans.iter_mut().find(goes_on) {
            scan.window = (scan.window * 2).min(MOST);
            scan.next = group + scan.window;
            return scan.window;
        }
        self.scans[self.oldest] = Scan { next: group + 1, window: 1 };
        self.oldest = (self.oldest + 1) % SCANS;
        1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn look_ups_fetch_one_group_and_scans_more_and_more() {
        let mut ahead = ReadAhead::default();
        assert_eq!([70, 3, 900, 41].map(|group| ahead.missed(group)), [1; 4]);
        let (mut group, mut windows) = (900 + 1, Vec::new());
        for _ in 0..6 {
            let window = ahead.missed(group);
            windows.push(window);
            group += window;
        }
        assert_eq!(windows, [2, 4, 8, 16, 16, 16]);
    }

    #[test]
    fn two_scans_do_not_disturb_each_other() {
        let mut ahead = ReadAhead::default();
        assert_eq!((ahead.missed(10), ahead.missed(500)), (1, 1));
        assert_eq!((ahead.missed(11), ahead.missed(501)), (2, 2));
        assert_eq!((ahead.missed(14), ahead.missed(503)), (4, 4));
    }
}
