//! Links between the documents: each names a file that exists, and a heading that it has.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};

use crate::root;

/// Folders whose files documents name in code spans, by the path from the top of the checkout.
const FOLDERS: [&str; 8] = [
    "docs/",
    "deploy/",
    "fuzz/",
    "mirror-common/",
    "mirror-ebpf/",
    "mirror-user/",
    "tests/",
    "xtask/",
];

/// Names files that were there once.
const HISTORY: &str = "CHANGELOG.md";

/// Fails with every link that leads nowhere.
pub(super) fn check() -> anyhow::Result<()> {
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard", "*.md"])
        .current_dir(root())
        .output()
        .context("git")?;
    ensure!(listed.status.success(), "git: cannot list the documents");
    let mut problems = Vec::new();
    for name in String::from_utf8(listed.stdout)?.lines() {
        // Listed until its removal is committed.
        let Ok(text) = fs::read_to_string(root().join(name)) else { continue };
        for (line, link) in links(&text) {
            if let Err(why) = follow(name, &link) {
                problems.push(format!("{name}:{line}: {why}"));
            }
        }
    }
    ensure!(problems.is_empty(), "links that lead nowhere:\n{}", problems.join("\n"));
    Ok(())
}

#[derive(Debug, PartialEq, Eq)]
enum Link {
    /// `[text](this)`, without what begins with a scheme.
    Written(String),
    /// A code span that reads like the path of a file.
    Named(String),
}

/// The links of a document, each with the number of its line.
fn links(text: &str) -> Vec<(usize, Link)> {
    let mut links = Vec::new();
    for (number, line) in prose(text) {
        // Every second piece is a code span.
        for (place, piece) in line.split('`').enumerate() {
            if place % 2 == 1 {
                let is_path = FOLDERS.iter().any(|folder| piece.starts_with(folder))
                    && piece.chars().all(|c| c.is_alphanumeric() || "/._-".contains(c));
                links.extend(is_path.then(|| (number, Link::Named(piece.to_owned()))));
            }
        }
        let targets = line.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
        let targets = targets.filter_map(|(target, _)| target.split_whitespace().next());
        links.extend(
            targets
                .filter(|target| !target.contains("://") && !target.starts_with("mailto:"))
                .map(|target| (number, Link::Written(target.to_owned()))),
        );
    }
    links
}

/// The lines outside fenced blocks, numbered from 1.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    (1..).zip(text.lines()).filter(move |(_, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    })
}

/// Why a link of this document leads nowhere.
fn follow(document: &str, link: &Link) -> Result<(), String> {
    let (path, anchor) = match link {
        Link::Named(_) if document == HISTORY => return Ok(()),
        Link::Named(path) => (root().join(path), None),
        Link::Written(target) => {
            let (path, anchor) = target
                .split_once('#')
                .map_or((target.as_str(), None), |(path, anchor)| (path, Some(anchor)));
            let document = root().join(document);
            let folder = document.parent().unwrap_or(Path::new(""));
            (if path.is_empty() { document.clone() } else { folder.join(path) }, anchor)
        }
    };
    let (Link::Written(name) | Link::Named(name)) = link;
    if !path.exists() {
        return Err(format!("{name}: no such file"));
    }
    let Some(anchor) = anchor else { return Ok(()) };
    let text = fs::read_to_string(&path).map_err(|error| format!("{name}: {error}"))?;
    let found = anchors(&text).iter().any(|known| known == anchor);
    if found { Ok(()) } else { Err(format!("{name}: no such heading")) }
}

/// What GitHub makes of the headings: lower case, hyphens for blanks, no punctuation; a repeated one
/// has its number behind it.
fn anchors(text: &str) -> Vec<String> {
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    let headings = prose(text).filter_map(|(_, line)| {
        let heading = line.trim_start_matches('#');
        (heading.len() < line.len()).then(|| heading.strip_prefix(' ')).flatten()
    });
    let mut anchors = Vec::new();
    for heading in headings {
        let kept = heading.trim().to_lowercase().replace(' ', "-");
        let anchor: String =
            kept.chars().filter(|c| c.is_alphanumeric() || "-_".contains(*c)).collect();
        let before = times.entry(anchor.clone()).or_default();
        anchors.push(if *before == 0 { anchor } else { format!("{anchor}-{before}") });
        *before += 1;
    }
    anchors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_read_outside_fences_and_without_the_web() {
        let text = "See [a](a.md#b \"title\") and `tests/x.rs`, not `tests/*.rs`.\n\
                    ```\n[no](no.md)\n```\n[web](https://example.com/) [here](#c)\n";
        let expected = [
            (1, Link::Named("tests/x.rs".to_owned())),
            (1, Link::Written("a.md#b".to_owned())),
            (5, Link::Written("#c".to_owned())),
        ];
        assert_eq!(links(text), expected);
    }

    #[test]
    fn headings_have_the_anchors_that_github_gives_them() {
        let text =
            "# What's `new`, in 1.0?\n## Same\n```\n# a comment\n```\n## Same\n#no heading\n";
        assert_eq!(anchors(text), ["whats-new-in-10", "same", "same-1"]);
    }

    #[test]
    fn a_link_that_leads_nowhere_is_named_with_its_reason() {
        let written = |target: &str| Link::Written(target.to_owned());
        assert_eq!(follow("README.md", &written("docs/limits.md")), Ok(()));
        let missing = follow("README.md", &written("docs/nowhere.md"));
        assert_eq!(missing, Err("docs/nowhere.md: no such file".to_owned()));
        let heading = follow("README.md", &written("docs/limits.md#nothing"));
        assert_eq!(heading, Err("docs/limits.md#nothing: no such heading".to_owned()));
        let named = Link::Named("tests/nowhere.rs".to_owned());
        assert_eq!(follow("README.md", &named), Err("tests/nowhere.rs: no such file".to_owned()));
        assert_eq!(follow(HISTORY, &named), Ok(()));
    }
}
