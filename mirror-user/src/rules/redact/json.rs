//! JSON documents: every string, number and member name is scanned. Everything that is not replaced stays
//! byte for byte, including whitespace, number formats and duplicate names.
//!
//! Several documents may follow one another, as in newline-delimited JSON. Refuses what RFC 8259
//! does not allow: what is read in another way by its receiver may hold a value where none was seen.

mod escapes;

use std::ops::Range;

use self::escapes::{escape, unescape};
use super::context::Context;
use super::names::Treatment;
use super::replacer::Replacer;
use super::report::{Unredactable, Where};
use crate::json_path::States;

/// Maximum nesting of values; serde_json and other parsers refuse more, too.
pub const MAX_JSON_DEPTH: usize = 128;

/// The kind of tokens for values selected by a path.
const BY_PATH: &str = "json";

/// Members that name the value of the member beside them, which has one of the other names.
const PAIR_NAMES: [&[u8]; 3] = [b"name", b"key", b"header"];
const PAIR_VALUES: [&[u8]; 2] = [b"value", b"val"];

/// A container around the current value.
pub(super) struct Container<'a> {
    /// The name of the current member, as written; `None` in a list.
    name: Option<&'a [u8]>,
}

impl Container<'_> {
    pub(super) fn name(&self) -> Option<&[u8]> {
        self.name
    }
}

/// What a value inherits from its containers.
#[derive(Clone, Copy)]
struct Inherited<'a> {
    states: States,
    /// Its treatment, whatever its own name.
    fate: Treatment<'a>,
}

impl<'a> Inherited<'a> {
    /// Of what stands inside, by its own name.
    fn or(self, own: impl FnOnce() -> Treatment<'a>) -> Treatment<'a> {
        match self.fate {
            Treatment::Look | Treatment::Identifier => own(),
            fate => fate,
        }
    }
}

/// True if a text may be an object or a list, and is worth parsing.
pub(super) fn may_be(text: &[u8]) -> bool {
    let text = text.trim_ascii();
    matches!((text.first(), text.last()), (Some(b'{'), Some(b'}')) | (Some(b'['), Some(b']')))
}

/// Rewrites documents; `None` if nothing is to be replaced.
///
/// # Errors
/// Why they cannot be parsed.
pub(super) fn rewrite(
    context: &mut Context<'_>,
    outer: &Where<'_>,
    source: &[u8],
) -> Result<Option<Vec<u8>>, Unredactable> {
    let at = if source.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    let begin = Inherited { states: context.plan.paths.begin(), fate: Treatment::Look };
    let mut out = Vec::new();
    let mut reader = Reader {
        context,
        outer,
        source,
        at,
        edits: Replacer::new(source, &mut out),
        containers: Vec::new(),
        plain: Vec::new(),
        token: Vec::new(),
    };
    while reader.peek().is_some() {
        reader.value(begin)?;
    }
    Ok(reader.edits.finish().then_some(out))
}

struct Reader<'a, 'w, 's, 'o> {
    context: &'a mut Context<'w>,
    outer: &'a Where<'a>,
    source: &'s [u8],
    at: usize,
    edits: Replacer<'s, 'o>,
    containers: Vec<Container<'s>>,
    /// A string without its escapes.
    plain: Vec<u8>,
    /// What stands for a value.
    token: Vec<u8>,
}

impl<'a, 'w: 'a, 's> Reader<'a, 'w, 's, '_> {
    /// The next byte that is not whitespace. A record separator (RFC 7464) counts as whitespace.
    fn peek(&mut self) -> Option<u8> {
        let rest = self.source.get(self.at..)?;
        let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x1e);
        let first = rest.iter().position(|byte| !blank(byte))?;
        self.at += first;
        rest.get(first).copied()
    }

    fn value(&mut self, inherited: Inherited<'w>) -> Result<(), Unredactable> {
        match self.peek() {
            Some(b'{') => self.object(inherited),
            Some(b'[') => self.list(inherited),
            Some(b'"') => {
                let range = self.string()?;
                self.replace_string(range, inherited.fate)
            }
            Some(b'-' | b'0'..=b'9') => self.number(inherited.fate),
            Some(_) => self.literal(),
            None => Err(Unredactable::BadJson),
        }
    }

    fn enter(&mut self) -> Result<(), Unredactable> {
        if self.containers.len() >= MAX_JSON_DEPTH {
            return Err(Unredactable::JsonTooDeep);
        }
        self.containers.push(Container { name: None });
        self.at += 1;
        Ok(())
    }

    /// After a value: true if another one follows, false at the end of the container.
    fn goes_on(&mut self, end: u8) -> Result<bool, Unredactable> {
        let next = self.peek();
        self.at += 1;
        match next {
            Some(b',') => Ok(true),
            Some(byte) if byte == end => {
                self.containers.pop();
                Ok(false)
            }
            _ => Err(Unredactable::BadJson),
        }
    }

    fn list(&mut self, inherited: Inherited<'w>) -> Result<(), Unredactable> {
        self.enter()?;
        let states = match inherited.states {
            0 => 0,
            states => self.context.plan.paths.step(states, None),
        };
        let by_path = self.context.plan.paths.is_end(states);
        let fate =
            inherited.or(|| if by_path { Treatment::Replace(BY_PATH) } else { inherited.fate });
        if self.peek() == Some(b']') {
            self.goes_on(b']')?;
            return Ok(());
        }
        loop {
            self.value(Inherited { states, fate })?;
            if !self.goes_on(b']')? {
                return Ok(());
            }
        }
    }

