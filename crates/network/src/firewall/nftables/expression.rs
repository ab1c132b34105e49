//! What rules are made of: small steps over 16 registers of four bytes.

use super::attribute::Writer;

const NFTA_EXPR_NAME: u16 = 1;
const NFTA_EXPR_DATA: u16 = 2;
const NFTA_DATA_VALUE: u16 = 1;
const NFTA_DATA_VERDICT: u16 = 2;
const NFTA_VERDICT_CODE: u16 = 1;
const NFTA_VERDICT_CHAIN: u16 = 2;

/// `NFT_REG32_00`: the first four bytes of the registers.
const FIRST_SLOT: u32 = 8;
const NFT_REG_VERDICT: u32 = 0;

const NF_DROP: u32 = 0;
const NF_ACCEPT: u32 = 1;
const NFT_JUMP: u32 = (-3i32).cast_unsigned();

/// What the packet's metadata tells.
#[derive(Debug, Clone, Copy)]
pub(super) enum Meta {
    InputName = 6,
    OutputName = 7,
    Family = 15,
    Protocol = 16,
}

/// Where a header starts.
#[derive(Debug, Clone, Copy)]
pub(super) enum Header {
    Network = 1,
    Transport = 2,
}

/// How values are compared.
#[derive(Debug, Clone, Copy)]
pub(super) enum Compare {
    Equal = 0,
    NotEqual = 1,
}

/// What becomes of a packet.
#[derive(Debug, Clone, Copy)]
pub(super) enum Verdict {
    Accept,
    Drop,
    Jump(&'static str),
}

/// A step of a rule. A comparison or lookup that fails ends the rule. `slot` counts registers
/// of four bytes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Expression {
    /// Loads metadata.
    Meta { key: Meta, slot: u32 },
    /// Loads bytes of a header.
    Payload {
        base: Header,
        offset: u32,
        length: u32,
        slot: u32,
    },
    /// Loads the connection's status bits.
    ConnectionStatus { slot: u32 },
    /// Loads whether the destination is the host's own, a broadcast, ...
    DestinationType { slot: u32 },
    /// Masks four bytes.
    Mask { slot: u32, mask: [u8; 4] },
    /// Compares with a value.
    Compare {
        slot: u32,
        how: Compare,
        value: &'static [u8],
    },
    /// Looks registers up in a set.
    Lookup {
        set: &'static str,
        slot: u32,
        inverted: bool,
    },
    /// Looks registers up in a map and replaces them by what it holds.
    Map { set: &'static str, slot: u32 },
    /// Changes the destination to the address and port in registers.
    DestinationNat {
        family: u32,
        address: u32,
        port: u32,
    },
    /// Changes the source to the host's address.
    Masquerade { flags: u32 },
    /// Decides.
    Verdict(Verdict),
}

impl Expression {
    pub(super) fn write(&self, writer: &mut Writer) {
        writer.put_str(NFTA_EXPR_NAME, self.name());
        writer.nest(NFTA_EXPR_DATA, |writer| self.write_data(writer));
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Meta { .. } => "meta",
            Self::Payload { .. } => "payload",
            Self::ConnectionStatus { .. } => "ct",
            Self::DestinationType { .. } => "fib",
            Self::Mask { .. } => "bitwise",
            Self::Compare { .. } => "cmp",
            Self::Lookup { .. } | Self::Map { .. } => "lookup",
            Self::DestinationNat { .. } => "nat",
            Self::Masquerade { .. } => "masq",
            Self::Verdict(_) => "immediate",
        }
    }

