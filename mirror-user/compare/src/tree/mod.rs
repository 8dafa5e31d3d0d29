//! A body as a tree of values: one arena, whatever its format.
//!
//! JSON is kept as it is: numbers by their text, members in their order, those with the same name each. Elements of
//! HTML and XML are objects with `tag`, `attributes` and `children`. Equal parts are passed over in one step: a list or an
//! object of JSON by how it is written, others by a hash of all that is in them. Hashes are worked out for a whole tree
//! when the first is asked for, as most pairs need none; whoever uses one verifies it, because whoever answers
//! chooses the bytes.

mod build;
mod hash;

use std::sync::OnceLock;

pub(crate) use self::build::{Builder, Held};

/// A value in a [`Tree`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeId(u32);

const NONE: NodeId = NodeId(u32::MAX);

/// Where a text is in [`Tree::text`].
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Span {
    start: u32,
    end: u32,
}

#[derive(Clone, Copy, Debug)]
enum Stored {
    Null,
    Bool(bool),
    Number(Span),
    Text(Span),
    Opaque(Span),
    Container(Children),
}

/// What a container holds.
#[derive(Clone, Copy, Debug)]
struct Children {
    kind: Container,
    first: NodeId,
    count: u32,
    /// How it is written; empty where that is not known.
    written: Span,
}

/// What holds other values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Container {
    /// Values in their order.
    Array,
    /// Members, each with a name.
    Object,
}

#[derive(Clone, Copy, Debug)]
struct Node {
    stored: Stored,
    name: Span,
    next: NodeId,
}

/// A value, as it is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Value<'t> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number, by its text.
    Number(&'t str),
    /// A string without its escapes.
    Text(&'t str),
    /// What is not read: its length and digest as text.
    Opaque(&'t str),
    /// A list with this number of elements.
    Array(u32),
    /// An object with this number of members.
    Object(u32),
}

/// A tree of values.
#[derive(Clone, Debug)]
pub struct Tree {
    /// A container stands before what is in it.
    nodes: Vec<Node>,
    text: String,
    hashes: OnceLock<Box<[u64]>>,
}

impl Tree {
    /// The outermost value.
    #[must_use]
    pub fn root(&self) -> NodeId {
        NodeId(0)
    }

    /// Bytes that it takes in memory, about.
    #[must_use]
    pub fn size(&self) -> usize {
        self.nodes.len() * (size_of::<Node>() + size_of::<u64>()) + self.text.len()
    }

    /// The number of values.
    #[must_use]
    pub fn count(&self) -> usize {
        self.nodes.len()
    }

    fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(id.0 as usize)
    }

    fn span(&self, span: Span) -> &str {
        self.text.get(span.start as usize..span.end as usize).unwrap_or_default()
    }

    /// The same, without a look at where characters begin.
    fn bytes(&self, span: Span) -> &[u8] {
        self.text.as_bytes().get(span.start as usize..span.end as usize).unwrap_or_default()
    }

    /// What it is.
    #[must_use]
    pub fn value(&self, id: NodeId) -> Value<'_> {
        match self.node(id).map(|node| node.stored) {
            None | Some(Stored::Null) => Value::Null,
            Some(Stored::Bool(yes)) => Value::Bool(yes),
            Some(Stored::Number(span)) => Value::Number(self.span(span)),
            Some(Stored::Text(span)) => Value::Text(self.span(span)),
            Some(Stored::Opaque(span)) => Value::Opaque(self.span(span)),
            Some(Stored::Container(Children { kind: Container::Array, count, .. })) => {
                Value::Array(count)
            }
            Some(Stored::Container(Children { kind: Container::Object, count, .. })) => {
                Value::Object(count)
            }
        }
    }

    /// True if both are members of one name, or none is a member.
    #[must_use]
    pub(crate) fn have_same_name(&self, id: NodeId, other: &Self, other_id: NodeId) -> bool {
        let name = |tree: &Self, id| tree.node(id).map(|node| node.name);
        match (name(self, id), name(other, other_id)) {
            (Some(a), Some(b)) => self.bytes(a) == other.bytes(b),
            _ => false,
        }
    }

    /// The name of a member; empty for what is none.
    #[must_use]
    pub fn name(&self, id: NodeId) -> &str {
        self.node(id).map_or("", |node| self.span(node.name))
    }

    /// A hash of all that is in it. Equal values have the same, numbers by their value and members in any order.
    #[must_use]
    pub fn hash(&self, id: NodeId) -> u64 {
        let hashes = self.hashes.get_or_init(|| hash::all(self));
        hashes.get(id.0 as usize).copied().unwrap_or_default()
    }

    /// How a container is written, where that is known: two that are written alike are the same.
    #[must_use]
    pub fn written(&self, id: NodeId) -> Option<&str> {
        match self.node(id)?.stored {
            Stored::Container(Children { written, .. }) => {
                Some(self.span(written)).filter(|text| !text.is_empty())
            }
            _ => None,
        }
    }

    /// The elements or members of a container, in their order.
    pub fn children(&self, id: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        let first = match self.node(id).map(|node| node.stored) {
            Some(Stored::Container(Children { first, .. })) => first,
            _ => NONE,
        };
        std::iter::successors(Some(first), |id| self.node(*id).map(|node| node.next))
            .take_while(|id| *id != NONE)
    }

    /// The first member with this name.
    #[must_use]
    pub fn member(&self, id: NodeId, name: &str) -> Option<NodeId> {
        self.children(id).find(|child| self.name(*child) == name)
    }
}
