//! A small hub on loopback: it speaks as much of the protocol as clients use.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

/// What the server does besides the right thing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    #[default]
    None,
    /// The first answer with the U-Net's weights ends in the middle.
    CutOnce,
    /// Every answer with the U-Net's weights does.
    CutAlways,
    /// Bytes of weights are others than those announced.
    Damage,
    /// Ranges are not heeded, and the first answer is cut.
    IgnoreRanges,
    /// Answers only those who have the token `secret`.
    Gated,
}

/// The commit that the server says it has.
pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// The model's id.
pub const ID: &str = "tiny/sd";

/// A running server; it ends with the test's process.
pub struct Server {
    pub endpoint: String,
    shared: Arc<Shared>,
}

struct Shared {
    model: PathBuf,
    fault: Fault,
    endpoint: String,
    was_cut: AtomicBool,
    /// Method and path of every request, with its range.
    requests: Mutex<Vec<String>>,
}

impl Server {
    /// Serves the files of a folder as the model [`ID`].
    pub fn start(model: &Path, fault: Fault) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            model: model.to_owned(),
            fault,
            endpoint: endpoint.clone(),
            was_cut: AtomicBool::new(false),
            requests: Mutex::default(),
        });
        let serving = shared.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = serving.clone();
                // A client that goes away in the middle is its own business.
                thread::spawn(move || shared.answer(&stream));
            }
        });
        Self { endpoint, shared }
    }

    /// The requests so far whose lines hold a word.
    pub fn requests(&self, word: &str) -> Vec<String> {
        let all = self.shared.requests.lock().unwrap();
        all.iter().filter(|line| line.contains(word)).cloned().collect()
    }
}

struct Request {
    path: String,
    /// First and, if it is named, last byte that is wanted.
    range: Option<(usize, Option<usize>)>,
    token: Option<String>,
}

impl Request {
    fn read(stream: &TcpStream) -> Option<Self> {
        let mut lines = BufReader::new(stream.take(1 << 16)).lines().map_while(Result::ok);
        let path = lines.next()?.split(' ').nth(1)?.to_owned();
        let (mut range, mut token) = (None, None);
        for line in lines.take_while(|line| !line.is_empty()) {
            let (name, value) = line.split_once(": ")?;
            match name.to_lowercase().as_str() {
                "range" => {
                    let (first, last) = value.strip_prefix("bytes=")?.split_once('-')?;
                    range = Some((first.parse().ok()?, last.parse().ok()));
                }
                "authorization" => token = value.strip_prefix("Bearer ").map(str::to_owned),
                _ => {}
            }
        }
        Some(Self { path, range, token })
    }
}

impl Shared {
    fn answer(&self, mut stream: &TcpStream) -> Option<()> {
        let request = Request::read(stream)?;
        let line = format!("{} {:?}", request.path, request.range);
        self.requests.lock().unwrap().push(line);
        if self.fault == Fault::Gated && request.token.as_deref() != Some("secret") {
            return head(stream, "401 Unauthorized", 0, &[]);
        }
        let (listing, files) =
            (format!("/api/models/{ID}/revision/main"), format!("/{ID}/resolve/main/"));
        if request.path == listing {
            let body = self.listing();
            head(stream, "200 OK", body.len(), &[("Content-Type", "application/json")])?;
            return stream.write_all(body.as_bytes()).ok();
        }
        let (name, from_store) = match request.path.strip_prefix("/store/") {
            Some(name) => (name, true),
            None => (request.path.strip_prefix(&files).unwrap_or("no such file"), false),
        };
        let path = self.model.join(name);
        let Ok(bytes) = fs::read(&path) else {
            return head(stream, "404 Not Found", 0, &[]);
        };
        let hash = formats::sha256_of(&path).ok()?;
        if !from_store && name.ends_with(".safetensors") {
            let location = format!("{}/store/{name}", self.endpoint);
            let tag = format!("\"{hash}\"");
            let headers =
                [("Location", &*location), ("X-Repo-Commit", COMMIT), ("X-Linked-Etag", &tag)];
            return head(stream, "302 Found", 0, &headers);
        }
        self.content(stream, name, bytes, &hash[..40], request.range)
    }

    fn listing(&self) -> String {
        let mut names = Vec::new();
        list(&self.model, "", &mut names);
        let files: Vec<_> =
            names.iter().map(|name| serde_json::json!({"rfilename": name})).collect();
        serde_json::json!({"sha": COMMIT, "siblings": files}).to_string()
    }

    fn content(
        &self,
        mut stream: &TcpStream,
        name: &str,
        mut bytes: Vec<u8>,
        tag: &str,
        range: Option<(usize, Option<usize>)>,
    ) -> Option<()> {
        let weights = name.starts_with("unet/") && name.ends_with(".safetensors");
        let all = bytes.len();
        if weights && self.fault == Fault::Damage {
            bytes[all / 2] ^= 1;
        }
        let (first, last) = range.unwrap_or((0, None));
        let whole = last.is_none();
        let first = if whole && self.fault == Fault::IgnoreRanges { 0 } else { first };
        let end = last.map_or(all, |last| (last + 1).min(all));
        let body = &bytes[first.min(end)..end];
        let part = format!("bytes {first}-{}/{all}", end.saturating_sub(1));
        let headers = [("ETag", tag), ("X-Repo-Commit", COMMIT), ("Content-Range", &part)];
        head(stream, "206 Partial Content", body.len(), &headers)?;
        let cut = weights
            && whole
            && match self.fault {
                Fault::CutAlways => true,
                Fault::CutOnce | Fault::IgnoreRanges => !self.was_cut.swap(true, Ordering::SeqCst),
                _ => false,
            };
        let sent = if cut { body.len() / 2 } else { body.len() };
        stream.write_all(&body[..sent]).ok()
    }
}

fn head(mut stream: &TcpStream, status: &str, length: usize, more: &[(&str, &str)]) -> Option<()> {
    let more: String = more.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head =
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n{more}\r\n");
    stream.write_all(head.as_bytes()).ok()
}

fn list(folder: &Path, prefix: &str, names: &mut Vec<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            list(&entry.path(), &format!("{name}/"), names);
        } else {
            names.push(name);
        }
    }
}
