//! Members in a JSON document (RFC 8259), edited in its text: numbers, blanks and the order of members stay.

use std::ops::Range;
use std::str::FromStr;

use serde::de::IgnoredAny;
use serde_json::Value;

use super::{Splices, Unmarkable};

/// Maximum number of names in a path.
pub const MAX_DEPTH: usize = 16;

/// A member that is created or replaced.
#[derive(Clone, Debug, PartialEq)]
pub struct JsonMark {
    /// The names that lead to it, the outermost first; never empty.
    path: Vec<String>,
    value: Value,
}

impl Eq for JsonMark {}

impl JsonMark {
    /// The member at `path` gets `value`.
    ///
    /// # Errors
    /// If it is no path of names, such as `$.meta.synthetic` or `$['my flags'].shadow`.
    pub fn new(path: &str, value: Value) -> Result<Self, String> {
        let names = names(path).filter(|names| !names.is_empty() && names.len() <= MAX_DEPTH);
        let path = names.ok_or_else(|| {
            format!("{path:?}: names of members, at most {MAX_DEPTH}, such as $.meta.synthetic or $['my flags'].shadow")
        })?;
        Ok(Self { path, value })
    }

    /// The path in one spelling.
    #[must_use]
    pub fn path(&self) -> String {
        let step = |name: &String| format!("[{}]", Value::from(name.as_str()));
        format!("${}", self.path.iter().map(step).collect::<String>())
    }

    /// What the member gets.
    #[must_use]
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// The text of a new member, from the name at `depth` on.
    fn member(&self, depth: usize) -> String {
        let names = self.path.get(depth..).unwrap_or_default();
        let value = names.iter().skip(1).rev().fold(self.value.to_string(), |inner, name| {
            format!("{{{}:{inner}}}", Value::from(name.as_str()))
        });
        let name = names.first().map(String::as_str).unwrap_or_default();
        format!("{}:{value}", Value::from(name))
    }
}

/// `PATH=VALUE`, the value in JSON.
impl FromStr for JsonMark {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (path, value) =
            text.split_once('=').ok_or("a path and a value, such as $.meta.synthetic=true")?;
        let value = serde_json::from_str(value)
            .map_err(|_| format!("{value:?}: not JSON; a text stands in double quotes"))?;
        Self::new(path.trim(), value)
    }
}

/// The names of a path: `$.a.b`, `a.b`, `$['a b']["c"]`.
fn names(path: &str) -> Option<Vec<String>> {
    let mut rest = path.strip_prefix('$').unwrap_or(path);
    let mut names = Vec::new();
    // Without `$`, the first name needs no dot.
    let mut may_begin = !path.starts_with('$');
    while !rest.is_empty() {
        let (name, behind) = match rest.strip_prefix('[') {
            Some(bracket) => {
                let quote = bracket.chars().next().filter(|it| matches!(it, '\'' | '"'))?;
                let (name, behind) = bracket.get(1..)?.split_once(quote)?;
                (name, behind.strip_prefix(']')?)
            }
            None => {
                let name = match rest.strip_prefix('.') {
                    Some(name) => name,
                    None if may_begin => rest,
                    None => return None,
                };
                name.split_at(name.find(['.', '[']).unwrap_or(name.len()))
            }
        };
        let is_plain = !name.is_empty() && !name.contains(['*', ']', '\\']);
        names.push(is_plain.then(|| name.to_owned())?);
        (rest, may_begin) = (behind, false);
    }
    Some(names)
}

/// The document with these members. Where a name occurs several times in an object, each is one.
pub(super) fn mark(marks: &[JsonMark], text: &[u8]) -> Result<Vec<u8>, Unmarkable> {
    // So that what follows can trust the grammar, and documents that are nested too deeply are refused.
    let _: IgnoredAny = serde_json::from_slice(text).map_err(|_| Unmarkable)?;
    let mut marks = marks.iter();
    let first = marks.next().ok_or(Unmarkable)?;
    marks.try_fold(one(first, text)?, |marked, mark| one(mark, &marked))
}

fn one(mark: &JsonMark, text: &[u8]) -> Result<Vec<u8>, Unmarkable> {
    let mut edits = Vec::new();
    object(mark, 0, text, blanks(text, 0), &mut edits)?;
    edits.sort_by_key(|(range, _): &(Range<usize>, String)| range.start);
    let mut splices = Splices::new(text);
    for (range, with) in edits {
        splices.replace(range, with.into_bytes());
    }
    Ok(splices.finish())
}

