//! JSON (RFC 8259) as it is written: numbers by their text, members with the same name each, nothing recursive.
//!
//! Common readers keep neither: serde_json's map has one member for each name, and its exact numbers are a
//! feature that would change the number type of every crate of the program.

use super::Unreadable;
use crate::tree::{Builder, Container};

/// Reads one document; only white space may follow.
pub(super) fn document(text: &str, builder: &mut Builder) -> Result<(), Unreadable> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader { text, at: 0, plain: String::new() };
    reader.document(builder)?;
    if reader.peek().is_some() { Err(Unreadable::BadJson) } else { Ok(()) }
}

struct Reader<'s> {
    text: &'s str,
    at: usize,
    /// A string without its escapes.
    plain: String,
}

impl<'s> Reader<'s> {
    /// The next byte that is not white space.
    fn peek(&mut self) -> Option<u8> {
        let rest = self.text.as_bytes().get(self.at..)?;
        let first = rest.iter().position(|byte| !matches!(byte, b' ' | b'\t' | b'\n' | b'\r'))?;
        self.at += first;
        rest.get(first).copied()
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
            Some(b'{') => {
                self.at += 1;
                builder.open(Container::Object)?;
                if self.peek() == Some(b'}') {
                    return self.end(builder).map(|()| false);
                }
                self.name(builder)?;
                return Ok(true);
            }
            Some(b'[') => {
                self.at += 1;
                builder.open(Container::Array)?;
                if self.peek() == Some(b']') {
                    return self.end(builder).map(|()| false);
                }
                return Ok(true);
            }
            Some(b'"') => {
                let text = self.string()?;
                builder.text(text.unwrap_or(&self.plain))?;
            }
            Some(b'-' | b'0'..=b'9') => {
                let number = self.number()?;
                builder.number(number)?;
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
        builder.close();
        Ok(())
    }

    fn name(&mut self, builder: &mut Builder) -> Result<(), Unreadable> {
        if self.peek() != Some(b'"') {
            return Err(Unreadable::BadJson);
        }
        let name = self.string()?;
        builder.name(name.unwrap_or(&self.plain))?;
        if self.take(b':') { Ok(()) } else { Err(Unreadable::BadJson) }
    }

    fn literal(&mut self, word: &str) -> bool {
        let found = self.text.get(self.at..).is_some_and(|rest| rest.starts_with(word));
        self.at += if found { word.len() } else { 0 };
        found
    }

    fn digits(&mut self) -> usize {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        count
    }

    fn number(&mut self) -> Result<&'s str, Unreadable> {
        let start = self.at;
        let byte = |at: usize| self.text.as_bytes().get(at).copied();
        self.at += usize::from(byte(self.at) == Some(b'-'));
        let zero = byte(self.at) == Some(b'0');
        let whole = self.digits();
        let mut good = whole == 1 || (whole > 1 && !zero);
        if self.text.as_bytes().get(self.at) == Some(&b'.') {
            self.at += 1;
            good &= self.digits() > 0;
        }
        if let Some(b'e' | b'E') = self.text.as_bytes().get(self.at) {
            self.at += 1;
            self.at += usize::from(matches!(self.text.as_bytes().get(self.at), Some(b'+' | b'-')));
            good &= self.digits() > 0;
        }
        if good {
            self.text.get(start..self.at).ok_or(Unreadable::BadJson)
        } else {
            Err(Unreadable::BadJson)
        }
    }

    /// Reads a string; the quote is next. One with escapes, `None`, is in `plain`.
    fn string(&mut self) -> Result<Option<&'s str>, Unreadable> {
        self.at += 1;
        let (part, is_end) = self.part()?;
        if is_end {
            return Ok(Some(part));
        }
        self.plain.clear();
        self.plain.push_str(part);
        loop {
            self.escape()?;
            let (part, is_end) = self.part()?;
            self.plain.push_str(part);
            if is_end {
                return Ok(None);
            }
        }
    }

    /// The part of a string up to a quote, where it ends, or up to a backslash; that is passed over.
    fn part(&mut self) -> Result<(&'s str, bool), Unreadable> {
        let rest = self.text.get(self.at..).ok_or(Unreadable::BadJson)?;
        let end = memchr::memchr2(b'"', b'\\', rest.as_bytes()).ok_or(Unreadable::BadJson)?;
        let (part, tail) = rest.split_at_checked(end).ok_or(Unreadable::BadJson)?;
        // All bytes are looked at, many at once: that they are fine is the rule.
        if part.bytes().fold(false, |bad, byte| bad | (byte < 0x20)) {
            return Err(Unreadable::BadJson);
        }
        self.at += end + 1;
        Ok((part, tail.starts_with('"')))
    }

    fn escape(&mut self) -> Result<(), Unreadable> {
        let byte = self.text.as_bytes().get(self.at).copied();
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
