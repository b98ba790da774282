//! A folder of a WebDAV server (RFC 4918).
//!
//! An archive goes there as one stream under a name that begins with a dot, and gets its own name when all of it is
//! there; so what has the name of an archive is whole. A stream that was cut off is sent again from its beginning,
//! since WebDAV knows no other way.
//!
//! What such a server answers is read within bounds and taken for nothing but names, lengths and times.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use quick_xml::events::Event;
use url::Url;

use super::access::Secret;
use super::peer::{Found, Incoming, MOST_FOUND, away};
use super::reach::{Looking as _, Reach};
use crate::{Error, Kind, Result};

/// How long a short question may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a stream may stand still.
const STALL: Duration = Duration::from_secs(120);
/// The longest answer about a folder that is read.
const LONGEST_LIST: usize = 8 << 20;
/// The longest word of such an answer that is kept.
const LONGEST_WORD: usize = 2048;

/// A folder of a WebDAV server.
pub(crate) struct Webdav {
    client: reqwest::Client,
    folder: Url,
    user: String,
    password: Secret,
}

impl Webdav {
    pub(super) fn open(reach: Reach, url: &str, user: String, password: Secret) -> Result<Self> {
        let folder = reach.parse("url", url)?;
        Ok(Self { client: reach.connecting()?, folder, user, password })
    }

    pub(super) async fn put(&self, name: &str, content: Bytes) -> Result<()> {
        let send = || async { self.in_time(self.ask(Method::PUT, self.file(name)?).body(content.clone())).await };
        let answer = send().await?;
        if matches!(answer.status(), StatusCode::NOT_FOUND | StatusCode::CONFLICT) {
            self.make_folder().await?;
            return good(&send().await?);
        }
        good(&answer)
    }

    /// Sends a file of `bytes` bytes under a name that nobody takes for an archive; `sent` says how far it is.
    pub(crate) async fn stream<S>(&self, name: &str, bytes: u64, content: S, sent: Arc<AtomicU64>) -> Result<()>
    where
        S: Stream<Item = io::Result<Bytes>> + Send + 'static,
    {
        self.make_folder().await?;
        let counter = Arc::clone(&sent);
        let counted = content.inspect_ok(move |part| {
            counter.fetch_add(part.len() as u64, Ordering::Relaxed);
        });
        let request = self.ask(Method::PUT, self.file(&half(name))?);
        let request = request.header(header::CONTENT_LENGTH, bytes).body(reqwest::Body::wrap_stream(counted));
        let mut put = std::pin::pin!(request.send());
        let mut last = sent.load(Ordering::Relaxed);
        loop {
            match tokio::time::timeout(STALL, &mut put).await {
                Ok(answer) => return good(&answer.map_err(away)?),
                Err(_) if sent.load(Ordering::Relaxed) == last => {
                    return Err(Error::retry("Your storage takes nothing more of the archive just now."));
                }
                Err(_) => last = sent.load(Ordering::Relaxed),
            }
        }
    }

    /// Gives a file that was streamed its own name.
    pub(crate) async fn settle(&self, name: &str) -> Result<()> {
        let to = self.file(name)?;
        let to = HeaderValue::from_str(to.as_str()).map_err(Error::bug)?;
        let request = self.ask(Method::from_bytes(b"MOVE").map_err(Error::bug)?, self.file(&half(name))?);
        good(&self.in_time(request.header("destination", to).header("overwrite", "T")).await?)
    }

    /// Deletes what a stream that was cut off left there.
    pub(crate) async fn forget(&self, name: &str) -> Result<()> {
        self.delete(&half(name)).await
    }

    pub(super) async fn list(&self) -> Result<Vec<Found>> {
        let Some(text) = self.look(self.folder.clone(), "1").await? else {
            return Ok(Vec::new());
        };
        let lines = read(&text)?;
        Ok(lines.into_iter().filter_map(|line| self.own(line)).take(MOST_FOUND).collect())
    }

    pub(super) async fn size(&self, name: &str) -> Result<Option<u64>> {
        let Some(text) = self.look(self.file(name)?, "0").await? else {
            return Ok(None);
        };
        Ok(read(&text)?.into_iter().find(|line| !line.folder).and_then(|line| line.bytes))
    }

