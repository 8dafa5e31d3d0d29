//! YAML text in, a tree with places out. The only file that knows `saphyr-parser`.
//!
//! Refuses anchors and aliases, which make small files huge and reviews hard, tags, and a second
//! document. Bounded in bytes, nodes and depth; nothing here recurses.

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use super::problem::{Place, Problem};

/// Bytes of a configuration file, at most: what a Kubernetes ConfigMap may hold.
pub const MAX_FILE_BYTES: usize = 1 << 20;
/// Values of a file, at most; 1,024 rules of 60 values.
const MAX_NODES: usize = 64 * 1024;
/// Lists and maps inside each other, at most; the format itself needs 7.
const MAX_DEPTH: usize = 32;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) at: Place,
    pub(super) value: Value,
}

#[derive(Clone, Debug)]
pub(super) enum Value {
    /// Nothing, `~` or `null`.
    Null,
    Scalar {
        text: String,
        /// Without quotes, so that it may be a number or a truth value.
        plain: bool,
    },
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) at: Place,
    pub(super) text: String,
}

/// A list or a map that has not ended.
struct Open {
    at: Place,
    value: Value,
    /// In a map: the key whose value comes next.
    key: Option<Key>,
}

/// Reads the one document of `text`.
pub(super) fn parse(text: &str) -> Result<Node, Problem> {
    if text.len() > MAX_FILE_BYTES {
        return Err(Problem {
            at: Place::default(),
            text: format!("longer than {MAX_FILE_BYTES} bytes; is this the right file?"),
        });
    }
    let mut tree = Tree::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| Problem {
            at: place(error.marker().line(), error.marker().col()),
            text: format!("not YAML: {}", error.info()),
        })?;
        tree.take(event, span)?;
    }
    Ok(tree.root.unwrap_or(Node { at: place(1, 0), value: Value::Null }))
}

#[derive(Default)]
struct Tree {
    root: Option<Node>,
    open: Vec<Open>,
    nodes: usize,
}

impl Tree {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Problem> {
        let at = place(span.start.line(), span.start.col());
        let refused = |text: &str| Err(Problem { at, text: text.to_owned() });
        match event {
            Event::Alias(_) => refused("an alias; write out what it stands for"),
            Event::Scalar(_, _, 1.., _)
            | Event::SequenceStart(1.., _)
            | Event::MappingStart(1.., _) => refused("an anchor; leave out the & and its name"),
            Event::Scalar(_, _, _, Some(_))
            | Event::SequenceStart(_, Some(_))
            | Event::MappingStart(_, Some(_)) => refused("a tag; leave out the ! and its name"),
            Event::Scalar(text, style, ..) => {
                let plain = style == ScalarStyle::Plain;
                let null = plain && matches!(&*text, "" | "~" | "null" | "Null" | "NULL");
                let text = text.into_owned();
                self.add(at, if null { Value::Null } else { Value::Scalar { text, plain } })
            }
            Event::SequenceStart(..) => self.begin(at, Value::List(Vec::new())),
            Event::MappingStart(..) => self.begin(at, Value::Map(Vec::new())),
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open { at, value, .. }) => self.add(at, value),
                None => Ok(()),
            },
            Event::DocumentStart(_) if self.root.is_some() => {
                refused("a second document; give each its own file")
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(()),
        }
    }

    fn begin(&mut self, at: Place, value: Value) -> Result<(), Problem> {
        if self.open.len() >= MAX_DEPTH {
            return Err(Problem {
                at,
                text: format!("more than {MAX_DEPTH} lists and maps inside each other"),
            });
        }
        if let Some(Open { value: Value::Map(_), key: None, .. }) = self.open.last() {
            return Err(Problem { at, text: "a list or a map as a key; a key is a word".into() });
        }
        self.open.push(Open { at, value, key: None });
        Ok(())
    }

    fn add(&mut self, at: Place, value: Value) -> Result<(), Problem> {
        self.nodes = self.nodes.saturating_add(1);
        if self.nodes > MAX_NODES {
            return Err(Problem { at, text: format!("more than {MAX_NODES} values") });
        }
        let Some(Open { value: parent, key, .. }) = self.open.last_mut() else {
            self.root = Some(Node { at, value });
            return Ok(());
        };
        match parent {
            Value::List(list) => list.push(Node { at, value }),
            Value::Map(map) => match (key.take(), value) {
                (Some(key), value) => map.push((key, Node { at, value })),
                (None, Value::Scalar { text, .. }) => *key = Some(Key { at, text }),
                (None, _) => {
                    return Err(Problem { at, text: "an empty key; a key is a word".into() });
                }
            },
            Value::Null | Value::Scalar { .. } => {}
        }
        Ok(())
    }
}

fn place(line: usize, column: usize) -> Place {
    Place { line, column: column.saturating_add(1) }
}
