//! Where the streams come from: one thread that sends the same to everybody, piece by piece.

use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{self, Sender};
use std::thread;

use flate2::Compression;
use flate2::write::GzEncoder;

/// One stream's content, and the sum that the parser should find.
#[derive(Clone)]
pub struct Content {
    pub bytes: Vec<u8>,
    pub text: usize,
    pub sum: u64,
}

impl Content {
    pub fn new(objects: u64, gzip: bool) -> io::Result<Self> {
        let object =
            |n| format!("{{\"n\":{n},\"name\":\"object {}\",\"tags\":[1,2,3]}}\n", n * 7919);
        let text: String = (0..objects).map(object).collect();
        let (len, sum) = (text.len(), (0..objects).sum());
        let mut bytes = text.into_bytes();
        if gzip {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(&bytes)?;
            bytes = encoder.finish()?;
        }
        Ok(Content { bytes, text: len, sum })
    }
}

/// Sends the first piece to each of the sockets that are returned, and once told, the others
/// in turn.
pub fn start(
    content: Content,
    streams: usize,
    piece: usize,
) -> io::Result<(Vec<UnixStream>, Sender<()>)> {
    let (go, told) = mpsc::channel();
    let (mut senders, mut receivers) = (Vec::new(), Vec::new());
    for _ in 0..streams {
        let (mut sender, receiver) = UnixStream::pair()?;
        receiver.set_nonblocking(true)?;
        sender.write_all(&content.bytes[..piece.min(content.bytes.len())])?;
        senders.push(sender);
        receivers.push(receiver);
    }
    thread::spawn(move || -> io::Result<()> {
        if told.recv().is_err() {
            return Ok(());
        }
        for piece in content.bytes.chunks(piece).skip(1) {
            for sender in &mut senders {
                sender.write_all(piece)?;
            }
        }
        Ok(())
    });
    Ok((receivers, go))
}
