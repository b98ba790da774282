//! Reading an archive that only flows past: from a pipe or the body of a request, front to back, never back.
//!
//! The canonical profile makes this possible: the bag's own files stand first, every entry's header says all of it, and
//! the list of entries at the end must say the same. So signature, version and room are judged in the first kilobytes, each
//! file when it has passed, and the whole when the last byte is there. Memory is bounded by the list of files and one
//! document.
//!
//! What passes by is not to be trusted yet: everything handed out is [`Unverified`], and only [`Arrived`], which the end
//! of a sound archive yields, turns it into what it is. A receiver may put things aside as they come, and must not use them
//! before. Fails by [`Refusal`], with what was found up to there; [`check`] goes on and tells everything.
//!
//! The findings are those of [`crate::check`], with which it shares every rule, where an archive keeps its structure up to
//! the end. Where that breaks, a reader that never goes back cannot tell what lies behind the break, and says less.

use std::fmt;
use std::io::{self, Read};

use crate::bag::{self, names};
use crate::check::Report;
use crate::digest::Digest;
use crate::finding::{Code, Findings, Refusal, Severity};
use crate::head::{self, TagFiles};
use crate::layout::{self, Entry, Limits, TAIL, le16, le32, le64};
use crate::manifest::Manifest;
use crate::packed::Stored;
use crate::path::EntryPath;
use crate::payload::Payload;
use crate::reader::Progress;
use crate::signature::{SigningKey, Trust};
use crate::source::{Flow as _, Passing};
use crate::unpack::{Unpacker, read_local};
use crate::zip::{self, End, Header};

/// Something of an archive whose end was not seen yet.
#[derive(Debug, Clone, Copy)]
pub struct Unverified<T>(T);

impl<T> Unverified<T> {
    /// Makes something else of it, which is as little verified.
    pub fn map<U>(self, make: impl FnOnce(T) -> U) -> Unverified<U> {
        Unverified(make(self.0))
    }

    /// A look at it, to put it aside or to show it as what it is.
    pub fn look(&self) -> &T {
        &self.0
    }
}

/// Takes what passes by.
pub trait Receive {
    /// What the archive says of itself, and by which key it is signed. The signature fits; whether the rest keeps what it
    /// promises is not known yet.
    ///
    /// # Errors
    /// Ends the reading.
    fn begin(&mut self, manifest: Unverified<&Manifest>, signed_by: &SigningKey) -> io::Result<()>;

    /// A file of the payload begins; it has so many bytes.
    ///
    /// # Errors
    /// Ends the reading.
    fn file(&mut self, path: Unverified<&EntryPath>, size: u64) -> io::Result<()>;

    /// The next bytes of that file.
    ///
    /// # Errors
    /// Ends the reading.
    fn bytes(&mut self, bytes: Unverified<&[u8]>) -> io::Result<()>;
}

/// The proof that an archive has passed whole and sound.
#[derive(Debug)]
pub struct Arrived {
    manifest: Manifest,
    signed_by: SigningKey,
    findings: Findings,
}

impl Arrived {
    /// `pcc.json`.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// By which key the archive is signed. That alone says nothing about whose key it is.
    #[must_use]
    pub fn signed_by(&self) -> &SigningKey {
        &self.signed_by
    }

    /// What was found, short of refusals.
    #[must_use]
    pub fn findings(&self) -> &Findings {
        &self.findings
    }

    /// Something of this archive, now that it is known to be sound.
    pub fn verified<T>(&self, thing: Unverified<T>) -> T {
        thing.0
    }
}

/// Reads an archive that flows past and hands it to `receiver`.
///
/// ```
/// use std::io;
/// use export_format::EntryPath;
/// use export_format::forward::{self, Receive, Unverified};
/// use export_format::manifest::Manifest;
/// use export_format::reader::Limits;
/// use export_format::signature::{SigningKey, Trust};
///
/// /// Puts names aside; a real one writes files to a stage, and throws it away when the archive is refused.
/// #[derive(Default)]
/// struct Names(Vec<Unverified<EntryPath>>);
///
/// impl Receive for Names {
///     fn begin(&mut self, _: Unverified<&Manifest>, _: &SigningKey) -> io::Result<()> {
///         Ok(())
///     }
///     fn file(&mut self, path: Unverified<&EntryPath>, _size: u64) -> io::Result<()> {
///         self.0.push(path.map(EntryPath::clone));
///         Ok(())
///     }
///     fn bytes(&mut self, _: Unverified<&[u8]>) -> io::Result<()> {
///         Ok(())
///     }
/// }
///
/// let mut names = Names::default();
/// let refused = forward::read(&b"no archive"[..], &Limits::default(), &Trust::Anyone, &mut names);
/// assert!(refused.is_err() && names.0.is_empty());
/// ```
///
/// # Errors
/// When the archive is refused, or the receiver ends the reading (as [`Code::Read`]).
pub fn read(input: impl Read, limits: &Limits, trust: &Trust, receiver: &mut dyn Receive) -> Result<Arrived, Refusal> {
    let report = Walk::new(input, limits, trust).run(Some(receiver), &mut |_| {});
    match (report.manifest, report.signed_by) {
        (Some(manifest), Some(signed_by)) if report.accepted => {
            Ok(Arrived { manifest, signed_by, findings: report.findings })
        }
        _ => Err(Refusal { findings: report.findings }),
    }
}

