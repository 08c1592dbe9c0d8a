//! Surveys: a first pass over an object that writes nothing, where a gate is to judge it.

use std::sync::Arc;

use flatten::check::{Gate, Survey};
use tokio::time::timeout_at;

use crate::assemble::Assembler;
use crate::batch::{Fate, Reason, WriteBatch};
use crate::decode::{Decoder, Step};
use crate::interrupted::Interrupted;
use crate::object::ObjectRef;
use crate::source::{ReadFailure, Storage};
use crate::summary::Summary;

use super::deadline::{AttemptLimit, Permit, permit};
use super::pipeline::Pipeline;

/// Returns the gates that an object does not pass, with what the ledger then says; `None` also for an object that is
/// gone.
///
/// A survey leaves no checkpoint. So one that does not reach the object's end within the deadline fails with
/// [`Interrupted::GateCheckTimedOut`].
pub(super) async fn refuse(
    pipeline: &Pipeline,
    object: &Arc<ObjectRef>,
    limit: AttemptLimit<'_>,
) -> Result<Option<(Vec<Gate>, Summary)>, Interrupted> {
    let Pipeline { storage, catalog, limits, .. } = pipeline;
    let mut surveyor = Surveyor {
        limit,
        decoder: Decoder::new(limits.decode),
        assembler: Assembler::new(Arc::clone(object), Arc::clone(catalog), limits.batch),
        survey: Survey::default(),
        summary: Summary::default(),
        permit: None,
    };
    let work = surveyor.read(storage, object);
    let is_read = match limit.stop_at(true) {
        None => work.await?,
        Some(stop) => timeout_at(stop.into(), work).await.unwrap_or(Err(Interrupted::GateCheckTimedOut))?,
    };
    let Surveyor { assembler, survey, summary, .. } = surveyor;
    // The files that a manifest lists are judged, and it has no records itself.
    let has_manifest = assembler.has_manifest();
    assembler.recycle();
    let is_judged = is_read && !(has_manifest && survey.records == 0);
    let closed = catalog.gates().violations(&survey);
    Ok((is_judged && !closed.is_empty()).then_some((closed, summary)))
}

struct Surveyor<'a> {
    limit: AttemptLimit<'a>,
    decoder: Decoder,
    assembler: Assembler,
    survey: Survey,
    summary: Summary,
    permit: Option<Permit>,
}

impl Surveyor<'_> {
    /// Reads the object once; `false`: it is gone.
    async fn read(&mut self, storage: &Storage, object: &ObjectRef) -> Result<bool, Interrupted> {
        let mut bytes = match storage.open(object, 0).await {
            Ok(opened) => opened,
            Err(ReadFailure::Gone) => return Ok(false),
            Err(ReadFailure::Interrupted(interrupted)) => return Err(interrupted),
        };
        loop {
            match bytes.next_chunk().await {
                Ok(Some(chunk)) => self.decoder.push(&chunk),
                Ok(None) => break,
                Err(ReadFailure::Gone) => return Ok(false),
                Err(ReadFailure::Interrupted(interrupted)) => return Err(interrupted),
            }
            self.drain().await?;
        }
        self.decoder.finish();
        self.drain().await?;
        self.end();
        Ok(true)
    }

    async fn drain(&mut self) -> Result<(), Interrupted> {
        loop {
            match self.limit {
                limit if limit.is_lost() => return Err(Interrupted::Busy),
                limit if limit.is_cancelled() => return Err(Interrupted::Cancelled),
                limit if limit.is_reached(true) => return Err(Interrupted::GateCheckTimedOut),
                _ => {}
            }
            match self.decoder.step() {
                Step::NeedsBytes => return Ok(()),
                Step::Pause => {}
                Step::NeedsPermit => {
                    self.permit = permit(self.limit).await;
                    self.decoder.allow_large(true);
                }
                Step::Frame(frame) => self.assembler.add_frame(&frame),
            }
            if self.permit.is_some() && !self.decoder.is_large() {
                self.assembler.shrink();
                self.count();
                self.decoder.allow_large(false);
                self.permit = None;
            }
            self.count_full();
        }
    }

    fn count_full(&mut self) {
        loop {
            if self.assembler.is_full() {
                self.count();
            }
            self.assembler.take_completions();
            if !self.assembler.is_waiting() {
                return;
            }
            self.assembler.flush_waiting();
        }
    }

    /// Counts a batch and forgets it.
    fn count(&mut self) {
        self.assembler.take_completions();
        let Some(batch) = self.assembler.take_batch() else { return };
        let WriteBatch { resources, rejects, unstored, .. } = batch;
        self.survey.rejected += unstored.rejected;
        for (code, count) in unstored.codes {
            *self.summary.codes.entry(code.to_owned()).or_default() += count;
        }
        for resource in resources {
            if !matches!(resource.fate, Fate::Deleted) {
                *self.survey.types.entry(resource.resource_type.to_string()).or_default() += 1;
            }
        }
        for reject in rejects {
            if !matches!(reject.reason, Reason::Defect { view: Some(_), .. }) {
                self.survey.rejected += 1;
                *self.summary.codes.entry(reject.reason.code().to_owned()).or_default() += 1;
            }
        }
    }

    /// Sums up. Of a refused object every record is set aside, whatever would have become of it.
    fn end(&mut self) {
        self.assembler.end();
        self.count_full();
        self.count();
        let (decoded, records) = (self.decoder.summary(), self.assembler.records());
        self.survey.records = records;
        self.summary.bytes = decoded.bytes_in;
        self.summary.inflated_bytes = decoded.bytes_out;
        self.summary.records = records;
        self.summary.rejected = records;
        self.summary.checks = self.assembler.take_checks();
    }
}
