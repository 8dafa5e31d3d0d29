//! Puts a tree together, value by value, within limits.

use std::ops::Range;
use std::sync::OnceLock;

use super::{Children, Container, NONE, Node, NodeId, Span, Stored, Tree};
use crate::lift::Unreadable;
use crate::limits::Limits;

/// Bytes of a JSON text for each of its values, about.
const BYTES_PER_VALUE: usize = 12;

/// A container that is not closed yet.
struct Open {
    node: NodeId,
    kind: Container,
    last: NodeId,
    count: u32,
    /// Where it begins in the text, if it is written there.
    start: Option<u32>,
}

/// A tree under way.
///
/// What names and values are made of is either a text of somebody else's, which is copied, or a part of a document that
/// was copied as a whole ([`hold`](Self::hold)).
pub(crate) struct Builder {
    tree: Tree,
    open: Vec<Open>,
    name: Span,
    depth: usize,
    nodes: usize,
}

impl Builder {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self::for_text(limits, 0)
    }

    /// With room for the values of a text of so many bytes.
    pub(crate) fn for_text(limits: &Limits, bytes: usize) -> Self {
        let values = (bytes / BYTES_PER_VALUE).min(limits.nodes);
        let (nodes, text) = (Vec::with_capacity(values), String::with_capacity(bytes));
        Self {
            tree: Tree { nodes, text, hashes: OnceLock::new() },
            open: Vec::new(),
            name: Span::default(),
            depth: limits.depth,
            nodes: limits.nodes,
        }
    }

    /// What is the innermost open container, and how many are open.
    pub(crate) fn container(&self) -> Option<Container> {
        self.open.last().map(|open| open.kind)
    }

    pub(crate) fn depth(&self) -> usize {
        self.open.len()
    }

    /// Copies a text.
    pub(crate) fn keep(&mut self, text: &str) -> Result<Span, Unreadable> {
        let start = self.tree.text.len();
        self.tree.text.push_str(text);
        match (u32::try_from(start), u32::try_from(self.tree.text.len())) {
            (Ok(start), Ok(end)) => Ok(Span { start, end }),
            _ => Err(Unreadable::TooLarge),
        }
    }

    /// Copies a document, whose parts are names and values then.
    pub(crate) fn hold(&mut self, document: &str) -> Result<Held, Unreadable> {
        self.keep(document).map(|Span { start, end }| Held { start, length: end - start })
    }

    /// The name of the member that comes next.
    pub(crate) fn name(&mut self, name: &str) -> Result<(), Unreadable> {
        self.name = self.keep(name)?;
        Ok(())
    }

    pub(crate) fn name_at(&mut self, name: Span) {
        self.name = name;
    }

    pub(crate) fn null(&mut self) -> Result<(), Unreadable> {
        self.add(Stored::Null).map(|_| ())
    }

    pub(crate) fn bool(&mut self, yes: bool) -> Result<(), Unreadable> {
        self.add(Stored::Bool(yes)).map(|_| ())
    }

    pub(crate) fn number_at(&mut self, number: Span) -> Result<(), Unreadable> {
        self.add(Stored::Number(number)).map(|_| ())
    }

    pub(crate) fn text(&mut self, text: &str) -> Result<(), Unreadable> {
        let text = self.keep(text)?;
        self.text_at(text)
    }

    pub(crate) fn text_at(&mut self, text: Span) -> Result<(), Unreadable> {
        self.add(Stored::Text(text)).map(|_| ())
    }

    pub(crate) fn opaque(&mut self, text: &str) -> Result<(), Unreadable> {
        let text = self.keep(text)?;
        self.add(Stored::Opaque(text)).map(|_| ())
    }

    /// Adds a node behind the last one of the innermost container.
    fn add(&mut self, stored: Stored) -> Result<NodeId, Unreadable> {
        let at = self.tree.nodes.len();
        if at >= self.nodes {
            return Err(Unreadable::TooManyValues);
        }
        let id = NodeId(u32::try_from(at).map_err(|_| Unreadable::TooManyValues)?);
        self.tree.nodes.push(Node { stored, name: std::mem::take(&mut self.name), next: NONE });
        let Some(open) = self.open.last_mut() else { return Ok(id) };
        let is_first = open.last == NONE;
        let before = if is_first { open.node } else { open.last };
        (open.last, open.count) = (id, open.count + 1);
        match self.tree.nodes.get_mut(before.0 as usize) {
            Some(node) if !is_first => node.next = id,
            Some(Node { stored: Stored::Container(children), .. }) => children.first = id,
            _ => {}
        }
        Ok(id)
    }

    pub(crate) fn open(&mut self, kind: Container) -> Result<(), Unreadable> {
        self.begin(kind, None)
    }

    /// Opens a container that begins at this place of the text.
    pub(crate) fn open_at(&mut self, kind: Container, start: u32) -> Result<(), Unreadable> {
        self.begin(kind, Some(start))
    }

    fn begin(&mut self, kind: Container, start: Option<u32>) -> Result<(), Unreadable> {
        if self.open.len() >= self.depth {
            return Err(Unreadable::TooDeep);
        }
        let children = Children { kind, first: NONE, count: 0, written: Span::default() };
        let node = self.add(Stored::Container(children))?;
        self.open.push(Open { node, kind, last: NONE, count: 0, start });
        Ok(())
    }

    pub(crate) fn close(&mut self) {
        self.end(None);
    }

    /// Closes the innermost container, which ends before this place of the text.
    pub(crate) fn close_at(&mut self, end: u32) {
        self.end(Some(end));
    }

    fn end(&mut self, end: Option<u32>) {
        let Some(Open { node, count, start, .. }) = self.open.pop() else { return };
        let Some(Node { stored: Stored::Container(children), .. }) =
            self.tree.nodes.get_mut(node.0 as usize)
        else {
            return;
        };
        children.count = count;
        if let (Some(start), Some(end)) = (start, end) {
            children.written = Span { start, end };
        }
    }

    /// The tree; `null` if nothing was added.
    pub(crate) fn finish(mut self) -> Tree {
        while !self.open.is_empty() {
            self.close();
        }
        if self.tree.nodes.is_empty() {
            self.tree.nodes.push(Node { stored: Stored::Null, name: Span::default(), next: NONE });
        }
        self.tree
    }
}

/// Where a document is held.
#[derive(Clone, Copy)]
pub(crate) struct Held {
    start: u32,
    length: u32,
}

impl Held {
    /// A place in the document, in the tree's text.
    pub(crate) fn place(self, at: usize) -> u32 {
        let at = u32::try_from(at).unwrap_or(u32::MAX).min(self.length);
        self.start.saturating_add(at)
    }

    /// A part of the document.
    pub(crate) fn part(self, part: Range<usize>) -> Span {
        Span { start: self.place(part.start), end: self.place(part.end) }
    }
}