/// Looks for the name at `depth` in the object that starts at `open`; an object is the only thing that has one.
fn object(
    mark: &JsonMark,
    depth: usize,
    text: &[u8],
    open: usize,
    edits: &mut Vec<(Range<usize>, String)>,
) -> Result<(), Unmarkable> {
    if text.get(open) != Some(&b'{') {
        return Err(Unmarkable);
    }
    let name = mark.path.get(depth).ok_or(Unmarkable)?;
    let is_last = depth + 1 == mark.path.len();
    let mut is_there = false;
    // Where the last member ends.
    let mut behind = open + 1;
    let mut at = blanks(text, open + 1);
    while text.get(at) == Some(&b'"') {
        let key_end = skip(text, at);
        let key: String = serde_json::from_slice(text.get(at..key_end).ok_or(Unmarkable)?)
            .map_err(|_| Unmarkable)?;
        // Behind the colon.
        let start = blanks(text, blanks(text, key_end) + 1);
        behind = skip(text, start);
        if key == *name {
            is_there = true;
            match is_last {
                true => edits.push((start..behind, mark.value.to_string())),
                false => object(mark, depth + 1, text, start, edits)?,
            }
        }
        at = blanks(text, behind);
        if text.get(at) == Some(&b',') {
            at = blanks(text, at + 1);
        }
    }
    if !is_there {
        let comma = if behind == open + 1 { "" } else { "," };
        edits.push((behind..behind, format!("{comma}{}", mark.member(depth))));
    }
    Ok(())
}

fn blanks(text: &[u8], from: usize) -> usize {
    let rest = text.get(from..).unwrap_or_default();
    from + rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n')).count()
}

/// The end of the value that starts at `from`, in a valid document.
fn skip(text: &[u8], from: usize) -> usize {
    let (mut depth, mut is_text, mut is_escaped) = (0_usize, false, false);
    let rest = text.get(from..).unwrap_or_default();
    for (index, byte) in rest.iter().enumerate() {
        let at = from + index;
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_text => is_escaped = true,
            b'"' => {
                is_text = !is_text;
                if !is_text && depth == 0 {
                    return at + 1;
                }
            }
            _ if is_text => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth == 0 => return at,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            b',' | b' ' | b'\t' | b'\r' | b'\n' if depth == 0 => return at,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn marked(path: &str, value: Value, text: &str) -> Option<String> {
        let made = mark(&[JsonMark::new(path, value).unwrap()], text.as_bytes()).ok()?;
        Some(String::from_utf8(made).unwrap())
    }

    #[test]
    fn a_member_is_created_or_replaced_and_all_else_stays() {
        for (text, made) in [
            ("{}", r#"{"m":{"s":true}}"#),
            (" { } ", r#" {"m":{"s":true} } "#),
            (r#"{"a": 1.0}"#, r#"{"a": 1.0,"m":{"s":true}}"#),
            (r#"{"m": {}, "b":[{"m":1}]}"#, r#"{"m": {"s":true}, "b":[{"m":1}]}"#),
            (r#"{"m":{"s" : "no\"}","t":2}}"#, r#"{"m":{"s" : true,"t":2}}"#),
            (r#"{"\u006d":{"s":[1,{"s":2}]},"m":{}}"#, r#"{"\u006d":{"s":true},"m":{"s":true}}"#),
        ] {
            assert_eq!(marked("$.m.s", true.into(), text).as_deref(), Some(made), "{text}");
        }
        let odd = marked("$['a b'][\"c\"]", "\"".into(), "{}");
        assert_eq!(odd.as_deref(), Some(r#"{"a b":{"c":"\""}}"#));
    }

    #[test]
    fn what_has_no_place_for_it_is_refused() {
        let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
        for text in ["", "[]", "1", "{", r#"{"m":1}"#, r#"{"m":null}"#, "{} x", "\u{feff}{}", &deep]
        {
            assert_eq!(marked("$.m.s", true.into(), text), None, "{text}");
        }
        for path in ["", "$", "$.a..b", "$.*", "$.a[0]", "$a", "$.a[*]", "$['a", &".a".repeat(17)] {
            assert!(JsonMark::new(path, true.into()).is_err(), "{path}");
        }
        assert!("$.a=yes".parse::<JsonMark>().is_err() && "$.a".parse::<JsonMark>().is_err());
        let mark: JsonMark = "a.b=\"x=y\"".parse().unwrap();
        assert_eq!((mark.path().as_str(), mark.value()), (r#"$["a"]["b"]"#, &"x=y".into()));
        assert_eq!(JsonMark::new(&mark.path(), "x=y".into()), Ok(mark));
    }

    /// Any document, nested a little.
    fn document() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::hash_map("[a-c\"\\\\]{1,2}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn it_does_to_a_text_what_a_parser_does_to_a_tree(tree in document(), pretty: bool, value in document()) {
            let text = if pretty { serde_json::to_string_pretty(&tree) } else { serde_json::to_string(&tree) };
            let made = marked("$.a.b", value.clone(), &text.unwrap());
            let mut expected = tree.clone();
            let place = expected.as_object_mut().and_then(|object| {
                object.entry("a").or_insert_with(|| serde_json::json!({})).as_object_mut()
            });
            match place {
                Some(object) => {
                    object.insert("b".to_owned(), value);
                    let made: Value = serde_json::from_str(&made.expect("it can be marked")).unwrap();
                    prop_assert_eq!(made, expected);
                }
                None => prop_assert_eq!(made, None),
            }
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = mark(&[JsonMark::new("$.a", Value::Null).unwrap()], &bytes);
        }
    }
}
