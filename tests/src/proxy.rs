//! A database that can be slowed down and taken away: a proxy before it.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A proxy before a database. It runs on the runtime that started it.
#[derive(Debug)]
pub struct Proxy {
    uri: String,
    pace: watch::Sender<Pace>,
}

/// What the proxy does with connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// They are let through.
    Full,
    /// They are let through at 200 kB/s towards the database: somebody can watch a load.
    Slow,
    /// They are cut, and new ones refused.
    Down,
}

/// What is sent at once, and the pause behind it, at a slow pace.
const PIECE: usize = 8 << 10;
const PAUSE: Duration = Duration::from_millis(40);

impl Proxy {
    /// Returns a proxy before the database of this connection string.
    ///
    /// # Panics
    /// When the connection string is not of the form `mongodb://host:port/…`.
    pub async fn before(uri: &str, pace: Pace) -> Self {
        let (address, rest) = address(uri).unwrap_or_else(|| {
            panic!(
                "this test puts a proxy before the database; MONGODB_URI must look like mongodb://host:port/"
            )
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("mongodb://{}{rest}", listener.local_addr().unwrap());
        let (pace, receiver) = watch::channel(pace);
        tokio::spawn(serve(listener, address, receiver));
        Self { uri, pace }
    }

    /// Returns the connection string that leads through the proxy.
    #[must_use]
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// Sets what the proxy does from now on, also for the connections that there are.
    pub fn set(&self, pace: Pace) {
        self.pace.send_replace(pace);
    }
}

fn address(uri: &str) -> Option<(String, String)> {
    let rest = uri.strip_prefix("mongodb://")?;
    let (address, path) = rest.split_once('/').unwrap_or((rest, ""));
    (!address.contains(['@', ','])).then(|| (address.to_owned(), format!("/{path}")))
}

async fn serve(listener: TcpListener, database: String, pace: watch::Receiver<Pace>) {
    while let Ok((client, _)) = listener.accept().await {
        let (database, mut pace) = (database.clone(), pace.clone());
        tokio::spawn(async move {
            if *pace.borrow() == Pace::Down {
                return;
            }
            let Ok(server) = TcpStream::connect(database).await else { return };
            let (from_client, mut to_client) = client.into_split();
            let (mut from_server, to_server) = server.into_split();
            let own_pace = pace.clone();
            tokio::select! {
                _ = carry(from_client, to_server, own_pace) => {}
                _ = copy(&mut from_server, &mut to_client) => {}
                _ = pace.wait_for(|pace| *pace == Pace::Down) => {}
            }
        });
    }
}

/// Ends when either side goes away.
async fn carry(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    pace: watch::Receiver<Pace>,
) -> std::io::Result<()> {
    let mut piece = vec![0; PIECE];
    loop {
        let length = from.read(&mut piece).await?;
        if length == 0 {
            return Ok(());
        }
        to.write_all(&piece[..length]).await?;
        if *pace.borrow() == Pace::Slow {
            tokio::time::sleep(PAUSE).await;
        }
    }
}
