//! Says which step is under way and how long each took.

use std::future::Future;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// The steps of one chore, in order, with their durations.
#[derive(Debug, Default)]
pub struct Steps {
    done: Vec<(String, Duration)>,
    not_run: Vec<String>,
}

impl Steps {
    /// Announces a step, runs it and says how long it took; a failure names the step.
    pub fn run<T>(&mut self, title: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let started = announce(title);
        let outcome = work().with_context(|| format!("this step failed: {title}"))?;
        self.finish(title, started);
        Ok(outcome)
    }

    /// Does as [`Steps::run`], for a step that waits for servers.
    pub async fn wait_for<T>(&mut self, title: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
        let started = announce(title);
        let outcome = work.await.with_context(|| format!("this step failed: {title}"))?;
        self.finish(title, started);
        Ok(outcome)
    }

    /// Says what is not run on this machine, and why; the summary says it again.
    pub fn note_not_run(&mut self, what: &str, why: &str) {
        let line = format!("NOT RUN: {what}, because {why}");
        println!("    {line}");
        self.not_run.push(line);
    }

    /// Prints every step with its duration, and what was not run.
    pub fn print_summary(&self) {
        println!();
        for (title, duration) in &self.done {
            println!("{:>8.1} s  {title}", duration.as_secs_f64());
        }
        let total: Duration = self.done.iter().map(|(_, duration)| *duration).sum();
        println!("{:>8.1} s  in all", total.as_secs_f64());
        for line in &self.not_run {
            println!("{line}");
        }
    }

    fn finish(&mut self, title: &str, started: Instant) {
        let duration = started.elapsed();
        println!("    done in {:.1} s", duration.as_secs_f64());
        self.done.push((title.to_owned(), duration));
    }
}

fn announce(title: &str) -> Instant {
    println!("==> {title}");
    Instant::now()
}

/// Runs a program whose output the caller sees, and fails when it fails.
pub fn run_command(command: &mut Command) -> Result<()> {
    let shown = shown(command);
    let status = command.status().with_context(|| format!("cannot start `{shown}`"))?;
    if !status.success() {
        bail!("`{shown}` ended with {status}");
    }
    Ok(())
}

/// Runs a program and returns what it wrote to standard output; its standard error goes to the caller's.
pub fn command_output(command: &mut Command) -> Result<String> {
    let shown = shown(command);
    let output = command
        .stderr(std::process::Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start `{shown}`"))?;
    if !output.status.success() {
        bail!("`{shown}` ended with {}", output.status);
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{shown}` wrote what is not UTF-8"))
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
