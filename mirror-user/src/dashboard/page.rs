//! The page: files that are compiled in.

/// One file of the page.
#[derive(Debug)]
pub(super) struct File {
    /// Where it is served.
    pub(super) path: &'static str,
    pub(super) content_type: &'static str,
    pub(super) text: &'static str,
}

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const IMAGE: &str = "image/svg+xml";

macro_rules! files {
    ($($path:literal: $content_type:expr, $file:literal;)*) => {
        &[$(File { path: $path, content_type: $content_type, text: include_str!(concat!("page/", $file)) }),*]
    };
}

/// All files.
const FILES: &[File] = files! {
    "/": HTML, "index.html";
    "/style.css": STYLE, "style.css";
    "/icon.svg": IMAGE, "icon.svg";
    "/app.js": SCRIPT, "app.js";
    "/api.js": SCRIPT, "api.js";
    "/dom.js": SCRIPT, "dom.js";
    "/format.js": SCRIPT, "format.js";
    "/overview.js": SCRIPT, "overview.js";
    "/endpoint.js": SCRIPT, "endpoint.js";
    "/latency.js": SCRIPT, "latency.js";
    "/trend.js": SCRIPT, "trend.js";
    "/field.js": SCRIPT, "field.js";
    "/request.js": SCRIPT, "request.js";
    "/message.js": SCRIPT, "message.js";
    "/rules.js": SCRIPT, "rules.js";
    "/health.js": SCRIPT, "health.js";
};

/// The file at a path.
pub(super) fn file(path: &str) -> Option<&'static File> {
    FILES.iter().find(|file| file.path == path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_makes_no_markup_of_text_and_asks_nobody_else() {
        for file in FILES {
            for never in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
                "new Function",
                "style=",
                "<script>",
                "https://",
            ] {
                assert!(!file.text.contains(never), "{}: {never}", file.path);
            }
            // What a module imports is there.
            for import in file.text.lines().filter_map(|line| line.split(" from \"./").nth(1)) {
                let name = import.trim_end_matches("\";");
                assert!(super::file(&format!("/{name}")).is_some(), "{}: {name}", file.path);
            }
        }
    }
}
