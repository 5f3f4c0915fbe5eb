//! The committed header is what the sources say. `UPDATE_HEADER=1` writes it anew.

use std::path::Path;

const MACROS: &str = "
#if defined(__GNUC__)
#define KAT_MUST_USE __attribute__((warn_unused_result))
#else
#define KAT_MUST_USE
#endif

// The version compiled against; kat_version and kat_version_number tell the one that is running.
#define KAT_VERSION \"{version}\"
#define KAT_VERSION_MAJOR {major}
#define KAT_VERSION_MINOR {minor}
#define KAT_VERSION_PATCH {patch}
#define KAT_VERSION_NUMBER (KAT_VERSION_MAJOR * 1000000 + KAT_VERSION_MINOR * 1000 + KAT_VERSION_PATCH)

// A number that is not there: no instant, duration or id has this value.
#define KAT_ABSENT INT64_MIN

// Hash types. Others that a server may name are kept, but cannot be computed here.
#define KAT_HASH_MD5 \"MD5\"
#define KAT_HASH_SHA1 \"SHA1\"
#define KAT_HASH_SHA256 \"SHA256\"
#define KAT_HASH_SHA512 \"SHA512\"

// Room for any hash of kat_token_hash, its NUL included.
#define KAT_HASH_SIZE 129";

fn configuration(opening: &str) -> cbindgen::Config {
    let types = [
        "kat_admin_session",
        "kat_app_token_status",
        "kat_ks_failure",
        "kat_operation",
        "kat_privilege_use",
        "kat_profile_fields",
        "kat_session_type",
        "kat_token_field",
    ];
    let includes = ["stdbool.h", "stddef.h", "stdint.h"];
    let mut config = cbindgen::Config {
        language: cbindgen::Language::C,
        cpp_compat: true,
        include_guard: Some("KALTURA_APP_TOKEN_H".to_owned()),
        header: Some(opening.to_owned()),
        after_includes: Some(macros()),
        no_includes: true,
        sys_includes: includes.map(str::to_owned).to_vec(),
        usize_is_size_t: true,
        style: cbindgen::Style::Type,
        documentation_style: cbindgen::DocumentationStyle::C99,
        line_length: 110,
        ..cbindgen::Config::default()
    };
    config.export.include = types.map(str::to_owned).to_vec();
    // Only in the build that a test makes.
    let injection = [
        "kat_inject_panics",
        "kat_inject_panics_in_errors",
        "kat_inject_panics_in_operations",
    ];
    config.export.exclude = injection.map(str::to_owned).to_vec();
    config.enumeration.rename_variants = cbindgen::RenameRule::QualifiedScreamingSnakeCase;
    config.function.must_use = Some("KAT_MUST_USE".to_owned());
    config
}

fn macros() -> String {
    MACROS
        .replace("{version}", env!("CARGO_PKG_VERSION"))
        .replace("{major}", env!("CARGO_PKG_VERSION_MAJOR"))
        .replace("{minor}", env!("CARGO_PKG_VERSION_MINOR"))
        .replace("{patch}", env!("CARGO_PKG_VERSION_PATCH"))
}

/// The header opens with what `lib.rs` says at its beginning.
fn opening(lib: &str) -> String {
    let prose = lib.lines().map_while(|line| line.strip_prefix("//!"));
    let lines: Vec<String> = prose.map(|line| format!("//{line}")).collect();
    lines.join("\n")
}

#[test]
fn the_committed_header_is_what_the_sources_say() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"));
    let committed = directory.join("../include/kaltura_app_token.h");
    let lib = std::fs::read_to_string(directory.join("src/lib.rs")).expect("lib.rs");

    let mut generated = Vec::new();
    cbindgen::Builder::new()
        .with_crate(directory)
        .with_config(configuration(&opening(&lib)))
        .generate()
        .expect("cbindgen understands the sources")
        .write(&mut generated);
    let generated = String::from_utf8(generated).expect("a header is text");

    if std::env::var_os("UPDATE_HEADER").is_some() {
        std::fs::write(&committed, &generated).expect("include/ can be written");
    }
    let found = std::fs::read_to_string(&committed).unwrap_or_default();
    assert!(
        found == generated,
        "include/kaltura_app_token.h is out of date: run the test with UPDATE_HEADER=1"
    );
}
