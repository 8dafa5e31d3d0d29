//! Where the entries of a HAR are, found without building a tree of it.

use std::fmt;

use memchr::memchr2;

/// Values one inside another, the same as `serde_json` reads.
const MAX_DEPTH: u32 = 128;
/// Bytes of a string that are kept: an RFC 3339 time takes 35.
const MAX_KEPT: usize = 64;
/// The depths at which keys and values are looked at: those of the file, of `log`, and of an entry.
const OF_FILE: u32 = 1;
const OF_LOG: u32 = 2;
const OF_ENTRIES: u32 = 3;
const OF_ENTRY: u32 = 4;
/// The byte order mark of UTF-8, which RFC 8259 §8.1 lets readers ignore.
const BOM: &[u8] = b"\xef\xbb\xbf";

/// An element of `log.entries`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its first byte.
    pub offset: u64,
    /// Its length in bytes.
    pub length: u64,
    /// Its `startedDateTime` as written; `None` where there is none.
    pub started: Option<String>,
}

/// Why a file is no whole HAR; what was found before still stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// Its text is UTF-16 or UTF-32.
    OtherEncoding,
    /// It is no JSON from this byte on.
    NotJson(u64),
    /// It has values one inside another beyond 128 at this byte.
    TooDeep(u64),
    /// It ends at this byte, inside a value.
    CutShort(u64),
    /// It is JSON and has no list `log.entries`.
    NoEntries,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherEncoding => f.write_str("its text is not UTF-8, as HAR must be; convert it"),
            Self::NotJson(at) => write!(f, "no JSON from byte {at} on"),
            Self::TooDeep(at) => {
                write!(f, "more than {MAX_DEPTH} values one inside another at byte {at}")
            }
            Self::CutShort(at) => write!(f, "cut short at byte {at}"),
            Self::NoEntries => f.write_str("no HAR: it has no list log.entries"),
        }
    }
}

/// Looks through the bytes of one file.
#[derive(Debug, Default)]
pub struct Scanner {
    /// Bytes before those that are being looked at.
    at: u64,
    depth: u32,
    /// A bit for each open container, the innermost last: 1 for an object.
    objects: u128,
    /// A name comes next, if a string does.
    wants_name: bool,
    in_string: bool,
    escaped: bool,
    /// The string is a name.
    is_name: bool,
    /// The string that is being read, and the last one, where it is looked at.
    kept: Vec<u8>,
    keeps: bool,
    /// The last names at the depths of the file and of `log`.
    in_log: bool,
    in_entries: bool,
    has_entries: bool,
    /// The next string is `startedDateTime`.
    is_start: bool,
    /// A value of `entries` that is no container.
    bare: Option<u64>,
    entry: Option<Found>,
    ended: bool,
}

