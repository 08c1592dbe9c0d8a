//! A store that speaks S3's `GetObject` over HTTP, and answers badly as often as a history wants.

use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use bytes::Bytes;
use pipeline::object::Pin;
use pipeline::source::{S3, Storage};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::history::History;
use crate::stats::STATS;

/// The store of this process, and the client that all lines share.
pub(crate) struct Store {
    buckets: Mutex<BTreeMap<String, Bucket>>,
    storage: Storage,
}

struct Bucket {
    /// All versions of every key.
    objects: Vec<Stored>,
    random: StdRng,
    bad_answers: u32,
}

/// One version of an object.
#[derive(Clone)]
struct Stored {
    key: String,
    pin: Pin,
    bytes: Bytes,
    /// Milliseconds since 1970-01-01T00:00:00Z.
    modified: i64,
}

/// What a request asks for.
struct Asked {
    bucket: String,
    key: String,
    version: Option<String>,
    if_match: Option<String>,
    begin: Option<usize>,
}

/// How a request is answered.
#[derive(Debug, Clone, Copy)]
enum Reply {
    Whole,
    /// So many thousandths of the body, then a closed connection.
    Cut(usize),
    /// So many thousandths of the body, then a reset connection.
    Reset(usize),
    /// The body in eight pieces, with pauses.
    Slow,
    /// An error with a status and a code.
    Error(u16, &'static str),
    /// Nothing at all.
    Nothing,
}

impl Store {
    /// Starts the store at its first use, on a thread of its own.
    pub(crate) fn get() -> &'static Self {
        static STORE: OnceLock<&'static Store> = OnceLock::new();
        STORE.get_or_init(|| {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            listener.set_nonblocking(true).unwrap();
            let endpoint = format!("http://{}", listener.local_addr().unwrap());
            let store: &'static Self =
                Box::leak(Box::new(Self { buckets: Mutex::default(), storage: storage(&endpoint) }));
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async { store.serve(TcpListener::from_std(listener).unwrap()).await });
            });
            store
        })
    }

    pub(crate) fn storage(&self) -> Storage {
        self.storage.clone()
    }

    /// Puts a history's objects into its bucket; those that are gone never stood there.
    pub(crate) fn fill(&self, history: &History) {
        let there = history.objects.iter().filter(|object| !object.is_gone);
        let objects = there
            .map(|object| Stored {
                key: object.reference.key.clone(),
                pin: object.reference.pin.clone(),
                bytes: object.bytes.clone(),
                modified: object.modified,
            })
            .collect();
        let bucket =
            Bucket { objects, random: StdRng::seed_from_u64(history.seed), bad_answers: history.bad_answers };
        self.buckets.lock().unwrap().insert(History::bucket(history.seed), bucket);
    }

    /// Makes every answer of a history's bucket good from now on.
    pub(crate) fn calm(&self, seed: u64) {
        if let Some(bucket) = self.buckets.lock().unwrap().get_mut(&History::bucket(seed)) {
            bucket.bad_answers = 0;
        }
    }

    pub(crate) fn empty(&self, seed: u64) {
        self.buckets.lock().unwrap().remove(&History::bucket(seed));
    }

    async fn serve(&'static self, listener: TcpListener) {
        loop {
            let (mut connection, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                // The client may hang up in the middle; that is its affair.
                let asked = asked(&mut connection).await?;
                let (found, reply) = self.find(&asked)?;
                if !matches!(reply, Reply::Whole) {
                    STATS.count(match reply {
                        Reply::Cut(_) => "S3 cut",
                        Reply::Reset(_) => "S3 reset",
                        Reply::Slow => "S3 slow",
                        Reply::Error(..) | Reply::Whole => "S3 refused",
                        Reply::Nothing => "S3 hung up",
                    });
                }
                answer(connection, found, &asked, reply).await.ok()
            });
        }
    }

    /// Returns the object, if it is there, and what happens to its answer; `None` once the history is over.
    fn find(&self, asked: &Asked) -> Option<(Option<Stored>, Reply)> {
        let mut buckets = self.buckets.lock().unwrap();
        let bucket = buckets.get_mut(&asked.bucket)?;
        let found = bucket.objects.iter().find(|Stored { key, pin, .. }| {
            *key == asked.key
                && match pin {
                    Pin::VersionId(version) => asked.version.as_ref() == Some(version),
                    Pin::ETag(_) | Pin::Latest => asked.version.is_none(),
                }
        });
        let found = found.cloned();
        let is_bad = bucket.random.random_range(0..100) < bucket.bad_answers;
        let reply = if is_bad { bad_reply(&mut bucket.random) } else { Reply::Whole };
        Some((found, reply))
    }
}

