//! Bytes: events as the ring buffers give them, and the saved stream.
pub mod decode;
pub mod log;
pub mod secrets;
pub mod stream;
mod stream_v1;
