//! Names in paths and pointers.

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
