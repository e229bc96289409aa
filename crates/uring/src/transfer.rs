//! How far one request has come: what to do after each result of the system. Shared by all engines.

use rustix::io::Errno;

use crate::error::IoError;
use crate::request::Request;

/// EINTR and EAGAIN in a row, without a byte of progress, before the error is passed on.
const STALLS_MAX: u32 = 1000;

/// Progress of one request through possibly many system calls.
pub(crate) struct Transfer {
    len: usize,
    done: usize,
    alignment: usize,
    stalls: u32,
}

/// What comes after a result.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Transfer the rest, from [`Transfer::done`].
    Continue,
    Finished,
    Failed(Failure),
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    Os(Errno),
    /// No more bytes came, or went.
    End,
}

impl Transfer {
    pub(crate) fn new(request: &Request) -> Self {
        Self { len: request.bytes(), done: 0, alignment: request.file.alignment(), stalls: 0 }
    }

    /// Bytes transferred so far.
    pub(crate) fn done(&self) -> usize {
        self.done
    }

    /// Takes one result of the system for the piece that began at [`Transfer::done`].
    pub(crate) fn advance(&mut self, result: Result<usize, Errno>) -> Step {
        match result {
            Err(Errno::INTR | Errno::AGAIN) if self.stalls < STALLS_MAX => {
                self.stalls += 1;
                Step::Continue
            }
            Err(errno) => Step::Failed(Failure::Os(errno)),
            Ok(bytes) => self.progress(bytes),
        }
    }

    fn progress(&mut self, bytes: usize) -> Step {
        let reached = self.done + bytes;
        if reached >= self.len {
            self.done = self.len;
            return Step::Finished;
        }
        // A direct file can only be continued at an aligned place, so an odd rest is transferred again. It
        // comes short again only at the end of the file, and then nothing is left that could be gained.
        let resumed = reached - reached % self.alignment;
        if resumed == self.done {
            return Step::Failed(Failure::End);
        }
        self.done = resumed;
        self.stalls = 0;
        Step::Continue
    }

    /// The error that the one who waits gets.
    pub(crate) fn error(&self, request: &Request, failure: Failure) -> IoError {
        let (operation, path) = (request.operation, request.file.path().to_path_buf());
        let offset = request.offset + self.done as u64;
        match failure {
            Failure::Os(errno) => IoError::Os { operation, path, offset, errno },
            Failure::End => {
                IoError::UnexpectedEnd { operation, path, offset, expected: self.len, got: self.done }
            }
        }
    }

    #[cfg(test)]
    fn of(len: usize, alignment: usize) -> Self {
        Self { len, done: 0, alignment, stalls: 0 }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_short_result_is_continued_where_it_stopped() {
        let mut transfer = Transfer::of(10, 1);
        assert_eq!(transfer.advance(Ok(4)), Step::Continue);
        assert_eq!(transfer.done(), 4);
        assert_eq!(transfer.advance(Ok(6)), Step::Finished);
    }

    #[test]
    fn a_direct_transfer_resumes_at_an_aligned_place() {
        let mut transfer = Transfer::of(16384, 4096);
        assert_eq!(transfer.advance(Ok(9000)), Step::Continue);
        assert_eq!(transfer.done(), 8192);
        assert_eq!(transfer.advance(Ok(8192)), Step::Finished);
    }

    #[test]
    fn the_end_of_the_file_is_an_error_and_no_endless_loop() {
        assert_eq!(Transfer::of(10, 1).advance(Ok(0)), Step::Failed(Failure::End));
        assert_eq!(Transfer::of(8192, 4096).advance(Ok(4000)), Step::Failed(Failure::End));
    }

    #[test]
    fn interruptions_are_tried_again_but_not_for_ever() {
        let mut transfer = Transfer::of(10, 1);
        for errno in [Errno::INTR, Errno::AGAIN].into_iter().cycle().take(STALLS_MAX as usize) {
            assert_eq!(transfer.advance(Err(errno)), Step::Continue);
        }
        assert_eq!(transfer.advance(Err(Errno::AGAIN)), Step::Failed(Failure::Os(Errno::AGAIN)));
    }

    #[test]
    fn progress_makes_room_for_new_interruptions() {
        let mut transfer = Transfer::of(10, 1);
        for _ in 0..STALLS_MAX {
            transfer.advance(Err(Errno::AGAIN));
        }
        assert_eq!(transfer.advance(Ok(1)), Step::Continue);
        assert_eq!(transfer.advance(Err(Errno::AGAIN)), Step::Continue);
    }

    #[test]
    fn any_other_error_ends_the_transfer_at_once() {
        let mut transfer = Transfer::of(10, 1);
        assert_eq!(transfer.advance(Ok(3)), Step::Continue);
        assert_eq!(transfer.advance(Err(Errno::IO)), Step::Failed(Failure::Os(Errno::IO)));
    }

    proptest! {
        /// Whatever the sizes of the pieces, the transfer ends exactly when all bytes are through, and never
        /// counts a byte that a direct file would have to send again.
        #[test]
        fn pieces_of_any_size_add_up(len in 1usize..100_000, direct: bool, pieces in prop::collection::vec(0usize..30_000, 1..200)) {
            let alignment = if direct { 4096 } else { 1 };
            let len = len.next_multiple_of(alignment);
            let mut transfer = Transfer::of(len, alignment);
            for piece in pieces {
                let before = transfer.done();
                let piece = piece.min(len - before);
                match transfer.advance(Ok(piece)) {
                    Step::Continue => {
                        prop_assert!(transfer.done() > before && transfer.done() < len);
                        prop_assert!(transfer.done() <= before + piece);
                        prop_assert!(transfer.done().is_multiple_of(alignment));
                    }
                    Step::Finished => {
                        prop_assert_eq!(before + piece, len);
                        break;
                    }
                    Step::Failed(failure) => {
                        prop_assert_eq!(failure, Failure::End);
                        prop_assert!(piece < alignment);
                        break;
                    }
                }
            }
        }
    }
}
