//! The `synthetic_request` member of a `baggage` list (W3C Baggage), which services propagate.

use super::lines::members;

/// Services need not propagate longer lists (W3C Baggage §3.3.2).
const MAX_BYTES: usize = 8192;

/// Nor lists with more members: the first editions of the specification let receivers drop the
/// excess.
const MAX_MEMBERS: usize = 180;

const KEY: &[u8] = b"synthetic_request";

/// mirror's member.
pub(super) const MEMBER: &[u8] = b"synthetic_request=true";

/// Writes a baggage list with mirror's member: it replaces one with the same key, or is appended.
pub(super) fn append(value: &[u8], out: &mut Vec<u8>) {
    let key = |member: &[u8]| -> bool {
        let end =
            member.iter().position(|byte| matches!(byte, b'=' | b';')).unwrap_or(member.len());
        member.get(..end).unwrap_or_default().trim_ascii() == KEY
    };
    let length = value.len().saturating_add(1).saturating_add(MEMBER.len());
    let has_ours = members(value).any(key);
    let is_full = !has_ours && members(value).count() >= MAX_MEMBERS;
    if length > MAX_BYTES || is_full {
        out.extend_from_slice(value);
    } else if has_ours {
        for (i, member) in value.split(|byte| *byte == b',').enumerate() {
            if i > 0 {
                out.push(b',');
            }
            out.extend_from_slice(if key(member.trim_ascii()) { MEMBER } else { member });
        }
    } else {
        out.extend_from_slice(value);
        if !value.trim_ascii().is_empty() {
            out.push(b',');
        }
        out.extend_from_slice(MEMBER);
    }
}
