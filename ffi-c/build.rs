//! Names the shared library as a system knows it, which rustc does not do by itself.

use std::env::var;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if var("CARGO_CFG_TARGET_OS").as_deref() != Ok("linux") {
        return;
    }
    let part = |name| var(name).unwrap_or_default();
    // 0.x promises nothing from one minor version to the next, so each has a soname of its own.
    let version = match part("CARGO_PKG_VERSION_MAJOR").as_str() {
        "0" => format!("0.{}", part("CARGO_PKG_VERSION_MINOR")),
        major => major.to_owned(),
    };
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libkaltura_app_token.so.{version}");
    // A dlclose must not take the code away from under a queue's thread.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
}
