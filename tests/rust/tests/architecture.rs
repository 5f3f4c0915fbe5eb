//! Who may know whom: the crates' dependencies, the direction between the core's rooms, and the names that
//! only one room may use.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod source_tree;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use source_tree::{Sources, Tree};

/// Every file of the core, from the top down: a file uses only what stands in its own row or below. A
/// folder stands for the files in it that no other row names.
const ROWS: [(&str, &[&str]); 16] = [
    ("the crate", &["lib"]),
    ("doors", &["blocking", "queue"]),
    ("workflow", &["workflow"]),
    ("session: the provider", &["session/provider", "session"]),
    ("session: its driver", &["session/driver"]),
    (
        "session: what it decides, and what it rests on",
        &[
            "session/cache",
            "session/decide",
            "session/outage",
            "session/source",
        ],
    ),
    ("client: the builder", &["client/builder", "client"]),
    ("client: the client", &["client/client"]),
    (
        "client: its parts",
        &[
            "client/admin_session",
            "client/exchange",
            "client/in_doubt",
            "client/walk",
        ],
    ),
    ("client: the sender", &["client/sender"]),
    (
        "promises",
        &["cancel", "clock", "event", "flight", "outage", "retry"],
    ),
    ("the server", &["account", "transport", "wire"]),
    ("model", &["model"]),
    ("KS", &["ks", "privileges"]),
    ("threads", &["threads"]),
    (
        "ground",
        &["connect_cause", "error", "number_or_text", "seam", "secret"],
    ),
];

/// Names of other crates, and the only files that may use them. Where several rows name a beginning of a
/// path, the first one counts.
const RESERVED: [(&[&str], &[&str]); 10] = [
    (&["std::fs", "tokio::fs", "rustix::fs"], &["seam/disk"]),
    (&["getrandom"], &["seam/random"]),
    (&["std::env"], &["seam/environment"]),
    (
        &[
            "std::time::Instant::now",
            "std::time::SystemTime::now",
            "tokio::time::Instant::now",
        ],
        &["clock"],
    ),
    (
        &[
            "std::thread::spawn",
            "std::thread::scope",
            "std::thread::Builder",
        ],
        &["threads"],
    ),
    // Whose process this is: after a fork, another one's.
    (&["std::process::id"], &["blocking", "queue"]),
    // The sink that runs a program.
    (&["std::process"], &["workflow/rotate/sink"]),
    (
        &[
            "std::net::TcpListener",
            "std::net::TcpStream",
            "std::net::ToSocketAddrs",
            "std::net::UdpSocket",
            "std::os::unix::net",
            "tokio::net",
        ],
        &["transport"],
    ),
    (&["reqwest"], &["transport", "account/network"]),
    // A lock held while waiting holds up everybody else.
    (&["pyo3", "tokio::sync::Mutex", "tokio::sync::RwLock"], &[]),
];

const LONGEST_FILE: usize = 600;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The Rust files below a crate's `src`.
fn sources(directory: &str) -> Sources {
    let source = root().join(directory).join("src");
    let mut found = Sources::new();
    let mut open = vec![source.clone()];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(&source).unwrap();
                let name = name.to_str().unwrap().replace('\\', "/");
                found.insert(name, std::fs::read_to_string(&path).unwrap());
            }
        }
    }
    found
}

/// A file as the table names it: `client/walk`, and a folder's own file by the folder.
fn module(file: &str) -> &str {
    let name = file.trim_end_matches(".rs");
    name.trim_end_matches("/mod")
}

fn row_of(file: &str) -> Option<usize> {
    let named = |name: &str| ROWS.iter().position(|(_, files)| files.contains(&name));
    let module = module(file);
    let folder = module.split('/').next()?;
    named(module).or_else(|| named(folder))
}

