//! Is a binary static: does it ask for no program interpreter?

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

const PT_INTERP: u32 = 3;

/// Whether the 64-bit little-endian ELF file at `path` runs without a dynamic linker.
pub fn is_static(path: &Path) -> Result<bool> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(!segment_types(&bytes)?.contains(&PT_INTERP))
}

/// `p_type` of every program header (elf(5)).
fn segment_types(bytes: &[u8]) -> Result<Vec<u32>> {
    ensure!(
        bytes.starts_with(b"\x7fELF\x02\x01"),
        "not a 64-bit little-endian ELF file"
    );
    let offset = u64::from_le_bytes(field(bytes, 32)?) as usize;
    let size = usize::from(u16::from_le_bytes(field(bytes, 54)?));
    let count = usize::from(u16::from_le_bytes(field(bytes, 56)?));
    (0..count)
        .map(|index| Ok(u32::from_le_bytes(field(bytes, offset + index * size)?)))
        .collect()
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N]> {
    let found = at.checked_add(N).and_then(|end| bytes.get(at..end));
    Ok(found
        .context("the ELF header is cut short")?
        .try_into()
        .expect("N bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_test_binary_is_dynamic() {
        let path = std::env::current_exe().unwrap();
        let bytes = fs::read(&path).unwrap();
        assert_eq!(
            is_static(&path).unwrap(),
            !segment_types(&bytes).unwrap().contains(&3)
        );
        assert!(
            segment_types(&bytes).unwrap().contains(&1),
            "nothing is loaded"
        );
    }

    #[test]
    fn a_script_is_no_elf_file_and_a_short_one_is_refused() {
        assert!(segment_types(b"#!/bin/sh").is_err());
        assert!(segment_types(b"\x7fELF\x02\x01").is_err());
    }
}
