//! What stands in for the database in a program that was built without the feature `store`.

use anyhow::bail;

use super::rows::{Contents, Deleted, FieldName, Range, Row, StoredPair, Wanted};
use super::{Limits, Place, RunFacts};

/// There is none.
pub(super) enum Database {}

impl Database {
    pub(super) fn open(_: &Place, _: Limits) -> anyhow::Result<Self> {
        bail!("this mirror was built without the feature `store`")
    }

    pub(super) fn last_run(&self) -> RunFacts {
        match *self {}
    }

    pub(super) fn begin_run(&mut self, _: &RunFacts) -> anyhow::Result<()> {
        match *self {}
    }

    pub(super) fn insert(&mut self, _: &[Row<'_>], _: u64) -> anyhow::Result<u64> {
        match *self {}
    }

    pub(super) fn lost(&self, _: u64) -> anyhow::Result<()> {
        match *self {}
    }

    pub(super) fn tend(&mut self) -> anyhow::Result<Deleted> {
        match *self {}
    }

    pub(super) fn contents(&self, _: &Wanted) -> anyhow::Result<Contents> {
        match *self {}
    }

    pub(super) fn pairs(&self, _: &Wanted, _: usize) -> anyhow::Result<Vec<StoredPair>> {
        match *self {}
    }

    pub(super) fn of_field(
        &self,
        _: &FieldName,
        _: Range,
        _: usize,
    ) -> anyhow::Result<Vec<StoredPair>> {
        match *self {}
    }

    pub(super) fn pair(&self, _: i64) -> anyhow::Result<Option<StoredPair>> {
        match *self {}
    }

    pub(super) fn close(self) -> anyhow::Result<()> {
        match self {}
    }
}
