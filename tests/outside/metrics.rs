//! What `/metrics` says, read as Prometheus reads it.

use std::path::Path;

use mirror_user::metrics;

/// The page that lists all metrics.
const PAGE: &str = "docs/metrics.md";

#[test]
fn the_page_of_metrics_is_made_from_their_definitions() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(PAGE);
    let text = std::fs::read_to_string(&page).unwrap();
    let (head, table) = text.split_once("## All metrics\n\n").expect("a table of all metrics");
    if std::env::var_os("UPDATE_HELP").is_some() {
        std::fs::write(&page, format!("{head}## All metrics\n\n{}", metrics::reference())).unwrap();
        return;
    }
    assert!(
        table == metrics::reference(),
        "{PAGE} lists other metrics than are defined; run the test with UPDATE_HELP=1 and look at the difference"
    );
}
