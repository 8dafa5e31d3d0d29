//! A body as a tree of values: one arena, whatever its format.
//!
//! JSON is kept as it is: numbers by their text, members in their order, those with the same name each. Elements of
//! HTML and XML are objects with `tag`, `attributes` and `children`. Each value has a hash of all that is in it, so
//! equal parts are passed over in one step; the hash is verified, because whoever answers chooses the bytes.

use std::hash::{BuildHasher, Hash, Hasher};

use foldhash::fast::FixedState;

use crate::decimal::Decimal;
use crate::lift::Unreadable;
use crate::limits::Limits;

/// A value in a [`Tree`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeId(u32);

const NONE: NodeId = NodeId(u32::MAX);

/// Bytes of a JSON text for each of its values, about.
const BYTES_PER_VALUE: usize = 12;

/// Where a text is in [`Tree::text`].
#[derive(Clone, Copy, Debug, Default)]
struct Span {
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
    Container(Container, NodeId, u32),
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
    hash: u64,
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
    nodes: Vec<Node>,
    text: String,
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
        self.nodes.len() * size_of::<Node>() + self.text.len()
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

    /// What it is.
    #[must_use]
    pub fn value(&self, id: NodeId) -> Value<'_> {
        match self.node(id).map(|node| node.stored) {
            None | Some(Stored::Null) => Value::Null,
            Some(Stored::Bool(yes)) => Value::Bool(yes),
            Some(Stored::Number(span)) => Value::Number(self.span(span)),
            Some(Stored::Text(span)) => Value::Text(self.span(span)),
            Some(Stored::Opaque(span)) => Value::Opaque(self.span(span)),
            Some(Stored::Container(Container::Array, _, count)) => Value::Array(count),
            Some(Stored::Container(Container::Object, _, count)) => Value::Object(count),
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
        self.node(id).map_or(0, |node| node.hash)
    }

