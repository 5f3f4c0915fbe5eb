//! A server on a real socket that answers whatever a test tells it to, byte by byte.

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Request {
    /// `service.action`.
    pub action: String,
    /// Its parameters by name.
    pub params: HashMap<String, String>,
}

/// What to send back.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    /// The bytes of the answer, head included.
    pub bytes: Vec<u8>,
    /// Bytes that nobody asked for, and how long after the answer they are sent.
    pub unsolicited: Option<(Duration, Vec<u8>)>,
}

impl Reply {
    /// An answer with this status, these further header lines, and this body.
    #[must_use]
    pub fn new(status: u16, headers: &[(&str, &str)], body: &str) -> Self {
        let mut head = format!(
            "HTTP/1.1 {status} Text\r\nContent-Length: {}\r\n",
            body.len()
        );
        for (name, value) in headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        Self {
            bytes: format!("{head}\r\n{body}").into_bytes(),
            unsolicited: None,
        }
    }

    /// An answer as the API gives it: status 200 and JSON.
    #[must_use]
    pub fn json(body: &str) -> Self {
        Self::new(200, &[("Content-Type", "application/json")], body)
    }

    /// An answer of the API with a `Date`.
    #[must_use]
    pub fn json_at(date: &str, body: &str) -> Self {
        Self::new(
            200,
            &[("Content-Type", "application/json"), ("Date", date)],
            body,
        )
    }
}

type Answer = dyn Fn(&Request) -> Reply + Send + Sync;

/// The server. Serves until the process ends.
pub struct ScriptedServer {
    port: u16,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl fmt::Debug for ScriptedServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ScriptedServer(127.0.0.1:{})", self.port)
    }
}

impl ScriptedServer {
    /// Starts it on a port of its own.
    ///
    /// # Panics
    /// When no socket can be had.
    #[must_use]
    pub fn start(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (kept, answer): (_, Arc<Answer>) = (Arc::clone(&requests), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (kept, answer) = (Arc::clone(&kept), Arc::clone(&answer));
                std::thread::spawn(move || serve(stream, &kept, &*answer));
            }
        });
        Self { port, requests }
    }

    /// The service URL.
    #[must_use]
    pub fn service_url(&self) -> String {
        format!("http://127.0.0.1:{}/api_v3", self.port)
    }

    /// Everything that has arrived.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.requests
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// How many requests for `service.action` have arrived.
    #[must_use]
    pub fn arrived(&self, action: &str) -> usize {
        let requests = self.requests();
        requests.iter().filter(|it| it.action == action).count()
    }
}

fn serve(stream: TcpStream, kept: &Mutex<Vec<Request>>, answer: &Answer) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut writer = stream.try_clone().ok()?;
    let mut reader = BufReader::new(stream);
    loop {
        let request = read(&mut reader)?;
        kept.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(request.clone());
        let reply = answer(&request);
        match reply.unsolicited {
            None => writer.write_all(&reply.bytes).ok()?,
            Some((wait, more)) if wait.is_zero() => {
                writer.write_all(&[reply.bytes, more].concat()).ok()?;
            }
            Some((wait, more)) => {
                writer.write_all(&reply.bytes).ok()?;
                std::thread::sleep(wait);
                writer.write_all(&more).ok()?;
            }
        }
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut first = String::new();
    reader.read_line(&mut first).ok().filter(|read| *read > 0)?;
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let path = first.split(' ').nth(1)?;
    let (_, names) = path.split_once("/service/")?;
    let action = names.replace("/action/", ".");
    Some(Request {
        action,
        params: form_urlencoded::parse(&body).into_owned().collect(),
    })
}
