//! A bucket of one object that speaks S3's `GetObject` over HTTP, notes where reading begins, and may lose the object.

use std::sync::{Arc, Mutex};

use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use bytes::Bytes;
use pipeline::source::{S3, Storage};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A bucket on a port of its own.
pub(crate) struct Bucket {
    endpoint: String,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    bytes: Bytes,
    /// The object vanishes behind so many bytes.
    lost_after: Option<usize>,
    ranges: Vec<Option<u64>>,
}

impl Bucket {
    /// Starts a bucket with that object.
    pub(crate) async fn holding(bytes: Bytes) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State { bytes, ..State::default() }));
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            loop {
                let (connection, _) = listener.accept().await.unwrap();
                let state = Arc::clone(&shared);
                // The client may hang up in the middle; that is its affair.
                tokio::spawn(async move { answer(connection, &state).await.ok() });
            }
        });
        Self { endpoint, state }
    }

    /// Loses the object once so many of its bytes were sent; 0: now.
    pub(crate) fn loses_it_after(&self, bytes: usize) {
        self.state.lock().unwrap().lost_after = Some(bytes);
    }

    /// Returns where the requests began; `None`: at the first byte.
    pub(crate) fn ranges(&self) -> Vec<Option<u64>> {
        self.state.lock().unwrap().ranges.clone()
    }

    /// Returns a client of the bucket.
    pub(crate) fn storage(&self) -> Storage {
        let config = aws_sdk_s3::config::Builder::new()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-central-1"))
            .credentials_provider(Credentials::new("id", "secret", None, None, "test"))
            .endpoint_url(&self.endpoint)
            .force_path_style(true);
        Storage::S3(S3::new(config))
    }
}

async fn answer(mut connection: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if connection.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
    let range = head.lines().find_map(|line| line.strip_prefix("range: bytes=")?.strip_suffix('-'));
    let begin: Option<usize> = range.map(|range| range.parse().unwrap());
    let (bytes, end, is_gone) = {
        let mut state = state.lock().unwrap();
        state.ranges.push(begin.map(|begin| begin as u64));
        let is_gone = state.lost_after.is_some_and(|lost| lost == 0 || begin.is_some());
        (state.bytes.clone(), state.lost_after.unwrap_or(state.bytes.len()), is_gone)
    };
    if is_gone {
        let body = "<Error><Code>NoSuchVersion</Code></Error>";
        let length = body.len();
        let head = format!("HTTP/1.1 404 Not Found\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
        return connection.write_all((head + body).as_bytes()).await;
    }
    let (from, total) = (begin.unwrap_or_default(), bytes.len());
    let status = match begin {
        Some(_) => format!("206 Partial Content\r\ncontent-range: bytes {from}-{}/{total}", total - 1),
        None => "200 OK".to_owned(),
    };
    let length = total - from;
    let head = format!(
        "HTTP/1.1 {status}\r\netag: \"tag\"\r\nx-amz-version-id: v1\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    );
    connection.write_all(head.as_bytes()).await?;
    connection.write_all(&bytes[from..end.max(from)]).await?;
    connection.flush().await
}
