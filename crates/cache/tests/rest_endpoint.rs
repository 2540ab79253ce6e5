//! A small endpoint that speaks the documented REST protocol of Upstash over a Redis of the test:
//! commands, `/pipeline`, `/multi-exec`, `/set/KEY` with a body, `/subscribe/CHANNEL` as events,
//! tokens, and base64 on request. It can be told to misbehave.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::redis_server::encode;

pub const TOKEN: &str = "a-token";

/// How an answer is spoilt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Status 503.
    Busy,
    /// The connection ends within the body.
    Cut,
    /// The body is no JSON.
    NoJson,
    /// A body without end.
    Endless,
}

/// The endpoint. Its threads end with the test's process.
pub struct RestEndpoint {
    port: u16,
    faults: Arc<Mutex<Vec<Fault>>>,
    requests: Arc<AtomicU32>,
}

impl RestEndpoint {
    pub fn start(redis_port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let (faults, requests) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicU32::new(0)));
        let (to_make, counted) = (faults.clone(), requests.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (to_make, counted) = (to_make.clone(), counted.clone());
                std::thread::spawn(move || serve(stream, redis_port, &to_make, &counted));
            }
        });
        Self { port, faults, requests }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Spoils the next answers, the last of the list first.
    pub fn spoil(&self, faults: &[Fault]) {
        self.faults.lock().expect("held by nobody who panics").extend_from_slice(faults);
    }

    pub fn request_count(&self) -> u32 {
        self.requests.load(Ordering::Relaxed)
    }
}

struct Request {
    path: String,
    token: String,
    base64: bool,
    body: Vec<u8>,
}

fn read_request(lines: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut first = String::new();
    lines.read_line(&mut first).ok().filter(|read| *read > 0)?;
    let path = first.split(' ').nth(1)?.to_owned();
    let (mut token, mut base64, mut len) = (String::new(), false, 0);
    loop {
        let mut line = String::new();
        lines.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "authorization" => token = value.to_owned(),
            "upstash-encoding" => base64 = value == "base64",
            "content-length" => len = value.parse().ok()?,
            _ => {}
        }
    }
    let mut body = vec![0; len];
    lines.read_exact(&mut body).ok()?;
    Some(Request { path, token, base64, body })
}

fn serve(mut stream: TcpStream, redis: u16, faults: &Mutex<Vec<Fault>>, counted: &AtomicU32) {
    let mut lines = BufReader::new(stream.try_clone().expect("a stream"));
    while let Some(request) = read_request(&mut lines) {
        counted.fetch_add(1, Ordering::Relaxed);
        let fault = faults.lock().expect("held by nobody who panics").pop();
        if let Some(fault) = fault {
            return spoil(&mut stream, fault);
        }
        if request.token != format!("Bearer {TOKEN}") {
            respond(&mut stream, 401, &json!({ "error": "Unauthorized" }));
            continue;
        }
        if let Some(channel) = request.path.strip_prefix("/subscribe/") {
            return events(&mut stream, redis, &unescape(channel));
        }
        let (status, answer) = answer(&request, redis);
        respond(&mut stream, status, &answer);
    }
}

fn spoil(stream: &mut TcpStream, fault: Fault) {
    let json = "Content-Type: application/json\r\n";
    let _gone = match fault {
        Fault::Busy => write!(stream, "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"),
        Fault::Cut => write!(stream, "HTTP/1.1 200 OK\r\n{json}Content-Length: 50\r\n\r\n{{\"res"),
        Fault::NoJson => {
            write!(stream, "HTTP/1.1 200 OK\r\n{json}Content-Length: 5\r\n\r\n{{\"re]")
        }
        Fault::Endless => {
            let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
            let chunk = format!("10000\r\n{}\r\n", "[".repeat(0x10000));
            stream
                .write_all(head.as_bytes())
                .and_then(|()| (0..4096).try_for_each(|_| stream.write_all(chunk.as_bytes())))
        }
    };
}

fn respond(stream: &mut TcpStream, status: u16, answer: &Value) {
    let body = answer.to_string();
    let len = body.len();
    let _gone = write!(
        stream,
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len}\r\n\r\n{body}"
    );
}

fn unescape(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let digits =
            (byte == b'%').then(|| [rest.next().unwrap_or(b'0'), rest.next().unwrap_or(b'0')]);
        bytes.push(match digits {
            Some(digits) => {
                let digits = std::str::from_utf8(&digits).expect("digits");
                u8::from_str_radix(digits, 16).expect("digits")
            }
            None => byte,
        });
    }
    String::from_utf8(bytes).expect("text")
}

fn words_of(command: &Value) -> Vec<Vec<u8>> {
    let words = command.as_array().into_iter().flatten();
    words.map(|word| word.as_str().map_or(word.to_string(), str::to_owned).into_bytes()).collect()
}

