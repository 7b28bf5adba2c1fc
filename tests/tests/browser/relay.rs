//! Stands between a browser and a server: sees what is asked for, and may do something first.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

/// What was asked for, and the policies of the answers.
type Seen = (Vec<String>, Vec<String>);

/// A running relay; it ends with the test.
pub(crate) struct Relay {
    pub(crate) address: String,
    seen: Arc<Mutex<Seen>>,
}

impl Relay {
    /// To `server`. `before` is told the number of each request, from 1, before that is handed on.
    pub(crate) fn start(server: &str, mut before: impl FnMut(usize) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let seen: Arc<Mutex<Seen>> = Arc::default();
        let (server, noted) = (server.to_owned(), Arc::clone(&seen));
        let relayed = Arc::new(Mutex::new(move |mut stream: TcpStream, path: String| {
            let mut seen = noted.lock().expect("no panic");
            seen.0.push(path.clone());
            before(seen.0.len());
            let answer = fetched(&server, &path);
            let policy = answer.lines().find_map(|line| line.strip_prefix("content-security-policy: "));
            seen.1.extend(policy.map(|policy| policy.trim().to_owned()));
            // Whoever asked may have gone.
            let _ = stream.write_all(answer.as_bytes());
        }));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let relayed = Arc::clone(&relayed);
                // A browser opens connections in advance, and may never use them.
                thread::spawn(move || {
                    if let Some(path) = asked(&stream) {
                        (relayed.lock().expect("no panic"))(stream, path);
                    }
                });
            }
        });
        Self { address, seen }
    }

    pub(crate) fn seen(&self) -> Seen {
        self.seen.lock().expect("no panic").clone()
    }
}

fn asked(stream: &TcpStream) -> Option<String> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next()?.ok()?;
    // To the end of its head; it has no body.
    while !lines.next()?.ok()?.is_empty() {}
    first.split(' ').nth(1).map(str::to_owned)
}

fn fetched(server: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(server).expect("connect");
    write!(stream, "GET {path} HTTP/1.0\r\nHost: here\r\n\r\n").expect("ask");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}
