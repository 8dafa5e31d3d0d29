//! Replaces single values by tokens, and counts every replacement.

use std::ops::Range;

use super::assign;
use super::detect::{self, Detection, Detectors, Signs, What, write_token};
use super::json;
use super::names::Names;
use super::report::{Report, Where};
use super::segments::Segments;
use super::tokens::Tokens;
use super::url;
use crate::http::message::Head;
use crate::json_path::Paths;
use crate::tcp::event::Side;

/// Compiled options: what is redacted.
pub(super) struct Plan {
    pub(super) names: Names,
    pub(super) paths: Paths,
    pub(super) segments: Segments,
    pub(super) detectors: Detectors,
    pub(super) tokens: Tokens,
}

/// Maximum number of scans of a text. It is scanned again after a replacement; each pass leaves less to
/// replace.
const MAX_PASSES: u32 = 8;

/// Maximum nesting of JSON documents inside strings: message queues wrap a document once or twice.
const MAX_NESTED: u8 = 3;

/// State that is shared while the parts of a message are rewritten.
pub(super) struct Context<'a> {
    pub(super) plan: &'a Plan,
    pub(super) report: &'a mut Report,
    pub(super) side: Side,
    found: Vec<Detection<'a>>,
    /// The text that was prescanned as a whole for keywords of secrets.
    prescan: Option<Prescan<'a>>,
    /// Number of JSON documents around the current text.
    nested: u8,
    /// True if the current text is the value of an identifier, whose digits may look like a card number.
    pub(super) identifier: bool,
}

/// Room for the hits of most heads.
const COMMON_HITS: usize = 16;

/// A text with the positions where a match or an escape may start. One scan of a whole head costs less than
/// one scan per value.
struct Prescan<'a> {
    text: &'a [u8],
    hits: Vec<Range<usize>>,
}

impl Prescan<'_> {
    /// True if `part` is a slice of the text without any hits.
    fn is_quiet(&self, part: &[u8]) -> bool {
        let start = part.as_ptr().addr().checked_sub(self.text.as_ptr().addr());
        // A decoded copy is elsewhere in memory.
        let end = start.and_then(|start| start.checked_add(part.len()));
        let (Some(start), Some(end)) = (start, end.filter(|end| *end <= self.text.len())) else {
            return false;
        };
        self.hits.iter().all(|hit| end <= hit.start || hit.end <= start)
    }
}

impl<'a> Context<'a> {
    pub(super) fn new(plan: &'a Plan, report: &'a mut Report, side: Side) -> Self {
        Self { plan, report, side, found: Vec::new(), prescan: None, nested: 0, identifier: false }
    }

    /// Prescans a head whose slices will be scanned later, if only keywords are searched for.
    pub(super) fn prescan(&mut self, head: &'a Head) {
        let text = &head.raw[..];
        let mut hits = Vec::with_capacity(COMMON_HITS);
        if self.plan.detectors.words(text, |hit| hits.push(hit)) {
            // What ends a field's name is in no slice that is scanned.
            let mut ends = head.headers.iter().map(|line| line.name.end as usize).peekable();
            let is_end = |at| {
                while ends.next_if(|end| *end < at).is_some() {}
                ends.peek() == Some(&at)
            };
            assign::places(&self.plan.names, text, is_end, |hit| hits.push(hit));
            self.prescan = Some(Prescan { text, hits });
        }
    }

    /// True if the prescan showed that no detector finds anything in the text.
    pub(super) fn is_quiet(&self, text: &[u8]) -> bool {
        self.prescan.as_ref().is_some_and(|prescan| prescan.is_quiet(text))
    }

    fn scan(&mut self, text: &[u8], signs: Signs) {
        self.patterns(text, signs);
        assign::find(&self.plan.names, text, signs, &mut self.found);
        detect::join(&mut self.found);
    }

    fn patterns(&mut self, text: &[u8], signs: Signs) {
        self.found.clear();
        self.plan.detectors.scan(text, signs, self.identifier, &mut self.found);
    }