fn answer(request: &Request, redis: u16) -> (u16, Value) {
    let Ok(mut connection) = Resp::connect(redis) else {
        return (500, json!({ "error": "the database is not there" }));
    };
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    if let Some(key) = path.strip_prefix("/set/") {
        let mut words = vec![b"SET".to_vec(), unescape(key).into_bytes(), request.body.clone()];
        if let Some((name, value)) = query.split_once('=') {
            words.extend([name.as_bytes().to_vec(), value.as_bytes().to_vec()]);
        }
        return status_of(connection.call(&words, request.base64));
    }
    let Ok(body) = serde_json::from_slice::<Value>(&request.body) else {
        return (400, json!({ "error": "ERR no JSON" }));
    };
    match path {
        "/" => status_of(connection.call(&words_of(&body), request.base64)),
        "/pipeline" => {
            let commands = body.as_array().cloned().unwrap_or_default();
            let answers =
                commands.iter().map(|command| connection.call(&words_of(command), request.base64));
            (200, Value::Array(answers.collect()))
        }
        "/multi-exec" => {
            connection.call(&[b"MULTI".to_vec()], false);
            for command in body.as_array().into_iter().flatten() {
                connection.call(&words_of(command), false);
            }
            let done = connection.call(&[b"EXEC".to_vec()], request.base64);
            match done.get("result").and_then(Value::as_array) {
                Some(results) => {
                    let wrap = |result: &Value| match result.get("error") {
                        Some(error) => json!({ "error": error }),
                        None => json!({ "result": result }),
                    };
                    (200, Value::Array(results.iter().map(wrap).collect()))
                }
                None => status_of(done),
            }
        }
        _ => (404, json!({ "error": "ERR no such path" })),
    }
}

fn status_of(answer: Value) -> (u16, Value) {
    (if answer.get("error").is_some() { 400 } else { 200 }, answer)
}

fn events(stream: &mut TcpStream, redis: u16, channel: &str) {
    let Ok(mut connection) = Resp::connect(redis) else { return };
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
    if stream.write_all(head.as_bytes()).is_err() {
        return;
    }
    let mut answer = connection.call(&[b"SUBSCRIBE".to_vec(), channel.into()], false);
    loop {
        let Some(parts) = answer["result"].as_array() else { return };
        let parts: Vec<String> = parts
            .iter()
            .map(|part| part.as_str().map_or(part.to_string(), str::to_owned))
            .collect();
        if write!(stream, "data: {}\n\n", parts.join(",")).is_err() {
            return;
        }
        let Some(next) = connection.read(false) else { return };
        answer = json!({ "result": next });
    }
}

/// A connection to Redis.
struct Resp {
    stream: TcpStream,
    lines: BufReader<TcpStream>,
}

impl Resp {
    fn connect(port: u16) -> std::io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        let lines = BufReader::new(stream.try_clone()?);
        Ok(Self { stream, lines })
    }

    fn call(&mut self, words: &[Vec<u8>], base64: bool) -> Value {
        let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
            bytes.extend_from_slice(word);
            bytes.extend_from_slice(b"\r\n");
        }
        let sent = self.stream.write_all(&bytes);
        match sent.ok().and_then(|()| self.read(base64)) {
            Some(Value::Object(error)) => Value::Object(error),
            Some(result) => json!({ "result": result }),
            None => json!({ "error": "ERR the database is gone" }),
        }
    }

    fn read(&mut self, base64: bool) -> Option<Value> {
        let mut line = String::new();
        self.lines.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let (kind, rest) = line.trim_end().split_at(1);
        let text = |bytes: &[u8]| {
            let plain = String::from_utf8_lossy(bytes).into_owned();
            json!(if base64 && plain != "OK" { STANDARD.encode(bytes) } else { plain })
        };
        match kind {
            "+" => Some(text(rest.as_bytes())),
            "-" => Some(json!({ "error": rest })),
            ":" => rest.parse::<i64>().ok().map(Value::from),
            "$" => {
                let Ok(len) = rest.parse::<usize>() else { return Some(Value::Null) };
                let mut bytes = vec![0; len + 2];
                self.lines.read_exact(&mut bytes).ok()?;
                Some(text(&bytes[..len]))
            }
            "*" => {
                let Ok(count) = rest.parse::<usize>() else { return Some(Value::Null) };
                (0..count).map(|_| self.read(base64)).collect()
            }
            _ => None,
        }
    }
}

#[test]
fn the_endpoint_speaks_base64_when_asked() {
    let Some(server) = crate::redis_server::RedisServer::start() else { return };
    let mut connection = Resp::connect(server.port()).expect("connects");
    let set = [b"SET".to_vec(), b"a".to_vec(), b"hi".to_vec()];
    assert_eq!(connection.call(&set, true), json!({ "result": "OK" }));
    assert_eq!(
        connection.call(&[b"GET".to_vec(), b"a".to_vec()], true),
        json!({ "result": "aGk=" })
    );
    assert!(!encode(&["PING"]).is_empty());
}
