//! The function as Lambda starts it, and the runtime interface that Lambda offers.

#![allow(dead_code, reason = "each program of tests uses a part of it")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A database that nobody offers: nothing listens on the discard port.
pub(crate) const NO_DATABASE: &str = "mongodb://127.0.0.1:9/?serverSelectionTimeoutMS=100";

/// A deadline that no test meets.
pub(crate) const FOR_EVER: Duration = Duration::from_hours(1_000);

/// A function that ended without an answer fails its test.
const ANSWERS_WITHIN: Duration = Duration::from_mins(2);

/// An answer that the function gave to the runtime interface.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) path: String,
    pub(crate) body: String,
    /// The time since the event was handed out.
    pub(crate) after: Duration,
}

pub(crate) fn function(variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ingest"));
    command.env_clear().envs([
        ("AWS_LAMBDA_FUNCTION_NAME", "ingest"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
        ("AWS_REGION", "eu-central-1"),
    ]);
    command.envs(variables.iter().copied()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Gives the function these events, one after the other, and collects its answers and what it printed.
pub(crate) fn invoke(variables: &[(&str, &str)], events: &[&str]) -> (Vec<Answer>, String) {
    invoke_and_look(variables, events, FOR_EVER, |_| {})
}

/// Does as [`invoke`], with so much time for every event. After the last answer, before the process ends, it calls
/// `look` with the number of the process.
pub(crate) fn invoke_and_look(
    variables: &[(&str, &str)],
    events: &[&str],
    time: Duration,
    look: impl FnOnce(u32),
) -> (Vec<Answer>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (sender, answers) = mpsc::channel();
    let script: Vec<_> = events.iter().map(|event| (*event).to_owned()).collect();
    std::thread::spawn(move || serve(&listener, script, time, &sender));
    let child = function(variables).env("AWS_LAMBDA_RUNTIME_API", address).spawn().unwrap();
    let answers = events.iter().map(|_| answers.recv_timeout(ANSWERS_WITHIN).unwrap()).collect();
    look(child.id());
    let output = end(child);
    (answers, String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr))
}

pub(crate) fn end(mut child: Child) -> Output {
    child.kill().unwrap();
    child.wait_with_output().unwrap()
}

fn serve(listener: &TcpListener, events: Vec<String>, time: Duration, answers: &mpsc::Sender<Answer>) {
    let (mut events, mut began) = (events.into_iter(), Instant::now());
    // Kept open without an answer: the function waits for an event that never comes.
    let mut waiting = Vec::new();
    for connection in listener.incoming() {
        let mut connection = connection.unwrap();
        let (path, body) = read_request(&mut connection);
        if !path.ends_with("/invocation/next") {
            let _ended = answers.send(Answer { path, body, after: began.elapsed() });
            respond(&mut connection, "202 Accepted", "", "");
        } else if let Some(event) = events.next() {
            began = Instant::now();
            let deadline = milliseconds_now() + time.as_millis();
            let headers =
                format!("lambda-runtime-aws-request-id: r1\r\nlambda-runtime-deadline-ms: {deadline}\r\n");
            respond(&mut connection, "200 OK", &headers, &event);
        } else {
            waiting.push(connection);
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "Lambda states its deadline as a time of day")]
fn milliseconds_now() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()
}

pub(crate) fn respond(connection: &mut TcpStream, status: &str, headers: &str, body: &str) {
    let length = body.len();
    write!(
        connection,
        "HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
    .unwrap();
}

pub(crate) fn read_request(connection: &mut TcpStream) -> (String, String) {
    let mut reader = BufReader::new(connection);
    let mut lines = Vec::new();
    while lines.last().is_none_or(|line: &String| line != "\r\n") {
        let mut line = String::new();
        assert!(reader.read_line(&mut line).unwrap() > 0, "the request was cut");
        lines.push(line);
    }
    let length = lines.iter().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().unwrap())
    });
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).unwrap();
    (lines[0].split(' ').nth(1).unwrap().to_owned(), String::from_utf8(body).unwrap())
}
