//! The state of a snapshot as a list of 64-bit words: one writer, one reader, the same order in both.
//!
//! Reading never panics and never believes a count: what is not there is an error that says so.

use crate::error::Error;

/// Words being written.
#[derive(Debug, Default)]
pub struct Writer(Vec<u64>);

impl Writer {
    /// One word.
    pub fn word(&mut self, word: u64) {
        self.0.push(word);
    }

    /// Several words, whose number the reader knows.
    pub fn words(&mut self, words: &[u64]) {
        self.0.extend_from_slice(words);
    }

    /// A list of rows, its length first.
    pub fn rows<const N: usize>(&mut self, rows: impl IntoIterator<Item = [u64; N]>) {
        let at = self.0.len();
        self.0.push(0);
        rows.into_iter().for_each(|row| self.0.extend(row));
        self.0[at] = ((self.0.len() - at - 1) / N) as u64;
    }

    /// Bytes, their number first.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.0.push(bytes.len() as u64);
        for part in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..part.len()].copy_from_slice(part);
            self.0.push(u64::from_le_bytes(word));
        }
    }

    /// What was written, as bytes.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.0.iter().flat_map(|word| word.to_le_bytes()).collect()
    }
}

/// Words being read.
#[derive(Debug)]
pub struct Reader<'a>(pub &'a [u8]);

impl Reader<'_> {
    /// One word.
    ///
    /// # Errors
    /// If there is none.
    pub fn word(&mut self) -> Result<u64, Error> {
        let (word, rest) = self.0.split_first_chunk().ok_or_else(short)?;
        self.0 = rest;
        Ok(u64::from_le_bytes(*word))
    }

    /// As many words as the caller knows.
    ///
    /// # Errors
    /// If there are fewer.
    pub fn words<const N: usize>(&mut self) -> Result<[u64; N], Error> {
        let mut words = [0; N];
        for word in &mut words {
            *word = self.word()?;
        }
        Ok(words)
    }

    /// A list of rows.
    ///
    /// # Errors
    /// If it is longer than what is there.
    pub fn rows<const N: usize>(&mut self) -> Result<Vec<[u64; N]>, Error> {
        let count = self.word()?;
        if count > (self.0.len() / (8 * N)) as u64 {
            return Err(short());
        }
        (0..count).map(|_| self.words()).collect()
    }

    /// Bytes.
    ///
    /// # Errors
    /// If there are fewer than it says.
    pub fn bytes(&mut self) -> Result<Vec<u8>, Error> {
        let len = self.word()?;
        let padded =
            len.checked_next_multiple_of(8).filter(|&l| l <= self.0.len() as u64).ok_or_else(short)?;
        let (bytes, rest) = self.0.split_at(padded as usize);
        self.0 = rest;
        Ok(bytes[..len as usize].to_vec())
    }

    /// Nothing may be left.
    ///
    /// # Errors
    /// If something is.
    pub fn end(&self) -> Result<(), Error> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Error::Program("the snapshot's state is too long".into()))
        }
    }
}

fn short() -> Error {
    Error::Program("the snapshot's state is cut short".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_nothing_else() {
        let mut writer = Writer::default();
        writer.word(7);
        writer.rows([[1, 2], [3, 4]]);
        writer.bytes(b"hello world");
        writer.words(&[5, 6]);
        let bytes = writer.finish();
        let mut reader = Reader(&bytes);
        assert_eq!(reader.word().unwrap(), 7);
        assert_eq!(reader.rows::<2>().unwrap(), [[1, 2], [3, 4]]);
        assert_eq!(reader.bytes().unwrap(), b"hello world");
        assert!(reader.end().is_err());
        assert_eq!(reader.words::<2>().unwrap(), [5, 6]);
        reader.end().unwrap();
        assert!(reader.word().is_err());
    }

    #[test]
    fn a_count_is_not_believed() {
        let huge = u64::MAX.to_le_bytes();
        assert!(Reader(&huge).rows::<3>().is_err());
        assert!(Reader(&huge).bytes().is_err());
        assert!(Reader(&huge[..7]).word().is_err());
    }
}
