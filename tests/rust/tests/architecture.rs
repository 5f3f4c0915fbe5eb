//! Who may know whom: the direct dependencies, and the names that each room may use.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The names under `[dependencies]` of a crate.
fn dependencies(manifest: &str) -> BTreeSet<String> {
    let text = std::fs::read_to_string(root().join(manifest)).unwrap();
    let section = text.split("[dependencies]").nth(1).unwrap();
    section
        .lines()
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split(['=', '.', ' ']).next())
        .filter(|name| !name.is_empty() && !name.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

/// The Rust sources below a directory, with their text.
fn sources(directory: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut open = vec![root().join(directory)];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    assert!(!found.is_empty(), "{directory}");
    found
}

#[test]
fn each_crate_depends_on_what_its_room_may_know() {
    let core = dependencies("core/Cargo.toml");
    for stranger in ["pyo3", "cbindgen", "kaltura-sandbox"] {
        assert!(!core.contains(stranger), "core knows {stranger}");
    }
    let sandbox = dependencies("tests/sandbox/Cargo.toml");
    assert!(
        !sandbox.iter().any(|name| name.starts_with("kaltura")),
        "the sandbox is a leaf"
    );
    for surface in ["py/Cargo.toml", "ffi-c/Cargo.toml"] {
        if !root().join(surface).exists() {
            continue;
        }
        let names = dependencies(surface);
        assert!(names.contains("kaltura-app-token"), "{surface}");
        for stranger in ["reqwest", "hyper", "serde_json", "url", "rustls"] {
            assert!(!names.contains(stranger), "{surface} knows {stranger}");
        }
    }
}

/// Each module, and those above it that it may not use.
const ORDER: [(&str, &[&str]); 12] = [
    (
        "secret",
        &[
            "error",
            "model",
            "wire",
            "transport",
            "client",
            "config",
            "blocking",
        ],
    ),
    (
        "error",
        &[
            "model",
            "wire",
            "transport",
            "client",
            "config",
            "blocking",
            "retry",
        ],
    ),
    (
        "model",
        &[
            "wire",
            "transport",
            "client",
            "config",
            "blocking",
            "retry",
            "exchange",
        ],
    ),
    (
        "privileges",
        &[
            "model",
            "wire",
            "transport",
            "client",
            "config",
            "blocking",
            "retry",
        ],
    ),
    (
        "ks",
        &[
            "wire",
            "transport",
            "client",
            "config",
            "blocking",
            "retry",
            "exchange",
        ],
    ),
    (
        "transport",
        &[
            "wire", "model", "client", "config", "blocking", "retry", "exchange",
        ],
    ),
    (
        "wire",
        &[
            "transport",
            "client",
            "config",
            "blocking",
            "retry",
            "exchange",
        ],
    ),
    (
        "exchange",
        &["wire", "transport", "client", "config", "blocking", "retry"],
    ),
    ("retry", &["client", "config", "blocking", "exchange"]),
    (
        "flight",
        &[
            "model", "wire", "client", "config", "blocking", "retry", "exchange", "provider",
        ],
    ),
    (
        "clock",
        &[
            "model", "wire", "client", "config", "blocking", "exchange", "provider",
        ],
    ),
    (
        "threads",
        &[
            "model",
            "wire",
            "transport",
            "client",
            "config",
            "blocking",
            "retry",
            "exchange",
            "provider",
        ],
    ),
];

#[test]
fn no_module_uses_one_that_stands_above_it() {
    for (module, above) in ORDER {
        let path = root().join(format!("core/src/{module}.rs"));
        let text = std::fs::read_to_string(&path).unwrap();
        for name in above {
            assert!(
                !text.contains(&format!("crate::{name}::")),
                "{module} uses {name}"
            );
        }
    }
}

#[test]
fn only_the_transport_and_the_configuration_speak_of_reqwest() {
    for (path, text) in sources("core/src") {
        let allowed = path.ends_with("transport.rs") || path.ends_with("config.rs");
        assert!(allowed || !text.contains("reqwest::"), "{}", path.display());
    }
}

#[test]
fn the_public_face_of_the_core_names_no_foreign_type_but_bytes_and_streams() {
    let lib = std::fs::read_to_string(root().join("core/src/lib.rs")).unwrap();
    let public: Vec<&str> = lib
        .lines()
        .filter(|line| line.starts_with("pub mod"))
        .collect();
    assert_eq!(
        public,
        ["pub mod blocking;"],
        "everything else is re-exported by name"
    );
}

/// Each surface has its own words for what the core finds and advises.
#[test]
fn the_core_names_no_option_of_a_command_line() {
    for (path, text) in sources("core/src") {
        let mut after = text.split("--").skip(1);
        let is_option = after.any(|rest| rest.starts_with(|next: char| next.is_ascii_lowercase()));
        assert!(!is_option, "{}", path.display());
    }
}
