//! Text from untrusted bytes, and numbers for people.
pub mod apart;
pub mod base64;
pub mod demangle;
pub mod escape;
pub mod format;
pub mod near;
pub mod parse;
pub mod secrets;
