//! HAR files of any length.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

/// Writes a HAR of these entries, one after the other.
pub fn write(path: &Path, entries: impl Iterator<Item = String>) {
    let mut file = BufWriter::new(File::create(path).expect("the folder can be written"));
    let head = r#"{"log":{"version":"1.2","creator":{"name":"x","version":"1"},"entries":["#;
    file.write_all(head.as_bytes()).expect("there is room");
    for (n, entry) in entries.enumerate() {
        let between = if n == 0 { "" } else { "," };
        write!(file, "{between}{entry}").expect("there is room");
    }
    file.write_all(b"]}}").expect("there is room");
    file.into_inner().expect("there is room");
}
