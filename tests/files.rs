//! A server of one file, with the faults that servers and networks have.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

/// What a request asked for: its headers, names in lower case.
pub type Headers = BTreeMap<String, String>;

/// What to answer.
pub struct Reply {
    /// The status.
    pub status: u16,
    /// Headers beside `Content-Length`.
    pub headers: Vec<(&'static str, String)>,
    /// The body that is announced.
    pub body: Vec<u8>,
    /// Bytes of it after which the connection breaks.
    pub cut: Option<usize>,
}

impl Reply {
    /// An empty answer.
    pub fn status(status: u16) -> Reply {
        Reply { status, headers: Vec::new(), body: Vec::new(), cut: None }
    }

    /// The whole file.
    pub fn whole(body: &[u8], tag: &str) -> Reply {
        Reply { status: 200, headers: vec![("ETag", tag.into())], body: body.into(), cut: None }
    }

    /// What a server that knows ranges answers: the rest where `Range` and `If-Range` fit the file, else the whole.
    pub fn ranged(body: &[u8], tag: &str, request: &Headers) -> Reply {
        let from = request.get("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
        match from {
            Some(from) if request.get("if-range").is_none_or(|asked| asked == tag) => {
                let range = format!("bytes {from}-{}/{}", body.len() - 1, body.len());
                let headers = vec![("ETag", tag.into()), ("Content-Range", range)];
                Reply { status: 206, headers, body: body[from..].into(), cut: None }
            }
            _ => Reply::whole(body, tag),
        }
    }

    /// The same, broken off after `bytes` of the body.
    pub fn cut(self, bytes: usize) -> Reply {
        Reply { cut: Some(bytes), ..self }
    }
}

/// A running server; it ends with the test's process.
pub struct Files {
    /// `http://ADDRESS`.
    pub url: String,
    requests: Arc<Mutex<Vec<Headers>>>,
}

impl Files {
    /// Answers the n-th request, counted from 0, as `answer` says.
    pub fn serve(answer: impl Fn(usize, &Headers) -> Reply + Send + 'static) -> Files {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let headers = read(&stream);
                let mut seen = seen.lock().unwrap();
                let reply = answer(seen.len(), &headers);
                seen.push(headers);
                // A client that has left is no fault of the test.
                let _ = write(stream, &reply);
            }
        });
        Files { url, requests }
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<Headers> {
        self.requests.lock().unwrap().clone()
    }
}

fn read(stream: &TcpStream) -> Headers {
    let lines = BufReader::new(stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty());
    let headers = lines.skip(1).filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_lowercase(), value.trim().to_owned()))
    });
    headers.collect()
}

fn write(mut stream: TcpStream, reply: &Reply) -> std::io::Result<()> {
    write!(stream, "HTTP/1.1 {} A\r\nConnection: close\r\n", reply.status)?;
    let announced = reply.headers.iter().any(|(name, _)| *name == "Content-Length" || *name == "Transfer-Encoding");
    if !announced {
        write!(stream, "Content-Length: {}\r\n", reply.body.len())?;
    }
    for (name, value) in &reply.headers {
        write!(stream, "{name}: {value}\r\n")?;
    }
    stream.write_all(b"\r\n")?;
    stream.write_all(&reply.body[..reply.cut.unwrap_or(reply.body.len())])
}
