//! Fields in a form (the URL Standard, §5).

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{Splices, Unmarkable};
use crate::rules::form;

/// What is not encoded: the rest is, so that any decoder reads it.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'*');

/// The form with these fields: every field of the name gets the value, or one is added at the end.
pub(super) fn mark(marks: &[(String, String)], text: &[u8]) -> Result<Vec<u8>, Unmarkable> {
    if marks.is_empty() {
        return Err(Unmarkable);
    }
    let mut splices = Splices::new(text);
    let mut is_there = vec![false; marks.len()];
    let mut start = 0;
    for pair in text.split(|byte| *byte == b'&') {
        let end = start + pair.len();
        let equals = memchr::memchr(b'=', pair).unwrap_or(pair.len());
        let name = form::decoded(pair.get(..equals).unwrap_or_default());
        let mark = marks.iter().zip(&mut is_there).find(|((mark, _), _)| mark.as_bytes() == name);
        if let Some(((_, value), is_there)) = mark {
            *is_there = true;
            let value = format!("={}", utf8_percent_encode(value, KEPT));
            splices.replace(start + equals..end, value.into_bytes());
        }
        start = end + 1;
    }
    let mut out = splices.finish();
    for ((name, value), _) in marks.iter().zip(is_there).filter(|(_, is_there)| !is_there) {
        if !out.is_empty() && !out.ends_with(b"&") {
            out.push(b'&');
        }
        let (name, value) = (utf8_percent_encode(name, KEPT), utf8_percent_encode(value, KEPT));
        out.extend_from_slice(format!("{name}={value}").as_bytes());
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_replaced_wherever_they_stand_or_added() {
        let marks = [("synthetic".to_owned(), "1".to_owned()), ("a b".to_owned(), "ü&".to_owned())];
        for (form, marked) in [
            ("", "synthetic=1&a%20b=%C3%BC%26"),
            ("x=1", "x=1&synthetic=1&a%20b=%C3%BC%26"),
            ("synthetic=0&x=1&synthetic", "synthetic=1&x=1&synthetic=1&a%20b=%C3%BC%26"),
            ("%73ynthetic=&a+b=2&x=%zz&", "%73ynthetic=1&a+b=%C3%BC%26&x=%zz&"),
        ] {
            let made = mark(&marks, form.as_bytes()).unwrap();
            assert_eq!(String::from_utf8(made).unwrap(), marked, "{form}");
        }
        assert_eq!(mark(&[], b"x=1"), Err(Unmarkable));
    }
}
