//! What people ask: the collections of both databases, read and changed through the driver itself.
//!
//! A command that fails here is not tried again beyond what the driver does: the caller sees the failure and asks again.

mod archive;
mod columns;
mod databases;
mod erasures;
mod exports;
mod failure;
mod indexes;
mod loads;
mod outdated;
mod overview;
mod quality;
mod references;
mod rejects;
mod removal;
mod report;
mod retention;
mod selection;
mod standing;
mod stored_rows;

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use bson::doc;
use bson::oid::ObjectId;
use flatten::indexes::Indexes;
use pipeline::erasure::ErasureMarks;
use pipeline::ledger::{Load, LoadFilter};
use pipeline::retention::RetentionPolicy;
use pipeline::store::admin::{
    Admin, ArchiveVisitor, ArchivedResource, DatabaseUser, Erasure, KeptOut, Lift, LoadOutline,
    LoadSelection, LoadVisitor, MissingIndexes, NotedTable, ObjectName, ReferenceVisitor, RejectFilter,
    RowVisitor, StoredReject, WholeLoadVisitor,
};
use pipeline::store::exports::{FileSelection, FileVisitor, ManifestVisitor};
use pipeline::store::outdated::{MadeUpTable, Outdated};
use pipeline::store::overview::{Folder, LoadPeriod, LoadSums, Maker};
use pipeline::store::quality::{
    GroupQuestion, LoadDays, QualityStore, ReferenceKeyColumn, RepetitionQuestion, RowCondition, RowGroup,
    Share, SubjectQuestion,
};
use pipeline::store::schema::FieldSchema;
use pipeline::store::standing::{RowOrigin, Standing};
use pipeline::store::{ColumnEntry, StoreError};

use crate::MongoStore;
use crate::store::{ExpiryOutcome, IndexBuilds};

use databases::Databases;
use failure::DriverFailure;

impl MongoStore {
    fn databases(&self) -> Databases {
        let client = self.connection().client();
        let archive = client.database(self.archive_name());
        Databases { rows: client.database(self.connection().database()), archive }
    }
}

#[async_trait]
impl Admin for MongoStore {
    fn database(&self) -> &str {
        self.connection().database()
    }

    fn archive_database(&self) -> &str {
        self.archive_name()
    }

    async fn ping(&self) -> Result<(), StoreError> {
        let answer = self.databases().rows.run_command(doc! { "ping": 1 }).await;
        Ok(answer.map(drop).map_err(DriverFailure::from)?)
    }

    fn take_index_notices(&self) -> Vec<String> {
        Self::take_index_notices(self)
    }

    async fn loads_named(&self, name: &str) -> Result<Vec<Load>, StoreError> {
        Ok(loads::named(&self.databases(), name).await?)
    }

    async fn load_outlines(
        &self,
        loads: &[String],
        now: i64,
    ) -> Result<BTreeMap<String, LoadOutline>, StoreError> {
        Ok(selection::outlines(&self.databases(), loads, now).await?)
    }

    async fn count_loads(&self, selection: &LoadSelection) -> Result<u64, StoreError> {
        Ok(selection::count(&self.databases(), selection).await?)
    }

    async fn visit_loads(
        &self,
        selection: &LoadSelection,
        visit: &mut LoadVisitor<'_>,
    ) -> Result<(), StoreError> {
        Ok(selection::visit(&self.databases(), selection, visit).await?)
    }

    async fn visit_files(
        &self,
        selection: &FileSelection<'_>,
        visit: &mut FileVisitor<'_>,
    ) -> Result<(), StoreError> {
        Ok(exports::visit_files(&self.databases(), selection, visit).await?)
    }

    async fn visit_manifests(&self, visit: &mut ManifestVisitor<'_>) -> Result<(), StoreError> {
        Ok(exports::visit(&self.databases(), visit).await?)
    }

    async fn sum_loads(&self, period: &LoadPeriod) -> Result<LoadSums, StoreError> {
        Ok(overview::sum(&self.databases(), period).await?)
    }

    async fn latest_loads(
        &self,
        period: &LoadPeriod,
        filters: &[LoadFilter],
        limit: u32,
    ) -> Result<Vec<Load>, StoreError> {
        Ok(overview::latest(&self.databases(), period, filters, limit).await?)
    }

