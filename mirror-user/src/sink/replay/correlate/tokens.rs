//! Recognizes values that a server generated, and the kind of thing that they name.

/// The longest value, in bytes; longer ones are ignored. JWTs with many claims have about 4,000.
pub(super) const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// Values of at least this many characters are unique, wherever they occur.
const OPAQUE_CHARS: usize = 16;

/// Numbers of at least this many digits may name something, wherever they occur. Shorter ones are
/// pages and quantities.
const DISTINCTIVE_DIGITS: usize = 4;

/// The kind of all tokens, whatever the name of their field: `csrf_token` in a page comes back as
/// `X-CSRF-Token`.
pub(super) const SECRET: &str = "secret";

/// The form of a value. Both values of a pair have the same form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// A decimal number.
    Number,
    /// A word that names something only where an identifier is expected.
    Word,
    /// Long and random: a session, a UUID, a JWT.
    Opaque,
}

impl Class {
    /// The class of a value; `None` for values that name nothing, such as texts, times and
    /// fractions.
    pub(super) fn of(value: &str) -> Option<Self> {
        if value.is_empty() || value.len() > MAX_TOKEN_BYTES {
            return None;
        }
        if value.bytes().all(|byte| byte.is_ascii_digit()) {
            return Some(Self::Number);
        }
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=%|!".contains(&byte);
        if !value.bytes().all(is_part) || matches!(value, "true" | "false" | "null") {
            return None;
        }
        let digits = value.bytes().filter(u8::is_ascii_digit).count();
        let letters = value.bytes().filter(u8::is_ascii_alphabetic).count();
        // A date, or a number with a fraction.
        let is_date = value.get(4..5) == Some("-") && value.get(..4).is_some_and(is_number);
        if is_date || letters == 0 {
            return None;
        }
        let is_opaque = value.len() >= OPAQUE_CHARS && digits > 0 && !value.contains("/");
        if is_opaque {
            return Some(Self::Opaque);
        }
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
        value.bytes().all(is_word).then_some(Self::Word)
    }
}

fn is_number(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// True if two values can be a pair. A random value may have no digit by chance.
pub(super) fn alike(one: &str, other: &str) -> bool {
    match (Class::of(one), Class::of(other)) {
        (Some(Class::Opaque), Some(Class::Word)) => other.len() >= OPAQUE_CHARS,
        (Some(Class::Word), Some(Class::Opaque)) => one.len() >= OPAQUE_CHARS,
        (class, same) => class == same,
    }
}

/// True for a value that may be replaced wherever it occurs as a whole. Other values need a field
/// name that says what they are.
pub(super) fn is_distinctive(value: &str) -> bool {
    match Class::of(value) {
        Some(Class::Opaque) => true,
        Some(Class::Number) => value.len() >= DISTINCTIVE_DIGITS,
        Some(Class::Word) | None => value.len() >= OPAQUE_CHARS,
    }
}

/// True for the name of a field with an identifier: `id`, `orderId`, `order_ref`.
pub(super) fn is_id_name(name: &str) -> bool {
    const ENDINGS: [&str; 13] = [
        "id",
        "ids",
        "uuid",
        "guid",
        "key",
        "number",
        "no",
        "ref",
        "reference",
        "token",
        "code",
        "handle",
        "etag",
    ];
    words(name).last().is_some_and(|last| ENDINGS.contains(&last.as_str()))
}

/// True for the name of a field with a token that a later request must present.
pub(super) fn is_secret_name(name: &str) -> bool {
    const PARTS: [&str; 10] = [
        "token",
        "csrf",
        "xsrf",
        "nonce",
        "session",
        "verifier",
        "cursor",
        "viewstate",
        "jwt",
        "ticket",
    ];
    let name = name.to_ascii_lowercase();
    PARTS.iter().any(|part| name.contains(part)) || matches!(&*name, "sid" | "state")
}

/// The kind of a field's value: `order` for `orderId` and `order_ids`; the `resource` for a bare
/// `id`; [`SECRET`] for tokens.
pub(super) fn kind_of_name(name: &str, resource: &str) -> String {
    if is_secret_name(name) {
        return SECRET.to_owned();
    }
    let mut words = words(name);
    if is_id_name(name) {
        words.pop();
    }
    if words.is_empty() { resource.to_owned() } else { singular(&words.concat()) }
}

/// The resource of a request: the last segment of its path that is a word, in the singular, such as
/// `order` for `/v1/orders/5001`.
pub(super) fn resource_of(path: &str) -> String {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let is_plain = |segment: &&str| {
        !segment.is_empty()
            && segment.bytes().all(|byte| byte.is_ascii_alphabetic() || b"-_".contains(&byte))
    };
    singular(&path.rsplit('/').find(is_plain).unwrap_or_default().to_ascii_lowercase())
}

/// Removes the plural's `s`. This is enough to unify singular and plural of most words.
fn singular(word: &str) -> String {
    word.strip_suffix("s").filter(|rest| !rest.is_empty()).unwrap_or(word).to_owned()
}

/// The words of `camelCase`, `snake_case`, `kebab-case` and `a[b]`, in lower case.
fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut before = None;
    for char in name.chars() {
        if !char.is_alphanumeric() {
            before = None;
            continue;
        }
        let begins = match before {
            None => true,
            Some(last) => char::is_uppercase(char) && !char::is_uppercase(last),
        };
        if begins {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.extend(char.to_lowercase());
        }
        before = Some(char);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_a_class() {
        use Class::{Number, Opaque, Word};
        for (value, class) in [
            ("5001", Some(Number)),
            ("1000000001", Some(Number)),
            ("550e8400-e29b-41d4-a716-446655440000", Some(Opaque)),
            ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", Some(Opaque)),
            ("ord_1a2B", Some(Word)),
            ("paid", Some(Word)),
            ("12.50", None),
            ("2026-11-20", None),
            ("2026-11-20T10.00Z", None),
            ("two words", None),
            ("/orders/1000000000000001", None),
            ("true", None),
            ("", None),
        ] {
            assert_eq!(Class::of(value), class, "{value}");
        }
    }

    #[test]
    fn values_that_stand_for_one_another_look_alike() {
        assert!(alike("5001", "1000000001"));
        assert!(alike("ord_aBcDeFgHiJkLmN", "ord_aBcDeFgHiJkLm7"));
        assert!(!alike("paid", "550e8400-e29b-41d4-a716-446655440000"));
        assert!(!alike("5001", "ord_1"));
    }

    #[test]
    fn names_say_what_they_name() {
        for name in ["id", "orderId", "order_id", "orderID", "Order-Ref", "user[id]", "itemIds"] {
            assert!(is_id_name(name), "{name}");
        }
        for name in ["paid", "valid", "quantity", "page", ""] {
            assert!(!is_id_name(name), "{name}");
        }
        for name in ["csrfToken", "XSRF-TOKEN", "sid", "PHPSESSION", "access_token"] {
            assert!(is_secret_name(name), "{name}");
        }
        assert_eq!(kind_of_name("orderId", "x"), "order");
        assert_eq!(kind_of_name("order_ids", "x"), "order");
        assert_eq!(kind_of_name("id", "order"), "order");
        assert_eq!(kind_of_name("orders", "x"), "order");
        assert_eq!(resource_of("/v1/orders/5001?x=1"), "order");
        assert_eq!(resource_of("/v1/orders/5001/items"), "item");
        assert_eq!(resource_of("/"), "");
    }
}
