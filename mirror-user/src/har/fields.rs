//! Header fields: from the list of a HAR to the lines of HTTP/1.

use std::borrow::Cow;

use super::NotRead;
use super::entry::Field;
use crate::syntax::is_token;

/// The values of the fields called `name`, in any case.
pub(super) fn values<'f>(fields: &'f [Field], name: &str) -> impl Iterator<Item = &'f str> {
    fields
        .iter()
        .filter(move |field| field.name.eq_ignore_ascii_case(name))
        .map(|field| field.value.as_str())
}

/// True when the list of the fields called `name` has this element.
pub(super) fn lists(fields: &[Field], name: &str, element: &str) -> bool {
    let elements = values(fields, name).flat_map(|value| value.split(','));
    elements.map(str::trim).any(|one| one.eq_ignore_ascii_case(element))
}

/// What becomes of a field.
pub(super) enum Becomes {
    /// It stays.
    Same,
    /// It goes.
    Nothing,
    /// It gets this value.
    Value(String),
}

/// Adds the lines of all fields, as `judge` has them by name. Pseudo fields of HTTP/2 are no fields of HTTP/1.
///
/// # Errors
/// If a name or a value would be more than one line, or none.
pub(super) fn write(
    fields: &[Field],
    mut judge: impl FnMut(&str) -> Becomes,
    out: &mut Vec<u8>,
) -> Result<(), NotRead> {
    for Field { name, value } in fields {
        if name.starts_with(':') {
            continue;
        }
        let value = match judge(name) {
            Becomes::Same => Cow::Borrowed(value.as_str()),
            Becomes::Nothing => continue,
            Becomes::Value(value) => Cow::Owned(value),
        };
        // Chrome joins fields of one name by line feeds.
        for line in value.split('\n') {
            let line = line.trim_matches([' ', '\t', '\r']);
            if !is_token(name.as_bytes()) || line.contains(['\r', '\0']) {
                return Err(NotRead::BadField);
            }
            write_line(name, line, out);
        }
    }
    Ok(())
}

/// Adds one line.
pub(super) fn write_line(name: &str, value: &str, out: &mut Vec<u8>) {
    for part in [name, ": ", value, "\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(name: &str, value: &str) -> Field {
        Field { name: name.to_owned(), value: value.to_owned() }
    }

    #[test]
    fn no_value_becomes_a_field_of_another_name() {
        let written = |name: &str, value: &str| {
            let mut out = Vec::new();
            let outcome = write(&[field(name, value)], |_| Becomes::Same, &mut out);
            outcome.map(|()| String::from_utf8(out).unwrap())
        };
        assert_eq!(
            written("Set-Cookie", "a=1\nb=2"),
            Ok("Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n".into())
        );
        assert_eq!(written("X", "a\r\nHost: evil"), Ok("X: a\r\nX: Host: evil\r\n".into()));
        assert_eq!(written("X", "a\rb"), Err(NotRead::BadField));
        assert_eq!(written("X", "a\0b"), Err(NotRead::BadField));
        assert_eq!(written("X: a\r\nY", "b"), Err(NotRead::BadField));
        assert_eq!(written("", "b"), Err(NotRead::BadField));
        assert_eq!(written(":authority", "a"), Ok(String::new()));
    }
}
