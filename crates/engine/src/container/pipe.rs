//! A stream from one thread to another.

use std::io::{self, BufReader, BufWriter, Read, Write};

use crate::error::{Error, Result};

/// How much passes at a time.
const BUFFER_BYTES: usize = 64 * 1024;

/// Runs `write` on a thread of its own and hands what it writes to `read`. What `write` could
/// not finish counts for nothing, whatever `read` made of it.
///
/// # Errors
/// `read`'s, else `write`'s.
pub(crate) fn piped<T>(
    read: impl FnOnce(&mut dyn Read) -> Result<T>,
    write: impl FnOnce(&mut dyn Write) -> Result<()> + Send,
) -> Result<T> {
    let (reader, writer) = io::pipe().map_err(Error::system("make a pipe"))?;
    std::thread::scope(|scope| {
        let writing = scope.spawn(move || {
            let mut output = BufWriter::with_capacity(BUFFER_BYTES, writer);
            write(&mut output)?;
            output.flush().map_err(Error::system("write to a pipe"))
        });
        let mut input = BufReader::with_capacity(BUFFER_BYTES, reader);
        let read = read(&mut input);
        // The writer must not wait for a reader that has given up.
        drop(input);
        let written = writing
            .join()
            .unwrap_or_else(|_| Err(Error::invalid("reading the files failed badly")));
        let read = read?;
        written.map(|()| read)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_written_whole_is_not_taken() {
        let whole = piped(
            |input| {
                let mut text = String::new();
                input
                    .read_to_string(&mut text)
                    .map_err(Error::system("read"))?;
                Ok(text)
            },
            |output| output.write_all(b"text").map_err(Error::system("write")),
        );
        assert_eq!(whole.unwrap(), "text");
        let broken = piped(
            |input| io::copy(input, &mut io::sink()).map_err(Error::system("read")),
            |output| {
                output.write_all(b"half").map_err(Error::system("write"))?;
                Err(Error::invalid("no more"))
            },
        );
        assert_eq!(broken.unwrap_err().to_string(), "no more");
    }
}
