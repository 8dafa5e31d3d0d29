//! Redacting twice is redacting once, so that a token that comes back from a shadow is the one that
//! was sent.

use super::*;

const VALUES: [&str; 17] = [
    "alice@example.com",
    "4111 1111 1111 1111",
    "378282246310005",
    "123-45-6789",
    "+14155550123",
    "(415) 555-0123",
    "GB82 WEST 1234 5698 7654 32",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0MiJ9.c2ln",
    "Bearer abcdef0123456789",
    "Basic dXNlcjpwYXNz",
    "AKIAIOSFODNN7EXAMPLE",
    "ghp_0123456789abcdefghijABCDEFGHIJ012345",
    "-----BEGIN PRIVATE KEY----- x -----END PRIVATE KEY-----",
    "hunter2",
    "1234",
    "O'Neil & söhne",
    "987-65-4321",
];

const NAMES: [&str; 13] = [
    "x",
    "password",
    "access_token",
    "authorization",
    "pan",
    "ssn",
    "phone",
    "email",
    "iban",
    "cookie",
    "user[pin]",
    "dob",
    "call",
];

#[test]
fn every_value_in_every_place_is_the_same_after_two_rounds() {
    let redactor = pii();
    for name in NAMES {
        for value in VALUES {
            let encoded: String = value.bytes().map(|byte| format!("%{byte:02x}")).collect();
            let json =
                serde_json::json!({ name: value, "l": [value, { name: [value] }] }).to_string();
            let requests = [
                format!("GET /{encoded}?{name}={encoded} HTTP/1.1\r\nHost: a\r\n\r\n"),
                format!("GET / HTTP/1.1\r\nHost: a\r\nX-H: {name} {value}\r\n\r\n"),
                format!("GET / HTTP/1.1\r\nHost: a\r\nCookie: {name}={value}; b={value}\r\n\r\n"),
                format!(
                    "GET / HTTP/1.1\r\nHost: a\r\n{}: {value}\r\n\r\n",
                    name.replace(['[', ']'], "")
                ),
                post("application/json", &json),
                post("application/x-www-form-urlencoded", &format!("{name}={encoded}&a=1")),
                post("text/plain", &format!("the {name} is {value}.")),
            ];
            for wire in requests {
                let once = request(&redactor, wire.as_bytes());
                let twice = request(&redactor, &once);
                assert_eq!(
                    String::from_utf8_lossy(&twice),
                    String::from_utf8_lossy(&once),
                    "from {wire}"
                );
            }
        }
    }
}

fn post(media_type: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: {media_type}\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

#[test]
fn numbers_stay_numbers_where_a_number_can_be_a_token() {
    let redactor = pii();
    for (before, after) in [
        // Below 2⁵³, where the token of the text would be beyond.
        (r#"{"card":4111111111111111}"#, r#"{"card":8999449188333996}"#),
        (r#"{"pan":4111111111111111}"#, r#"{"pan":8999449188333996}"#),
        (r#"{"ssn":123456789}"#, r#"{"ssn":994525117}"#),
        (r#"{"id":1700000000000,"t":3.14}"#, r#"{"id":1700000000000,"t":3.14}"#),
    ] {
        assert_eq!(body(&redactor, "application/json", before), after);
        assert_eq!(body(&redactor, "application/json", after), after);
    }
}
