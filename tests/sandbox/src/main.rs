//! The `kaltura-sandbox` command: a shell over the library.

fn main() {
    let arguments = std::env::args().skip(1);
    std::process::exit(kaltura_sandbox::main_with_args(
        "kaltura-sandbox",
        arguments,
    ));
}