    fn write_data(&self, writer: &mut Writer) {
        match *self {
            Self::Meta { key, slot } => {
                writer.put_u32(1, register(slot)); // NFTA_META_DREG
                writer.put_u32(2, key as u32); // NFTA_META_KEY
            }
            Self::Payload {
                base,
                offset,
                length,
                slot,
            } => {
                writer.put_u32(1, register(slot)); // NFTA_PAYLOAD_DREG
                writer.put_u32(2, base as u32); // NFTA_PAYLOAD_BASE
                writer.put_u32(3, offset); // NFTA_PAYLOAD_OFFSET
                writer.put_u32(4, length); // NFTA_PAYLOAD_LEN
            }
            Self::ConnectionStatus { slot } => {
                writer.put_u32(1, register(slot)); // NFTA_CT_DREG
                writer.put_u32(2, 2); // NFTA_CT_KEY: NFT_CT_STATUS
            }
            Self::DestinationType { slot } => {
                writer.put_u32(1, register(slot)); // NFTA_FIB_DREG
                writer.put_u32(2, 3); // NFTA_FIB_RESULT: NFT_FIB_RESULT_ADDRTYPE
                writer.put_u32(3, 2); // NFTA_FIB_FLAGS: NFTA_FIB_F_DADDR
            }
            Self::Mask { slot, mask } => write_mask(writer, slot, mask),
            Self::Compare { slot, how, value } => {
                writer.put_u32(1, register(slot)); // NFTA_CMP_SREG
                writer.put_u32(2, how as u32); // NFTA_CMP_OP
                writer.nest(3, |writer| writer.put(NFTA_DATA_VALUE, value)); // NFTA_CMP_DATA
            }
            Self::Lookup {
                set,
                slot,
                inverted,
            } => {
                writer.put_str(1, set); // NFTA_LOOKUP_SET
                writer.put_u32(2, register(slot)); // NFTA_LOOKUP_SREG
                if inverted {
                    writer.put_u32(5, 1); // NFTA_LOOKUP_FLAGS: NFT_LOOKUP_F_INV
                }
            }
            Self::Map { set, slot } => {
                writer.put_str(1, set); // NFTA_LOOKUP_SET
                writer.put_u32(2, register(slot)); // NFTA_LOOKUP_SREG
                writer.put_u32(3, register(slot)); // NFTA_LOOKUP_DREG
            }
            Self::DestinationNat {
                family,
                address,
                port,
            } => {
                writer.put_u32(1, 1); // NFTA_NAT_TYPE: NFT_NAT_DNAT
                writer.put_u32(2, family); // NFTA_NAT_FAMILY
                writer.put_u32(3, register(address)); // NFTA_NAT_REG_ADDR_MIN
                writer.put_u32(5, register(port)); // NFTA_NAT_REG_PROTO_MIN
            }
            Self::Masquerade { flags } => {
                if flags != 0 {
                    writer.put_u32(1, flags); // NFTA_MASQ_FLAGS
                }
            }
            Self::Verdict(verdict) => write_verdict(writer, verdict),
        }
    }
}

fn register(slot: u32) -> u32 {
    FIRST_SLOT + slot
}

fn write_mask(writer: &mut Writer, slot: u32, mask: [u8; 4]) {
    writer.put_u32(1, register(slot)); // NFTA_BITWISE_SREG
    writer.put_u32(2, register(slot)); // NFTA_BITWISE_DREG
    writer.put_u32(3, 4); // NFTA_BITWISE_LEN
    writer.nest(4, |writer| writer.put(NFTA_DATA_VALUE, &mask)); // NFTA_BITWISE_MASK
    writer.nest(5, |writer| writer.put(NFTA_DATA_VALUE, &[0; 4])); // NFTA_BITWISE_XOR
}

fn write_verdict(writer: &mut Writer, verdict: Verdict) {
    writer.put_u32(1, NFT_REG_VERDICT); // NFTA_IMMEDIATE_DREG
    // NFTA_IMMEDIATE_DATA
    writer.nest(2, |writer| {
        writer.nest(NFTA_DATA_VERDICT, |writer| {
            let (code, chain) = match verdict {
                Verdict::Accept => (NF_ACCEPT, None),
                Verdict::Drop => (NF_DROP, None),
                Verdict::Jump(chain) => (NFT_JUMP, Some(chain)),
            };
            writer.put_u32(NFTA_VERDICT_CODE, code);
            if let Some(chain) = chain {
                writer.put_str(NFTA_VERDICT_CHAIN, chain);
            }
        });
    });
}
