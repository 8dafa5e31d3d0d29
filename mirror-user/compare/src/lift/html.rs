//! HTML as browsers read it (the WHATWG's algorithm), so that pages which differ in tags that may be left out are
//! the same.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use html5ever::interface::{ElementFlags, NodeOrText, QuirksMode, TreeSink};
use html5ever::tendril::{StrTendril, TendrilSink};
use html5ever::{Attribute, ParseOpts, QualName, local_name, ns, parse_document};

use super::Unreadable;
use super::markup::{self, squeeze};
use crate::limits::Limits;
use crate::tree::Builder;

/// Bytes that are parsed between two looks at the limits.
const PART: usize = 4 * 1024;

/// Reads a page.
pub(super) fn document(
    text: &str,
    limits: &Limits,
    builder: &mut Builder,
) -> Result<(), Unreadable> {
    let sink = Sink::new(limits);
    let over = Rc::clone(&sink.over);
    let mut parser = parse_document(sink, ParseOpts::default());
    let mut rest = text;
    while !rest.is_empty() {
        let end = (0..=PART.min(rest.len()))
            .rev()
            .find(|at| rest.is_char_boundary(*at))
            .unwrap_or(rest.len());
        let (part, tail) = rest.split_at_checked(end.max(1)).ok_or(Unreadable::BadText)?;
        parser.process(StrTendril::from_slice(part));
        if let Some(why) = over.get() {
            return Err(why);
        }
        rest = tail;
    }
    let nodes = parser.finish();
    match over.get() {
        Some(why) => Err(why),
        None => write(&nodes, builder),
    }
}

/// An element, a comment or the document.
#[derive(Clone, Debug)]
struct Handle {
    at: usize,
    name: Rc<QualName>,
}

#[derive(Default)]
struct Node {
    name: Option<Rc<QualName>>,
    attributes: Vec<(String, String)>,
    children: Vec<Child>,
    parent: usize,
    depth: usize,
}

enum Child {
    Text(String),
    Node(usize),
}

struct Sink {
    nodes: RefCell<Vec<Node>>,
    nameless: Rc<QualName>,
    depth: usize,
    max: usize,
    over: Rc<Cell<Option<Unreadable>>>,
}

impl Sink {
    fn new(limits: &Limits) -> Self {
        Self {
            nodes: RefCell::new(vec![Node::default()]),
            nameless: Rc::new(QualName::new(None, ns!(), local_name!(""))),
            depth: limits.depth / 2,
            max: limits.nodes / 4,
            over: Rc::default(),
        }
    }

    fn add(&self, node: Node) -> Handle {
        let mut nodes = self.nodes.borrow_mut();
        let name = node.name.as_ref().map_or_else(|| Rc::clone(&self.nameless), Rc::clone);
        if nodes.len() >= self.max {
            self.over.set(Some(Unreadable::TooManyValues));
        }
        nodes.push(node);
        Handle { at: nodes.len() - 1, name }
    }

    /// Puts it into `parent`, before the child at `place`, or behind all.
    fn put(&self, parent: usize, place: Option<usize>, what: NodeOrText<Handle>) {
        let mut nodes = self.nodes.borrow_mut();
        let depth = nodes.get(parent).map_or(0, |node| node.depth) + 1;
        let child = match what {
            NodeOrText::AppendNode(handle) => {
                detach(&mut nodes, handle.at);
                if let Some(node) = nodes.get_mut(handle.at) {
                    (node.parent, node.depth) = (parent, depth);
                }
                if depth > self.depth {
                    self.over.set(Some(Unreadable::TooDeep));
                }
                Child::Node(handle.at)
            }
            NodeOrText::AppendText(text) => Child::Text(text.to_string()),
        };
        let Some(node) = nodes.get_mut(parent) else { return };
        let place = place.unwrap_or(node.children.len()).min(node.children.len());
        let before = place.checked_sub(1).and_then(|before| node.children.get_mut(before));
        match (before, child) {
            (Some(Child::Text(text)), Child::Text(more)) => text.push_str(&more),
            (_, child) => node.children.insert(place, child),
        }
    }

    /// The parent of a node, and its place there.
    fn place(&self, of: usize) -> Option<(usize, usize)> {
        let nodes = self.nodes.borrow();
        let parent = nodes.get(of)?.parent;
        let is = |child: &Child| matches!(child, Child::Node(at) if *at == of);
        Some((parent, nodes.get(parent)?.children.iter().position(is)?))
    }
}

fn detach(nodes: &mut [Node], at: usize) {
    let Some(parent) = nodes.get(at).map(|node| node.parent) else { return };
    if let Some(node) = nodes.get_mut(parent) {
        // A node that is moved is nearly always the last one.
        let is = |child: &Child| matches!(child, Child::Node(child) if *child == at);
        if let Some(place) = node.children.iter().rposition(is) {
            node.children.remove(place);
        }
    }
}

