//! JSON (RFC 8259) as it is written: numbers by their text, members with the same name each, nothing recursive.
//!
//! Common readers keep neither: serde_json's map has one member for each name, and its exact numbers are a
//! feature that would change the number type of every crate of the program.

use std::ops::Range;

use super::Unreadable;
use crate::tree::{Builder, Container, Held, Span};

/// Reads one document; only white space may follow.
pub(super) fn document(text: &str, builder: &mut Builder) -> Result<(), Unreadable> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let held = builder.hold(text)?;
    let mut reader = Reader { text, held, at: 0, plain: String::new() };
    reader.document(builder)?;
    if reader.peek().is_some() { Err(Unreadable::BadJson) } else { Ok(()) }
}

struct Reader<'s> {
    text: &'s str,
    /// The same text, where the tree has it.
    held: Held,
    at: usize,
    /// A string without its escapes.
    plain: String,
}

impl Reader<'_> {
    /// The next byte that is not white space.
    fn peek(&mut self) -> Option<u8> {
        loop {
            match self.text.as_bytes().get(self.at) {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.at += 1,
                byte => return byte.copied(),
            }
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn document(&mut self, builder: &mut Builder) -> Result<(), Unreadable> {
        let outside = builder.depth();
        loop {
            if self.begin(builder)? {
                continue;
            }
            // A value has ended, and perhaps the containers around it.
            while builder.depth() > outside {
                if self.take(b',') {
                    break;
                }
                self.end(builder)?;
            }
            if builder.depth() == outside {
                return Ok(());
            }
            if builder.container() == Some(Container::Object) {
                self.name(builder)?;
            }
        }
    }

    /// Reads a value, or the start of a container with something in it, which it says.
    fn begin(&mut self, builder: &mut Builder) -> Result<bool, Unreadable> {
        match self.peek() {
            Some(b'"') => {
                let text = self.string(builder)?;
                builder.text_at(text)?;
            }
            Some(b'-' | b'0'..=b'9') => {
                let number = self.number()?;
                builder.number_at(number)?;
            }
            Some(b'{') => {
                builder.open_at(Container::Object, self.held.place(self.at))?;
                self.at += 1;
                if self.peek() == Some(b'}') {
                    return self.end(builder).map(|()| false);
                }
                self.name(builder)?;
                return Ok(true);
            }
            Some(b'[') => {
                builder.open_at(Container::Array, self.held.place(self.at))?;
                self.at += 1;
                if self.peek() == Some(b']') {
                    return self.end(builder).map(|()| false);
                }
                return Ok(true);
            }
            _ if self.literal("null") => builder.null()?,
            _ if self.literal("true") => builder.bool(true)?,
            _ if self.literal("false") => builder.bool(false)?,
            _ => return Err(Unreadable::BadJson),
        }
        Ok(false)
    }

    fn end(&mut self, builder: &mut Builder) -> Result<(), Unreadable> {
        let byte = match builder.container() {
            Some(Container::Object) => b'}',
            _ => b']',
        };
        if !self.take(byte) {
            return Err(Unreadable::BadJson);
        }
        builder.close_at(self.held.place(self.at));
        Ok(())
    }

    fn name(&mut self, builder: &mut Builder) -> Result<(), Unreadable> {
        if self.peek() != Some(b'"') {
            return Err(Unreadable::BadJson);
        }
        let name = self.string(builder)?;
        builder.name_at(name);
        if self.take(b':') { Ok(()) } else { Err(Unreadable::BadJson) }
    }

    fn literal(&mut self, word: &str) -> bool {
        let found = self.text.get(self.at..).is_some_and(|rest| rest.starts_with(word));
        self.at += if found { word.len() } else { 0 };
        found
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while self.byte().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        self.at - start
    }

    fn number(&mut self) -> Result<Span, Unreadable> {
        let start = self.at;
        self.at += usize::from(self.byte() == Some(b'-'));
        let zero = self.byte() == Some(b'0');
        let whole = self.digits();
        let mut good = whole == 1 || (whole > 1 && !zero);
        if self.byte() == Some(b'.') {
            self.at += 1;
            good &= self.digits() > 0;
        }
        if let Some(b'e' | b'E') = self.byte() {
            self.at += 1;
            self.at += usize::from(matches!(self.byte(), Some(b'+' | b'-')));
            good &= self.digits() > 0;
        }
        if good { Ok(self.held.part(start..self.at)) } else { Err(Unreadable::BadJson) }
    }

    /// Reads a string; the quote is next. One with escapes is copied without them.
    fn string(&mut self, builder: &mut Builder) -> Result<Span, Unreadable> {
        self.at += 1;
        let (part, is_end) = self.part()?;
        if is_end {
            return Ok(self.held.part(part));
        }
        self.plain.clear();
        self.plain.push_str(self.text.get(part).ok_or(Unreadable::BadJson)?);
        loop {
            self.escape()?;
            let (part, is_end) = self.part()?;
            self.plain.push_str(self.text.get(part).ok_or(Unreadable::BadJson)?);
            if is_end {
                return builder.keep(&self.plain);
            }
        }
    }

    /// The part of a string up to a quote, where it ends, or up to a backslash; that is passed over.
    fn part(&mut self) -> Result<(Range<usize>, bool), Unreadable> {
        let start = self.at;
        let rest = self.text.as_bytes().get(start..).unwrap_or_default();
        let end = start + special(rest).ok_or(Unreadable::BadJson)?;
        self.at = end + 1;
        match self.text.as_bytes().get(end) {
            Some(b'"') => Ok((start..end, true)),
            Some(b'\\') => Ok((start..end, false)),
            // A control character, which must be escaped.
            _ => Err(Unreadable::BadJson),
        }
    }

    fn escape(&mut self) -> Result<(), Unreadable> {
        let byte = self.byte();
        self.at += 1;
        self.plain.push(match byte {
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(),
            _ => return Err(Unreadable::BadJson),
        });
        Ok(())
    }

    fn hex(&mut self) -> Result<u32, Unreadable> {
        let digits = self.text.get(self.at..self.at + 4).ok_or(Unreadable::BadJson)?;
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(Unreadable::BadJson);
        }
        self.at += 4;
        u32::from_str_radix(digits, 16).map_err(|_| Unreadable::BadJson)
    }

    /// Four digits, and four more for a character of two halves. A half alone, which is no character, is kept as
    /// its digits behind U+FFFD, so that two different ones stay different.
    fn unicode(&mut self) -> Result<(), Unreadable> {
        let first = self.hex()?;
        if let Some(c) = char::from_u32(first) {
            self.plain.push(c);
            return Ok(());
        }
        let after = self.at;
        if first < 0xdc00 && self.literal("\\u") {
            let second = self.hex()?;
            if (0xdc00..0xe000).contains(&second) {
                let c = char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00));
                self.plain.extend(c);
                return Ok(());
            }
            self.at = after;
        }
        self.plain.push_str(&format!("\u{fffd}{first:04x}"));
        Ok(())
    }
}

/// The first byte of a string that is not as it is written: a quote, a backslash, or a control character. Eight at a time,
/// as most strings are short: the search for a byte of the common libraries takes longer to begin than to find it.
fn special(bytes: &[u8]) -> Option<usize> {
    const EACH: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x80 * EACH;
    // The lowest bit that is set here is the high one of the first byte that is less; those above it may be wrong.
    let less = |word: u64, than: u64| word.wrapping_sub(EACH * than) & !word & HIGH;
    let mut at = 0;
    while let Some(word) = bytes.get(at..).and_then(|rest| rest.first_chunk()) {
        let word = u64::from_le_bytes(*word);
        let is = |byte: u8| less(word ^ (EACH * u64::from(byte)), 1);
        let found = is(b'"') | is(b'\\') | less(word, 0x20);
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    let is_special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
    Some(at + bytes.get(at..)?.iter().position(is_special)?)
}