/// Whether a file is this room, or stands in this folder.
fn is_in(module: &str, room: &str) -> bool {
    module
        .strip_prefix(room)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn is_below(path: &str, beginning: &str) -> bool {
    path.strip_prefix(beginning)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// What a file would have to stop doing, sentence by sentence.
fn offences(sources: &Sources) -> BTreeSet<String> {
    let tree = Tree::read(sources);
    let mut found = BTreeSet::new();
    found.extend(
        tree.orphans
            .iter()
            .map(|file| format!("{file} is in no module")),
    );
    let nowhere = tree.files.iter().filter(|file| row_of(file).is_none());
    found.extend(nowhere.map(|file| format!("{file} stands in no row")));
    for circle in tree.circles() {
        found.insert(format!("circle: {}", circle.join(" > ")));
    }
    for (file, used) in &tree.uses {
        for (other, path) in used {
            if row_of(file) > row_of(other) {
                found.insert(format!("{file} uses {other} above it, by {path}"));
            }
        }
    }
    for (file, paths) in &tree.foreign {
        for path in paths {
            let reserved = RESERVED.iter().find_map(|(names, rooms)| {
                let name = names.iter().find(|name| is_below(path, name))?;
                Some((*name, *rooms))
            });
            if let Some((name, rooms)) = reserved
                && !rooms.iter().any(|room| is_in(module(file), room))
            {
                found.insert(format!("{file} uses {name}"));
            }
        }
    }
    for (file, literals) in &tree.literals {
        for literal in literals.iter().filter(|literal| names_an_option(literal)) {
            found.insert(format!("{file} names a command's option: {literal:?}"));
        }
    }
    for (file, text) in sources {
        if text.lines().count() > LONGEST_FILE {
            found.insert(format!("{file} is longer than {LONGEST_FILE} lines"));
        }
    }
    found
}

fn names_an_option(literal: &str) -> bool {
    literal.match_indices("--").any(|(at, _)| {
        literal[at + 2..].starts_with(|next: char| next.is_ascii_lowercase())
            && !literal[..at].ends_with('-')
    })
}

#[test]
fn every_file_of_the_core_uses_only_what_stands_below_it_and_what_is_its_own() {
    let found: Vec<_> = offences(&sources("core")).into_iter().collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn each_file_stands_in_one_row() {
    let all = ROWS.iter().flat_map(|(_, files)| *files);
    let mut seen = BTreeSet::new();
    for file in all {
        assert!(seen.insert(file), "{file} stands in two rows");
    }
}

/// The names under `[dependencies]` of a crate, those of one platform included.
fn dependencies(manifest: &str) -> BTreeSet<String> {
    let text = std::fs::read_to_string(root().join(manifest)).unwrap();
    let mut is_theirs = false;
    let mut names = BTreeSet::new();
    for line in text.lines() {
        if let Some(section) = line.strip_prefix('[') {
            let section = section.trim_end_matches(']');
            is_theirs = section == "dependencies" || section.ends_with(".dependencies");
        } else if is_theirs && let Some(name) = line.split(['=', '.', ' ']).next() {
            names.insert(name.to_owned());
        }
    }
    names.retain(|name| !name.is_empty() && !name.starts_with('#'));
    names
}

/// The crates that a crate's code names.
fn named_crates(directory: &str) -> BTreeSet<String> {
    let tree = Tree::read(&sources(directory));
    let paths = tree.foreign.into_values().flatten();
    paths
        .filter_map(|path| path.split("::").next().map(str::to_owned))
        .collect()
}

#[test]
fn each_crate_knows_only_what_its_room_may_know() {
    for (directory, strangers) in [
        (
            "core",
            [
                "pyo3",
                "cbindgen",
                "kaltura-sandbox",
                "kaltura-app-token-c",
                "kaltura-app-token-py",
            ],
        ),
        ("ffi-c", ["reqwest", "hyper", "serde_json", "url", "rustls"]),
        ("py", ["reqwest", "hyper", "serde_json", "url", "rustls"]),
        (
            "tests/sandbox",
            [
                "kaltura-app-token",
                "kaltura-app-token-c",
                "kaltura-app-token-py",
                "kaltura-e2e",
                "pyo3",
            ],
        ),
    ] {
        let (listed, named) = (
            dependencies(&format!("{directory}/Cargo.toml")),
            named_crates(directory),
        );
        assert!(!listed.is_empty() && !named.is_empty(), "{directory}");
        for stranger in strangers {
            assert!(
                !listed.contains(stranger),
                "{directory} depends on {stranger}"
            );
            let name = stranger.replace('-', "_");
            assert!(!named.contains(&name), "{directory} names {stranger}");
        }
    }
}

#[test]
fn the_public_face_of_the_core_has_one_module_of_its_own() {
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

/// The checker itself, on trees that were made up.
mod checker {
    use super::*;

    fn made_up(files: &[(&str, &str)]) -> Sources {
        let pairs = files
            .iter()
            .map(|(file, text)| ((*file).to_owned(), (*text).to_owned()));
        pairs.collect()
    }

    fn told(files: &[(&str, &str)]) -> Vec<String> {
        offences(&made_up(files)).into_iter().collect()
    }

    #[test]
    fn a_circle_is_found_whatever_way_the_path_takes() {
        let base = [(
            "lib.rs",
            "mod flight; mod retry; pub use retry::Again; use retry as other;",
        )];
        let retry = (
            "retry.rs",
            "pub struct Again; fn f() { crate::flight::go() }",
        );
        for flight in [
            "use crate::retry::Again; pub fn go() {}",
            "use crate::{retry::{self, Again as A}}; pub fn go() {}",
            "use super::retry; pub fn go() { let _ = retry::Again; }",
            "use crate::Again; pub fn go() {}",
            "use crate::other; pub fn go() -> other::Again { todo!() }",
            "use crate::*; pub fn go() -> Again { todo!() }",
            "pub fn go() { print!(\"{:?}\", crate::retry::Again) }",
            "mod inner { fn f(_: super::super::retry::Again) {} } pub fn go() {}",
            "impl Clone for crate::retry::Again {} pub fn go() {}",
        ] {
            let found = told(&[base[0], retry, ("flight.rs", flight)]);
            assert_eq!(
                found,
                ["circle: flight.rs > retry.rs > flight.rs"],
                "{flight}"
            );
        }
    }

    #[test]
    fn modules_reexports_and_tests_make_no_circle() {
        for flight in [
            "use crate::retry; pub fn go() {}",
            "pub(crate) use crate::retry::Again; pub fn go() {}",
            "#[cfg(test)] use crate::retry::Again; pub fn go() {}",
            "#[cfg(test)] mod tests { use crate::retry::Again; } pub fn go() {}",
            "/// See [`crate::retry::Again`].\n pub fn go() {}",
            "use tokio::retry::Again; pub fn go() {}",
            "pub fn go(it: It) { it.retry.again() }",
        ] {
            let found = told(&[
                ("lib.rs", "mod flight; mod retry;"),
                (
                    "retry.rs",
                    "pub struct Again; fn f() { crate::flight::go() }",
                ),
                ("flight.rs", flight),
            ]);
            assert_eq!(found, [""; 0], "{flight}");
        }
    }

    #[test]
    fn a_use_of_what_stands_above_is_found_in_folders_of_either_habit() {
        for (own, wire) in [
            ("client/mod.rs", "#[path = \"wire/answer.rs\"] mod wire;"),
            ("client.rs", "mod wire;"),
        ] {
            let wire_file = if own == "client.rs" {
                "wire.rs"
            } else {
                "wire/answer.rs"
            };
            let found = told(&[
                ("lib.rs", &format!("mod client; {wire}")),
                (
                    own,
                    "pub(crate) mod sender; mod walk; pub use walk::Tokens;",
                ),
                (
                    "client/sender.rs",
                    "use super::Tokens; use crate::wire::Form;",
                ),
                ("client/walk.rs", "pub struct Tokens;"),
                (
                    wire_file,
                    "pub struct Form; fn f() -> crate::client::sender::None {}",
                ),
            ]);
            assert_eq!(
                found,
                ["client/sender.rs uses client/walk.rs above it, by super::Tokens"]
            );
        }
    }

    #[test]
    fn a_name_outside_its_room_is_found_whatever_it_is_called_there() {
        for (code, offence) in [
            ("use std::fs::File;", "std::fs"),
            (
                "use std::{fs, io}; fn f() { let _ = fs::read(\"x\"); }",
                "std::fs",
            ),
            ("fn f() { ::std::fs::read(\"x\"); }", "std::fs"),
            (
                "use std::time::Instant as Time; fn f() { Time::now(); }",
                "std::time::Instant::now",
            ),
            ("fn f() { g(|| std::env::var(\"X\")); }", "std::env"),
            (
                "fn f() { assert!(std::env::var(\"X\").is_ok()); }",
                "std::env",
            ),
            (
                "use std::thread; fn f() { thread::spawn(|| 1); }",
                "std::thread::spawn",
            ),
            ("use tokio::sync::{Mutex, Notify};", "tokio::sync::Mutex"),
            ("fn f() { std::process::id(); }", "std::process::id"),
            ("fn f() { std::process::abort(); }", "std::process"),
            ("fn f() { getrandom::fill(&mut []); }", "getrandom"),
        ] {
            let found = told(&[("lib.rs", "mod retry;"), ("retry.rs", code)]);
            assert_eq!(found, [format!("retry.rs uses {offence}")], "{code}");
        }
        for code in [
            "use std::time::Instant; fn f(_: Instant) {}",
            "#[cfg(test)] mod tests { use std::fs::File; }",
            "use std::sync::Mutex;",
            "mod std2 { pub fn env() {} } fn f() { std2::env(); }",
        ] {
            let found = told(&[("lib.rs", "mod retry;"), ("retry.rs", code)]);
            assert_eq!(found, [""; 0], "{code}");
        }
    }

    #[test]
    fn a_file_in_no_row_or_no_module_a_long_one_and_an_option_are_found() {
        let long = "\n".repeat(LONGEST_FILE + 1);
        let found = told(&[
            (
                "lib.rs",
                "mod retry; mod helpers; mod flight; #[cfg(test)] mod tests;",
            ),
            ("helpers.rs", ""),
            ("flight.rs", &long),
            ("left_over.rs", ""),
            ("tests.rs", "const T: &str = \"--in-a-test\";"),
            (
                "retry.rs",
                "/// `--force`\nfn f() { g(\"a -- b\", \"-----BEGIN\", format!(\"use --force, {x}\")) }",
            ),
        ]);
        let expected = [
            "flight.rs is longer than 600 lines",
            "helpers.rs stands in no row",
            "left_over.rs is in no module",
            "retry.rs names a command's option: \"use --force, {x}\"",
        ];
        assert_eq!(found, expected);
    }
}
