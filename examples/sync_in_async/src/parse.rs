//! The synchronous code: it reads a stream of JSON, and knows no `async`.

use std::io::{BufReader, Read};

use flate2::read::GzDecoder;
use serde_json::{Deserializer, Error, Value};

/// The sum of the field `n` of all objects in the stream.
pub fn sum(source: impl Read, gzip: bool) -> Result<u64, Error> {
    if gzip { objects(GzDecoder::new(source)) } else { objects(source) }
}

fn objects(source: impl Read) -> Result<u64, Error> {
    let objects = Deserializer::from_reader(BufReader::with_capacity(1024, source));
    objects.into_iter::<Value>().map(|object| Ok(object?["n"].as_u64().unwrap_or(0))).sum()
}
