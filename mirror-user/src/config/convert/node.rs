//! YAML text in, its documents as trees out, each node with its line. The only file of this room
//! that knows the YAML parser.
//!
//! Scalars stay text: whether `50` is a number is for the reader of its field to say. Aliases, tags
//! and merge keys are refused, as Kubernetes' own tools write none and each makes a place in the
//! file mean something that its line does not say.

use saphyr_parser::{Event, Parser, ScalarStyle};

/// How deep lists and maps may lie in one another: a VirtualService needs 9.
const MAX_DEPTH: usize = 32;

/// How many nodes a file may have, so that a file of brackets alone stays small in memory.
const MAX_NODES: usize = 1_000_000;

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    /// The line of its first character, from 1.
    pub(super) line: usize,
    pub(super) value: Value,
}

/// What a node is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Null,
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// The name of a field and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Key {
    pub(super) line: usize,
    pub(super) name: String,
}

/// Why a text is not read, and where.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Unreadable {
    pub(super) line: usize,
    pub(super) why: String,
}

impl Node {
    /// The fields of a map; none for anything else.
    pub(super) fn fields(&self) -> &[(Key, Node)] {
        match &self.value {
            Value::Map(fields) => fields,
            _ => &[],
        }
    }

    /// The items of a list; none for anything else.
    pub(super) fn items(&self) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    pub(super) fn field(&self, name: &str) -> Option<&Node> {
        self.fields().iter().find(|(key, _)| key.name == name).map(|(_, node)| node)
    }

    /// The field at the end of a path of names.
    pub(super) fn at(&self, path: &[&str]) -> Option<&Node> {
        path.iter().try_fold(self, |node, name| node.field(name))
    }

    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// A list or map that is not closed yet.
struct Open {
    node: Node,
    key: Option<Key>,
}

/// The documents of a text; empty ones are left out.
pub(super) fn documents(text: &str) -> Result<Vec<Node>, Unreadable> {
    let mut reader = Reader::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| Unreadable {
            line: error.marker().line(),
            why: error.info().to_owned(),
        })?;
        reader.take(event, span.start.line())?;
    }
    Ok(reader.documents)
}

#[derive(Default)]
struct Reader {
    documents: Vec<Node>,
    open: Vec<Open>,
    nodes: usize,
}

impl Reader {
    fn take(&mut self, event: Event<'_>, line: usize) -> Result<(), Unreadable> {
        let refuse = |why: &str| Err(Unreadable { line, why: why.to_owned() });
        match event {
            Event::Alias(_) => refuse("an alias: write the value out"),
            Event::Scalar(_, _, _, Some(_))
            | Event::SequenceStart(_, Some(_))
            | Event::MappingStart(_, Some(_)) => refuse("a tag: leave it out"),
            Event::Scalar(text, style, _, None) => {
                let is_null = style == ScalarStyle::Plain
                    && matches!(text.as_ref(), "" | "~" | "null" | "Null" | "NULL");
                let value = if is_null { Value::Null } else { Value::Text(text.into_owned()) };
                self.place(Node { line, value })
            }
            Event::SequenceStart(..) => self.open(Node { line, value: Value::List(Vec::new()) }),
            Event::MappingStart(..) => self.open(Node { line, value: Value::Map(Vec::new()) }),
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open { node, .. }) => self.place(node),
                None => refuse("a list or map that ends without a beginning"),
            },
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(()),
        }
    }

    fn open(&mut self, node: Node) -> Result<(), Unreadable> {
        if self.open.len() >= MAX_DEPTH {
            let why = format!("more than {MAX_DEPTH} lists and maps in one another");
            return Err(Unreadable { line: node.line, why });
        }
        self.open.push(Open { node, key: None });
        Ok(())
    }

    /// Puts a finished node where it belongs: under its key, into its list, or beside the others.
    fn place(&mut self, node: Node) -> Result<(), Unreadable> {
        let line = node.line;
        let refuse = |why: String| Err(Unreadable { line, why });
        self.nodes = self.nodes.saturating_add(1);
        if self.nodes > MAX_NODES {
            return refuse(format!("more than {MAX_NODES} values"));
        }
        let Some(Open { node: parent, key }) = self.open.last_mut() else {
            if node.value != Value::Null {
                self.documents.push(node);
            }
            return Ok(());
        };
        match &mut parent.value {
            Value::List(items) => items.push(node),
            Value::Map(fields) => match (key.take(), node.value) {
                (Some(key), value) => fields.push((key, Node { line, value })),
                (None, Value::Text(name)) if name == "<<" => {
                    return refuse("a merge key: write the fields out".to_owned());
                }
                (None, Value::Text(name)) => {
                    // Which of the two would count differs from reader to reader.
                    if fields.iter().any(|(known, _)| known.name == name) {
                        return refuse(format!("{name} is given twice"));
                    }
                    *key = Some(Key { line, name });
                }
                (None, _) => return refuse("a field without a name".to_owned()),
            },
            Value::Null | Value::Text(_) => {
                return refuse("a value inside a value".to_owned());
            }
        }
        Ok(())
    }
}
