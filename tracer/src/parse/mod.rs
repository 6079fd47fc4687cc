//! Files of other programs: ELF, unwinding tables, DWARF, Go's tables. What stands in them was written by anybody, so it is
//! read by a process that may do nothing (`host::sandbox`), started by `parser`: one for each question (`worker`), which
//! gets descriptors and answers in packets (`protocol`). Bytes in, names out.
mod elf;
mod go;
pub mod lines;
pub mod parser;
pub mod protocol;
mod symbolize;
pub mod unwind;
pub mod worker;

#[cfg(test)]
mod damaged;
