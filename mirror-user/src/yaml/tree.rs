//! Parses YAML text into trees with positions. The only file that uses `saphyr-parser`.
//!
//! Refuses tags. Anchors, aliases and merge keys can make small files huge and hide what a line means, so
//! they are refused or expanded, as the caller chooses; expanded values count against the same limits.
//! Scalars stay text: whether `50` is a number is decided by the reader of its field. Bounded in bytes,
//! values and depth; nothing here recurses.

use std::fmt;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

/// Maximum nesting of lists and maps; an Istio VirtualService needs 9.
const MAX_DEPTH: usize = 32;

/// Limits on the input.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Bytes of text.
    pub(crate) bytes: usize,
    /// Values of all documents together.
    pub(crate) values: usize,
    /// True to expand aliases and merge keys, false to refuse them.
    pub(crate) aliases: bool,
}

/// A position in a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// From 1; 0 if there is no file.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.line)
    }
}

/// One problem of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Its position.
    pub at: Place,
    /// The object, what is wrong, and what to do.
    pub text: String,
}

/// A value and its position.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) at: Place,
    pub(crate) value: Value,
}

/// The value of a node.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    /// Nothing, `~` or `null`.
    Null,
    Scalar {
        text: String,
        /// True without quotes: it may be a number or a boolean.
        plain: bool,
    },
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// The name of a field and its position.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Key {
    pub(crate) at: Place,
    pub(crate) text: String,
}

impl Node {
    /// The fields of a map; none for anything else.
    pub(crate) fn fields(&self) -> &[(Key, Self)] {
        match &self.value {
            Value::Map(fields) => fields,
            _ => &[],
        }
    }

    /// The items of a list; none for anything else.
    pub(crate) fn items(&self) -> &[Self] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// The first field of this name.
    pub(crate) fn field(&self, name: &str) -> Option<&Self> {
        self.fields().iter().find(|(key, _)| key.text == name).map(|(_, node)| node)
    }

    /// The field at the end of a path of names.
    pub(crate) fn at(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |node, name| node.field(name))
    }

    /// The text of a scalar that is not null.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }
}

/// A list or a map that is still open.
struct Open {
    at: Place,
    value: Value,
    /// In a map: the key that waits for its value.
    key: Option<Key>,
    /// The number of its anchor; 0: none.
    anchor: usize,
    /// Size of its contents so far.
    size: Size,
}

/// Size of a value, so that a copy can be refused before it is made.
#[derive(Clone, Copy, Debug, Default)]
struct Size {
    values: usize,
    bytes: usize,
    /// Nesting of lists and maps.
    depth: usize,
}

impl Size {
    fn with(self, part: Self) -> Self {
        Self {
            values: self.values.saturating_add(part.values),
            bytes: self.bytes.saturating_add(part.bytes),
            depth: self.depth.max(part.depth),
        }
    }
}

/// Parses the documents of `text`; empty ones are left out.
pub(crate) fn parse(text: &str, limits: Limits) -> Result<Vec<Node>, Problem> {
    if text.len() > limits.bytes {
        return Err(Problem {
            at: Place::default(),
            text: format!("longer than {} bytes; is this the right file?", limits.bytes),
        });
    }
    let mut tree = Trees {
        limits,
        documents: Vec::new(),
        open: Vec::new(),
        anchors: hashbrown::HashMap::new(),
        size: Size::default(),
    };
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| Problem {
            at: place(error.marker().line(), error.marker().col()),
            text: format!("not YAML: {}", error.info()),
        })?;
        tree.take(event, span)?;
    }
    Ok(tree.documents)
}

struct Trees {
    limits: Limits,
    documents: Vec<Node>,
    open: Vec<Open>,
    /// The values of this document's anchors.
    anchors: hashbrown::HashMap<usize, (Node, Size)>,
    /// Size of everything so far.
    size: Size,
}

