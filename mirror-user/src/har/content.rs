//! Bodies: from the text of a HAR to what was on the wire.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::NotRead;
use super::entry::{Content, Field, PostData, Request, Response};
use super::fields::values;
use crate::http::coding::{self, Coding};

/// With or without padding, as writers differ.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The content of a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Held {
    /// All of it, in its codings.
    Bytes(Vec<u8>),
    /// The file does not hold it; its length where that is known.
    Missing(Option<u64>),
}

/// The body of a request.
pub(super) fn of_request(request: &Request) -> Result<Held, NotRead> {
    let said = length(request.body_size).filter(|bytes| *bytes > 0);
    if let Some(Content { text: Some(text), encoding, mime_type, .. }) = &request.content {
        return held(text, encoding.as_deref(), mime_type, &request.headers);
    }
    match &request.post_data {
        Some(PostData { text: Some(text), encoding, mime_type, params }) => {
            // Writers that fill in both leave the text empty where they know the parameters alone.
            if text.is_empty() && !params.is_empty() {
                return form(request, said);
            }
            held(text, encoding.as_deref(), mime_type, &request.headers)
        }
        Some(PostData { params, .. }) if !params.is_empty() => form(request, said),
        _ if said.is_some() || request.body_status.is_some() => Ok(Held::Missing(said)),
        _ => Ok(match declared(&request.headers) {
            Some(bytes) if bytes > 0 => Held::Missing(Some(bytes)),
            _ => Held::Bytes(Vec::new()),
        }),
    }
}

/// The body of a response.
pub(super) fn of_response(response: &Response) -> Result<Held, NotRead> {
    let Content { size, mime_type, text, encoding } = &response.content;
    if let Some(text) = text {
        return held(text, encoding.as_deref(), mime_type, &response.headers);
    }
    let wire = length(response.body_size).filter(|bytes| *bytes > 0);
    let content = length(*size).filter(|bytes| *bytes > 0);
    Ok(match (wire, content) {
        (Some(bytes), _) => Held::Missing(Some(bytes)),
        // Its length after decoding says nothing of the one on the wire.
        (None, Some(_)) => Held::Missing(declared(&response.headers)),
        (None, None) => Held::Bytes(Vec::new()),
    })
}

/// The `Content-Length`, if there is one.
pub(super) fn declared(fields: &[Field]) -> Option<u64> {
    values(fields, "content-length").next()?.trim().parse().ok()
}

fn length(size: Option<f64>) -> Option<u64> {
    size.filter(|size| *size >= 0.0).map(|size| size as u64)
}

fn held(
    text: &str,
    encoding: Option<&str>,
    mime_type: &str,
    fields: &[Field],
) -> Result<Held, NotRead> {
    let bytes = match encoding.filter(|encoding| !encoding.is_empty()) {
        None => characters(text, mime_type),
        Some(name) if name.eq_ignore_ascii_case("base64") => {
            let text: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
            BASE64.decode(text).map_err(|_| NotRead::BadBody)?
        }
        Some(_) => return Err(NotRead::BadBody),
    };
    Ok(Held::Bytes(coded(bytes, fields)))
}

/// The bytes of a text that a browser has decoded by its character set: UTF-8, unless it says ISO 8859-1 and is that.
fn characters(text: &str, mime_type: &str) -> Vec<u8> {
    let mime_type = mime_type.to_ascii_lowercase();
    let set = mime_type.split(';').find_map(|part| part.trim().strip_prefix("charset="));
    let set = set.map(|set| set.trim_matches('"'));
    let narrow =
        || text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect::<Option<Vec<u8>>>();
    match set {
        Some("iso-8859-1" | "latin1") => narrow().unwrap_or_else(|| text.as_bytes().to_vec()),
        _ => text.as_bytes().to_vec(),
    }
}

/// Applies the codings of `Content-Encoding`, which a HAR has undone. What is coded still, as some writers leave it, stays as
/// it is; so does what has a coding that nobody here can undo.
fn coded(bytes: Vec<u8>, fields: &[Field]) -> Vec<u8> {
    let names = values(fields, "content-encoding").map(str::as_bytes);
    let Ok(codings) = coding::codings(names) else { return bytes };
    let is_coded = match codings.last() {
        Some(Coding::Gzip) => bytes.starts_with(&[0x1f, 0x8b]),
        Some(Coding::Zstd) => bytes.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]),
        _ => false,
    };
    if bytes.is_empty() || is_coded {
        return bytes;
    }
    codings.into_iter().fold(bytes, |bytes, coding| coding::encode(coding, &bytes))
}