    pub(super) async fn read(&self, name: &str, from: u64) -> Result<Incoming> {
        let mut request = self.ask(Method::GET, self.file(name)?);
        if from > 0 {
            request = request.header(header::RANGE, format!("bytes={from}-"));
        }
        let answer = self.in_time(request).await?;
        good(&answer)?;
        // A server that knows no ranges sends all of it.
        let skip = if answer.status() == StatusCode::PARTIAL_CONTENT { 0 } else { from };
        let stream = answer.bytes_stream().map_err(io::Error::other);
        Ok(unstalled(beyond(stream, skip)).boxed())
    }

    pub(super) async fn delete(&self, name: &str) -> Result<()> {
        let answer = self.in_time(self.ask(Method::DELETE, self.file(name)?)).await?;
        if matches!(answer.status(), StatusCode::NOT_FOUND | StatusCode::GONE) { Ok(()) } else { good(&answer) }
    }

    /// What the server says of a file or folder; nothing when it is not there.
    async fn look(&self, url: Url, depth: &'static str) -> Result<Option<Vec<u8>>> {
        const ASKED: &str = r#"<?xml version="1.0" encoding="utf-8"?><propfind xmlns="DAV:"><prop><getcontentlength/><getlastmodified/><resourcetype/></prop></propfind>"#;
        let request = self.ask(Method::from_bytes(b"PROPFIND").map_err(Error::bug)?, url);
        let request = request.header("depth", depth).header(header::CONTENT_TYPE, "application/xml").body(ASKED);
        let answer = self.in_time(request).await?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        good(&answer)?;
        if answer.status() != StatusCode::MULTI_STATUS {
            return Err(Error::new(Kind::Fix, "This address answers, but it is not a folder of a WebDAV server."));
        }
        let mut all = Vec::new();
        let mut coming = unstalled(answer.bytes_stream().map_err(io::Error::other)).boxed();
        while let Some(part) = coming.try_next().await.map_err(away)? {
            all.extend_from_slice(&part);
            if all.len() > LONGEST_LIST {
                return Err(Error::new(
                    Kind::Fix,
                    "More lies in this folder than we read. Take a folder of its own for your archives.",
                ));
            }
        }
        Ok(Some(all))
    }

    /// Makes the folder; one that is there is fine.
    async fn make_folder(&self) -> Result<()> {
        let answer =
            self.in_time(self.ask(Method::from_bytes(b"MKCOL").map_err(Error::bug)?, self.folder.clone())).await?;
        match answer.status() {
            // 405: it is there. Some say 403 or 301 of the topmost folder; whether it takes files, the next answer tells.
            StatusCode::METHOD_NOT_ALLOWED | StatusCode::FORBIDDEN | StatusCode::MOVED_PERMANENTLY => Ok(()),
            StatusCode::CONFLICT => Err(Error::new(
                Kind::Fix,
                "The folder above this one is not there. Make it first, or look at the address.",
            )),
            _ => good(&answer),
        }
    }

    fn file(&self, name: &str) -> Result<Url> {
        let mut url = self.folder.clone();
        url.path_segments_mut().map_err(|()| Error::bug("a folder without a path"))?.pop_if_empty().push(name);
        Ok(url)
    }

    fn ask(&self, method: Method, url: Url) -> reqwest::RequestBuilder {
        let request = self.client.request(method, url).headers(HeaderMap::new());
        if self.user.is_empty() { request } else { request.basic_auth(&self.user, Some(&self.password.0)) }
    }

    async fn in_time(&self, request: reqwest::RequestBuilder) -> Result<reqwest::Response> {
        tokio::time::timeout(PATIENCE, request.send()).await.map_err(away)?.map_err(away)
    }

    /// A file directly in this folder.
    fn own(&self, line: Line) -> Option<Found> {
        let url = self.folder.join(&line.href).ok()?;
        let name = url.path().strip_prefix(self.folder.path())?;
        let name = percent_encoding::percent_decode_str(name).decode_utf8().ok()?.into_owned();
        let plain = !line.folder && !name.is_empty() && !name.contains('/');
        Some(Found { name, bytes: line.bytes?, changed_ms: line.changed_ms }).filter(|_| plain)
    }
}

