//! A file of rules that ignores one field, for an operator to keep.

use mirror_compare::difference::Class;
use mirror_compare::rules::{ArraySpec, Ignore, RuleSpec, Rules};

/// The rule; `None` if no rule can name the field.
pub(super) fn ignoring(endpoint: &str, path: &str, class: Class) -> Option<RuleSpec> {
    let rule = RuleSpec { endpoint: Some(endpoint.to_owned()), ..RuleSpec::default() };
    let rule = match class {
        Class::Order => RuleSpec {
            path: path.strip_suffix("[]").unwrap_or(path).to_owned(),
            array: Some(ArraySpec::Set),
            ..rule
        },
        _ => {
            let ignore = match class {
                Class::Value | Class::Type | Class::Null => Ignore::Value,
                Class::Missing | Class::Extra => Ignore::Presence,
                _ => Ignore::All,
            };
            RuleSpec { path: path.to_owned(), ignore: Some(ignore), ..rule }
        }
    };
    Rules::new(std::slice::from_ref(&rule)).ok()?;
    Some(rule)
}

/// A file with the rule, as YAML. A rule is printed as JSON, which is YAML, too.
pub(super) fn file(rule: &RuleSpec) -> String {
    format!("version: 1\nrules:\n- {rule}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_becomes_a_rule_where_a_rule_can_name_it() {
        let yaml = |endpoint, path, class| file(&ignoring(endpoint, path, class).unwrap());
        assert_eq!(
            yaml("GET /a/{id}", "body.items[].price", Class::Value),
            "version: 1\nrules:\n- {\"endpoint\":\"GET /a/{id}\",\"path\":\"body.items[].price\",\"ignore\":\"value\"}\n"
        );
        let order = yaml("e", "body.items[]", Class::Order);
        assert!(order.contains(r#""path":"body.items","array":"set""#), "{order}");
        assert!(yaml("e", "header.etag", Class::Missing).contains("presence"));
        assert_eq!(ignoring("e", "cookie.a", Class::Value), None);
    }
}