/// A form from its parameters; the contents of files in one of several parts are not there.
fn form(request: &Request, said: Option<u64>) -> Result<Held, NotRead> {
    let Some(PostData { mime_type, params, .. }) = &request.post_data else {
        return Ok(Held::Missing(said));
    };
    let kind = mime_type.split(';').next().unwrap_or_default().trim();
    let is_form = kind.is_empty() || kind.eq_ignore_ascii_case("application/x-www-form-urlencoded");
    if !is_form || params.iter().any(|param| param.file_name.is_some()) {
        return Ok(Held::Missing(said));
    }
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    for param in params {
        form.append_pair(&decoded(&param.name), &decoded(&param.value));
    }
    Ok(Held::Bytes(coded(form.finish().into_bytes(), &request.headers)))
}

/// Chrome writes parameters as they are in the form, others undo its escapes.
fn decoded(text: &str) -> String {
    let spaces = text.replace('+', " ");
    let plain = percent_encoding::percent_decode_str(&spaces).decode_utf8();
    plain.map_or_else(|_| text.to_owned(), std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(json: serde_json::Value) -> Response {
        serde_json::from_value(json).unwrap()
    }

    fn request(json: serde_json::Value) -> Request {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn codings_are_done_again_where_they_were_undone() {
        let gzip = serde_json::json!([{"name": "Content-Encoding", "value": "gzip"}]);
        let plain = response(serde_json::json!({"headers": gzip, "content": {"text": "hello"}}));
        let Held::Bytes(bytes) = of_response(&plain).unwrap() else { panic!("it is there") };
        assert_eq!(coding::decode(Coding::Gzip, &bytes, 100).unwrap(), b"hello");
        // Some writers keep what was on the wire.
        let text = BASE64.encode(&bytes);
        let still =
            serde_json::json!({"headers": gzip, "content": {"text": text, "encoding": "base64"}});
        assert_eq!(of_response(&response(still)), Ok(Held::Bytes(bytes)));
        let odd = serde_json::json!([{"name": "Content-Encoding", "value": "snappy"}]);
        let odd = response(serde_json::json!({"headers": odd, "content": {"text": "hello"}}));
        assert_eq!(of_response(&odd), Ok(Held::Bytes(b"hello".to_vec())));
    }

    #[test]
    fn a_body_that_was_left_out_is_missing_and_an_empty_one_is_not() {
        let of = |json| of_response(&response(json));
        assert_eq!(of(serde_json::json!({"content": {"size": 0}})), Ok(Held::Bytes(Vec::new())));
        let left_out = serde_json::json!({"bodySize": 7, "content": {"size": 20}});
        assert_eq!(of(left_out), Ok(Held::Missing(Some(7))));
        let unknown = serde_json::json!({"bodySize": -1, "content": {"size": "20"}});
        assert_eq!(of(unknown), Ok(Held::Missing(None)));
        let of = |json| of_request(&request(json));
        assert_eq!(of(serde_json::json!({"bodySize": -1})), Ok(Held::Bytes(Vec::new())));
        let headers = serde_json::json!([{"name": "content-length", "value": "9"}]);
        assert_eq!(of(serde_json::json!({"headers": headers})), Ok(Held::Missing(Some(9))));
        let upload = serde_json::json!({"bodySize": 90, "postData": {
            "mimeType": "multipart/form-data; boundary=x", "params": [{"name": "f", "fileName": "a.png"}]}});
        assert_eq!(of(upload), Ok(Held::Missing(Some(90))));
    }

    #[test]
    fn requests_hold_their_bodies_in_several_ways() {
        let of = |json| match of_request(&request(json)) {
            Ok(Held::Bytes(bytes)) => String::from_utf8(bytes).unwrap(),
            other => panic!("{other:?}"),
        };
        let text = serde_json::json!({"postData": {"mimeType": "text/plain", "text": "a=1"}});
        assert_eq!(of(text), "a=1");
        let base64 = serde_json::json!({"postData": {"text": "YT0x", "encoding": "base64"}});
        assert_eq!(of(base64), "a=1");
        let toolkit = serde_json::json!({"_content": {"text": "YT0x\n", "encoding": "base64"}});
        assert_eq!(of(toolkit), "a=1");
        let params =
            serde_json::json!([{"name": "a b", "value": "1%262"}, {"name": "c", "value": "ü"}]);
        let form = serde_json::json!({"postData": {"mimeType": "application/x-www-form-urlencoded", "params": params}});
        assert_eq!(of(form), "a+b=1%262&c=%C3%BC");
        let bad = serde_json::json!({"postData": {"text": "?", "encoding": "base64"}});
        assert_eq!(of_request(&request(bad)), Err(NotRead::BadBody));
    }

    #[test]
    fn a_text_of_iso_8859_1_has_one_byte_for_each_character() {
        let of = |text: &str, kind: &str| characters(text, kind);
        assert_eq!(of("ü", "text/html; charset=ISO-8859-1"), b"\xfc");
        assert_eq!(of("ü€", "text/html; charset=ISO-8859-1"), "ü€".as_bytes());
        assert_eq!(of("ü", "text/html"), "ü".as_bytes());
    }
}