/// The name of a file that is not all there.
fn half(name: &str) -> String {
    format!(".{name}.part")
}

/// The bytes of a stream behind the first `skip` of them.
fn beyond(stream: impl Stream<Item = io::Result<Bytes>>, mut skip: u64) -> impl Stream<Item = io::Result<Bytes>> {
    stream.map_ok(move |mut part| {
        let cut = usize::try_from(skip).unwrap_or(usize::MAX).min(part.len());
        skip -= cut as u64;
        part.split_off(cut)
    })
}

/// A stream that ends with an error when it stands still.
fn unstalled<S>(stream: S) -> impl Stream<Item = io::Result<Bytes>>
where
    S: Stream<Item = io::Result<Bytes>>,
{
    futures::stream::unfold(Some(Box::pin(stream)), |stream| async {
        let mut stream = stream?;
        match tokio::time::timeout(STALL, stream.next()).await {
            Ok(Some(Ok(part))) => Some((Ok(part), Some(stream))),
            Ok(Some(Err(error))) => Some((Err(error), None)),
            Ok(None) => None,
            Err(stalled) => Some((Err(io::Error::new(io::ErrorKind::TimedOut, stalled)), None)),
        }
    })
}

/// A success, or what is wrong in words.
fn good(answer: &reqwest::Response) -> Result<()> {
    let status = answer.status();
    let fix = |sentence: &'static str| Err(Error::new(Kind::Fix, sentence));
    match status.as_u16() {
        200..=299 => Ok(()),
        300..=399 => fix("The storage sends us on to another address. Write that one; we do not follow."),
        401 => fix("The storage refuses the user or the password."),
        403 => fix("The storage does not allow this user to do that in this folder."),
        404 | 409 | 410 => fix("The storage knows no such folder. Look at the address."),
        405 | 501 => fix("This address answers, but it is not a folder of a WebDAV server."),
        413 | 507 => Err(Error::full("Your storage is full, or takes no file of this size.")),
        408 | 423 | 425 | 429 | 500.. => {
            Err(Error::retry(format!("Your storage cannot do it just now (it answers {status}).")))
        }
        _ => Err(Error::new(Kind::Fix, format!("The storage refuses it (it answers {status})."))),
    }
}

/// One file or folder of an answer.
#[derive(Debug, Default, PartialEq, Eq)]
struct Line {
    href: String,
    bytes: Option<u64>,
    changed_ms: Option<i64>,
    folder: bool,
}

/// The lines of a `multistatus`. Prefixes of namespaces are not looked at: in the answer to our own question these names
/// mean nothing else. Entities other than XML's own five are not known, so nothing can be made to grow.
fn read(text: &[u8]) -> Result<Vec<Line>> {
    let odd = |error: quick_xml::Error| {
        Error::new(Kind::Fix, "This address answers, but not as a WebDAV server does.").because(error)
    };
    let mut reader = quick_xml::Reader::from_reader(text);
    let (mut lines, mut word) = (Vec::new(), String::new());
    let mut line: Option<Line> = None;
    loop {
        match reader.read_event().map_err(odd)? {
            Event::Start(tag) => {
                word.clear();
                match tag.local_name().as_ref() {
                    b"response" => line = Some(Line::default()),
                    b"collection" => line.iter_mut().for_each(|line| line.folder = true),
                    _ => {}
                }
            }
            Event::Empty(tag) if tag.local_name().as_ref() == b"collection" => {
                line.iter_mut().for_each(|line| line.folder = true);
            }
            Event::Text(text) => {
                if let Ok(text) = text.decode()
                    && word.len() + text.len() <= LONGEST_WORD
                {
                    word.push_str(&text);
                }
            }
            Event::GeneralRef(name) => match &*name {
                b"amp" => word.push('&'),
                b"lt" => word.push('<'),
                b"gt" => word.push('>'),
                b"quot" => word.push('"'),
                b"apos" => word.push('\''),
                _ => {}
            },
            Event::End(tag) => {
                let said = word.trim();
                match (tag.local_name().as_ref(), &mut line) {
                    (b"href", Some(line)) if line.href.is_empty() => line.href = said.to_owned(),
                    (b"getcontentlength", Some(line)) => line.bytes = said.parse().ok(),
                    (b"getlastmodified", Some(line)) => line.changed_ms = http_date(said),
                    (b"response", _) => lines.extend(line.take().filter(|line| !line.href.is_empty())),
                    _ => {}
                }
                word.clear();
                if lines.len() > MOST_FOUND * 4 {
                    return Ok(lines);
                }
            }
            Event::Eof => return Ok(lines),
            _ => {}
        }
    }
}

