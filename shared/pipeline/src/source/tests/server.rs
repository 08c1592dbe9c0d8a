//! A store that speaks just enough of S3's protocol to answer GETs, and to answer them badly.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// How the next request is answered. Once the script is over, every request is answered [`Reply::Whole`].
#[derive(Debug, Clone, Copy)]
pub(super) enum Reply {
    /// What was asked for.
    Whole,
    /// So many bytes of the body, then a closed connection.
    Cut(usize),
    /// So many bytes of the body, then a reset connection.
    Reset(usize),
    /// So many bytes of the body, then silence.
    Stall(usize),
    /// The body in pieces of so many bytes, with pauses.
    Slow(usize, Duration),
    /// An error with a status, a code and headers.
    Error(u16, &'static str, &'static str),
    /// The whole object, whatever the range.
    RangeIgnored,
    /// As if the object were one byte longer.
    Longer,
    /// A whole answer whose checksum belongs to other bytes.
    WrongChecksum,
}

/// What a request asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) target: String,
    pub(super) range: Option<String>,
    pub(super) if_match: Option<String>,
}

pub(super) struct Server {
    pub(super) address: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    pub(super) async fn start(object: Vec<u8>, script: Vec<Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        let task = tokio::spawn(async move {
            let object = Arc::new(object);
            let mut script = script.into_iter();
            loop {
                let (mut connection, _) = listener.accept().await.unwrap();
                // A connection that brings no request (the client gave up) takes no reply of the script.
                let Some(request) = read_request(&mut connection).await else { continue };
                log.lock().unwrap().push(request.clone());
                let reply = script.next().unwrap_or(Reply::Whole);
                let object = Arc::clone(&object);
                // The client may hang up in the middle; that is its affair.
                tokio::spawn(async move { answer(connection, &object, &request, reply).await.ok() });
            }
        });
        Self { address, asked, task }
    }

    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn read_request(connection: &mut TcpStream) -> Option<Asked> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(connection.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let header = |name: &str| {
        let mut lines = head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
    };
    let target = head.split(' ').nth(1)?.to_owned();
    Some(Asked { target, range: header("range"), if_match: header("if-match") })
}

async fn answer(
    mut connection: TcpStream,
    object: &[u8],
    asked: &Asked,
    reply: Reply,
) -> std::io::Result<()> {
    if let Reply::Error(status, code, headers) = reply {
        let body = format!("<Error><Code>{code}</Code><Message>CANARY in a message</Message></Error>");
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status} Error\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n"
        );
        return connection.write_all((head + &body).as_bytes()).await;
    }
    let begin = match (&asked.range, reply) {
        (Some(range), reply) if !matches!(reply, Reply::RangeIgnored) => {
            range.strip_prefix("bytes=").unwrap().strip_suffix('-').unwrap().parse().unwrap()
        }
        _ => 0,
    };
    if begin > 0 && begin >= object.len() {
        return connection
            .write_all(b"HTTP/1.1 416 Error\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            .await;
    }
    let body = &object[begin..];
    connection.write_all(head(object.len(), begin, reply).as_bytes()).await?;
    match reply {
        Reply::Cut(bytes) | Reply::Reset(bytes) | Reply::Stall(bytes) => {
            connection.write_all(&body[..bytes.min(body.len())]).await?;
        }
        Reply::Slow(bytes, pause) => {
            for piece in body.chunks(bytes) {
                connection.write_all(piece).await?;
                tokio::time::sleep(pause).await;
            }
        }
        Reply::Longer => connection.write_all(&[body, b"!"].concat()).await?,
        _ => connection.write_all(body).await?,
    }
    connection.flush().await?;
    if let Reply::Stall(_) = reply {
        // Until the client hangs up.
        connection.read_u8().await?;
    }
    if let Reply::Reset(_) = reply {
        connection.set_zero_linger()?;
    }
    Ok(())
}

fn head(object_length: usize, begin: usize, reply: Reply) -> String {
    let extra = usize::from(matches!(reply, Reply::Longer));
    let length = object_length - begin + extra;
    let total = object_length + extra;
    let status = if begin > 0 {
        format!("206 Partial Content\r\ncontent-range: bytes {begin}-{}/{total}", total - 1)
    } else {
        String::from("200 OK")
    };
    let checksum =
        if matches!(reply, Reply::WrongChecksum) { "x-amz-checksum-crc32: AAAAAA==\r\n" } else { "" };
    format!(
        "HTTP/1.1 {status}\r\n{checksum}content-length: {length}\r\netag: \"tag\"\r\nx-amz-version-id: v7\r\n\
         connection: close\r\n\r\n"
    )
}
