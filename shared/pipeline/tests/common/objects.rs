//! A bucket of many objects for programs that run as processes. It speaks S3's `GetObject` and `ListObjectVersions` over
//! HTTP, on threads of its own.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

/// One version of an object.
pub(crate) struct Object {
    pub(crate) key: &'static str,
    pub(crate) version: &'static str,
    pub(crate) bytes: Vec<u8>,
}

/// How many versions are listed at once.
const PAGE: usize = 4;

/// Starts the bucket and returns the address of its server. It runs until the test ends.
pub(crate) fn serve(objects: Vec<Object>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let objects = Arc::new(objects);
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let objects = Arc::clone(&objects);
            // The client may hang up in the middle of an answer.
            std::thread::spawn(move || answer(connection?, &objects));
        }
    });
    address
}

fn answer(mut connection: TcpStream, objects: &[Object]) -> std::io::Result<()> {
    let (target, range) = read_head(&connection)?;
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let parameter = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    if query.split('&').any(|pair| pair.trim_end_matches('=') == "versions") {
        let prefix = parameter("prefix").unwrap_or_default().replace("%2F", "/");
        let listed = list(objects, &prefix, parameter("version-id-marker"));
        return respond(&mut connection, "200 OK", "", listed.as_bytes());
    }
    let version = parameter("versionId");
    let asked = objects.iter().find(|object| {
        path.ends_with(&format!("/{}", object.key)) && version.is_none_or(|version| version == object.version)
    });
    let Some(Object { bytes, version, .. }) = asked else {
        let body = b"<Error><Code>NoSuchVersion</Code></Error>";
        return respond(&mut connection, "404 Not Found", "", body);
    };
    let headers = format!(
        "etag: \"tag\"\r\nlast-modified: Mon, 05 Jan 2026 10:21:07 GMT\r\nx-amz-version-id: {version}\r\n"
    );
    match range {
        None => respond(&mut connection, "200 OK", &headers, bytes),
        Some(from) => {
            let (last, total) = (bytes.len() - 1, bytes.len());
            let headers = format!("{headers}content-range: bytes {from}-{last}/{total}\r\n");
            respond(&mut connection, "206 Partial Content", &headers, &bytes[from..])
        }
    }
}

/// Reads the head of a request; returns its target and the first byte of the range that it asks for.
fn read_head(connection: &TcpStream) -> std::io::Result<(String, Option<usize>)> {
    let (mut target, mut range) = (String::new(), None);
    for line in BufReader::new(connection).lines() {
        let line = line?;
        if line.is_empty() {
            break;
        }
        if target.is_empty() {
            line.split(' ').nth(1).unwrap_or_default().clone_into(&mut target);
        } else if let Some(from) = line.to_ascii_lowercase().strip_prefix("range: bytes=") {
            range = Some(from.trim_end_matches('-').parse().unwrap());
        }
    }
    Ok((target, range))
}

fn respond(connection: &mut TcpStream, status: &str, headers: &str, body: &[u8]) -> std::io::Result<()> {
    let length = body.len();
    write!(
        connection,
        "HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n"
    )?;
    connection.write_all(body)
}

/// Lists a few versions of the objects below the prefix, from the one behind the marker on.
fn list(objects: &[Object], prefix: &str, marker: Option<&str>) -> String {
    let below = objects.iter().filter(|object| object.key.starts_with(prefix));
    let behind = below.skip_while(|object| marker.is_some_and(|marker| object.version != marker));
    let rest: Vec<&Object> = behind.skip(usize::from(marker.is_some())).collect();
    let mut text = String::from("<ListVersionsResult>");
    for Object { key, version, bytes } in rest.iter().take(PAGE) {
        write!(
            text,
            "<Version><Key>{key}</Key><VersionId>{version}</VersionId><Size>{}</Size>\
             <LastModified>2026-01-05T10:21:07.000Z</LastModified></Version>",
            bytes.len()
        )
        .unwrap();
    }
    let is_truncated = rest.len() > PAGE;
    write!(text, "<IsTruncated>{is_truncated}</IsTruncated>").unwrap();
    if is_truncated {
        let Object { key, version, .. } = rest[PAGE - 1];
        write!(
            text,
            "<NextKeyMarker>{key}</NextKeyMarker><NextVersionIdMarker>{version}</NextVersionIdMarker>"
        )
        .unwrap();
    }
    text + "</ListVersionsResult>"
}