    /// Writes `text` with all findings replaced; returns false, with nothing written, if there are none.
    pub(super) fn text(&mut self, at: &Where<'_>, text: &[u8], out: &mut Vec<u8>) -> bool {
        !self.is_quiet(text) && self.text_with(Signs::of(text), at, text, out)
    }

    /// The same for a text with these signs.
    fn text_with(&mut self, signs: Signs, at: &Where<'_>, text: &[u8], out: &mut Vec<u8>) -> bool {
        if self.plan.detectors.is_plain(text, signs) {
            return false;
        }
        self.scan(text, signs);
        if self.found.is_empty() {
            return false;
        }
        // A token next to other characters may create new matches.
        let is_alone = matches!(&self.found[..], [one] if one.range == (0..text.len()));
        let passes = if is_alone { 1 } else { MAX_PASSES };
        let start = out.len();
        if !self.write_found(at, text, out) {
            out.truncate(start);
            return false;
        }
        for _ in 1..passes {
            let written = out.get(start..).unwrap_or_default();
            self.scan(written, Signs::of(written));
            if self.found.is_empty() {
                break;
            }
            let written = out.split_off(start);
            if !self.write_found(at, &written, out) {
                out.truncate(start);
                out.extend_from_slice(&written);
                break;
            }
        }
        true
    }

    /// The same for source code, in which `token=` is no secret: only patterns count, not names.
    pub(super) fn code(&mut self, at: &Where<'_>, text: &[u8], out: &mut Vec<u8>) -> bool {
        self.patterns(text, Signs::of(text));
        detect::join(&mut self.found);
        self.write_found(at, text, out)
    }

    /// True if a detector finds something in `text`.
    pub(super) fn knows(&mut self, text: &[u8]) -> bool {
        self.patterns(text, Signs::of(text));
        !self.found.is_empty()
    }

    /// Writes `text` with the findings replaced; returns false if none was.
    fn write_found(&mut self, at: &Where<'_>, text: &[u8], out: &mut Vec<u8>) -> bool {
        let plan = self.plan;
        let mut copied = 0;
        let mut changed = false;
        let found = std::mem::take(&mut self.found);
        for Detection { range, what } in &found {
            out.extend_from_slice(text.get(copied..range.start).unwrap_or_default());
            let value = text.get(range.clone()).unwrap_or_default();
            let replaced = match what {
                What::Known(what) => {
                    self.report.found(plan, self.side, at, *what);
                    write_token(&plan.tokens, *what, value, out);
                    true
                }
                What::Named(kind) => self.named(kind, at, value, out),
                What::Custom(index) => {
                    let written = plan.detectors.write_custom(&plan.tokens, *index, value, out);
                    if written {
                        self.report.named(plan, self.side, at, plan.detectors.name(*what));
                    }
                    written
                }
            };
            if !replaced {
                out.extend_from_slice(value);
            }
            changed |= replaced;
            copied = range.end;
        }
        out.extend_from_slice(text.get(copied..).unwrap_or_default());
        self.found = found;
        changed
    }

    /// The same for a value that may be a JSON document.
    pub(super) fn value(&mut self, at: &Where<'_>, text: &[u8], out: &mut Vec<u8>) -> bool {
        if self.is_quiet(text) && !json::may_be(text) {
            return false;
        }
        let signs = Signs::of(text);
        if self.plan.detectors.is_plain(text, signs) {
            return false;
        }
        if json::may_be(text) && self.nested < MAX_NESTED {
            self.nested += 1;
            let document = json::rewrite(self, at, text);
            self.nested -= 1;
            if let Ok(document) = document {
                return document.inspect(|document| out.extend_from_slice(document)).is_some();
            }
        }
        // A value that is percent-encoded itself, such as a URL in a URL.
        if signs.meet(Signs::SEPARATOR) && self.nested < MAX_NESTED && url::is_encoded(text) {
            self.nested += 1;
            let changed = url::encoded(text, out, |text, out| self.value(at, text, out));
            self.nested -= 1;
            if changed {
                return true;
            }
        }
        self.text_with(signs, at, text, out)
    }
}