impl Scanner {
    /// Looks at the next bytes; adds the entries that end in them to `out`.
    ///
    /// # Errors
    /// Where they are no JSON; nothing more can be read then.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<Found>) -> Result<(), Damage> {
        let mut rest = bytes;
        if self.at == 0 {
            if matches!(rest, [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, ..] | [_, 0, ..]) {
                return Err(Damage::OtherEncoding);
            }
            if let Some(text) = rest.strip_prefix(BOM) {
                self.at = BOM.len() as u64;
                rest = text;
            }
        }
        while let Some((byte, behind)) = rest.split_first() {
            if self.in_string {
                let taken = self.string(rest);
                self.at += taken as u64;
                rest = rest.get(taken..).unwrap_or_default();
                continue;
            }
            self.structure(*byte, out)?;
            self.at += 1;
            rest = behind;
        }
        Ok(())
    }

    /// The file ends here.
    ///
    /// # Errors
    /// If it is no whole HAR.
    pub fn finish(&self) -> Result<(), Damage> {
        match (self.ended, self.has_entries) {
            (true, true) => Ok(()),
            (true, false) => Err(Damage::NoEntries),
            (false, _) => Err(Damage::CutShort(self.at)),
        }
    }

    /// Takes bytes of a string, up to its end; how many.
    fn string(&mut self, bytes: &[u8]) -> usize {
        if std::mem::take(&mut self.escaped) {
            self.keep(bytes.get(..1).unwrap_or_default());
            return 1;
        }
        let Some(at) = memchr2(b'"', b'\\', bytes) else {
            self.keep(bytes);
            return bytes.len();
        };
        self.keep(bytes.get(..at).unwrap_or_default());
        if bytes.get(at) == Some(&b'\\') {
            self.escaped = true;
            // A name or a time with an escape is none of those that are looked for.
            self.keep(b"\\");
        } else {
            self.in_string = false;
            self.string_ended();
        }
        at + 1
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.keeps {
            let space = MAX_KEPT.saturating_sub(self.kept.len());
            self.kept.extend_from_slice(bytes.get(..space).unwrap_or(bytes));
        }
    }

    fn string_ended(&mut self) {
        if !self.keeps {
            return;
        }
        if self.is_name {
            match self.depth {
                OF_FILE => self.in_log = self.kept == b"log",
                OF_LOG => self.in_entries = self.in_log && self.kept == b"entries",
                OF_ENTRY => self.is_start = self.kept == b"startedDateTime",
                _ => {}
            }
        } else if std::mem::take(&mut self.is_start)
            && let Some(entry) = &mut self.entry
        {
            entry.started = String::from_utf8(self.kept.clone()).ok();
        }
    }

    /// Takes a byte outside of strings.
    fn structure(&mut self, byte: u8, out: &mut Vec<Found>) -> Result<(), Damage> {
        if byte.is_ascii_whitespace() {
            return Ok(());
        }
        if self.ended || (self.depth == 0 && byte != b'{') {
            return Err(Damage::NotJson(self.at));
        }
        match byte {
            b'{' | b'[' => self.open(byte == b'{')?,
            b'}' | b']' => self.close(byte == b'}', out)?,
            b'"' => {
                self.bare(self.at);
                self.in_string = true;
                self.is_name = std::mem::take(&mut self.wants_name);
                let in_entry = self.depth == OF_ENTRY && self.entry.is_some();
                self.keeps = in_entry || (self.is_name && self.depth <= OF_LOG);
                self.kept.clear();
            }
            b',' => {
                self.bare_ended(out);
                self.wants_name = self.is_object();
                self.is_start = false;
            }
            b':' => {}
            // Numbers, `true`, `false` and `null`; whoever reads the entry judges them.
            b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'-' | b'+' | b'.' => self.bare(self.at),
            _ => return Err(Damage::NotJson(self.at)),
        }
        Ok(())
    }

    fn is_object(&self) -> bool {
        self.depth > 0 && self.objects & 1 == 1
    }

    fn is_list_of_entries(&self) -> bool {
        self.depth == OF_ENTRIES && self.in_entries && !self.is_object()
    }

    fn open(&mut self, object: bool) -> Result<(), Damage> {
        if self.depth == MAX_DEPTH {
            return Err(Damage::TooDeep(self.at));
        }
        if self.is_list_of_entries() {
            self.entry = Some(Found { offset: self.at, length: 0, started: None });
        }
        // What is inside a value other than `log` and its `entries` is nothing that is looked for.
        match self.depth {
            0 => self.in_log = false,
            OF_FILE => self.in_entries = false,
            _ => {}
        }
        self.depth += 1;
        self.objects = self.objects << 1 | u128::from(object);
        self.wants_name = object;
        self.is_start = false;
        self.has_entries |= self.is_list_of_entries();
        Ok(())
    }

    fn close(&mut self, object: bool, out: &mut Vec<Found>) -> Result<(), Damage> {
        if self.is_object() != object {
            return Err(Damage::NotJson(self.at));
        }
        self.bare_ended(out);
        self.depth -= 1;
        self.objects >>= 1;
        self.wants_name = false;
        self.is_start = false;
        if self.is_list_of_entries()
            && let Some(mut entry) = self.entry.take()
        {
            entry.length = self.at + 1 - entry.offset;
            out.push(entry);
        }
        self.ended = self.depth == 0;
        Ok(())
    }

    /// Something other than a container stands here, perhaps in the place of an entry.
    fn bare(&mut self, at: u64) {
        if self.is_list_of_entries() {
            self.bare.get_or_insert(at);
        }
    }

    fn bare_ended(&mut self, out: &mut Vec<Found>) {
        if let Some(offset) = self.bare.take() {
            out.push(Found { offset, length: self.at - offset, started: None });
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn scan(blocks: &[&[u8]]) -> (Vec<Found>, Result<(), Damage>) {
        let (mut scanner, mut found) = (Scanner::default(), Vec::new());
        for block in blocks {
            if let Err(damage) = scanner.push(block, &mut found) {
                return (found, Err(damage));
            }
        }
        let end = scanner.finish();
        (found, end)
    }

    fn texts(text: &str) -> Vec<(&str, Option<String>)> {
        let (found, end) = scan(&[text.as_bytes()]);
        assert_eq!(end, Ok(()), "{text}");
        let part = |found: &Found| &text[found.offset as usize..][..found.length as usize];
        found.iter().map(|one| (part(one), one.started.clone())).collect()
    }

    #[test]
    fn only_elements_of_log_entries_are_found() {
        let text = r#"{"entries":[{"no":1}],"x":{"entries":[{"no":2}]},
            "log":{"pages":[{"startedDateTime":"p"}],"entries" : [ {"a":{"startedDateTime":"inner"},"startedDateTime":"t"} ,
            {"b":"\"}]{\\"}, {"startedDateTime":null}],"comment":"x"}}"#;
        let found = texts(text);
        assert_eq!(
            found,
            [
                (
                    r#"{"a":{"startedDateTime":"inner"},"startedDateTime":"t"}"#,
                    Some("t".to_owned())
                ),
                (r#"{"b":"\"}]{\\"}"#, None),
                (r#"{"startedDateTime":null}"#, None)
            ]
        );
    }

    #[test]
    fn what_is_no_object_is_found_so_that_it_can_be_counted() {
        let found = texts(r#"{"log":{"entries":[1,null,"{}",[{}],{}]}}"#);
        let found: Vec<_> = found.into_iter().map(|(text, _)| text).collect();
        assert_eq!(found, ["1", "null", "\"{}\"", "[{}]", "{}"]);
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said() {
        for (text, damage) in [
            (&b""[..], Damage::CutShort(0)),
            (b"{\"log\":{\"entries\":[{", Damage::CutShort(20)),
            (b"{\"log\":{}}", Damage::NoEntries),
            (b"{\"log\":{\"entries\":{}}}", Damage::NoEntries),
            (b"{\"log\":[{\"entries\":[{}]}]}", Damage::NoEntries),
            (b"[]", Damage::NotJson(0)),
            (b"\xd4\xc3\xb2\xa1", Damage::NotJson(0)),
            (b"{\"log\":{\"entries\":[{]}}", Damage::NotJson(20)),
            (b"{\"log\":{\"entries\":[]}} {}", Damage::NotJson(23)),
            (b"\xff\xfe{\0", Damage::OtherEncoding),
            (b"{\0\"\0", Damage::OtherEncoding),
        ] {
            assert_eq!(scan(&[text]).1, Err(damage), "{}", text.escape_ascii());
        }
        let deep = format!("{{\"log\":{}", "[".repeat(200));
        assert_eq!(scan(&[deep.as_bytes()]).1, Err(Damage::TooDeep(134)));
    }

    #[test]
    fn a_byte_order_mark_is_passed_over() {
        let text = b"\xef\xbb\xbf{\"log\":{\"entries\":[{}]}}";
        let (found, end) = scan(&[text]);
        assert_eq!((end, found[0].offset, found[0].length), (Ok(()), 22, 2));
    }

    /// Any JSON, with names that matter here among its names.
    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            "[a-z\\\\\"{}\\[\\]:,é]{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(6, 40, 4, |inner| {
            let name = prop_oneof!["log", "entries", "startedDateTime", "[a-z\"\\\\]{0,4}"];
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((name, inner), 0..4)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_entry_is_found_however_the_file_is_cut(
            entries in prop::collection::vec(json(), 0..5),
            beside in json(),
            pretty in any::<bool>(),
            cut in any::<prop::sample::Index>(),
        ) {
            let har = serde_json::json!({"a": beside, "log": {"b": beside, "entries": entries, "c": beside}, "d": beside});
            let text = if pretty { serde_json::to_string_pretty(&har) } else { serde_json::to_string(&har) }.unwrap();
            let bytes = text.as_bytes();
            let (head, tail) = bytes.split_at(cut.index(bytes.len() + 1));
            let (found, end) = scan(&[head, tail]);
            prop_assert_eq!(end, Ok(()));
            let read: Vec<Value> = found
                .iter()
                .map(|one| &bytes[one.offset as usize..][..one.length as usize])
                .map(|part| serde_json::from_slice(part).unwrap())
                .collect();
            prop_assert_eq!(&read, &entries);
            for (one, entry) in found.iter().zip(&entries) {
                let started = entry.as_object().and_then(|entry| entry.get("startedDateTime"));
                // Escapes are not undone: a time has none.
                if let Some(text) = started.and_then(Value::as_str).filter(|text| !text.contains(['\\', '"'])) {
                    prop_assert_eq!(one.started.as_deref(), Some(text));
                }
            }
        }

        #[test]
        fn any_bytes_are_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = scan(&[&bytes]);
        }
    }
}
