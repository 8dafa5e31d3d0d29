//! Hashes of all values of a tree.

use std::hash::{BuildHasher, Hash, Hasher};

use foldhash::fast::FixedState;

use super::{Children, Container, NodeId, Stored, Tree};
use crate::decimal::Decimal;

/// By number of the node. What is in a container has a higher number, so its hash is there already.
pub(super) fn all(tree: &Tree) -> Box<[u64]> {
    let hasher = FixedState::default();
    let mut hashes = vec![0; tree.nodes.len()].into_boxed_slice();
    for (at, node) in tree.nodes.iter().enumerate().rev() {
        let hash = match node.stored {
            Stored::Null => 0,
            Stored::Bool(yes) => 1 + u64::from(yes),
            Stored::Number(text) => hasher.hash_one((3_u8, Decimal::new(tree.span(text)))),
            Stored::Text(text) => hasher.hash_one((4_u8, tree.span(text))),
            Stored::Opaque(text) => hasher.hash_one((5_u8, tree.span(text))),
            Stored::Container(Children { kind, count, .. }) => {
                let id = NodeId(u32::try_from(at).unwrap_or(u32::MAX));
                let known = |child: NodeId| hashes.get(child.0 as usize).copied().unwrap_or(0);
                let inside = match kind {
                    // In any order.
                    Container::Object => tree.children(id).fold(0, |sum: u64, child| {
                        let member = hasher.hash_one((tree.name(child), known(child)));
                        sum.wrapping_add(member)
                    }),
                    Container::Array => {
                        let mut inside = hasher.build_hasher();
                        tree.children(id).for_each(|child| known(child).hash(&mut inside));
                        inside.finish()
                    }
                };
                hasher.hash_one((6_u8, kind, count, inside))
            }
        };
        if let Some(slot) = hashes.get_mut(at) {
            *slot = hash;
        }
    }
    hashes
}