    fn object(&mut self, inherited: Inherited<'w>) -> Result<(), Unredactable> {
        self.enter()?;
        if self.peek() == Some(b'}') {
            self.goes_on(b'}')?;
            return Ok(());
        }
        // In `{"name": "authorization", "value": "…"}`, as in HAR, the name determines the treatment of the value.
        let mut paired = None;
        loop {
            let mut member = self.member(inherited)?;
            if self.peek() != Some(b':') {
                return Err(Unredactable::BadJson);
            }
            self.at += 1;
            let _ = self.peek();
            let start = self.at;
            if let (Some(fate), Treatment::Look | Treatment::Identifier) = (paired, member.fate)
                && self.is_member(&PAIR_VALUES)
            {
                member.fate = fate;
            }
            self.value(member)?;
            if self.is_member(&PAIR_NAMES) {
                paired = self.listed(start..self.at);
            }
            if !self.goes_on(b'}')? {
                return Ok(());
            }
        }
    }

    /// True if the current member has one of these names.
    fn is_member(&self, names: &[&[u8]]) -> bool {
        let name = self.containers.last().and_then(|container| container.name);
        name.is_some_and(|name| names.iter().any(|it| name.eq_ignore_ascii_case(it)))
    }

    /// The treatment of a value whose name is the string at `range`, if that is listed.
    fn listed(&self, range: Range<usize>) -> Option<Treatment<'w>> {
        let plan = self.context.plan;
        let name = self.source.get(range)?.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
        Some(plan.names.field(name)).filter(|fate| matches!(fate, Treatment::Replace(_)))
    }

    /// Parses a member's name; returns what its value inherits.
    fn member(&mut self, inherited: Inherited<'w>) -> Result<Inherited<'w>, Unredactable> {
        if self.peek() != Some(b'"') {
            return Err(Unredactable::BadJson);
        }
        let range = self.string()?;
        let raw = self.source.get(range.clone()).unwrap_or_default();
        if let Some(container) = self.containers.last_mut() {
            container.name = Some(raw);
        }
        let plan = self.context.plan;
        let name = match memchr::memchr(b'\\', raw) {
            None => raw,
            Some(_) => {
                unescape(raw, &mut self.plain)?;
                &self.plain
            }
        };
        let states = match inherited.states {
            0 => 0,
            states => plan.paths.step(states, Some(name)),
        };
        let fate = inherited.or(|| match plan.names.field(name) {
            Treatment::Look | Treatment::Identifier if plan.paths.is_end(states) => {
                Treatment::Replace(BY_PATH)
            }
            fate => fate,
        });
        // A name may be a value: `{"alice@example.com": 1}`.
        if inherited.fate != Treatment::Keep {
            self.replace_string(range, Treatment::Look)?;
        }
        Ok(Inherited { states, fate })
    }

    /// Parses a string; returns the range between its quotes.
    fn string(&mut self) -> Result<Range<usize>, Unredactable> {
        let start = self.at + 1;
        let mut at = start;
        loop {
            let rest = self.source.get(at..).unwrap_or_default();
            match memchr::memchr2(b'"', b'\\', rest) {
                Some(i) if rest.get(i) == Some(&b'"') => {
                    self.at = at + i + 1;
                    return Ok(start..at + i);
                }
                Some(i) => at += i + 2,
                None => return Err(Unredactable::BadJson),
            }
        }
    }

    fn replace_string(
        &mut self,
        range: Range<usize>,
        fate: Treatment<'_>,
    ) -> Result<(), Unredactable> {
        let raw = self.source.get(range.clone()).unwrap_or_default();
        let text = match memchr::memchr(b'\\', raw) {
            None => raw,
            Some(_) => {
                unescape(raw, &mut self.plain)?;
                &self.plain
            }
        };
        let place = Where::Json(self.outer, &self.containers);
        self.token.clear();
        if self.context.by_treatment(fate, &place, text, &mut self.token) {
            let token = &self.token;
            self.edits.replace(range, |out| escape(token, out));
        }
        Ok(())
    }

    fn number(&mut self, fate: Treatment<'_>) -> Result<(), Unredactable> {
        let start = self.at;
        let rest = self.source.get(start..).unwrap_or_default();
        let is_such = |byte: &u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
        let len = rest.iter().take_while(|byte| is_such(byte)).count();
        let raw = rest.get(..len).unwrap_or_default();
        self.at += len;
        let kind = match fate {
            Treatment::Replace(kind) => kind,
            // Card numbers have at least 13 digits; all other numbers are found by name.
            Treatment::Look if len >= 13 && self.context.knows(raw) => "pan",
            _ => return Ok(()),
        };
        let place = Where::Json(self.outer, &self.containers);
        self.token.clear();
        if self.context.number(kind, &place, raw, &mut self.token) {
            let token = &self.token;
            self.edits.replace(start..start + len, |out| out.extend_from_slice(token));
        }
        Ok(())
    }

    fn literal(&mut self) -> Result<(), Unredactable> {
        let rest = self.source.get(self.at..).unwrap_or_default();
        let literal = [&b"true"[..], b"false", b"null"].into_iter().find(|it| rest.starts_with(it));
        self.at += literal.ok_or(Unredactable::BadJson)?.len();
        Ok(())
    }
}
