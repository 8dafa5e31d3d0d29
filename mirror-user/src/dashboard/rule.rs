//! A file of rules that ignores one field, for an operator to keep.

use mirror_compare::difference::Class;
use mirror_compare::rules::{ArraySpec, Ignore, RuleSpec, Rules};

/// The file as YAML; `None` if no rule can name the field.
pub(super) fn ignoring(endpoint: &str, path: &str, class: Class) -> Option<String> {
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
    // A rule is printed as JSON, which is YAML, too.
    Some(format!("version: 1\nrules:\n- {rule}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_becomes_a_rule_where_a_rule_can_name_it() {
        let yaml = ignoring("GET /a/{id}", "body.items[].price", Class::Value).unwrap();
        assert_eq!(
            yaml,
            "version: 1\nrules:\n- {\"endpoint\":\"GET /a/{id}\",\"path\":\"body.items[].price\",\"ignore\":\"value\"}\n"
        );
        let order = ignoring("e", "body.items[]", Class::Order).unwrap();
        assert!(order.contains(r#""path":"body.items","array":"set""#), "{order}");
        assert!(ignoring("e", "header.etag", Class::Missing).unwrap().contains("presence"));
        assert_eq!(ignoring("e", "cookie.a", Class::Value), None);
    }
}
