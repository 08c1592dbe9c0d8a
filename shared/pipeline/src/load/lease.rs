//! Renewal: a load without a deadline keeps its lease for as long as it works, and stops once it has lost it.

use std::future::{Future, pending};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::interrupted::Interrupted;

/// Runs work and renews its lease again and again meanwhile. Once a later attempt has begun, `is_lost` says so, and the
/// work must stop by itself: it is not dropped, because what half a write leaves behind, nobody would take back.
///
/// A renewal that fails otherwise is tried again the next time; the lease outlasts two of them.
pub(super) async fn renewing<T, R>(
    every: Duration,
    mut renew: impl FnMut() -> R,
    is_lost: &AtomicBool,
    work: impl Future<Output = T>,
) -> T
where
    R: Future<Output = Result<(), Interrupted>>,
{
    let renewals = async {
        loop {
            tokio::time::sleep(every).await;
            if renew().await == Err(Interrupted::Busy) {
                is_lost.store(true, Ordering::Relaxed);
                return pending().await;
            }
        }
    };
    tokio::select! {
        biased;
        outcome = work => outcome,
        outcome = renewals => outcome,
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::ready;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use tokio::sync::Notify;

    use super::renewing;
    use crate::interrupted::Interrupted;

    const EVERY: Duration = Duration::from_millis(1);

    #[tokio::test]
    async fn a_lease_is_renewed_until_the_work_is_done() {
        let (renewals, done, is_lost) = (Cell::new(0), Notify::new(), AtomicBool::new(false));
        let renew = || {
            renewals.set(renewals.get() + 1);
            if renewals.get() == 3 {
                done.notify_one();
            }
            // The database was away: that is no reason to stop.
            ready(Err(Interrupted::Write { code: "network".to_owned() }))
        };
        renewing(EVERY, renew, &is_lost, done.notified()).await;
        assert_eq!((renewals.get(), is_lost.into_inner()), (3, false));
    }

    #[tokio::test]
    async fn work_whose_lease_is_lost_is_told_and_not_dropped() {
        let is_lost = AtomicBool::new(false);
        let work = async {
            while !is_lost.load(Ordering::Relaxed) {
                tokio::task::yield_now().await;
            }
            "finished"
        };
        let renew = || ready(Err(Interrupted::Busy));
        assert_eq!(renewing(EVERY, renew, &is_lost, work).await, "finished");
    }
}
