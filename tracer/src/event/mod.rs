//! What happened, as values: the model, how it is decoded, and how a stream of it is kept.
pub mod decode;
pub mod model;
pub mod signals;
pub mod stream;
