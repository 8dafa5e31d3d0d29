//! Any text as another system's configuration: it is converted or refused, never a panic, and what
//! comes out can be read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mirror_user::config::convert::{Options, Origin, Outcome, convert};
use mirror_user::config::file::File;
use mirror_user::settings::SourceSettings;

fuzz_target!(|text: &str| {
    let views = [None, Some("edge".to_owned())];
    for (origin, gateway) in [Origin::Istio, Origin::GatewayApi]
        .into_iter()
        .flat_map(|origin| views.iter().map(move |view| (origin, view.clone())))
    {
        let source = SourceSettings { from: vec!["any".to_owned()], ..SourceSettings::default() };
        let conversion = convert(origin, text, &Options { source, gateway, subsets: Vec::new() });
        let refused = conversion.findings.iter().any(|finding| finding.outcome == Outcome::Refused);
        assert_eq!(refused, conversion.native.is_none(), "converted or refused");
        assert!(conversion.native.is_none_or(|native| File::parse(&native).is_ok()), "valid");
    }
});
