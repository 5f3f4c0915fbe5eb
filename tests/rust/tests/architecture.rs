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
const ORDER: [(&str, &[&str]); 11] = [
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
        &["wire", "transport", "client", "config", "blocking", "retry"],
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
        &["wire", "transport", "client", "config", "blocking", "retry"],
    ),
    (
        "transport",
        &["wire", "model", "client", "config", "blocking", "retry"],
    ),
    (
        "wire",
        &["transport", "client", "config", "blocking", "retry"],
    ),
    ("retry", &["client", "config", "blocking"]),
    (
        "flight",
        &[
            "model", "wire", "client", "config", "blocking", "retry", "provider",
        ],
    ),
    (
        "clock",
        &["model", "wire", "client", "config", "blocking", "provider"],
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
            "provider",
        ],
    ),
];

/// The text of a module, or of every file of one that is a folder.
fn module_texts(module: &str) -> Vec<String> {
    let file = root().join(format!("core/src/{module}.rs"));
    if file.exists() {
        return vec![std::fs::read_to_string(file).unwrap()];
    }
    let files = sources(&format!("core/src/{module}"));
    files.into_iter().map(|(_, text)| text).collect()
}

#[test]
fn no_module_uses_one_that_stands_above_it() {
    for (module, above) in ORDER {
        for text in module_texts(module) {
            for name in above {
                assert!(
                    !text.contains(&format!("crate::{name}::")),
                    "{module} uses {name}"
                );
            }
        }
    }
}

#[test]
fn only_the_transport_and_the_configuration_speak_of_reqwest() {
    for (path, text) in sources("core/src") {
        let allowed = path
            .components()
            .any(|part| part.as_os_str() == "transport")
            || path.ends_with("config.rs");
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

/// Whether a text names an option of a command: two dashes and a letter that begin a word.
fn names_an_option(line: &str) -> bool {
    let mut rest = line;
    while let Some(at) = rest.find("--") {
        let begins = !rest[..at].ends_with(|c: char| c.is_alphanumeric() || c == '-');
        rest = &rest[at + 2..];
        if begins && rest.starts_with(|c: char| c.is_ascii_lowercase()) {
            return true;
        }
    }
    false
}

/// A command's options are the command's: what helps is said in words of no surface.
#[test]
fn the_core_names_no_option_of_a_command() {
    assert!(names_an_option(r#"give it with "--hash-type""#));
    assert!(names_an_option("(--ca-file)"));
    assert!(!names_an_option("a -- b, -----BEGIN, a--b"));
    // What is advised here becomes a list of steps that the command words.
    let advises = ["workflow/audit.rs", "workflow/rotate/rotator.rs"];
    for (path, text) in sources("core/src") {
        if advises.iter().any(|file| path.ends_with(file)) {
            continue;
        }
        for line in text.lines() {
            assert!(!names_an_option(line), "{}: {line}", path.display());
        }
    }
}
