//! Messages in flight: several at a time, and none is left behind when one fails.

use std::future::Future;

use futures::stream::{FuturesUnordered, StreamExt};

/// Runs futures, at most `at_once` at a time, and hands each output to `take`.
///
/// After a failure it starts no other future and waits for those that run, then it returns the first failure. A future
/// that is dropped would leave its command with the server, which may carry it out after the lease was given up: then
/// it would change what the next attempt has written.
pub(super) async fn run_all<F, T, E>(
    mut futures: impl Iterator<Item = F>,
    at_once: usize,
    mut take: impl FnMut(T),
) -> Result<(), E>
where
    F: Future<Output = Result<T, E>>,
{
    let mut running: FuturesUnordered<F> = futures.by_ref().take(at_once.max(1)).collect();
    let mut outcome = Ok(());
    while let Some(ended) = running.next().await {
        match ended {
            Ok(output) => take(output),
            Err(failure) => outcome = outcome.and(Err(failure)),
        }
        if outcome.is_ok() {
            running.extend(futures.next());
        }
    }
    outcome
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;
    use std::time::Duration;

    use super::run_all;

    /// The futures of a test: how many run, how many ran at most, and how many have ended.
    #[derive(Default)]
    struct Counts {
        running: Cell<usize>,
        most: Cell<usize>,
        started: Cell<usize>,
        ended: Cell<usize>,
    }

    async fn work(counts: Rc<Counts>, number: u64, fails: bool) -> Result<u64, u64> {
        counts.started.set(counts.started.get() + 1);
        counts.running.set(counts.running.get() + 1);
        counts.most.set(counts.most.get().max(counts.running.get()));
        tokio::time::sleep(Duration::from_millis(if fails { 1 } else { 20 + number })).await;
        counts.running.set(counts.running.get() - 1);
        counts.ended.set(counts.ended.get() + 1);
        if fails { Err(number) } else { Ok(number) }
    }

    #[tokio::test]
    async fn all_futures_run_and_not_too_many_at_a_time() {
        let counts = Rc::new(Counts::default());
        let futures = (0..10).map(|number| work(Rc::clone(&counts), number, false));
        let mut outputs = Vec::new();
        assert_eq!(run_all(futures, 4, |number| outputs.push(number)).await, Ok(()));
        outputs.sort_unstable();
        assert_eq!(outputs, (0..10).collect::<Vec<_>>());
        assert_eq!(counts.most.get(), 4);
    }

    #[tokio::test]
    async fn a_failure_waits_for_what_runs_and_starts_nothing() {
        let counts = Rc::new(Counts::default());
        let futures = (0..10).map(|number| work(Rc::clone(&counts), number, number == 2));
        assert_eq!(run_all(futures, 4, drop).await, Err(2));
        assert_eq!((counts.started.get(), counts.ended.get()), (4, 4));
    }

    #[tokio::test]
    async fn the_first_failure_is_returned() {
        let fail = async |(number, milliseconds)| {
            tokio::time::sleep(Duration::from_millis(milliseconds)).await;
            Err::<(), u64>(number)
        };
        assert_eq!(run_all([(7, 20), (5, 1), (6, 10)].into_iter().map(fail), 3, drop).await, Err(5));
    }
}
