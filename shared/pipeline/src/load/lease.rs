//! The lease of a load: renewed for as long as it works without a deadline, and given up when it is interrupted.

use std::future::{Future, pending};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::time::timeout_at;

use crate::interrupted::Interrupted;

/// How long an interrupted load tries to give its lease up. Elections and restarts of a database take less.
const GIVE_UP_WITHIN: Duration = Duration::from_mins(2);
const GIVE_UP_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// The least time for giving a lease up.
const GIVE_UP_WITHIN_AT_LEAST: Duration = Duration::from_secs(1);

/// Gives a lease up, again and again while the database cannot be reached: otherwise no other attempt could begin
/// before the lease ends. It stops at `deadline`; then the lease has to run out.
pub(super) async fn give_up<R>(deadline: Option<Instant>, release: impl FnMut() -> R)
where
    R: Future<Output = Result<(), Interrupted>>,
{
    let now = Instant::now();
    let latest = now + GIVE_UP_WITHIN;
    let until = deadline.map_or(latest, |deadline| deadline.clamp(now + GIVE_UP_WITHIN_AT_LEAST, latest));
    give_up_until(until, GIVE_UP_AGAIN_AFTER, release).await;
}

async fn give_up_until<R>(until: Instant, again_after: Duration, mut release: impl FnMut() -> R)
where
    R: Future<Output = Result<(), Interrupted>>,
{
    let released = async {
        while let Err(Interrupted::Write { .. }) = release().await {
            tokio::time::sleep(again_after).await;
        }
    };
    timeout_at(until.into(), released).await.ok();
}

/// Runs work and renews its lease again and again meanwhile. Once a later attempt has begun, `is_lost` says so, and the
/// work must stop by itself: it is not dropped, because nobody would clean up half a write.
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
    use std::time::{Duration, Instant};

    use tokio::sync::Notify;

    use super::{give_up_until, renewing};
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

    #[tokio::test]
    async fn a_lease_is_given_up_as_soon_as_the_database_answers_and_until_the_deadline() {
        let tries = Cell::new(0);
        let release = |answers_at: u32| {
            tries.set(tries.get() + 1);
            let is_away = tries.get() < answers_at;
            ready(if is_away { Err(Interrupted::Write { code: "network".to_owned() }) } else { Ok(()) })
        };
        let later = Instant::now() + Duration::from_mins(1);
        give_up_until(later, EVERY, || release(30)).await;
        assert_eq!(tries.take(), 30);
        give_up_until(Instant::now() + 5 * EVERY, EVERY, || release(u32::MAX)).await;
        assert!(tries.take() > 0, "the deadline ends it");
        give_up_until(later, EVERY, || {
            tries.set(tries.get() + 1);
            ready(Err(Interrupted::Busy))
        })
        .await;
        assert_eq!(tries.get(), 1, "another attempt holds it");
    }
}
