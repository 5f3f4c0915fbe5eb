//! The `kaltura-sandbox` command: a shell over the library.

fn main() {
    std::process::exit(kaltura_sandbox::main_with_args(std::env::args().skip(1)));
}
