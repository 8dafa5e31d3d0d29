//! Characters of HTTP that more than one stage looks for.

/// True for a character of a token (`tchar`, RFC 9110 §5.6.2).
#[must_use]
pub const fn is_token_char(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
}

/// True for a token: a method, or the name of a field (RFC 9110 §5.6.2).
#[must_use]
pub fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().copied().all(is_token_char)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_characters_of_a_token_are_those_of_the_rfc() {
        let chars: Vec<u8> = (0..=u8::MAX).filter(|byte| is_token_char(*byte)).collect();
        let expected =
            b"!#$%&'*+-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ^_`abcdefghijklmnopqrstuvwxyz|~";
        assert_eq!(chars, expected);
        assert!(!is_token(b""));
    }
}
