//! The member that says "synthetic" in a `baggage` list (W3C Baggage), which services pass on.

use super::lines::members;

/// A list longer than this need not be passed on by anyone (W3C Baggage §3.3.2).
const MAX_BYTES: usize = 8192;

/// A list of more members neither: the first editions of the specification had receivers drop what
/// is beyond.
const MAX_MEMBERS: usize = 180;

const KEY: &[u8] = b"synthetic_request";

/// Our member.
pub(super) const MEMBER: &[u8] = b"synthetic_request=true";

/// Writes a baggage list with our member: in the place of one with its key, else behind the others.
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
