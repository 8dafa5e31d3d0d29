//! Any text as a configuration file: read or refused, and what is read is printed as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mirror_user::config::file::File;

fuzz_target!(|text: &str| {
    let Ok(file) = File::parse(text) else { return };
    let printed = file.to_yaml();
    match File::parse(&printed) {
        Ok(again) => assert_eq!(again.to_yaml(), printed),
        Err(problems) => panic!("{printed}\n{}", problems.render("printed")),
    }
});
