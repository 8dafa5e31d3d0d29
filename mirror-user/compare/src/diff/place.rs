//! Names in paths and pointers.

use std::fmt::Write;

use crate::shape::Shape;

/// `.name`, `{}` for a name that is an identifier, `['a b']` for one that paths cannot hold.
pub(super) fn push_name(path: &mut String, name: &str) {
    let plain = |c: char| c.is_alphanumeric() || "_-$@:".contains(c);
    if Shape::is_key(name) {
        path.push_str("{}");
    } else if !name.is_empty() && name.chars().all(plain) {
        path.push('.');
        path.push_str(name);
    } else {
        path.push_str("['");
        path.extend(
            name.chars().map(|c| if c == '\'' || c == ']' || c.is_control() { '?' } else { c }),
        );
        path.push_str("']");
    }
}

/// The place of an element.
pub(super) fn push_index(pointer: &mut String, index: usize) {
    pointer.push('/');
    match u8::try_from(index) {
        // Most places; the machinery of formats takes longer.
        Ok(digit @ 0..10) => pointer.push(char::from(b'0' + digit)),
        Ok(two @ 10..100) => {
            pointer.extend([char::from(b'0' + two / 10), char::from(b'0' + two % 10)]);
        }
        // Writing to a string cannot fail.
        _ => write!(pointer, "{index}").unwrap_or_default(),
    }
}

/// RFC 6901 §3.
pub(super) fn push_pointer(pointer: &mut String, name: &str) {
    pointer.push('/');
    for c in name.chars() {
        match c {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            c => pointer.push(c),
        }
    }
}
