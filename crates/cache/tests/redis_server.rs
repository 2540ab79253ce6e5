//! A Redis for one test: Debian's `redis-server` on a free port, in a directory of its own. It
//! can be killed, paused and started again on the same port.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running server. It is killed when dropped.
pub struct RedisServer {
    port: u16,
    extra: Vec<String>,
    password: Option<String>,
    dir: tempfile::TempDir,
    child: Option<Child>,
}

/// A port that nobody has at the moment.
pub fn free_port() -> u16 {
    let free = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    free.local_addr().expect("bound").port()
}

impl RedisServer {
    /// A server, or `None` after a line that says why not.
    pub fn start() -> Option<Self> {
        Self::start_with(None)
    }

    /// One that wants a password.
    pub fn start_with(password: Option<&str>) -> Option<Self> {
        Self::start_more(password, Vec::new)
    }

    /// One with more arguments, which are made anew for every attempt.
    pub fn start_more(password: Option<&str>, extra: impl Fn() -> Vec<String>) -> Option<Self> {
        let there = Command::new("redis-server").arg("--version").output();
        if !there.is_ok_and(|output| output.status.success()) {
            println!(
                "skipped: redis-server is not installed (Debian: apt-get install redis-server)"
            );
            return None;
        }
        // Somebody else may take the port before the server does: try again then.
        for _ in 0..10 {
            let dir = tempfile::tempdir().expect("a directory");
            let password = password.map(str::to_owned);
            let (port, extra) = (free_port(), extra());
            let mut server = Self { port, extra, password, dir, child: None };
            if server.launch() {
                return Some(server);
            }
        }
        panic!("no port for a redis-server")
    }

    /// Starts it on its port; false when it does not come up.
    fn launch(&mut self) -> bool {
        let mut command = Command::new("redis-server");
        command.args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", ""]);
        command.args(["--appendonly", "no", "--daemonize", "no", "--loglevel", "warning"]);
        command.arg("--dir").arg(self.dir.path()).args(&self.extra);
        if let Some(password) = &self.password {
            command.args(["--requirepass", password]);
        }
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        self.child = Some(child.expect("redis-server starts"));
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(60) {
            if self.answers() {
                return true;
            }
            let child = self.child.as_mut().expect("started");
            if child.try_wait().expect("a child of ours").is_some() {
                return false;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    }

    fn answers(&self) -> bool {
        self.say(&["PING"]).is_ok_and(|line| line == "+PONG")
    }

    /// Sends a command on a connection of its own and gives the first line of the answer.
    pub fn say(&self, words: &[&str]) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        let mut lines = BufReader::new(stream.try_clone()?);
        let mut line = String::new();
        if let Some(password) = &self.password {
            stream.write_all(&encode(&["AUTH", password]))?;
            lines.read_line(&mut line)?;
            line.clear();
        }
        stream.write_all(&encode(words))?;
        lines.by_ref().take(64 << 20).read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }

    /// Its address.
    pub fn url(&self) -> String {
        match &self.password {
            Some(password) => format!("redis://:{password}@127.0.0.1:{}/", self.port),
            None => format!("redis://127.0.0.1:{}/", self.port),
        }
    }

    /// The arguments that it was started with beside the usual ones.
    pub fn extra(&self) -> &[String] {
        &self.extra
    }

    /// Its port.
    pub const fn port(&self) -> u16 {
        self.port
    }

    fn signal(&self, name: &str) {
        let id = self.child.as_ref().expect("running").id().to_string();
        let status = Command::new("kill").args([name, &id]).status().expect("kill is there");
        assert!(status.success(), "kill {name} {id}");
    }

    /// `kill -9`. Everything in it is gone.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("a child of ours");
            child.wait().expect("a child of ours");
        }
    }

    /// Starts it again on the same port, empty.
    pub fn restart(&mut self) {
        self.kill();
        for _ in 0..50 {
            if self.launch() {
                return;
            }
        }
        panic!("redis-server did not come back on port {}", self.port);
    }

    /// `SIGSTOP`: connections stay, nothing answers.
    pub fn pause(&self) {
        self.signal("-STOP");
    }

    /// `SIGCONT`: what was sent meanwhile is answered now.
    pub fn resume(&self) {
        self.signal("-CONT");
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A command as RESP.
pub fn encode(words: &[&str]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
    }
    bytes
}

#[test]
fn a_server_can_be_killed_paused_and_started_again() {
    let Some(mut server) = RedisServer::start() else { return };
    assert_eq!(server.say(&["SET", "a", "1"]).expect("an answer"), "+OK");
    server.pause();
    server.resume();
    assert_eq!(server.say(&["EXISTS", "a"]).expect("an answer"), ":1");
    server.kill();
    assert!(server.say(&["PING"]).is_err());
    server.restart();
    assert_eq!(server.say(&["EXISTS", "a"]).expect("an answer"), ":0");
}
