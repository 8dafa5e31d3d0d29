//! Any request to the dashboard's API, and Diffy's, of a comparison with some pairs.
#![no_main]

mod common;

use std::cell::RefCell;
use std::sync::Arc;

use common::pair;
use libfuzzer_sys::fuzz_target;
use mirror_compare::comparison::{Options, Pair};
use mirror_user::admin::Access;
use mirror_user::dashboard::{Watched, answer};
use mirror_user::sink::compare::Shared;

const METHODS: [&str; 4] = ["GET", "HEAD", "POST", "DELETE"];

thread_local! {
    static PAGE: RefCell<(Arc<Watched>, tokio::runtime::Runtime)> = RefCell::new((page(), runtime()));
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime")
}

fn page() -> Arc<Watched> {
    let options = Options { details: true, diffy: Some(Default::default()), ..Options::default() };
    let comparison = Shared::default().begin(options, None);
    for n in 0..10 {
        let (left, right) = (format!("{{\"a\":{n}}}"), format!("{{\"a\":{}}}", n + 1));
        let kind = b"application/json";
        comparison.lock().push(&Pair {
            id: n.to_string().into(),
            ..pair(kind, left.as_bytes(), right.as_bytes())
        });
    }
    Watched::new(comparison)
}

fuzz_target!(|input: (u8, &str, &str)| {
    let (method, path, query) = input;
    let method = METHODS[usize::from(method) % METHODS.len()];
    PAGE.with_borrow(|(watched, runtime)| {
        for start in ["", "/api/v1/", "/api/1/", "/api/1/endpoints/Undefined_endpoint/"] {
            let path = format!("{start}{path}");
            let asked = answer(Arc::clone(watched), Access::Local, method, &path, query);
            let (status, text) = runtime.block_on(asked);
            assert!(matches!(status, 200 | 204 | 404 | 405), "{status}");
            assert!(std::str::from_utf8(&text).is_ok());
        }
    });
});
