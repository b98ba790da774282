//! The upload form of browsers without script: a token, then one file, read as it comes.
//!
//! A server must be told the length of an archive before its first byte, and a form tells only its own. But in our
//! form the file is the last part, so its length is what is left between its head and the closing boundary.

use axum::body::{Body, BodyDataStream};
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt as _, stream};

/// Everything before the file fits into this many times over.
const LONGEST_HEAD: usize = 64 * 1024;

/// A form whose file is still to be read.
pub(super) struct PlainForm {
    pub(super) token: String,
    pub(super) file_name: String,
    /// Length of the file, in bytes.
    pub(super) length: u64,
    first: Bytes,
    rest: BodyDataStream,
}

/// Why a form is none of ours.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Malformed {
    /// It does not say how long it is.
    NoLength,
    /// It is no form of ours, or was cut before its file began.
    Other,
}

impl PlainForm {
    /// Reads up to where the file begins.
    pub(super) async fn read(headers: &HeaderMap, body: Body) -> Result<Self, Malformed> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let total: u64 =
            text(header::CONTENT_LENGTH).and_then(|length| length.parse().ok()).ok_or(Malformed::NoLength)?;
        let boundary = text(header::CONTENT_TYPE).and_then(boundary).ok_or(Malformed::Other)?;
        let mut rest = body.into_data_stream();
        let mut read = BytesMut::new();
        loop {
            if let Some(head) = Head::parse(&read, &boundary) {
                // What closes the form: CR LF, two hyphens, the boundary, two hyphens, CR LF.
                let around = (head.file_at + boundary.len() + 8) as u64;
                let length = total.checked_sub(around).ok_or(Malformed::Other)?;
                let first = read.split_off(head.file_at).freeze();
                return Ok(Self { token: head.token, file_name: head.file_name, length, first, rest });
            }
            if read.len() > LONGEST_HEAD {
                return Err(Malformed::Other);
            }
            match rest.next().await {
                Some(Ok(chunk)) => read.extend_from_slice(&chunk),
                Some(Err(_)) | None => return Err(Malformed::Other),
            }
        }
    }

    /// The file's bytes, exactly `length` of them unless the line is cut.
    pub(super) fn into_file(self) -> impl Stream<Item = Result<Bytes, axum::Error>> + Send + 'static {
        let whole = stream::once(std::future::ready(Ok(self.first))).chain(self.rest);
        whole.scan(self.length, |left, chunk| {
            if *left == 0 {
                return std::future::ready(None);
            }
            let chunk = chunk.map(|mut bytes: Bytes| {
                bytes.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= bytes.len() as u64;
                bytes
            });
            std::future::ready(Some(chunk))
        })
    }
}

/// What stands before the file.
struct Head {
    token: String,
    file_name: String,
    file_at: usize,
}

impl Head {
    /// `None` until all of it is there.
    fn parse(read: &[u8], boundary: &str) -> Option<Self> {
        let token_at = find(read, b"\r\n\r\n", 0)? + 4;
        let between = format!("\r\n--{boundary}\r\n");
        let token_end = find(read, between.as_bytes(), token_at)?;
        let head_at = token_end + between.len();
        let file_at = find(read, b"\r\n\r\n", head_at)? + 4;
        let first = String::from_utf8_lossy(&read[..token_at]);
        let second = String::from_utf8_lossy(&read[head_at..file_at]);
        let token = if first.contains("name=\"token\"") { &read[token_at..token_end] } else { b"" };
        let named = second.contains("name=\"archive\"");
        let file_name = second.split_once("filename=\"").and_then(|(_, rest)| rest.split('"').next()).filter(|_| named);
        Some(Self {
            token: String::from_utf8_lossy(token).into_owned(),
            file_name: file_name.unwrap_or_default().to_owned(),
            file_at,
        })
    }
}

fn boundary(kind: &str) -> Option<String> {
    let (form, parameters) = kind.split_once(';')?;
    let boundary =
        parameters.split(';').find_map(|parameter| parameter.trim().strip_prefix("boundary="))?.trim_matches('"');
    let good = form.trim().eq_ignore_ascii_case("multipart/form-data") && (1..=70).contains(&boundary.len());
    good.then(|| boundary.to_owned())
}

fn find(within: &[u8], what: &[u8], from: usize) -> Option<usize> {
    let found = within.get(from..)?.windows(what.len()).position(|window| window == what)?;
    Some(from + found)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use axum::http::HeaderValue;

    fn form(token_name: &str, file: &[u8]) -> (HeaderMap, Vec<u8>) {
        let mut text =
            format!("--XyZ\r\nContent-Disposition: form-data; name=\"{token_name}\"\r\n\r\nsecret\r\n--XyZ\r\n")
                .into_bytes();
        text.extend(b"Content-Disposition: form-data; name=\"archive\"; filename=\"a.zip\"\r\nContent-Type: application/zip\r\n\r\n");
        text.extend(file);
        text.extend(b"\r\n--XyZ--\r\n");
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(text.len()));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("multipart/form-data; boundary=XyZ"));
        (headers, text)
    }

    async fn read(headers: &HeaderMap, text: &[u8], piece: usize) -> Result<(String, String, u64, Vec<u8>), Malformed> {
        let pieces: Vec<_> =
            text.chunks(piece).map(|piece| Ok::<_, std::io::Error>(Bytes::copy_from_slice(piece))).collect();
        let form = PlainForm::read(headers, Body::from_stream(stream::iter(pieces))).await?;
        let told = (form.token.clone(), form.file_name.clone(), form.length);
        let file: Vec<Bytes> = form.into_file().map(Result::unwrap).collect().await;
        Ok((told.0, told.1, told.2, file.concat()))
    }

    #[tokio::test]
    async fn the_file_comes_out_as_it_went_in_however_it_is_cut() {
        let files: [&[u8]; 4] = [b"", b"x", b"a\r\n--XyZ\r\nb\r\n\r\nc", &[0; 5000]];
        for file in files {
            let (headers, text) = form("token", file);
            for piece in [1, 7, 64, 100_000] {
                let read = read(&headers, &text, piece).await.unwrap();
                assert_eq!(
                    read,
                    ("secret".into(), "a.zip".into(), file.len() as u64, file.to_vec()),
                    "in pieces of {piece}"
                );
            }
        }
    }

    #[tokio::test]
    async fn what_is_no_form_of_ours_is_told_apart() {
        let (headers, text) = form("other", b"x");
        assert_eq!(read(&headers, &text, 10).await.unwrap().0, "", "a token of another name is none");
        let (mut headers, text) = form("token", b"x");
        assert_eq!(read(&headers, &text[..40], 10).await, Err(Malformed::Other), "cut before the file");
        headers.remove(header::CONTENT_LENGTH);
        assert_eq!(read(&headers, &text, 10).await, Err(Malformed::NoLength));
    }
}