impl Trees {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Problem> {
        let at = place(span.start.line(), span.start.col());
        let refused = |text: &str| Err(Problem { at, text: text.to_owned() });
        match event {
            Event::Alias(anchor) if self.limits.aliases => self.expand(at, anchor),
            Event::Alias(_) => refused("an alias; write out its value"),
            Event::Scalar(_, _, 1.., _)
            | Event::SequenceStart(1.., _)
            | Event::MappingStart(1.., _)
                if !self.limits.aliases =>
            {
                refused("an anchor; leave out the & and its name")
            }
            Event::Scalar(_, _, _, Some(_))
            | Event::SequenceStart(_, Some(_))
            | Event::MappingStart(_, Some(_)) => refused("a tag; leave out the ! and its name"),
            Event::Scalar(text, style, anchor, _) => {
                let plain = style == ScalarStyle::Plain;
                let null = plain && matches!(&*text, "" | "~" | "null" | "Null" | "NULL");
                let text = text.into_owned();
                let size = Size { values: 1, bytes: text.len(), depth: 0 };
                let value = if null { Value::Null } else { Value::Scalar { text, plain } };
                self.add(Node { at, value }, size, anchor)
            }
            Event::SequenceStart(anchor, _) => self.begin(at, Value::List(Vec::new()), anchor),
            Event::MappingStart(anchor, _) => self.begin(at, Value::Map(Vec::new()), anchor),
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open { at, value, anchor, size, .. }) => {
                    let depth = size.depth.saturating_add(1);
                    let own = Size { values: 1, bytes: 0, depth };
                    self.add(Node { at, value: merged(value)? }, size.with(own), anchor)
                }
                None => Ok(()),
            },
            Event::DocumentStart(_) => {
                self.anchors.clear();
                Ok(())
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
        }
    }

    fn begin(&mut self, at: Place, value: Value, anchor: usize) -> Result<(), Problem> {
        self.check_depth(at, 1)?;
        if let Some(Open { value: Value::Map(_), key: None, .. }) = self.open.last() {
            return Err(Problem { at, text: "a list or a map as a key; a key is a word".into() });
        }
        self.open.push(Open { at, value, key: None, anchor, size: Size::default() });
        Ok(())
    }

    fn check_depth(&self, at: Place, more: usize) -> Result<(), Problem> {
        if self.open.len().saturating_add(more) > MAX_DEPTH {
            let text = format!("lists and maps nested more than {MAX_DEPTH} deep");
            return Err(Problem { at, text });
        }
        Ok(())
    }

    /// Counts a value that was read, or that is about to be copied.
    fn count(&mut self, at: Place, part: Size) -> Result<(), Problem> {
        self.size = self.size.with(part);
        if self.size.values > self.limits.values {
            return Err(Problem { at, text: format!("more than {} values", self.limits.values) });
        }
        if self.size.bytes > self.limits.bytes {
            let text =
                format!("more than {} bytes once its aliases are expanded", self.limits.bytes);
            return Err(Problem { at, text });
        }
        Ok(())
    }

    /// Replaces an alias by a copy of the value of its anchor.
    fn expand(&mut self, at: Place, anchor: usize) -> Result<(), Problem> {
        let Some((_, size)) = self.anchors.get(&anchor) else {
            let text = "an alias inside its own anchor; write it out".into();
            return Err(Problem { at, text });
        };
        let size = *size;
        self.check_depth(at, size.depth)?;
        self.count(at, size)?;
        match self.anchors.get(&anchor) {
            Some((node, _)) => self.attach(node.clone(), size),
            None => Ok(()),
        }
    }

    /// Adds a value that was read.
    fn add(&mut self, node: Node, size: Size, anchor: usize) -> Result<(), Problem> {
        // The contents of a list or a map were counted when they were added to it.
        let own = match &node.value {
            Value::List(_) | Value::Map(_) => Size { bytes: 0, values: 1, depth: 0 },
            Value::Null | Value::Scalar { .. } => size,
        };
        self.count(node.at, own)?;
        if anchor > 0 {
            self.count(node.at, size)?;
            self.anchors.insert(anchor, (node.clone(), size));
        }
        self.attach(node, size)
    }

    fn attach(&mut self, node: Node, part: Size) -> Result<(), Problem> {
        let Node { at, value } = node;
        let Some(Open { value: parent, key, size, .. }) = self.open.last_mut() else {
            if value != Value::Null {
                self.documents.push(Node { at, value });
            }
            return Ok(());
        };
        *size = size.with(part);
        match parent {
            Value::List(list) => list.push(Node { at, value }),
            Value::Map(map) => match (key.take(), value) {
                (Some(key), value) => map.push((key, Node { at, value })),
                (None, Value::Scalar { text, .. }) if text == MERGE && !self.limits.aliases => {
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

/// The key whose fields are merged into the map around it (yaml.org/type/merge.html).
const MERGE: &str = "<<";

/// Merges the fields of merge keys into the map; its own fields win.
fn merged(value: Value) -> Result<Value, Problem> {
    let Value::Map(fields) = value else { return Ok(value) };
    if fields.iter().all(|(key, _)| key.text != MERGE) {
        return Ok(Value::Map(fields));
    }
    let (merges, mut own): (Vec<_>, Vec<_>) =
        fields.into_iter().partition(|(key, _)| key.text == MERGE);
    let mut names: hashbrown::HashSet<String> =
        own.iter().map(|(key, _)| key.text.clone()).collect();
    for (key, node) in merges {
        let maps = match node.value {
            Value::List(maps) => maps,
            value => vec![Node { at: node.at, value }],
        };
        for map in maps {
            let Value::Map(fields) = map.value else {
                let text = "a merge key takes a map or a list of maps".into();
                return Err(Problem { at: key.at, text });
            };
            own.extend(fields.into_iter().filter(|(key, _)| names.insert(key.text.clone())));
        }
    }
    Ok(Value::Map(own))
}

fn place(line: usize, column: usize) -> Place {
    Place { line, column: column.saturating_add(1) }
}