    async fn last_successes(&self, period: &LoadPeriod) -> Result<BTreeMap<Folder, i64>, StoreError> {
        Ok(overview::last_successes(&self.databases(), period).await?)
    }

    async fn visit_outdated_loads(
        &self,
        maker: &Maker,
        after: &str,
        visit: &mut WholeLoadVisitor<'_>,
    ) -> Result<(), StoreError> {
        Ok(overview::visit_outdated(&self.databases(), maker, after, visit).await?)
    }

    async fn load_of_other_catalogs(&self, catalogs: &[&str]) -> Result<Option<Load>, StoreError> {
        Ok(loads::of_other_catalogs(&self.databases(), catalogs).await?)
    }

    async fn noted_tables(&self) -> Result<Vec<NotedTable>, StoreError> {
        Ok(loads::noted_tables(&self.databases()).await?)
    }

    async fn count_documents(&self, loads: &[&str]) -> Result<BTreeMap<String, u64>, StoreError> {
        Ok(loads::count_documents(&self.databases(), loads).await?)
    }

    async fn count_records(&self, loads: &[&str]) -> Result<BTreeMap<String, u64>, StoreError> {
        Ok(loads::count_records(&self.databases(), loads).await?)
    }

    async fn rejects(&self, filter: &RejectFilter) -> Result<Vec<StoredReject>, StoreError> {
        Ok(rejects::find(&self.databases(), filter).await?)
    }

    async fn remove_reject(&self, id: &str) -> Result<(), StoreError> {
        Ok(rejects::remove(&self.databases(), id).await?)
    }

    async fn find_archived(&self, key: &str) -> Result<Option<ArchivedResource>, StoreError> {
        Ok(archive::find(&self.databases(), key).await?)
    }

    async fn remove_archived(&self, archived: &ArchivedResource) -> Result<(), StoreError> {
        Ok(archive::remove(&self.databases(), archived).await?)
    }

    async fn count_archived(&self) -> Result<BTreeMap<String, u64>, StoreError> {
        Ok(archive::count(&self.databases()).await?)
    }

    async fn visit_archived(
        &self,
        resource_type: &str,
        visit: &mut ArchiveVisitor<'_>,
    ) -> Result<(), StoreError> {
        Ok(archive::visit(&self.databases(), resource_type, visit).await?)
    }

    async fn is_other_archive(&self) -> Result<bool, StoreError> {
        Ok(archive::is_another(&self.databases()).await?)
    }

    async fn standing(&self, keys: &BTreeSet<String>) -> Result<BTreeMap<String, Standing>, StoreError> {
        Ok(standing::find(&self.databases(), keys).await?)
    }

    async fn visit_rows(
        &self,
        keys: &BTreeSet<String>,
        visit: &mut RowVisitor<'_>,
    ) -> Result<(), StoreError> {
        Ok(stored_rows::visit(&self.databases(), keys, visit).await?)
    }

    async fn count_rows(&self) -> Result<BTreeMap<String, u64>, StoreError> {
        Ok(stored_rows::count(&self.databases()).await?)
    }

    async fn visit_table(&self, table: &str, visit: &mut RowVisitor<'_>) -> Result<(), StoreError> {
        Ok(stored_rows::visit_table(&self.databases(), table, visit).await?)
    }

    async fn row_origin(&self, id: &str) -> Result<Option<RowOrigin>, StoreError> {
        Ok(standing::origin_of(&self.databases(), id).await?)
    }

    async fn visit_references(&self, visit: &mut ReferenceVisitor<'_>) -> Result<(), StoreError> {
        Ok(references::visit(&self.databases(), visit).await?)
    }

    async fn kept_out(&self, key: &str) -> Result<Option<KeptOut>, StoreError> {
        Ok(erasures::kept_out(&self.databases(), key).await?)
    }

    async fn erasure_marks(&self) -> Result<ErasureMarks, StoreError> {
        Ok(self.marks().await.map_err(DriverFailure::from)?)
    }

    async fn remove_mark(&self, key: &str) -> Result<bool, StoreError> {
        Ok(self.lift(key).await.map_err(DriverFailure::from)?)
    }

    async fn user(&self) -> Result<DatabaseUser, StoreError> {
        Ok(erasures::user(&self.databases()).await?)
    }

    fn new_erasure_id(&self) -> String {
        ObjectId::new().to_hex()
    }

