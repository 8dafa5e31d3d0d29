//! The file of `mirror stub --config`.

use std::path::Path;

use anyhow::bail;

use super::command;
use super::file::LIMITS;
use crate::settings::print::print;
use crate::settings::{StubFileSettings, read};
use crate::yaml::write::write_map;
use crate::yaml::{Problems, Reader};

/// Reads it; `-` is standard input.
///
/// # Errors
/// If it cannot be read, or all of its problems.
pub(super) fn load(path: &Path) -> anyhow::Result<StubFileSettings> {
    let name = path.display().to_string();
    match parse(&command::text(path)?) {
        Ok(settings) => Ok(settings),
        Err(problems) => bail!("{}", problems.render(&name)),
    }
}

fn parse(text: &str) -> Result<StubFileSettings, Problems> {
    let mut reader = Reader::default();
    let root = reader.document(text, LIMITS);
    let settings = root.as_ref().and_then(|root| read::map(&mut reader, root));
    let settings = settings.map(|(settings, _)| settings);
    reader.problems.sort();
    match reader.problems.is_empty() {
        true => Ok(settings.unwrap_or_default()),
        false => Err(reader.problems),
    }
}

/// Prints it as YAML that reads back the same.
pub(super) fn text(settings: &StubFileSettings) -> String {
    let mut out = String::new();
    write_map(&mut out, &print(settings).0, 0);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_reads_back_the_same() {
        let written = "from: [/tmp/day.pcap]\nlisten: \"0.0.0.0:9100\"\naliases: [\"test.prod.com=live.prod.com\"]\n\
                       filter:\n  client-nets: [\"10.0.0.5/32\"]\n";
        let settings = parse(written).map_err(|problems| problems.render("x")).unwrap();
        assert_eq!(settings.from, ["/tmp/day.pcap"]);
        assert_eq!(settings.filter.client_nets.len(), 1);
        assert_eq!(text(&settings), written);
        let problems = parse("form: x").map(drop).map_err(|problems| problems.render("stub.yaml"));
        let problems = problems.unwrap_err();
        assert!(problems.contains("stub.yaml:1:1") && problems.contains("`from`"), "{problems}");
    }
}
