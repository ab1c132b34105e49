//! Instructions, and blocks made of them.

/// One instruction, laid out as the kernel's `struct sock_filter`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct SockFilter {
    /// The operation.
    pub code: u16,
    /// How many instructions to skip when the comparison holds.
    pub jt: u8,
    /// How many to skip when it does not.
    pub jf: u8,
    /// The constant.
    pub k: u32,
}

/// `BPF_LD | BPF_W | BPF_ABS`.
const LOAD: u16 = 0x20;
/// `BPF_ALU | BPF_AND | BPF_K`.
const AND: u16 = 0x54;
/// `BPF_JMP | BPF_JA`.
const JUMP: u16 = 0x05;
/// `BPF_JMP | BPF_JEQ | BPF_K`.
pub(super) const JEQ: u16 = 0x15;
/// `BPF_JMP | BPF_JGT | BPF_K`.
pub(super) const JGT: u16 = 0x25;
/// `BPF_JMP | BPF_JGE | BPF_K`.
pub(super) const JGE: u16 = 0x35;
/// `BPF_RET | BPF_K`.
const RET: u16 = 0x06;

const fn plain(code: u16, k: u32) -> SockFilter {
    SockFilter {
        code,
        jt: 0,
        jf: 0,
        k,
    }
}

/// Loads the word at `offset` of `seccomp_data`.
pub(super) const fn load(offset: u32) -> SockFilter {
    plain(LOAD, offset)
}

/// Keeps the bits of `mask`.
pub(super) const fn and(mask: u32) -> SockFilter {
    plain(AND, mask)
}

/// Ends with `word`.
pub(super) const fn ret(word: u32) -> SockFilter {
    plain(RET, word)
}

/// Runs `yes` if the accumulator compares so with `k`, else `no`. Both end in a return.
pub(super) fn branch(
    code: u16,
    k: u32,
    yes: Vec<SockFilter>,
    no: Vec<SockFilter>,
) -> Vec<SockFilter> {
    let mut block = Vec::with_capacity(yes.len() + no.len() + 2);
    match u8::try_from(yes.len()) {
        Ok(jf) => block.push(SockFilter { code, jt: 0, jf, k }),
        Err(_) => {
            // A comparison skips 255 at most; a jump as far as a program is long.
            let far = u32::try_from(yes.len()).unwrap_or(u32::MAX);
            block.push(SockFilter {
                code,
                jt: 1,
                jf: 0,
                k,
            });
            block.push(plain(JUMP, far));
        }
    }
    block.extend(yes);
    block.extend(no);
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn far_branches_jump() {
        let near = branch(JEQ, 7, vec![ret(1); 255], vec![ret(2)]);
        assert_eq!((near[0].jt, near[0].jf, near.len()), (0, 255, 257));
        let far = branch(JEQ, 7, vec![ret(1); 256], vec![ret(2)]);
        assert_eq!((far[0].jt, far[0].jf, far.len()), (1, 0, 259));
        assert_eq!((far[1].code, far[1].k), (JUMP, 256));
        assert_eq!(far[2 + 256], ret(2));
    }

    #[test]
    fn the_layout_is_the_kernels() {
        assert_eq!(size_of::<SockFilter>(), 8);
        assert_eq!(align_of::<SockFilter>(), 4);
    }
}