/// Checks an archive that flows past: everything that can be told, as [`crate::check::check`] does.
///
/// ```
/// use export_format::finding::Code;
/// use export_format::forward;
/// use export_format::reader::Limits;
/// use export_format::signature::Trust;
/// let report = forward::check(std::io::empty(), &Limits::default(), &Trust::Anyone, &mut |_| {});
/// assert!(!report.accepted && report.findings.has(Code::NotArchive));
/// ```
pub fn check(input: impl Read, limits: &Limits, trust: &Trust, progress: &mut dyn FnMut(Progress)) -> Report {
    Walk::new(input, limits, trust).run(None, progress)
}

/// Why a walk ended before its time.
enum Stop {
    /// Reading failed; at the end of the input that means that the archive is cut.
    Failed(Option<EntryPath>, io::Error),
    /// What comes is neither an entry nor the list of them.
    Broken,
    /// There is reason enough to refuse, and nobody wants to know more.
    Refused,
}

/// What comes next.
enum Next {
    Entry(Entry),
    /// Something that is no entry of this format, so long.
    Strange {
        len: u64,
    },
}

struct Walk<'l, R> {
    input: Passing<R>,
    limits: &'l Limits,
    trust: &'l Trust,
    entries: Vec<Entry>,
    /// What passed, in its order: an entry that can be told, with the checksum its content had, or one that cannot.
    passed: Vec<Option<(usize, Option<u32>)>>,
    tags: TagFiles,
    /// How much content there was so far.
    bytes: u64,
    /// Where something stood that belongs to nothing.
    broken: u64,
    payload: Option<Payload>,
    digests: Vec<(EntryPath, Digest)>,
    /// Findings about the list of entries, which a reader that begins with it would have first.
    of_list: Findings,
    of_tags: Findings,
    of_payload: Findings,
}

impl<'l, R: Read> Walk<'l, R> {
    fn new(input: R, limits: &'l Limits, trust: &'l Trust) -> Self {
        Self {
            input: Passing::new(input),
            limits,
            trust,
            entries: Vec::new(),
            passed: Vec::new(),
            tags: TagFiles::new(),
            bytes: 0,
            broken: 0,
            payload: None,
            digests: Vec::new(),
            of_list: Findings::default(),
            of_tags: Findings::default(),
            of_payload: Findings::default(),
        }
    }