/// `Sun, 29 Nov 2026 03:00:00 GMT` as milliseconds.
fn http_date(text: &str) -> Option<i64> {
    jiff::fmt::rfc2822::parse(text).ok().map(|at| at.timestamp().as_millisecond())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const ANSWER: &str = r#"<?xml version="1.0"?><D:multistatus xmlns:D="DAV:">
<D:response><D:href>/files/anna/</D:href><D:propstat><D:prop><D:resourcetype><D:collection/></D:resourcetype></D:prop></D:propstat></D:response>
<D:response><D:href>/files/anna/a%20%26%20b.pcc.zip</D:href><D:propstat><D:prop><D:getcontentlength>12</D:getcontentlength>
<D:getlastmodified>Sun, 29 Nov 2026 03:00:00 GMT</D:getlastmodified><D:resourcetype></D:resourcetype></D:prop></D:propstat></D:response>
<D:response><D:href>https://elsewhere.example/x.pcc.zip</D:href><D:propstat><D:prop><D:getcontentlength>9</D:getcontentlength></D:prop></D:propstat></D:response>
<D:response><D:href>/files/anna/deep/y.pcc.zip</D:href><D:propstat><D:prop><D:getcontentlength>9</D:getcontentlength></D:prop></D:propstat></D:response>
<D:response><D:href>../../etc/z.pcc.zip</D:href><D:propstat><D:prop><D:getcontentlength>9</D:getcontentlength></D:prop></D:propstat></D:response>
</D:multistatus>"#;

    #[test]
    fn only_files_directly_in_the_folder_are_found() {
        let dav = Webdav::open(Reach::Public, "https://dav.example.org/files/anna/", String::new(), Secret::default())
            .unwrap();
        let found: Vec<_> = read(ANSWER.as_bytes()).unwrap().into_iter().filter_map(|line| dav.own(line)).collect();
        let one = Found { name: "a & b.pcc.zip".into(), bytes: 12, changed_ms: Some(1_795_921_200_000) };
        // The elsewhere stands at another path there; of its host nothing is taken, all questions go to the folder's own.
        assert_eq!(found, [one]);
        assert_eq!(dav.file("a & b.pcc.zip").unwrap().path(), "/files/anna/a%20&%20b.pcc.zip");
        assert_eq!(dav.file("../x").unwrap().path(), "/files/anna/..%2Fx");
    }

    #[test]
    fn an_answer_that_is_no_answer_is_said_so_and_a_bomb_does_not_grow() {
        assert!(read(b"<a><b></a>").is_err());
        assert_eq!(read(b"hello").unwrap(), []);
        let bomb =
            r#"<!DOCTYPE x [<!ENTITY a "aaaaaaaa"><!ENTITY b "&a;&a;&a;">]><response><href>&b;/x</href></response>"#;
        assert_eq!(read(bomb.as_bytes()).unwrap()[0].href, "/x");
    }

    #[tokio::test]
    async fn what_is_skipped_is_exactly_the_beginning() {
        for skip in [0, 1, 3, 4, 7, 10] {
            let parts = ["abc", "d", "efghij"].map(|part| Ok(Bytes::from(part)));
            let all: Vec<_> = beyond(futures::stream::iter(parts), skip).try_collect().await.unwrap();
            assert_eq!(all.concat(), b"abcdefghij"[skip as usize..], "{skip}");
        }
    }
}
