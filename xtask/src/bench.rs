//! `cargo xtask bench`
pub fn run(_kernels: &[String]) -> anyhow::Result<()> {
    anyhow::bail!("not yet")
}