    fn run(mut self, mut receiver: Option<&mut (dyn Receive + '_)>, progress: &mut dyn FnMut(Progress)) -> Report {
        let walked = self.entries(&mut receiver, progress).and_then(|()| self.list());
        let mut only = Findings::default();
        match walked {
            Ok(()) => {}
            Err(Stop::Refused) => {
                // What did not come is not missing.
                self.of_list.append(self.of_tags);
                self.of_list.append(self.of_payload);
                return Report::new(&self.entries, head::Head::default(), self.of_list);
            }
            Err(Stop::Failed(_, err)) if err.kind() == io::ErrorKind::UnexpectedEof => {
                only.add(Code::NotArchive.found(""));
            }
            Err(Stop::Failed(path, err)) => only.add(match path {
                Some(path) => Code::Read.at(path, err),
                None => Code::Read.found(err),
            }),
            Err(Stop::Broken) => match self.input.rest(TAIL) {
                Err(err) => only.add(Code::Read.found(err)),
                Ok(tail) => {
                    let broken = self.broken;
                    match layout::judge_end(&tail, self.input.position(), &mut only) {
                        None => {}
                        Some(end) if end.central_offset == broken => {
                            self.of_list.add(Code::Central.found("it does not begin as it must"));
                        }
                        Some(_) => {
                            let why = format!("at byte {broken} stands neither an entry nor the list of them");
                            self.of_list.add(Code::Gap.found(why));
                        }
                    }
                }
            },
        }
        // Without a sound end there is no telling what was meant to be there: that says it best.
        if !only.accepted() {
            return Report::new(&[], head::Head::default(), only);
        }
        self.report()
    }

    /// Everything up to the list of entries.
    fn entries(
        &mut self,
        receiver: &mut Option<&mut (dyn Receive + '_)>,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), Stop> {
        let mut unpacker = Unpacker::new();
        let mut told = 0;
        loop {
            let begin = self.input.peek(zip::LOCAL_LEN).map_err(|err| Stop::Failed(None, err))?;
            if begin.len() < 4 {
                return Err(Stop::Failed(None, io::ErrorKind::UnexpectedEof.into()));
            }
            match le32(begin, 0) {
                zip::LOCAL_SIG => {}
                // An archive may have no payload at all.
                zip::CENTRAL_SIG => return self.first_payload(receiver),
                _ => {
                    self.broken = self.input.position();
                    return Err(Stop::Broken);
                }
            }
            if self.passed.len() as u64 >= self.limits.entries {
                self.of_list = Findings::default();
                self.of_list
                    .add(Code::TooMany.found(format_args!("more than the {} that are allowed", self.limits.entries)));
                return Err(Stop::Refused);
            }
            let mut entry = match self.header()? {
                Next::Entry(entry) => entry,
                Next::Strange { len } => {
                    // What is wrong with it is told when the list of entries comes.
                    self.input.skip(len).map_err(|err| Stop::Failed(None, err))?;
                    self.of_payload.add(Code::Local.found("its name or method is none of the format's"));
                    self.passed.push(None);
                    if receiver.is_some() {
                        return Err(Stop::Refused);
                    }
                    continue;
                }
            };
            let failed = |entry: &Entry| {
                let path = entry.path.clone();
                move |err| Stop::Failed(Some(path), err)
            };
            let end = entry.header().end();
            read_local(&mut self.input, &entry, &mut self.of_payload).map_err(failed(&entry))?;
            let mut found = None;
            if entry.path.is_payload() {
                self.first_payload(receiver)?;
                let listed = self.digests.binary_search_by(|(path, _)| path.cmp(&entry.path));
                entry.digest = listed.ok().map(|at| self.digests[at].1);
                self.bytes = self.bytes.saturating_add(entry.size);
                let fits = self.bytes <= self.limits.bytes;
                if !fits && receiver.is_some() {
                    self.quota();
                    return Err(Stop::Refused);
                }
                if let Some(receiver) = receiver {
                    receiver.file(Unverified(&entry.path), entry.size).map_err(failed(&entry))?;
                }
                // Content that does not fit the room is not unpacked, not even to look at it.
                if let (true, Some(payload)) = (fits, &mut self.payload) {
                    let mut pass = |at: u64, bytes: &[u8]| {
                        if at - told >= 1 << 20 {
                            told = at;
                            progress(Progress { done: at, total: 0 });
                        }
                        receiver.as_mut().map_or(Ok(()), |receiver| receiver.bytes(Unverified(bytes)))
                    };
                    let read = unpacker.read(&mut self.input, &entry, payload, &mut pass, &mut self.of_payload);
                    found = read.map_err(failed(&entry))?;
                }
                if receiver.is_some()
                    && (!self.of_payload.accepted() || found.is_some_and(|crc32| crc32 != entry.crc32))
                {
                    self.note_crc(&entry, found);
                    return Err(Stop::Refused);
                }
            } else {
                self.tag(&entry).map_err(failed(&entry))?;
            }
            let behind = self.input.position();
            self.input.skip(end.saturating_sub(behind)).map_err(failed(&entry))?;
            self.passed.push(Some((self.entries.len(), found)));
            self.entries.push(entry);
        }
    }

    fn note_crc(&mut self, entry: &Entry, found: Option<u32>) {
        if found.is_some_and(|crc32| crc32 != entry.crc32) {
            self.of_payload.add(Code::Crc.at(&entry.path, ""));
        }
    }

    /// What the header that comes next says.
    fn header(&mut self) -> Result<Next, Stop> {
        let failed = |err| Stop::Failed(None, err);
        let offset = self.input.position();
        let fixed = self.input.peek(zip::LOCAL_LEN).map_err(failed)?;
        if fixed.len() < zip::LOCAL_LEN {
            return Err(Stop::Failed(None, io::ErrorKind::UnexpectedEof.into()));
        }
        let (name_len, extra_len) = (usize::from(le16(fixed, 26)), usize::from(le16(fixed, 28)));
        let (method, crc32) = (le16(fixed, 8), le32(fixed, 14));
        let (mut stored_len, mut size) = (u64::from(le32(fixed, 18)), u64::from(le32(fixed, 22)));
        let whole = self.input.peek(zip::LOCAL_LEN + name_len + extra_len).map_err(failed)?;
        let Some(name) = whole.get(zip::LOCAL_LEN..zip::LOCAL_LEN + name_len) else {
            return Err(Stop::Failed(None, io::ErrorKind::UnexpectedEof.into()));
        };
        let extra = &whole[zip::LOCAL_LEN + name_len..];
        if (stored_len == 0xffff_ffff || size == 0xffff_ffff) && extra.len() >= 20 && le16(extra, 0) == 1 {
            (size, stored_len) = (le64(extra, 4), le64(extra, 12));
        }
        let header_len = (zip::LOCAL_LEN + name_len + extra_len) as u64;
        let strange = Next::Strange { len: header_len.saturating_add(stored_len) };
        let stored = match method {
            0 if stored_len == size => Stored::Whole,
            8 => Stored::Deflated { bytes: stored_len },
            _ => return Ok(strange),
        };
        let path = std::str::from_utf8(name).ok().and_then(|name| name.parse::<EntryPath>().ok());
        let Some(path) = path else { return Ok(strange) };
        let entry = Entry { path, size, crc32, stored, offset, digest: None };
        // Its header must be as long as the one that its facts make, or there is no telling where its content begins.
        let fits = entry.header().local_len() == header_len
            && offset.checked_add(header_len).and_then(|at| at.checked_add(stored_len)).is_some();
        Ok(if fits { Next::Entry(entry) } else { strange })
    }

    /// Keeps one of the bag's own files.
    fn tag(&mut self, entry: &Entry) -> io::Result<()> {
        let Some(name) = names::TAG_FILES.into_iter().find(|name| *name == entry.path.as_str()) else { return Ok(()) };
        // How many entries there are is said at the end, so the most there may be is taken for now.
        let limit = head::tag_file_limit(name, self.limits.entries);
        if entry.size > limit || entry.stored != Stored::Whole {
            self.of_tags.add(Code::TagTooLong.at(name, format_args!("{} bytes; {limit} are allowed", entry.size)));
            return Ok(());
        }
        let mut content = Vec::new();
        while (content.len() as u64) < entry.size {
            let chunk = self.input.chunk(entry.size - content.len() as u64)?;
            content.extend_from_slice(chunk);
        }
        if crc32fast::hash(&content) != entry.crc32 {
            self.of_tags.add(Code::Crc.at(name, ""));
        }
        self.tags.insert(name, content);
        Ok(())
    }

    /// All of the bag's own files are here: what they say is judged before anything is taken by their word.
    fn first_payload(&mut self, receiver: &mut Option<&mut (dyn Receive + '_)>) -> Result<(), Stop> {
        if self.payload.is_some() {
            return Ok(());
        }
        let manifest = self.tags.get(names::MANIFEST).map(Vec::as_slice).unwrap_or_default();
        let (mut lines, _) = bag::parse_manifest(manifest);
        lines.sort_unstable();
        self.payload = Some(Payload::listed(lines.iter().map(|(path, digest)| (path.clone(), *digest, None))));
        self.digests = lines;
        let Some(receiver) = receiver else { return Ok(()) };
        let mut early = Findings::default();
        let head = head::examine(&self.tags, &mut [], self.limits, &mut early);
        if let Some(key) = &head.signed_by {
            head::examine_trust(key, self.trust, &mut early);
        }
        // What compares the files with what is said of them comes when they have come.
        let later = |code: Code| matches!(code, Code::Bytes | Code::Oxum | Code::Missing);
        for finding in
            early.list().iter().filter(|finding| finding.severity == Severity::Refusal && !later(finding.code))
        {
            self.of_tags.add(finding.clone());
        }
        match (head.manifest, head.signed_by) {
            (Some(manifest), Some(signed_by)) if self.of_tags.accepted() && self.of_payload.accepted() => {
                if manifest.counts.bytes > self.limits.bytes {
                    self.bytes = manifest.counts.bytes;
                    self.quota();
                    return Err(Stop::Refused);
                }
                receiver.begin(Unverified(&manifest), &signed_by).map_err(|err| Stop::Failed(None, err))
            }
            _ => Err(Stop::Refused),
        }
    }

    fn quota(&mut self) {
        let (has, room) = (crate::cover::human(self.bytes), crate::cover::human(self.limits.bytes));
        self.of_tags.add(Code::Quota.found(format_args!("it holds {has}, there is room for {room}")));
    }

    /// The list of entries, which must be of those that came, and the end.
    fn list(&mut self) -> Result<(), Stop> {
        let failed = |err| Stop::Failed(None, err);
        let central_offset = self.input.position();
        let (mut number, mut listed, mut offset) = (0, Vec::new(), 0);
        let (mut record, mut expected) = (Vec::new(), Vec::new());
        loop {
            let fixed = self.input.peek(zip::CENTRAL_LEN).map_err(failed)?;
            if fixed.len() < 4 || le32(fixed, 0) != zip::CENTRAL_SIG {
                break;
            }
            if fixed.len() < zip::CENTRAL_LEN || number > self.limits.entries {
                return Err(Stop::Failed(None, io::ErrorKind::UnexpectedEof.into()));
            }
            let tail: usize = [28, 30, 32].iter().map(|&at| usize::from(le16(fixed, at))).sum();
            self.input.fill(&mut record, zip::CENTRAL_LEN + tail).map_err(failed)?;
            let passed = self.passed.get(number as usize).copied();
            let entry = passed.flatten().and_then(|(at, _)| self.entries.get(at));
            expected.clear();
            if let Some(entry) = entry {
                entry.header().write_central(&mut expected);
            }
            match layout::read_record(&record, offset, &mut listed, &mut self.of_list) {
                Some(next) => offset = next,
                None => return Ok(()),
            }
            if expected != record
                && let Some(other) = listed.last()
                && passed != Some(None)
                && entry.is_none_or(|entry| local(&entry.header()) != local(&other.header()))
            {
                self.of_payload.add(Code::Local.at(&other.path, ""));
            }
            if let (Some(Some((_, Some(found)))), Some(other)) = (passed, listed.last())
                && found != other.crc32
            {
                self.of_payload.add(Code::Crc.at(&other.path, ""));
            }
            number += 1;
            // Only what is wrong is told of it; the entries themselves are here.
            listed.clear();
        }
        if number < self.passed.len() as u64 {
            self.of_list.add(Code::Gap.found("there are entries that their list does not have"));
        }
        let central_len = self.input.position() - central_offset;
        let tail = self.input.rest(TAIL).map_err(failed)?;
        let mut end = Vec::new();
        End { entries: number, central_offset, central_len }.write(&mut end);
        if tail != end {
            let mut only = Findings::default();
            if layout::judge_end(&tail, self.input.position(), &mut only).is_some() {
                self.of_list.add(Code::Central.found("it is not as long as the end of the archive says"));
            } else {
                (self.of_list, self.entries) = (only, Vec::new());
                self.of_tags = Findings::default();
                self.of_payload = Findings::default();
                self.tags.clear();
            }
        }
        Ok(())
    }

    /// Everything that was found, in the order in which a reader that begins with the list of entries finds it.
    fn report(mut self) -> Report {
        let mut findings = self.of_list;
        layout::check_order(&self.entries, &names::TAG_FILES, &mut findings);
        let count = self.entries.len() as u64;
        self.tags.retain(|name, content| {
            let limit = head::tag_file_limit(name, count);
            let fits = content.len() as u64 <= limit;
            if !fits {
                self.of_tags
                    .add(Code::TagTooLong.at(name, format_args!("{} bytes; {limit} are allowed", content.len())));
            }
            fits
        });
        findings.append(self.of_tags);
        let mut found_head = head::Head::default();
        if !self.entries.is_empty() {
            found_head = head::examine(&self.tags, &mut self.entries, self.limits, &mut findings);
            if let Some(key) = &found_head.signed_by {
                head::examine_trust(key, self.trust, &mut findings);
            }
        }
        if !findings.has(Code::Quota) {
            findings.append(self.of_payload);
            if let Some(payload) = self.payload {
                payload.finish(found_head.manifest.as_ref(), &mut findings);
            }
        }
        Report::new(&self.entries, found_head, findings)
    }
}

fn local(header: &Header<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    header.write_local(&mut out);
    out
}

impl<T: fmt::Display> fmt::Display for Unverified<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (not verified yet)", self.0)
    }
}
