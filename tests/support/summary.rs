//! What a JSON summary says.

use serde_json::Value;

/// The account of this name: seen, delivered, and what was dropped.
pub(crate) fn account(summary: &Value, name: &str) -> (u64, u64, Vec<(String, u64)>) {
    let accounts = summary["accounts"].as_array().expect("accounts");
    let account = accounts.iter().find(|account| account["name"] == name);
    let account = account.unwrap_or_else(|| panic!("no account {name} in {summary:#}"));
    let dropped = account["dropped"].as_array().expect("reasons").iter();
    let dropped = dropped.map(|pair| {
        (pair[0].as_str().expect("a name").to_owned(), pair[1].as_u64().expect("a count"))
    });
    (
        account["seen"].as_u64().expect("a count"),
        account["delivered"].as_u64().expect("a count"),
        dropped.collect(),
    )
}

/// The same; fails unless its sum holds.
#[track_caller]
pub(crate) fn balanced(summary: &Value, name: &str) -> (u64, u64, Vec<(String, u64)>) {
    let (seen, delivered, dropped) = account(summary, name);
    let sum = delivered + dropped.iter().map(|(_, n)| n).sum::<u64>();
    assert_eq!(seen, sum, "{name} in {summary:#}");
    (seen, delivered, dropped)
}

/// How many were dropped for this reason.
pub(crate) fn dropped(summary: &Value, name: &str, reason: &str) -> u64 {
    account(summary, name).2.iter().find(|(known, _)| known == reason).map_or(0, |(_, n)| *n)
}

/// Fails unless every account balances and what the kernel delivers the next room sees.
#[track_caller]
pub(crate) fn assert_balance(summary: &Value) {
    for name in
        summary["accounts"].as_array().expect("accounts").iter().map(|account| &account["name"])
    {
        balanced(summary, name.as_str().expect("a name"));
    }
    assert_eq!(account(summary, "kernel").1, account(summary, "segments").0, "{summary:#}");
}
