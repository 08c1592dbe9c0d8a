//! Surveys: a first reading of an object that writes nothing, where a gate is to judge it.

use std::sync::Arc;
use std::time::Instant;

use flatten::catalog::Catalog;
use flatten::check::{Gate, Survey};

use crate::assemble::Assembler;
use crate::batch::{Fate, Reason, WriteBatch};
use crate::decode::Decoder;
use crate::interrupted::Interrupted;
use crate::object::ObjectRef;
use crate::source::{ReadFailure, Storage};
use crate::summary::Summary;

use super::Pace;

/// The gates that an object does not pass, with what stands in the ledger then; `None` also for one that is gone.
///
/// A survey leaves nothing to go on with: an object that cannot be read once within the deadline is stopped for.
pub(super) async fn refuse(
    storage: &Storage,
    catalog: &Arc<Catalog>,
    pace: Pace,
    object: &Arc<ObjectRef>,
    deadline: Option<Instant>,
) -> Result<Option<(Vec<Gate>, Summary)>, Interrupted> {
    let mut decoder = Decoder::new(pace.decode);
    let mut surveyor = Surveyor {
        assembler: Assembler::new(Arc::clone(object), Arc::clone(catalog), pace.batch),
        survey: Survey::default(),
        summary: Summary::default(),
    };
    let mut bytes = match storage.open(object, 0).await {
        Ok(opened) => opened,
        Err(ReadFailure::Gone) => return Ok(None),
        Err(ReadFailure::Interrupted(interrupted)) => return Err(interrupted),
    };
    loop {
        match bytes.next_chunk().await {
            Ok(Some(chunk)) => decoder.push(&chunk),
            Ok(None) => break,
            Err(ReadFailure::Gone) => return Ok(None),
            Err(ReadFailure::Interrupted(interrupted)) => return Err(interrupted),
        }
        surveyor.drain(&mut decoder);
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Err(Interrupted::Unsurveyed);
        }
    }
    decoder.finish();
    surveyor.drain(&mut decoder);
    surveyor.end(&decoder);
    let Surveyor { assembler, survey, summary } = surveyor;
    assembler.rest();
    let closed = catalog.gates().closed_to(&survey);
    Ok((!closed.is_empty()).then_some((closed, summary)))
}

struct Surveyor {
    assembler: Assembler,
    survey: Survey,
    summary: Summary,
}

impl Surveyor {
    fn drain(&mut self, decoder: &mut Decoder) {
        while let Some(frame) = decoder.next() {
            self.assembler.take(&frame);
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
            self.assembler.take_waiting();
        }
    }

    /// Counts a batch and forgets it.
    fn count(&mut self) {
        self.assembler.take_completions();
        let Some(WriteBatch { resources, rejects, .. }) = self.assembler.take_batch() else { return };
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
    fn end(&mut self, decoder: &Decoder) {
        self.assembler.end();
        self.count_full();
        self.count();
        let (decoded, records) = (decoder.summary(), self.assembler.records());
        self.survey.records = records;
        self.summary.bytes = decoded.bytes_in;
        self.summary.inflated_bytes = decoded.bytes_out;
        self.summary.records = records;
        self.summary.rejected = records;
        self.summary.checks = self.assembler.take_checks();
    }
}
