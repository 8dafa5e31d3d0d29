//! Differences in words.

use std::collections::BTreeMap;

use super::Basis;
use crate::difference::{Class, Hint};
use crate::verdict::Verdict;

/// What a field's differences have in common.
#[must_use]
pub fn cause(class: Class, hints: &BTreeMap<Hint, u64>, raw: u64) -> String {
    let plain = match class {
        Class::Value => "another value",
        Class::Type => "another type",
        Class::Null => "null on one side",
        Class::Missing => "missing at the candidate",
        Class::Extra => "only at the candidate",
        Class::Order => "another order",
        Class::Format => "another format",
        Class::Unreadable => "unreadable on one side",
        Class::Failure => "no response of the candidate",
        Class::Unfinished => "not compared to the end: too large",
    };
    // A cause is named if most differences have it.
    let most = hints.iter().max_by_key(|(_, count)| **count).filter(|(_, count)| **count * 2 > raw);
    match most {
        Some((hint, _)) => format!("{plain}: {}", words(*hint)),
        None => plain.to_owned(),
    }
}

fn words(hint: Hint) -> &'static str {
    match hint {
        Hint::Rounding => "rounded",
        Hint::Sign => "the sign changed",
        Hint::Scale => "times a power of ten",
        Hint::TimeZone => "shifted by a time zone",
        Hint::Notation => "the same in another notation",
        Hint::Case => "upper and lower case",
        Hint::Space => "white space",
        Hint::Encoding => "wrong character encoding",
        Hint::Truncated => "cut off",
        Hint::Empty => "empty on one side",
        Hint::Quoted => "a number or truth value as a string",
    }
}

/// A verdict, as a table says it.
pub(crate) fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Regression => "REGRESSION",
        Verdict::Insufficient => "not enough data",
        Verdict::Rare => "rare",
        Verdict::Control => "noise (control)",
        Verdict::DoubleSend => "noise (candidate repeated)",
        Verdict::OwnNoise => "noise (production repeated)",
        Verdict::Forgiven => "forgiven",
    }
}

/// What figures from stored pairs rest on: what is exact, and what is not.
#[must_use]
pub fn basis(basis: &Basis) -> String {
    let Basis { runs, compared, judged, missing } = *basis;
    let runs = if runs == 1 { "1 run".to_owned() } else { format!("{runs} runs") };
    if basis.is_whole() {
        return format!(
            "Judged anew: all {compared} pairs of {runs} are stored, so that all figures are exact."
        );
    }
    let mut text = format!(
        "Judged anew: {judged} of {compared} pairs of {runs} are stored; each stands for those of its endpoint in which the same \
         fields differed. Totals, and counts of fields that a rule forgives or not as a whole, are exact; what depends on \
         values, and times, rest on the stored pairs."
    );
    if missing > 0 {
        text.push_str(&format!(
            " No stored pair stands for {missing} others, which are not counted."
        ));
    }
    text
}
