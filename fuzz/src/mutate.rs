//! Inputs from a corpus, changed at random: for runs without cargo-fuzz, which needs a nightly toolchain.

use std::path::Path;
use std::time::{Duration, Instant};

/// The most bytes of an input.
const LONGEST: usize = 16_000;

/// What JSON and compressed files are made of besides what the corpus has.
const PIECES: [&[u8]; 18] = [
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\"",
    b"\\u0000",
    b"null",
    b"true",
    b"-1e-400",
    b"1e400",
    b"\n",
    b"\xEF\xBB\xBF",
    b"\x1F\x8B\x08",
    b"\x28\xB5\x2F\xFD",
    b"\xFF",
    b"\"resourceType\":\"Bundle\",",
];

/// Changes inputs; the same seed gives the same ones.
pub(crate) struct Mutator {
    state: u64,
    corpus: Vec<Vec<u8>>,
}

impl Mutator {
    /// Reads the corpus of a folder, in the order of its file names.
    pub(crate) fn new(folder: &Path, seed: u64) -> Self {
        let mut files: Vec<_> =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        let corpus: Vec<_> = files.iter().map(|path| std::fs::read(path).unwrap()).collect();
        assert!(!corpus.is_empty(), "{} is empty", folder.display());
        Self { state: seed | 1, corpus }
    }

    /// Checks the corpus as it is, then changed inputs: so many, or for so long, whichever is more. Returns how many
    /// were checked.
    pub(crate) fn run(mut self, least: u64, time: Duration, check: fn(&[u8])) -> u64 {
        for input in self.corpus.clone() {
            check(&input);
        }
        let begun = Instant::now();
        let mut runs = 0;
        while runs < least || begun.elapsed() < time {
            let input = self.next();
            let outcome = std::panic::catch_unwind(|| check(&input));
            assert!(outcome.is_ok(), "input {runs}: {}", input.escape_ascii());
            runs += 1;
        }
        runs
    }

    fn next(&mut self) -> Vec<u8> {
        let mut input = self.pick();
        for _ in 0..=self.below(6) {
            self.change(&mut input);
        }
        input.truncate(LONGEST);
        input
    }

    fn pick(&mut self) -> Vec<u8> {
        let index = self.below(self.corpus.len());
        self.corpus.get(index).cloned().unwrap_or_default()
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let at = self.below(input.len() + 1);
        let end = (at + self.below(40)).min(input.len());
        match self.below(6) {
            0 => drop(input.drain(at..end)),
            1 => {
                let piece = PIECES.get(self.below(PIECES.len())).copied().unwrap_or_default();
                input.splice(at..at, piece.iter().copied()).for_each(drop);
            }
            2 => {
                let byte = self.below(256).to_le_bytes().first().copied();
                input.splice(at..end.min(at + 1), byte).for_each(drop);
            }
            3 => {
                let copy = input.get(at..end).unwrap_or_default().repeat(1 + self.below(8));
                input.splice(at..at, copy).for_each(drop);
            }
            // A token of another input in the place of one of this: what is between two quotes, most of all.
            4 => {
                let (other, here) = (self.pick(), token(input, at));
                let from = self.below(other.len() + 1);
                let there = other.get(token(&other, from)).unwrap_or_default().to_vec();
                input.splice(here, there).for_each(drop);
            }
            _ => {
                let other = self.pick();
                let from = self.below(other.len() + 1);
                let to = (from + self.below(200)).min(other.len());
                let part = other.get(from..to).unwrap_or_default().to_vec();
                input.splice(at..end, part).for_each(drop);
            }
        }
    }

    /// Returns a number below the limit (xorshift64).
    fn below(&mut self, limit: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        usize::try_from(self.state % limit.max(1) as u64).unwrap_or_default()
    }
}

/// Returns where the token around or behind a place stands: up to the next byte that ends one.
fn token(text: &[u8], at: usize) -> std::ops::Range<usize> {
    let ends = |byte: &u8| b"{}[]:,\"\n".contains(byte);
    let start = text.get(..at).and_then(|before| before.iter().rposition(ends)).map_or(0, |place| place + 1);
    let length = text.get(start..).and_then(|behind| behind.iter().position(ends));
    start..length.map_or(text.len(), |length| start + length)
}
