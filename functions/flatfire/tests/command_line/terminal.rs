//! Running the program on a terminal of its own.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::Child;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::program::flatfire;

/// The program, and the side of its terminal where a person sits.
pub struct Terminal {
    child: Child,
    person: File,
    shown: String,
}

impl Terminal {
    /// Starts the program with standard input, output and error on a new terminal.
    pub fn run(arguments: &[&str]) -> Self {
        Self::run_in(80, arguments)
    }

    /// Does as [`run`](Self::run), on a terminal of that many columns.
    pub fn run_in(columns: u16, arguments: &[&str]) -> Self {
        Self::run_paged(columns, "cat", arguments)
    }

    /// Does as [`run_in`](Self::run_in), with a pager.
    pub fn run_paged(columns: u16, pager: &str, arguments: &[&str]) -> Self {
        let person = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&person).unwrap();
        unlockpt(&person).unwrap();
        let size = Winsize { ws_row: 50, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&person, size).unwrap();
        let name = ptsname(&person, Vec::new()).unwrap();
        let path = Path::new(std::ffi::OsStr::from_bytes(name.as_bytes()));
        let open = || File::options().read(true).write(true).open(path).unwrap();
        let mut command = flatfire(arguments);
        command.env("PAGER", pager);
        let child = command.stdin(open()).stdout(open()).stderr(open()).spawn().unwrap();
        Self { child, person: person.into(), shown: String::new() }
    }

    /// Reads what the program shows until it has shown that text, and returns everything so far.
    ///
    /// # Panics
    /// If the program ends before.
    pub fn wait_for(&mut self, text: &str) -> &str {
        while !self.shown.contains(text) {
            assert!(self.read(), "`{text}` was never shown:\n{}", self.shown);
        }
        &self.shown
    }

    /// Types a line.
    pub fn answer(&mut self, line: &str) {
        writeln!(self.person, "{line}").unwrap();
    }

    /// Waits for the end and returns the exit code and everything that was shown.
    pub fn end(mut self) -> (i32, String) {
        while self.read() {}
        (self.child.wait().unwrap().code().unwrap(), self.shown)
    }

    /// Reads more; `false` once nobody holds the program's side: Linux answers with an error then.
    fn read(&mut self) -> bool {
        let mut bytes = [0; 4_096];
        let count = self.person.read(&mut bytes).unwrap_or_default();
        self.shown += &String::from_utf8_lossy(&bytes[..count]);
        count > 0
    }
}