    async fn begin_erasure(&self, erasure: &Erasure) -> Result<(), StoreError> {
        Ok(erasures::begin(&self.databases(), erasure).await?)
    }

    async fn end_erasure(&self, id: &str, at: i64) -> Result<(), StoreError> {
        Ok(erasures::end(&self.databases(), id, at).await?)
    }

    async fn lift_erasures(&self, mark: &str, lift: &Lift) -> Result<(), StoreError> {
        Ok(erasures::lift(&self.databases(), mark, lift).await?)
    }

    async fn rename_object(&self, load: &str, object: &ObjectName, mark: &str) -> Result<bool, StoreError> {
        Ok(erasures::rename_object(&self.databases(), load, object, mark).await?)
    }

    async fn table_schemas(&self) -> Result<BTreeMap<String, FieldSchema>, StoreError> {
        Ok(columns::schemas(&self.databases()).await?)
    }

    async fn columns(&self) -> Result<Vec<ColumnEntry>, StoreError> {
        Ok(columns::all(&self.databases()).await?)
    }

    async fn tables_to_index(&self) -> Result<Vec<String>, StoreError> {
        Ok(indexes::tables(&self.databases()).await?)
    }

    async fn missing_indexes(&self, table: &str, wanted: Indexes) -> Result<MissingIndexes, StoreError> {
        Ok(indexes::missing(self.connection(), &self.databases(), table, wanted).await?)
    }

    async fn build_indexes(&self, table: &str, wanted: Indexes) -> Result<bool, StoreError> {
        Ok(indexes::build(self.connection(), table, wanted).await?)
    }

    async fn collections_to_keep(&self) -> Result<BTreeMap<String, BTreeSet<String>>, StoreError> {
        Ok(retention::collections(&self.databases()).await?)
    }

    async fn keep(
        &self,
        policy: &RetentionPolicy,
        collection: &str,
        types: &BTreeSet<String>,
    ) -> Result<bool, StoreError> {
        let kept = self.connection().keep_expiry(policy, (collection, types), IndexBuilds::All).await;
        Ok(kept.map(|kept| kept != ExpiryOutcome::Kept(0)).map_err(DriverFailure::from)?)
    }

    async fn find_outdated(&self, resource_types: &[String]) -> Result<Outdated, StoreError> {
        Ok(outdated::find(&self.databases(), resource_types).await?)
    }

    async fn note_tables(&self, outdated: &Outdated) -> Result<(), StoreError> {
        Ok(removal::note(&self.databases(), outdated).await?)
    }

    async fn remove_made_up(&self, table: &MadeUpTable) -> Result<bool, StoreError> {
        Ok(removal::remove(&self.databases(), table).await?)
    }

    async fn forget_made_up(&self, outdated: &Outdated) -> Result<(), StoreError> {
        Ok(removal::forget(&self.databases(), outdated).await?)
    }
}

#[async_trait]
impl QualityStore for MongoStore {
    async fn count_matches(&self, table: &str, conditions: &[RowCondition]) -> Result<Vec<u64>, StoreError> {
        Ok(quality::count_matches(&self.databases(), table, conditions).await?)
    }

    async fn group_rows(&self, table: &str, question: &GroupQuestion) -> Result<Vec<RowGroup>, StoreError> {
        Ok(quality::group_rows(&self.databases(), table, question).await?)
    }

    async fn count_repeated(&self, table: &str, question: &RepetitionQuestion) -> Result<Share, StoreError> {
        Ok(quality::count_repeated(&self.databases(), table, question).await?)
    }

    async fn count_shared(&self, table: &str, column: &str) -> Result<Share, StoreError> {
        Ok(quality::count_shared(&self.databases(), table, column).await?)
    }

    async fn count_dangling(
        &self,
        table: &str,
        column: &ReferenceKeyColumn,
    ) -> Result<BTreeMap<String, Share>, StoreError> {
        Ok(quality::count_dangling(&self.databases(), table, column).await?)
    }

    async fn count_beside_subject(
        &self,
        table: &str,
        question: &SubjectQuestion,
    ) -> Result<Vec<u64>, StoreError> {
        Ok(quality::count_beside_subject(&self.databases(), table, question).await?)
    }

    async fn load_days(&self, period: &LoadPeriod) -> Result<LoadDays, StoreError> {
        Ok(quality::load_days(&self.databases(), period).await?)
    }
}
