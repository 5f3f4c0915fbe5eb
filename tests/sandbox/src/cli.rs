//! The command line: arguments in, a served sandbox, an exit code out.

use std::io::{self, Write as _};
use std::path::PathBuf;

use crate::accounts::Accounts;
use crate::sandbox::Sandbox;

const USAGE: &str = "\
usage: {program} [--host HOST] [--port PORT] [--accounts FILE] [--control]

A local Kaltura API v3 server with the session and appToken services, in memory.
The first line of its output is the service URL.

  --host HOST       address to listen on (default 127.0.0.1)
  --port PORT       port to listen on (default 0: any free one)
  --accounts FILE   accounts as JSON; without it there is one, described on stderr
  --control         offer the control interface under /_sandbox (loopback only)
";

const FAILED: i32 = 1;
const WRONG_USE: i32 = 2;

#[derive(Debug, PartialEq, Eq)]
struct Options {
    host: String,
    port: u16,
    accounts: Option<PathBuf>,
    control: bool,
    help: bool,
}

fn parse(args: impl IntoIterator<Item = String>) -> Result<Options, String> {
    let mut options = Options {
        host: "127.0.0.1".to_owned(),
        port: 0,
        accounts: None,
        control: false,
        help: false,
    };
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        let (name, inline) = match arg.split_once('=') {
            Some((name, value)) if name.starts_with("--") => {
                (name.to_owned(), Some(value.to_owned()))
            }
            _ => (arg, None),
        };
        let mut value = || {
            inline
                .clone()
                .or_else(|| args.next())
                .ok_or_else(|| format!("{name} needs a value"))
        };
        match name.as_str() {
            "--host" => options.host = value()?,
            "--port" => {
                options.port = value()?
                    .parse()
                    .map_err(|_| "--port: expected 0 to 65535".to_owned())?;
            }
            "--accounts" => options.accounts = Some(PathBuf::from(value()?)),
            "--control" if inline.is_none() => options.control = true,
            "--help" | "-h" => options.help = true,
            _ => return Err(format!("unknown argument {name:?}")),
        }
    }
    Ok(options)
}

/// Runs the command under the name `program`, with the arguments after it, until Ctrl-C or SIGTERM;
/// returns the exit code.
pub fn main_with_args<I, S>(program: &str, args: I) -> i32
where
    I: IntoIterator<Item = S>,
    S: Into<String>,
{
    let options = match parse(args.into_iter().map(Into::into)) {
        Ok(options) => options,
        Err(error) => return fail(program, WRONG_USE, &error),
    };
    if options.help {
        let usage = USAGE.replace("{program}", program);
        return if io::stdout().write_all(usage.as_bytes()).is_ok() {
            0
        } else {
            FAILED
        };
    }
    let mut builder = Sandbox::builder()
        .host(&options.host)
        .port(options.port)
        .control(options.control);
    let given = options.accounts.is_some();
    if let Some(path) = &options.accounts {
        match Accounts::from_file(path) {
            Ok(accounts) => builder = builder.accounts(accounts),
            Err(error) => return fail(program, WRONG_USE, &error),
        }
    }
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return fail(program, FAILED, &error.to_string()),
    };
    runtime.block_on(async {
        // Before the URL is out: whoever reads it may send the signal at once.
        let mut signals = match Signals::new() {
            Ok(signals) => signals,
            Err(error) => return fail(program, FAILED, &error.to_string()),
        };
        let sandbox = match builder.start() {
            Ok(sandbox) => sandbox,
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                return fail(program, WRONG_USE, &error.to_string());
            }
            Err(error) => {
                return fail(
                    program,
                    FAILED,
                    &format!("{}:{}: {error}", options.host, options.port),
                );
            }
        };
        if !given {
            let account = sandbox.accounts().first();
            eprintln!("partner id: {}", account.id);
            eprintln!("admin secret: {}", account.admin_secret);
            eprintln!("user secret: {}", account.user_secret);
        }
        let mut stdout = io::stdout();
        if writeln!(stdout, "{}", sandbox.service_url())
            .and_then(|()| stdout.flush())
            .is_err()
        {
            return FAILED;
        }
        signals.wait().await;
        sandbox.stop();
        0
    })
}

fn fail(program: &str, code: i32, message: &str) -> i32 {
    // As a subcommand, it complains as its command does.
    let command = program.split(' ').next().unwrap_or(program);
    eprintln!("{command}: error: {message} (see {program} --help)");
    code
}

/// What ends the command.
struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    #[cfg(unix)]
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    #[cfg(unix)]
    async fn wait(&mut self) {
        use std::{future::poll_fn, task::Poll};
        poll_fn(|cx| {
            if self.terminate.poll_recv(cx).is_ready() || self.interrupt.poll_recv(cx).is_ready() {
                return Poll::Ready(());
            }
            Poll::Pending
        })
        .await;
    }

    #[cfg(not(unix))]
    #[allow(
        clippy::unnecessary_wraps,
        reason = "the same signature on every system"
    )]
    fn new() -> io::Result<Self> {
        Ok(Self {})
    }

    #[cfg(not(unix))]
    async fn wait(&mut self) {
        let _ = tokio::signal::ctrl_c().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Options, String> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn arguments_are_read_with_and_without_equals_signs() {
        let options = parsed("--host 127.0.0.2 --port=8080 --control --accounts a.json").unwrap();
        assert_eq!(
            (options.host.as_str(), options.port, options.control),
            ("127.0.0.2", 8080, true)
        );
        assert_eq!(options.accounts, Some(PathBuf::from("a.json")));
    }

    #[test]
    fn wrong_arguments_are_named() {
        for (line, error) in [
            ("--port x", "--port"),
            ("--nope", "--nope"),
            ("--host", "--host"),
        ] {
            assert!(parsed(line).unwrap_err().contains(error), "{line}");
        }
    }
}
