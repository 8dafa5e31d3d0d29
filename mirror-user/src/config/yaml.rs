//! YAML text in, trees with places out. The only file that knows `saphyr-parser`.
//!
//! Refuses anchors, aliases and merge keys, which make small files huge and give a line a meaning
//! that it does not say, and tags. Scalars stay text: whether `50` is a number is for the reader of
//! its field to say. Bounded in bytes, values and depth; nothing here recurses.

use std::fmt;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

/// Lists and maps inside each other, at most; an Istio VirtualService needs 9.
const MAX_DEPTH: usize = 32;

/// How much is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Bytes of text.
    pub(super) bytes: usize,
    /// Values of all documents together.
    pub(super) values: usize,
}

/// A place in a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// From 1; 0 where there is no file.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.line)
    }
}

/// One thing that is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub at: Place,
    /// The object, what is wrong with it, and what to do.
    pub text: String,
}

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    pub(super) at: Place,
    pub(super) value: Value,
}

/// What a node is.
#[derive(Clone, Debug, PartialEq)]
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

/// The name of a field and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Key {
    pub(super) at: Place,
    pub(super) text: String,
}

impl Node {
    /// The fields of a map; none for anything else.
    pub(super) fn fields(&self) -> &[(Key, Self)] {
        match &self.value {
            Value::Map(fields) => fields,
            _ => &[],
        }
    }

    /// The items of a list; none for anything else.
    pub(super) fn items(&self) -> &[Self] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// The first field of this name.
    pub(super) fn field(&self, name: &str) -> Option<&Self> {
        self.fields().iter().find(|(key, _)| key.text == name).map(|(_, node)| node)
    }

    /// The field at the end of a path of names.
    pub(super) fn at(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |node, name| node.field(name))
    }

    /// The text of a scalar that is not null.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }
}

/// A list or a map that has not ended.
struct Open {
    at: Place,
    value: Value,
    /// In a map: the key whose value comes next.
    key: Option<Key>,
}

/// The documents of `text`; empty ones are left out.
pub(super) fn parse(text: &str, limits: Limits) -> Result<Vec<Node>, Problem> {
    if text.len() > limits.bytes {
        return Err(Problem {
            at: Place::default(),
            text: format!("longer than {} bytes; is this the right file?", limits.bytes),
        });
    }
    let mut tree = Trees { max_values: limits.values, ..Trees::default() };
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| Problem {
            at: place(error.marker().line(), error.marker().col()),
            text: format!("not YAML: {}", error.info()),
        })?;
        tree.take(event, span)?;
    }
    Ok(tree.documents)
}

#[derive(Default)]
struct Trees {
    documents: Vec<Node>,
    open: Vec<Open>,
    values: usize,
    max_values: usize,
}

impl Trees {
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
        self.values = self.values.saturating_add(1);
        if self.values > self.max_values {
            return Err(Problem { at, text: format!("more than {} values", self.max_values) });
        }
        let Some(Open { value: parent, key, .. }) = self.open.last_mut() else {
            if value != Value::Null {
                self.documents.push(Node { at, value });
            }
            return Ok(());
        };
        match parent {
            Value::List(list) => list.push(Node { at, value }),
            Value::Map(map) => match (key.take(), value) {
                (Some(key), value) => map.push((key, Node { at, value })),
                (None, Value::Scalar { text, .. }) if text == "<<" => {
                    return Err(Problem { at, text: "a merge key; write the fields out".into() });
                }
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
