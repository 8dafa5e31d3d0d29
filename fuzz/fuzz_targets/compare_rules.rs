//! Any text as a file of rules, and what it says of any two JSON documents.
#![no_main]

mod common;

use common::pair;
use libfuzzer_sys::fuzz_target;
use mirror_compare::comparison::{Comparison, Options, Spec};
use mirror_compare::gate::Gate;

fuzz_target!(|input: (&str, &[u8], &[u8], &str)| {
    let (spec, left, right, gate) = input;
    let _ = gate.parse::<Gate>();
    let Ok(spec) = serde_json::from_str::<Spec>(spec) else { return };
    let Ok((options, gate)) = spec.options(Options::default()) else { return };
    let mut comparison = Comparison::new(options);
    let kind = b"application/json";
    comparison.push(&pair(kind, left, right));
    let report = comparison.report();
    let _ = gate.map(|gate| gate.judge(&report));
});
