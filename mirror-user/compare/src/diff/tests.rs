//! Pairs of JSON documents, with and without rules.

use super::*;
use crate::lift::json_tree;
use crate::rules::{RuleSpec, Rules};

/// The differences of two documents under rules, as `path class[ forgiven]`.
fn found(left: &str, right: &str, rules: &str, defaults: Defaults) -> Vec<String> {
    let limits = Limits::default();
    let specs: Vec<RuleSpec> = serde_json::from_str(rules).expect("rules");
    let rules = Rules::new(&specs).expect("rules");
    let mut ids = Correlations::default();
    let how = How { limits: &limits, defaults: &defaults, shapes: true, moments: [None, None] };
    let mut differ = Differ::new(how, rules.of("e"), &mut ids);
    let tree = |text| json_tree(text, &limits).expect(text);
    differ.bodies(&tree(left), &tree(right));
    let line = |one: &Difference| {
        let class: &'static str = one.class.into();
        let by = one.forgiven.map(|by| format!(" {}", by.name())).unwrap_or_default();
        format!("{} {class}{by}", one.path)
    };
    differ.found.differences.iter().map(line).collect()
}

fn plain(left: &str, right: &str) -> Vec<String> {
    found(left, right, "[]", Defaults::default())
}

#[test]
fn the_vectors_that_diffy_gets_right_and_those_it_does_not() {
    for (left, right, expected) in [
        (r#"{"a":1}"#, r#"{"a":1}"#, &[][..]),
        (r#"{"a":1}"#, r#"{"a":2}"#, &["body.a value"]),
        (r#"{"a":1}"#, r#"{"a":1.0}"#, &[]),
        (r#"{"a":"x"}"#, r#"{"a":1}"#, &["body.a type"]),
        // F2: a number is no string.
        (r#"{"a":"1"}"#, r#"{"a":1}"#, &["body.a type"]),
        (r#"{"a":true}"#, r#"{"a":"true"}"#, &["body.a type"]),
        (r#"{"a":null}"#, r#"{"a":1}"#, &["body.a null"]),
        (r#"{"a":1}"#, "{}", &["body.a missing"]),
        ("{}", r#"{"a":1}"#, &["body.a extra"]),
        // F6: another order is told, and the same order is not.
        (r#"{"a":[1,2,3]}"#, r#"{"a":[3,2,1]}"#, &["body.a order"]),
        (r#"{"a":[1,2]}"#, r#"{"a":[1,2]}"#, &[]),
        (r#"{"a":[]}"#, r#"{"a":[]}"#, &[]),
        (
            r#"{"a":["a","a","b","b"]}"#,
            r#"{"a":["a","b","b","c","c"]}"#,
            &["body.a[] missing", "body.a[] extra"],
        ),
        (r#"{"a":[{"n":"A"},{"n":"B"}]}"#, r#"{"a":[{"n":"A"},{"n":"C"}]}"#, &["body.a[].n value"]),
        // F5: the neighbour of what changed did not change.
        (
            r#"{"a":[{"n":"A","v":1},{"n":"B","v":2}]}"#,
            r#"{"a":[{"n":"Z","v":1},{"n":"B","v":2}]}"#,
            &["body.a[].n value"],
        ),
        // F7: keys and places are in the path.
        (
            r#"{"u":{"1":{"n":"A"},"2":{"n":"B"}}}"#,
            r#"{"u":{"1":{"n":"A"},"2":{"n":"C"}}}"#,
            &["body.u{}.n value"],
        ),
        (
            r#"{"u":{"1":1,"2":2}}"#,
            r#"{"u":{"1":1,"3":3}}"#,
            &["body.u{} missing", "body.u{} extra"],
        ),
        // F3: all of a string counts.
        (r#"{"m":"12 apples"}"#, r#"{"m":"12 oranges"}"#, &["body.m value"]),
        (r#"{"a":{"b":[]}}"#, r#"{"a":{"b":{}}}"#, &["body.a.b type"]),
        // F4: all digits of an integer count.
        (r#"{"a":9223372036854775808}"#, r#"{"a":-9223372036854775808}"#, &["body.a value"]),
        (r#"{"a":18446744073709551616}"#, r#"{"a":0}"#, &["body.a value"]),
        (r#"{"a":12345678901234567890123}"#, r#"{"a":12345678901234567890124}"#, &["body.a value"]),
        // Members of one name.
        (r#"{"a":1,"a":2}"#, r#"{"a":1,"a":3}"#, &["body.a value"]),
        (r#"{"a":1,"a":2}"#, r#"{"a":1}"#, &["body.a missing"]),
        (r#"{"a":1,"b":2}"#, r#"{"b":2,"a":1}"#, &[]),
        (r#"{"__proto__":{"x":1}}"#, r#"{"__proto__":{"x":2}}"#, &["body.__proto__.x value"]),
        ("1", "2", &["body value"]),
    ] {
        assert_eq!(plain(left, right), expected, "{left} {right}");
    }
}

#[test]
fn elements_with_a_key_are_found_by_it() {
    let left = r#"[{"id":1,"v":"a"},{"id":2,"v":"b"},{"id":3,"v":"c"}]"#;
    assert_eq!(
        plain(left, r#"[{"id":1,"v":"a"},{"id":3,"v":"x"}]"#),
        ["body[].v value", "body[] missing"]
    );
    assert_eq!(
        plain(left, r#"[{"id":3,"v":"c"},{"id":1,"v":"a"},{"id":2,"v":"x"}]"#),
        ["body[].v value", "body order"]
    );
    // Where the candidate gave all of them new keys, they belong together by their places.
    let fresh = r#"[{"id":11,"v":"a"},{"id":12,"v":"b"},{"id":13,"v":"c"}]"#;
    assert_eq!(plain(left, fresh), ["body[].id value"; 3]);
}

#[test]
fn rules_forgive_what_they_name_and_nothing_else() {
    let with = |left, right, rules| found(left, right, rules, Defaults::default());
    let pair = (r#"{"a":{"t":1,"u":1},"t":2}"#, r#"{"a":{"t":3,"u":2},"t":4}"#);
    assert_eq!(
        with(pair.0, pair.1, r#"[{"path":"body..t","ignore":"value"}]"#),
        ["body.a.t value rule", "body.a.u value", "body.t value rule"]
    );
    assert_eq!(
        with(pair.0, pair.1, r#"[{"path":"body.a","ignore":"all"}]"#),
        ["body.a value rule", "body.t value"]
    );
    assert_eq!(
        with(r#"{"a":1}"#, "{}", r#"[{"path":"body.a","ignore":"value"}]"#),
        ["body.a missing"],
        "it must be there"
    );
    assert_eq!(
        with(r#"{"a":1}"#, "{}", r#"[{"path":"body.a","ignore":"presence"}]"#),
        ["body.a missing rule"]
    );
    assert_eq!(
        with(r#"{"a":1}"#, r#"{"a":2}"#, r#"[{"path":"body.a","ignore":"presence"}]"#),
        ["body.a value"]
    );
    // The first rule that matches decides.
    assert_eq!(
        with(
            r#"{"a":1.001}"#,
            r#"{"a":1.5}"#,
            r#"[{"path":"body.a","tolerance":{"abs":0.1}},{"path":"body.a","ignore":"all"}]"#
        ),
        ["body.a value"]
    );
    assert_eq!(
        with(r#"{"a":1.001}"#, r#"{"a":1.002}"#, r#"[{"path":"body.a","tolerance":{"rel":0.01}}]"#),
        ["body.a value rule"]
    );
    let times = (r#"{"a":"2026-11-28T10:00:00Z"}"#, r#"{"a":"2026-11-28T10:00:01.5Z"}"#);
    assert_eq!(
        with(times.0, times.1, r#"[{"path":"body.a","time_tolerance":"2s"}]"#),
        ["body.a value rule"]
    );
    assert_eq!(
        with(times.0, times.1, r#"[{"path":"body.a","time_tolerance":"1s"}]"#),
        ["body.a value"]
    );
    let tokens = r#"[{"path":"body.a","both_match":"^[A-Z0-9]{4}$"}]"#;
    assert_eq!(with(r#"{"a":"AB12"}"#, r#"{"a":"ZZ99"}"#, tokens), ["body.a value rule"]);
    assert_eq!(with(r#"{"a":"AB12"}"#, r#"{"a":"zz99"}"#, tokens), ["body.a value"]);
    assert_eq!(
        with(
            r#"{"p":{"a":1,"l":[1,2],"s":"x"}}"#,
            r#"{"p":{"a":2,"l":[3],"s":4}}"#,
            r#"[{"path":"body.p","type_only":true}]"#
        ),
        ["body.p.a value rule", "body.p.l[] value rule", "body.p.s type"]
    );
    assert_eq!(
        with(
            r#"{"h":{"id":1,"total":2,"took":3}}"#,
            r#"{"h":{"id":1,"total":3,"took":4,"new":1}}"#,
            r#"[{"path":"body.h","allow_new":true,"only":["id","total"]}]"#
        ),
        ["body.h.new extra rule", "body.h.took value rule", "body.h.total value"]
    );
    assert_eq!(
        with(
            r#"[{"o":5001},{"o":5001},{"o":5002}]"#,
            r#"[{"o":91},{"o":91},{"o":91}]"#,
            r#"[{"path":"body[].o","correlate":"order"}]"#
        ),
        ["body[].o value rule", "body[].o value rule", "body[].o value"]
    );
    assert_eq!(
        with(
            r#"{"m":"{\"a\":1,\"b\":2}"}"#,
            r#"{"m":"{\"b\":2, \"a\":3}"}"#,
            r#"[{"path":"body.m","embedded":"json"}]"#
        ),
        ["body.m.a value"]
    );
}

#[test]
fn lists_are_aligned_as_a_rule_says() {
    let with = |left, right, rules| found(left, right, rules, Defaults::default());
    assert_eq!(with("[1,2,3]", "[3,1,2]", r#"[{"path":"body","array":"set"}]"#), [""; 0]);
    assert_eq!(with("[1,2,3]", "[3,1,4]", r#"[{"path":"body","array":"set"}]"#), ["body[] value"]);
    let (left, right) =
        (r#"{"l":[{"k":1,"v":1},{"k":2,"v":2}]}"#, r#"{"l":[{"k":2,"v":2},{"k":1,"v":9}]}"#);
    assert_eq!(
        with(left, right, r#"[{"path":"body.l","array":{"key":["k"]}}]"#),
        ["body.l[].v value"]
    );
}

#[test]
fn defaults_hold_everywhere() {
    let exact = Defaults { numbers: Numbers::Exact, ..Defaults::default() };
    assert_eq!(found(r#"{"a":1}"#, r#"{"a":1.0}"#, "[]", exact), ["body.a type"]);
    let new = Defaults { allow_new_fields: true, ..Defaults::default() };
    assert_eq!(found("{}", r#"{"a":1}"#, "[]", new), ["body.a extra default"]);
    let null = Defaults { null_equals_missing: true, ..Defaults::default() };
    assert_eq!(
        found(r#"{"a":null,"b":1}"#, r#"{"c":null}"#, "[]", null),
        ["body.a missing default", "body.b missing", "body.c extra default"]
    );
}

#[test]
fn a_pointer_leads_to_the_value() {
    let limits = Limits::default();
    let (rules, mut ids, defaults) =
        (Rules::default(), Correlations::default(), Defaults::default());
    let how = How { limits: &limits, defaults: &defaults, shapes: true, moments: [None, None] };
    let mut differ = Differ::new(how, rules.of("e"), &mut ids);
    let left = json_tree(r#"{"a/b":[{"~":1},{"~":2}]}"#, &limits).unwrap();
    let right = json_tree(r#"{"a/b":[{"~":1},{"~":3}]}"#, &limits).unwrap();
    differ.bodies(&left, &right);
    let one = &differ.found.differences[0];
    assert_eq!((&*one.pointer, &*one.path), ("/a~1b/1/~0", "body['a/b'][]['~']"));
    assert_eq!((one.left.as_deref(), one.right.as_deref()), (Some("2"), Some("3")));
}

#[test]
fn what_takes_too_much_work_is_told() {
    let limits = Limits { work: 50, ..Limits::default() };
    let (rules, mut ids, defaults) =
        (Rules::default(), Correlations::default(), Defaults::default());
    let how = How { limits: &limits, defaults: &defaults, shapes: true, moments: [None, None] };
    let mut differ = Differ::new(how, rules.of("e"), &mut ids);
    let list = |from: u32| {
        let numbers: Vec<String> = (from..from + 100).map(|n| n.to_string()).collect();
        json_tree(&format!("[{}]", numbers.join(",")), &limits).unwrap()
    };
    differ.bodies(&list(0), &list(1_000));
    assert_eq!(differ.found.differences.last().map(|last| last.class), Some(Class::Unfinished));
}