    /// The elements or members of a container, in their order.
    pub fn children(&self, id: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        let first = match self.node(id).map(|node| node.stored) {
            Some(Stored::Container(_, first, _)) => first,
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

/// An open container of a [`Builder`].
struct Open {
    node: NodeId,
    kind: Container,
    last: NodeId,
    count: u32,
    hash: u64,
}

/// Puts a tree together, value by value, within limits.
pub(crate) struct Builder {
    tree: Tree,
    open: Vec<Open>,
    name: Span,
    depth: usize,
    nodes: usize,
    hasher: FixedState,
}

impl Builder {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self::for_text(limits, 0)
    }

    /// With room for the values of a text of so many bytes.
    pub(crate) fn for_text(limits: &Limits, bytes: usize) -> Self {
        let values = (bytes / BYTES_PER_VALUE).min(limits.nodes);
        Self {
            tree: Tree { nodes: Vec::with_capacity(values), text: String::with_capacity(bytes) },
            open: Vec::new(),
            name: Span::default(),
            depth: limits.depth,
            nodes: limits.nodes,
            hasher: FixedState::default(),
        }
    }

    /// The innermost open container, and how many are open.
    pub(crate) fn container(&self) -> Option<Container> {
        self.open.last().map(|open| open.kind)
    }

    pub(crate) fn depth(&self) -> usize {
        self.open.len()
    }

    fn keep(&mut self, text: &str) -> Result<Span, Unreadable> {
        let start = self.tree.text.len();
        self.tree.text.push_str(text);
        match (u32::try_from(start), u32::try_from(self.tree.text.len())) {
            (Ok(start), Ok(end)) => Ok(Span { start, end }),
            _ => Err(Unreadable::TooLarge),
        }
    }

    /// The name of the member that comes next.
    pub(crate) fn name(&mut self, name: &str) -> Result<(), Unreadable> {
        self.name = self.keep(name)?;
        Ok(())
    }

    pub(crate) fn null(&mut self) -> Result<(), Unreadable> {
        self.leaf(Stored::Null, 0)
    }

    pub(crate) fn bool(&mut self, yes: bool) -> Result<(), Unreadable> {
        self.leaf(Stored::Bool(yes), 1 + u64::from(yes))
    }

    pub(crate) fn number(&mut self, text: &str) -> Result<(), Unreadable> {
        let span = self.keep(text)?;
        let hash = self.hash((3_u8, Decimal::new(text)));
        self.leaf(Stored::Number(span), hash)
    }

    pub(crate) fn text(&mut self, text: &str) -> Result<(), Unreadable> {
        let span = self.keep(text)?;
        let hash = self.hash((4_u8, text));
        self.leaf(Stored::Text(span), hash)
    }

    pub(crate) fn opaque(&mut self, text: &str) -> Result<(), Unreadable> {
        let span = self.keep(text)?;
        let hash = self.hash((5_u8, text));
        self.leaf(Stored::Opaque(span), hash)
    }

    fn hash(&self, what: impl Hash) -> u64 {
        self.hasher.hash_one(what)
    }

    fn leaf(&mut self, stored: Stored, hash: u64) -> Result<(), Unreadable> {
        let id = self.add(stored, hash)?;
        self.fold(id, hash);
        Ok(())
    }

    /// Adds a node behind the last one of the innermost container.
    fn add(&mut self, stored: Stored, hash: u64) -> Result<NodeId, Unreadable> {
        if self.tree.nodes.len() >= self.nodes {
            return Err(Unreadable::TooManyValues);
        }
        let id =
            NodeId(u32::try_from(self.tree.nodes.len()).map_err(|_| Unreadable::TooManyValues)?);
        self.tree.nodes.push(Node {
            stored,
            name: std::mem::take(&mut self.name),
            next: NONE,
            hash,
        });
        if let Some(open) = self.open.last_mut() {
            let place = if open.last == NONE { open.node } else { open.last };
            let before = self.tree.nodes.get_mut(place.0 as usize);
            match before {
                Some(node) if open.last != NONE => node.next = id,
                Some(Node { stored: Stored::Container(_, first, _), .. }) => *first = id,
                _ => {}
            }
            open.last = id;
            open.count += 1;
        }
        Ok(id)
    }

    /// Adds a value's hash to that of its container: in order for lists, in any order for members.
    fn fold(&mut self, id: NodeId, hash: u64) {
        let name = self.tree.node(id).map_or_else(Span::default, |node| node.name);
        let Some(kind) = self.container() else { return };
        let member = match kind {
            Container::Object => self.hash((self.tree.span(name), hash)),
            Container::Array => hash,
        };
        if let Some(open) = self.open.last_mut() {
            open.hash = match kind {
                Container::Object => open.hash.wrapping_add(member),
                Container::Array => {
                    let mut hasher = self.hasher.build_hasher();
                    hasher.write_u64(open.hash);
                    hasher.write_u64(member);
                    hasher.finish()
                }
            };
        }
    }

    pub(crate) fn open(&mut self, kind: Container) -> Result<(), Unreadable> {
        if self.open.len() >= self.depth {
            return Err(Unreadable::TooDeep);
        }
        let node = self.add(Stored::Container(kind, NONE, 0), 0)?;
        self.open.push(Open { node, kind, last: NONE, count: 0, hash: 0 });
        Ok(())
    }

    pub(crate) fn close(&mut self) {
        let Some(open) = self.open.pop() else { return };
        let hash = self.hash((6_u8, open.kind, open.count, open.hash));
        if let Some(node) = self.tree.nodes.get_mut(open.node.0 as usize) {
            node.hash = hash;
            if let Stored::Container(_, _, count) = &mut node.stored {
                *count = open.count;
            }
        }
        self.fold(open.node, hash);
    }

    /// The tree; `null` if nothing was added.
    pub(crate) fn finish(mut self) -> Tree {
        while !self.open.is_empty() {
            self.close();
        }
        if self.tree.nodes.is_empty() {
            self.tree.nodes.push(Node {
                stored: Stored::Null,
                name: Span::default(),
                next: NONE,
                hash: 0,
            });
        }
        self.tree
    }
}
