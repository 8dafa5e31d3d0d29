//! Extracts typed values from the tree. Problems are collected and reading goes on, so that all problems
//! of a file are reported at once.

use super::{Key, Limits, Node, Place, Problems, Value, parse};

/// Minimum similarity (Jaro-Winkler, 1 is equal) of a key for "did you mean".
const MIN_SIMILARITY: f64 = 0.8;

#[derive(Default)]
pub(crate) struct Reader {
    pub(crate) problems: Problems,
}

/// A map whose keys are all known and unique.
pub(crate) struct Fields<'a> {
    pub(crate) at: Place,
    fields: Vec<(&'a Key, &'a Node)>,
}

impl<'a> Fields<'a> {
    /// The value of this key; `None` if it is absent or null.
    pub(crate) fn get(&self, key: &str) -> Option<&'a Node> {
        let mut fields = self.fields.iter().filter(|(_, node)| !matches!(node.value, Value::Null));
        fields.find(|(other, _)| other.text == key).map(|(_, node)| *node)
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &'a str> {
        self.fields.iter().map(|(key, _)| key.text.as_str())
    }
}

impl Reader {
    pub(crate) fn wrong(&mut self, at: Place, text: impl Into<String>) {
        self.problems.add(at, text);
    }

    /// The only document of a text; null if it is empty.
    pub(crate) fn document(&mut self, text: &str, limits: Limits) -> Option<Node> {
        match parse(text, limits) {
            Ok(documents) => {
                if let Some(second) = documents.get(1) {
                    self.wrong(second.at, "a second YAML document; put each in its own file");
                    return None;
                }
                let empty = Node { at: Place { line: 1, column: 1 }, value: Value::Null };
                Some(documents.into_iter().next().unwrap_or(empty))
            }
            Err(problem) => {
                self.wrong(problem.at, problem.text);
                None
            }
        }
    }

    /// Reads a map that may have these keys.
    pub(crate) fn fields<'a>(&mut self, node: &'a Node, known: &[&str]) -> Option<Fields<'a>> {
        let pairs = self.pairs(node)?;
        let mut fields = Vec::new();
        for (key, value) in pairs {
            if known.contains(&key.text.as_str()) {
                fields.push((key, value));
                continue;
            }
            let nearest = known
                .iter()
                .map(|word| (strsim::jaro_winkler(word, &key.text), word))
                .filter(|(similarity, _)| *similarity >= MIN_SIMILARITY)
                .max_by(|a, b| a.0.total_cmp(&b.0));
            let advice = match nearest {
                Some((_, word)) => format!("did you mean `{word}`?"),
                None => format!("the keys here are: {}", known.join(", ")),
            };
            self.wrong(key.at, format!("{}: no such key; {advice}", key.text));
        }
        Some(Fields { at: node.at, fields })
    }

    /// The value of a required key.
    pub(crate) fn required<'a>(
        &mut self,
        fields: &Fields<'a>,
        key: &str,
        advice: &str,
    ) -> Option<&'a Node> {
        let node = fields.get(key);
        if node.is_none() {
            self.wrong(fields.at, format!("{key}: missing: {advice}"));
        }
        node
    }

    /// Reads a map with arbitrary, unique keys.
    pub(crate) fn pairs<'a>(&mut self, node: &'a Node) -> Option<Vec<(&'a Key, &'a Node)>> {
        let Value::Map(map) = &node.value else {
            self.wrong(node.at, "not a map; write `key: value` lines");
            return None;
        };
        let mut pairs: Vec<(&Key, &Node)> = Vec::new();
        let mut seen = hashbrown::HashMap::new();
        for (key, value) in map {
            match seen.insert(key.text.as_str(), key.at) {
                Some(first) => {
                    self.wrong(
                        key.at,
                        format!("{}: already given at {first}; give it once", key.text),
                    );
                }
                None => pairs.push((key, value)),
            }
        }
        Some(pairs)
    }

    /// Reads each value of a list; a single value counts as a list of one.
    pub(crate) fn list<'a, T>(
        &mut self,
        node: Option<&'a Node>,
        mut read: impl FnMut(&mut Self, &'a Node) -> Option<T>,
    ) -> Vec<T> {
        match node.map(|node| (&node.value, node)) {
            None | Some((Value::Null, _)) => Vec::new(),
            Some((Value::List(list), node)) => {
                if list.is_empty() {
                    self.wrong(node.at, "an empty list; leave it out, or add an item");
                }
                list.iter().filter_map(|node| read(self, node)).collect()
            }
            Some((_, node)) => read(self, node).into_iter().collect(),
        }
    }

    pub(crate) fn text<'a>(&mut self, node: &'a Node) -> Option<&'a str> {
        match &node.value {
            Value::Scalar { text, .. } => Some(text),
            Value::Null => {
                self.wrong(node.at, "no value; write a text, in quotes if it is empty");
                None
            }
            Value::List(_) | Value::Map(_) => {
                self.wrong(
                    node.at,
                    "not a text; write it after the key, in quotes if it has special characters",
                );
                None
            }
        }
    }

    /// Parses a text; the error of `parse` says what to write.
    pub(crate) fn parsed<T>(
        &mut self,
        node: &Node,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let text = self.text(node)?;
        parse(text).map_err(|error| self.wrong(node.at, error)).ok()
    }

    pub(crate) fn truth(&mut self, node: &Node) -> Option<bool> {
        match &node.value {
            Value::Scalar { text, plain: true } if text == "true" => Some(true),
            Value::Scalar { text, plain: true } if text == "false" => Some(false),
            _ => {
                self.wrong(node.at, "neither true nor false; write one of them, without quotes");
                None
            }
        }
    }

    /// Reads one of these words; returns its value.
    pub(crate) fn word<T: Clone>(&mut self, node: &Node, words: &[(&str, T)]) -> Option<T> {
        self.parsed(node, |text| {
            let found =
                words.iter().find(|(word, _)| *word == text).map(|(_, value)| value.clone());
            let all: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            found.ok_or_else(|| format!("{text:?} is not one of: {}", all.join(", ")))
        })
    }
}