fn pairs(attributes: Vec<Attribute>) -> Vec<(String, String)> {
    let pair = |one: Attribute| (one.name.local.to_string(), one.value.to_string());
    attributes.into_iter().map(pair).collect()
}

impl TreeSink for Sink {
    type Handle = Handle;
    type Output = Vec<Node>;
    type ElemName<'a> = &'a QualName;

    fn finish(self) -> Vec<Node> {
        self.nodes.into_inner()
    }

    fn parse_error(&self, _: std::borrow::Cow<'static, str>) {}

    fn get_document(&self) -> Handle {
        Handle { at: 0, name: Rc::clone(&self.nameless) }
    }

    fn elem_name<'a>(&'a self, target: &'a Handle) -> &'a QualName {
        &target.name
    }

    fn create_element(
        &self,
        name: QualName,
        attributes: Vec<Attribute>,
        _: ElementFlags,
    ) -> Handle {
        self.add(Node {
            name: Some(Rc::new(name)),
            attributes: pairs(attributes),
            ..Node::default()
        })
    }

    fn create_comment(&self, _: StrTendril) -> Handle {
        self.add(Node::default())
    }

    fn create_pi(&self, _: StrTendril, _: StrTendril) -> Handle {
        self.add(Node::default())
    }

    fn append(&self, parent: &Handle, child: NodeOrText<Handle>) {
        self.put(parent.at, None, child);
    }

    fn append_based_on_parent_node(
        &self,
        element: &Handle,
        before: &Handle,
        child: NodeOrText<Handle>,
    ) {
        if self.place(element.at).is_some() {
            self.append_before_sibling(element, child);
        } else {
            self.append(before, child);
        }
    }

    fn append_doctype_to_document(&self, _: StrTendril, _: StrTendril, _: StrTendril) {}

    fn get_template_contents(&self, target: &Handle) -> Handle {
        target.clone()
    }

    fn same_node(&self, a: &Handle, b: &Handle) -> bool {
        a.at == b.at
    }

    fn set_quirks_mode(&self, _: QuirksMode) {}

    fn append_before_sibling(&self, sibling: &Handle, node: NodeOrText<Handle>) {
        if let Some((parent, place)) = self.place(sibling.at) {
            self.put(parent, Some(place), node);
        }
    }

    fn add_attrs_if_missing(&self, target: &Handle, attributes: Vec<Attribute>) {
        if let Some(node) = self.nodes.borrow_mut().get_mut(target.at) {
            for (name, value) in pairs(attributes) {
                if node.attributes.iter().all(|(have, _)| *have != name) {
                    node.attributes.push((name, value));
                }
            }
        }
    }

    fn remove_from_parent(&self, target: &Handle) {
        detach(&mut self.nodes.borrow_mut(), target.at);
    }

    fn reparent_children(&self, node: &Handle, parent: &Handle) {
        let mut nodes = self.nodes.borrow_mut();
        let children = nodes.get_mut(node.at).map(|node| std::mem::take(&mut node.children));
        for child in children.iter().flatten() {
            if let Child::Node(child) = child
                && let Some(child) = nodes.get_mut(*child)
            {
                child.parent = parent.at;
            }
        }
        if let Some(to) = nodes.get_mut(parent.at) {
            to.children.extend(children.into_iter().flatten());
        }
    }
}

/// What is still to be written.
enum Next<'n> {
    Child(&'n Child),
    End,
}

fn write(nodes: &[Node], builder: &mut Builder) -> Result<(), Unreadable> {
    let children =
        |at: usize| nodes.get(at).map(|node| node.children.as_slice()).unwrap_or_default();
    let is_element = |child: &&Child| match child {
        Child::Node(at) => nodes.get(*at).is_some_and(|node| node.name.is_some()),
        Child::Text(_) => false,
    };
    let Some(root) = children(0).iter().find(is_element) else { return builder.null() };
    let mut waiting = vec![Next::Child(root)];
    while let Some(next) = waiting.pop() {
        match next {
            Next::End => markup::end(builder),
            Next::Child(Child::Text(text)) => {
                if let Some(text) = squeeze(text) {
                    builder.text(&text)?;
                }
            }
            Next::Child(Child::Node(at)) => {
                let Some(node) = nodes.get(*at) else { continue };
                let Some(name) = &node.name else { continue };
                let attributes = node.attributes.iter().map(|(name, value)| (&**name, &**value));
                markup::begin(builder, &name.local, attributes)?;
                waiting.push(Next::End);
                waiting.extend(children(*at).iter().rev().map(Next::Child));
            }
        }
    }
    Ok(())
}
