//! Ctrl-C and SIGTERM: the first ends all loads behind the writes under way, with checkpoints; the second ends them at once.

use std::convert::Infallible;
use std::future::{Future, pending};
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::MultiProgress;
use pipeline::interrupted::Interrupted;
use tokio::sync::watch;

use crate::console;
use crate::signals::asked_to_end;

/// What the user at the terminal has asked for.
#[derive(Debug, Default)]
pub(super) struct Interrupt {
    requested: AtomicBool,
    at_once: watch::Sender<bool>,
}

impl Interrupt {
    /// Listens to Ctrl-C and SIGTERM.
    pub(super) async fn listen(&self, bars: &MultiProgress) -> Infallible {
        asked_to_end().await;
        self.requested.store(true, Ordering::Relaxed);
        bars.suspend(|| {
            console::line("flatfire: finishing the writes under way; press Ctrl-C again to end at once");
        });
        asked_to_end().await;
        self.at_once.send_replace(true);
        pending().await
    }

    /// Returns whether an end was asked for.
    pub(super) fn is_requested(&self) -> bool {
        self.requested.load(Ordering::Relaxed)
    }

    /// Returns the flag that a load looks at again and again.
    pub(super) const fn requested(&self) -> &AtomicBool {
        &self.requested
    }

    /// Runs a load until it is to end at once.
    pub(super) async fn unless_at_once<T, E: From<Interrupted>>(
        &self,
        load: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let mut at_once = self.at_once.subscribe();
        tokio::select! {
            biased;
            loaded = load => loaded,
            Ok(_) = at_once.wait_for(|is_asked_for| *is_asked_for) => Err(Interrupted::Cancelled.into()),
        }
    }
}
