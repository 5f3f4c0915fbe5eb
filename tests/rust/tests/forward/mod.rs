//! A server that is the sandbox but for what a test makes of its requests and its answers.

use std::fmt;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use kaltura_app_token::{
    BoxFuture, Client, Transport, TransportAnswer, TransportError, TransportRequest,
};
use kaltura_e2e::builder;
use kaltura_sandbox::Sandbox;
use serde_json::Value;
use tokio::task::spawn_blocking;

type OnRequest = dyn Fn(&str, &str, String) -> String + Send + Sync;
type OnAnswer = dyn Fn(&str, &mut Value) + Send + Sync;

/// Between a client and the sandbox. Both functions are told `service.action` first.
pub(crate) struct Forward {
    port: u16,
    request: Box<OnRequest>,
    answer: Box<OnAnswer>,
}

impl fmt::Debug for Forward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Forward")
    }
}

impl Forward {
    /// Passes everything on as it is.
    pub(crate) fn to(sandbox: &Sandbox) -> Self {
        Self {
            port: sandbox.port(),
            request: Box::new(|_, _, value| value),
            answer: Box::new(|_, _| {}),
        }
    }

    /// Makes of a parameter, which it is told by name and value, what the server is to get.
    #[allow(
        dead_code,
        reason = "each test that has this module uses its own part of it"
    )]
    pub(crate) fn request(
        mut self,
        change: impl Fn(&str, &str, String) -> String + Send + Sync + 'static,
    ) -> Self {
        self.request = Box::new(change);
        self
    }

    #[allow(
        dead_code,
        reason = "each test that has this module uses its own part of it"
    )]
    /// Makes of an answer what the client is to get.
    pub(crate) fn answer(
        mut self,
        change: impl Fn(&str, &mut Value) + Send + Sync + 'static,
    ) -> Self {
        self.answer = Box::new(change);
        self
    }

    /// A client that manages tokens by this way.
    pub(crate) fn admin(self, sandbox: &Sandbox) -> Client {
        builder(sandbox)
            .admin_secret(sandbox.admin_secret())
            .transport(Arc::new(self))
            .build()
            .unwrap()
    }

    fn exchange(port: u16, path: &str, body: &str) -> std::io::Result<(u16, Vec<u8>)> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        write!(
            stream,
            "POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n");
        let (head, body) = answer.split_at(end.unwrap() + 4);
        let status = std::str::from_utf8(&head[9..12]).unwrap().parse().unwrap();
        Ok((status, body.to_vec()))
    }
}

impl Transport for Forward {
    fn post(
        &self,
        request: TransportRequest,
    ) -> BoxFuture<'_, Result<TransportAnswer, TransportError>> {
        let url = request.url();
        let path = url[url.find("/api_v3").unwrap()..].to_owned();
        let words: Vec<&str> = path.split('/').collect();
        let &[.., service, "action", action] = words.as_slice() else {
            panic!("{path}");
        };
        let name = format!("{service}.{action}").to_ascii_lowercase();
        let mut sent = form_urlencoded::Serializer::new(String::new());
        for (field, value) in form_urlencoded::parse(request.body()) {
            let value = (self.request)(&name, &field, value.into_owned());
            sent.append_pair(&field, &value);
        }
        let (port, sent) = (self.port, sent.finish());
        Box::pin(async move {
            let (status, body) = spawn_blocking(move || Self::exchange(port, &path, &sent))
                .await
                .unwrap()
                .map_err(|error| TransportError::Interrupted(error.to_string()))?;
            let Ok(mut answer) = serde_json::from_slice(&body) else {
                return Ok(TransportAnswer::new(status, body));
            };
            (self.answer)(&name, &mut answer);
            Ok(TransportAnswer::new(status, answer.to_string()))
        })
    }
}
