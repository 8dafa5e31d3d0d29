//! A value, in its tree.

use crate::tree::{NodeId, Tree, Value};

/// A value of a tree.
#[derive(Clone, Copy)]
pub(crate) struct At<'t> {
    tree: &'t Tree,
    id: NodeId,
}

impl<'t> At<'t> {
    pub(crate) fn root(tree: &'t Tree) -> Self {
        Self { tree, id: tree.root() }
    }

    pub(super) fn value(self) -> Value<'t> {
        self.tree.value(self.id)
    }

    pub(super) fn hash(self) -> u64 {
        self.tree.hash(self.id)
    }

    pub(super) fn written(self) -> Option<&'t str> {
        self.tree.written(self.id)
    }

    pub(super) fn has_name_of(self, other: At<'_>) -> bool {
        self.tree.have_same_name(self.id, other.tree, other.id)
    }

    pub(super) fn name(self) -> &'t str {
        self.tree.name(self.id)
    }

    pub(super) fn children(self) -> impl Iterator<Item = At<'t>> {
        self.tree.children(self.id).map(move |id| Self { tree: self.tree, id })
    }

    pub(super) fn member(self, name: &str) -> Option<At<'t>> {
        self.tree.member(self.id, name).map(|id| Self { tree: self.tree, id })
    }
}