fn bad_reply(random: &mut StdRng) -> Reply {
    match random.random_range(0..12) {
        0..3 => Reply::Cut(random.random_range(0..1_000)),
        3..6 => Reply::Reset(random.random_range(0..1_000)),
        6..8 => Reply::Slow,
        8 => Reply::Error(503, "SlowDown"),
        9 => Reply::Error(500, "InternalError"),
        10 => Reply::Error(403, "AccessDenied"),
        _ => Reply::Nothing,
    }
}

fn storage(endpoint: &str) -> Storage {
    let config = aws_sdk_s3::config::Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .credentials_provider(Credentials::new("id", "secret", None, None, "test"))
        .endpoint_url(endpoint)
        .force_path_style(true);
    Storage::S3(S3::new(config))
}

async fn asked(connection: &mut TcpStream) -> Option<Asked> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        connection.read_buf(&mut head).await.ok().filter(|&length| length > 0)?;
    }
    let head = String::from_utf8(head).unwrap();
    let header = |name: &str| {
        let mut lines = head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
    };
    let target = head.split(' ').nth(1)?;
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let (bucket, key) = path.strip_prefix('/')?.split_once('/')?;
    let version = query.split('&').find_map(|pair| pair.strip_prefix("versionId=")).map(str::to_owned);
    let begin = header("range");
    let begin =
        begin.map(|range| range.strip_prefix("bytes=").unwrap().strip_suffix('-').unwrap().parse().unwrap());
    Some(Asked { bucket: bucket.to_owned(), key: decoded(key), version, if_match: header("if-match"), begin })
}

/// Returns a text without percent-encoding (RFC 3986, section 2.1).
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        if byte == b'%' {
            let (code, behind) = rest.split_at(2);
            bytes.push(u8::from_str_radix(std::str::from_utf8(code).unwrap(), 16).unwrap());
            rest = behind;
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).unwrap()
}

async fn answer(
    mut connection: TcpStream,
    found: Option<Stored>,
    asked: &Asked,
    reply: Reply,
) -> std::io::Result<()> {
    let Stored { pin, bytes, modified, .. } = match (found, reply) {
        (_, Reply::Nothing) => return Ok(()),
        (_, Reply::Error(status, code)) => return refuse(connection, status, code).await,
        (None, _) => {
            let code = if asked.version.is_some() { "NoSuchVersion" } else { "NoSuchKey" };
            return refuse(connection, 404, code).await;
        }
        (Some(found), _) => found,
    };
    let tag = if let Pin::ETag(tag) = &pin { tag.as_str() } else { "tag" };
    if asked.if_match.as_ref().is_some_and(|wanted| wanted.trim_matches('"') != tag) {
        return refuse(connection, 412, "PreconditionFailed").await;
    }
    let begin = asked.begin.unwrap_or_default();
    if begin > 0 && begin >= bytes.len() {
        return refuse(connection, 416, "InvalidRange").await;
    }
    let body = bytes.slice(begin..);
    let mut head = if begin > 0 {
        let total = bytes.len();
        format!("HTTP/1.1 206 Partial Content\r\ncontent-range: bytes {begin}-{}/{total}\r\n", total - 1)
    } else {
        "HTTP/1.1 200 OK\r\n".to_owned()
    };
    if let Pin::VersionId(version) = &pin {
        head += &format!("x-amz-version-id: {version}\r\n");
    }
    head += &format!("last-modified: {}\r\n", http_date(modified));
    head += &format!("etag: \"{tag}\"\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    connection.write_all(head.as_bytes()).await?;
    send(connection, &body, reply).await
}

/// Returns a date as HTTP writes it (RFC 9110, section 5.6.7).
fn http_date(milliseconds: i64) -> String {
    let moment = jiff::Timestamp::from_millisecond(milliseconds).unwrap();
    moment.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

async fn send(mut connection: TcpStream, body: &[u8], reply: Reply) -> std::io::Result<()> {
    match reply {
        Reply::Cut(thousandths) | Reply::Reset(thousandths) => {
            connection.write_all(&body[..body.len() * thousandths / 1_000]).await?;
            connection.flush().await?;
            if let Reply::Reset(_) = reply {
                connection.set_zero_linger()?;
            }
        }
        Reply::Slow => {
            for piece in body.chunks(body.len() / 8 + 1) {
                connection.write_all(piece).await?;
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        }
        _ => connection.write_all(body).await?,
    }
    connection.flush().await
}

async fn refuse(mut connection: TcpStream, status: u16, code: &str) -> std::io::Result<()> {
    let body = format!("<Error><Code>{code}</Code></Error>");
    let length = body.len();
    let head = format!("HTTP/1.1 {status} Error\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
    connection.write_all((head + &body).as_bytes()).await
}
