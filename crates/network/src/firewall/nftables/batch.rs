//! One nftables transaction: all of its requests take effect, or none.

use std::io;

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL, NLM_F_NONREC, NLM_F_REQUEST,
};
use netlink_sys::protocols::NETLINK_NETFILTER;
use nix::errno::Errno;

use super::Element;
use super::attribute::Writer;
use super::expression::Expression;
use crate::netlink::{Connection, Frame};

const NFNL_SUBSYS_NFTABLES: u16 = 10;
const NFNL_MSG_BATCH_BEGIN: u16 = 16;
const NFNL_MSG_BATCH_END: u16 = 17;

const NFPROTO_UNSPEC: u8 = 0;
const NFPROTO_INET: u8 = 1;

const NFT_MSG_NEWTABLE: u16 = 0;
const NFT_MSG_DELTABLE: u16 = 2;
const NFT_MSG_NEWCHAIN: u16 = 3;
const NFT_MSG_NEWRULE: u16 = 6;
const NFT_MSG_DELRULE: u16 = 8;
const NFT_MSG_NEWSET: u16 = 9;
const NFT_MSG_DELSET: u16 = 11;
const NFT_MSG_NEWSETELEM: u16 = 12;
const NFT_MSG_DELSETELEM: u16 = 14;

const NFTA_TABLE_NAME: u16 = 1;
const NFTA_CHAIN_TABLE: u16 = 1;
const NFTA_CHAIN_NAME: u16 = 3;
const NFTA_CHAIN_HOOK: u16 = 4;
const NFTA_CHAIN_POLICY: u16 = 5;
const NFTA_CHAIN_TYPE: u16 = 7;
const NFTA_HOOK_HOOKNUM: u16 = 1;
const NFTA_HOOK_PRIORITY: u16 = 2;
const NFTA_RULE_TABLE: u16 = 1;
const NFTA_RULE_CHAIN: u16 = 2;
const NFTA_RULE_EXPRESSIONS: u16 = 4;
const NFTA_SET_TABLE: u16 = 1;
const NFTA_SET_NAME: u16 = 2;
const NFTA_SET_FLAGS: u16 = 3;
const NFTA_SET_KEY_TYPE: u16 = 4;
const NFTA_SET_KEY_LEN: u16 = 5;
const NFTA_SET_DATA_TYPE: u16 = 6;
const NFTA_SET_DATA_LEN: u16 = 7;
const NFTA_SET_ID: u16 = 10;
const NFTA_SET_USERDATA: u16 = 13;
const NFTA_SET_ELEM_LIST_TABLE: u16 = 1;
const NFTA_SET_ELEM_LIST_SET: u16 = 2;
const NFTA_SET_ELEM_LIST_ELEMENTS: u16 = 3;
const NFTA_SET_ELEM_KEY: u16 = 1;
const NFTA_SET_ELEM_DATA: u16 = 2;
const NFTA_SET_ELEM_FLAGS: u16 = 3;
const NFTA_DATA_VALUE: u16 = 1;
const NFTA_LIST_ELEM: u16 = 1;

/// A note for the nft tool, which the kernel only keeps.
const UDATA_SET_KEY_BYTE_ORDER: u8 = 0;
const UDATA_HOST_ENDIAN: u32 = 1;

const NF_ACCEPT: u32 = 1;
const NFT_SET_INTERVAL: u32 = 0x4;
const NFT_SET_MAP: u32 = 0x8;
const NFT_SET_ELEM_INTERVAL_END: u32 = 1;

/// Where a base chain hooks in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hook {
    /// `filter` or `nat`.
    pub(super) kind: &'static str,
    pub(super) number: u32,
    pub(super) priority: i32,
}

/// A set or map to make. Types are nft's own numbers, which only its listing uses.
#[derive(Debug, Clone, Copy)]
pub(super) struct SetSpec {
    pub(super) name: &'static str,
    pub(super) key_type: u32,
    pub(super) key_bytes: u32,
    /// Type and length of the data, for a map.
    pub(super) data: Option<(u32, u32)>,
    pub(super) interval: bool,
    /// Keys are in the host's byte order, or the nft tool prints them empty.
    pub(super) host_order: bool,
}

/// Why a transaction was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Failure {
    /// The tag of the refused request; `None` if it had none.
    pub(super) tag: Option<usize>,
    pub(super) errno: Errno,
}

/// Requests to be committed together. The first and last are the marks around them.
#[derive(Debug)]
pub(super) struct Batch {
    writer: Writer,
    /// The tag of each request; their sequence numbers count from 2.
    tags: Vec<Option<usize>>,
    tag: Option<usize>,
    /// Where the last request starts.
    last: usize,
}

impl Batch {
    pub(super) fn new() -> Self {
        let mut batch = Self {
            writer: Writer::default(),
            tags: Vec::new(),
            tag: None,
            last: 0,
        };
        batch.mark(NFNL_MSG_BATCH_BEGIN);
        batch
    }

    /// Requests added from here on report failures under `tag`.
    pub(super) fn tag(&mut self, tag: usize) {
        self.tag = Some(tag);
    }

    pub(super) fn add_table(&mut self, table: &str) {
        self.request(NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL, |writer| {
            writer.put_str(NFTA_TABLE_NAME, table);
        });
    }

    pub(super) fn delete_table(&mut self, table: &str) {
        self.request(NFT_MSG_DELTABLE, 0, |writer| {
            writer.put_str(NFTA_TABLE_NAME, table);
        });
    }

    pub(super) fn add_chain(&mut self, table: &str, name: &str, hook: Option<Hook>) {
        self.request(NFT_MSG_NEWCHAIN, NLM_F_CREATE, |writer| {
            writer.put_str(NFTA_CHAIN_TABLE, table);
            writer.put_str(NFTA_CHAIN_NAME, name);
            let Some(hook) = hook else { return };
            writer.nest(NFTA_CHAIN_HOOK, |writer| {
                writer.put_u32(NFTA_HOOK_HOOKNUM, hook.number);
                writer.put_u32(NFTA_HOOK_PRIORITY, hook.priority.cast_unsigned());
            });
            writer.put_u32(NFTA_CHAIN_POLICY, NF_ACCEPT);
            writer.put_str(NFTA_CHAIN_TYPE, hook.kind);
        });
    }

    pub(super) fn add_rule(&mut self, table: &str, chain: &str, expressions: &[Expression]) {
        self.request(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, |writer| {
            writer.put_str(NFTA_RULE_TABLE, table);
            writer.put_str(NFTA_RULE_CHAIN, chain);
            writer.nest(NFTA_RULE_EXPRESSIONS, |writer| {
                for expression in expressions {
                    writer.nest(NFTA_LIST_ELEM, |writer| expression.write(writer));
                }
            });
        });
    }

    /// Deletes every rule of every chain of the table.
    pub(super) fn delete_rules(&mut self, table: &str) {
        self.request(NFT_MSG_DELRULE, 0, |writer| {
            writer.put_str(NFTA_RULE_TABLE, table);
        });
    }

    pub(super) fn add_set(&mut self, table: &str, set: &SetSpec) {
        // Only names are used to find sets, but a new one must have a number of its own.
        let id = self.sequence();
        self.request(NFT_MSG_NEWSET, NLM_F_CREATE, |writer| {
            writer.put_str(NFTA_SET_TABLE, table);
            writer.put_str(NFTA_SET_NAME, set.name);
            let interval = if set.interval { NFT_SET_INTERVAL } else { 0 };
            let map = if set.data.is_some() { NFT_SET_MAP } else { 0 };
            writer.put_u32(NFTA_SET_FLAGS, interval | map);
            writer.put_u32(NFTA_SET_KEY_TYPE, set.key_type);
            writer.put_u32(NFTA_SET_KEY_LEN, set.key_bytes);
            if let Some((kind, bytes)) = set.data {
                writer.put_u32(NFTA_SET_DATA_TYPE, kind);
                writer.put_u32(NFTA_SET_DATA_LEN, bytes);
            }
            writer.put_u32(NFTA_SET_ID, id);
            if set.host_order {
                let [a, b, c, d] = UDATA_HOST_ENDIAN.to_ne_bytes();
                let note = [UDATA_SET_KEY_BYTE_ORDER, 4, a, b, c, d];
                writer.put(NFTA_SET_USERDATA, &note);
            }
        });
    }

    /// Deletes a set; the kernel refuses with `EBUSY` while it has elements.
    pub(super) fn delete_empty_set(&mut self, table: &str, set: &str) {
        self.request(NFT_MSG_DELSET, NLM_F_NONREC, |writer| {
            writer.put_str(NFTA_SET_TABLE, table);
            writer.put_str(NFTA_SET_NAME, set);
        });
    }

    pub(super) fn add_elements(&mut self, table: &str, set: &str, elements: &[Element]) {
        self.elements(NFT_MSG_NEWSETELEM, NLM_F_CREATE, table, set, elements);
    }

    pub(super) fn delete_element(&mut self, table: &str, set: &str, element: &Element) {
        let elements = std::slice::from_ref(element);
        self.elements(NFT_MSG_DELSETELEM, 0, table, set, elements);
    }

    fn elements(&mut self, kind: u16, flags: u16, table: &str, set: &str, elements: &[Element]) {
        self.request(kind, flags, |writer| {
            writer.put_str(NFTA_SET_ELEM_LIST_TABLE, table);
            writer.put_str(NFTA_SET_ELEM_LIST_SET, set);
            writer.nest(NFTA_SET_ELEM_LIST_ELEMENTS, |writer| {
                for element in elements {
                    writer.nest(NFTA_LIST_ELEM, |writer| write_element(writer, element));
                }
            });
        });
    }

    /// Sends the transaction; the inner error lists the refused requests, in their order.
    pub(super) fn commit(mut self) -> io::Result<Result<(), Vec<Failure>>> {
        let end = self.sequence();
        // One acknowledgement is enough: the kernel sends it after all refusals.
        let at = self.last + 6;
        let flags = &mut self.writer.bytes[at..at + 2];
        let asked = u16::from_ne_bytes([flags[0], flags[1]]) | NLM_F_ACK;
        flags.copy_from_slice(&asked.to_ne_bytes());
        self.mark(NFNL_MSG_BATCH_END);
        let mut connection = Connection::open(NETLINK_NETFILTER)?;
        connection.send(&self.writer.bytes)?;
        self.collect(&mut connection, end - 1)
    }

    fn collect(
        &self,
        connection: &mut Connection,
        last: u32,
    ) -> io::Result<Result<(), Vec<Failure>>> {
        let mut failures = Vec::new();
        let mut acknowledged = false;
        while let Some(mut datagram) = connection.receive()? {
            while !datagram.is_empty() {
                let (frame, rest) = Frame::split(datagram)?;
                datagram = rest;
                match frame.outcome() {
                    Some(Ok(())) => acknowledged |= frame.sequence == last,
                    Some(Err(errno)) => failures.push(Failure {
                        tag: self.tag_of(frame.sequence),
                        errno,
                    }),
                    None => {}
                }
            }
        }
        match (failures.is_empty(), acknowledged) {
            (false, _) => Ok(Err(failures)),
            (true, true) => Ok(Ok(())),
            (true, false) => Err(io::Error::other("the kernel left a transaction unanswered")),
        }
    }

    /// The first request after the opening mark has number 2.
    fn tag_of(&self, sequence: u32) -> Option<usize> {
        let index = usize::try_from(sequence.checked_sub(2)?).ok()?;
        self.tags.get(index).copied().flatten()
    }

    /// The number of the next request.
    fn sequence(&self) -> u32 {
        u32::try_from(self.tags.len()).expect("far fewer requests") + 2
    }

    fn request(&mut self, kind: u16, flags: u16, write: impl FnOnce(&mut Writer)) {
        let sequence = self.sequence();
        self.tags.push(self.tag);
        let kind = (NFNL_SUBSYS_NFTABLES << 8) | kind;
        self.last = self.message(kind, flags, sequence, NFPROTO_INET, 0, write);
    }

    fn mark(&mut self, kind: u16) {
        let sequence = if kind == NFNL_MSG_BATCH_BEGIN {
            1
        } else {
            self.sequence()
        };
        let subsystem = NFNL_SUBSYS_NFTABLES;
        self.message(kind, 0, sequence, NFPROTO_UNSPEC, subsystem, |_| {});
    }

    /// Appends a message and gives the place where it starts.
    fn message(
        &mut self,
        kind: u16,
        flags: u16,
        sequence: u32,
        family: u8,
        resource: u16,
        write: impl FnOnce(&mut Writer),
    ) -> usize {
        let start = self.writer.bytes.len();
        let header = &mut self.writer.bytes;
        header.extend([0; 4]);
        header.extend(kind.to_ne_bytes());
        header.extend((flags | NLM_F_REQUEST).to_ne_bytes());
        header.extend(sequence.to_ne_bytes());
        header.extend([0; 4]);
        header.extend([family, 0]);
        header.extend(resource.to_be_bytes());
        write(&mut self.writer);
        let length = u32::try_from(self.writer.bytes.len() - start).expect("bounded messages");
        self.writer.bytes[start..start + 4].copy_from_slice(&length.to_ne_bytes());
        start
    }
}

fn write_element(writer: &mut Writer, element: &Element) {
    writer.nest(NFTA_SET_ELEM_KEY, |writer| {
        writer.put(NFTA_DATA_VALUE, &element.key);
    });
    if let Some(data) = &element.data {
        writer.nest(NFTA_SET_ELEM_DATA, |writer| {
            writer.put(NFTA_DATA_VALUE, data);
        });
    }
    if element.interval_end {
        writer.put_u32(NFTA_SET_ELEM_FLAGS, NFT_SET_ELEM_INTERVAL_END);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_numbered_and_the_last_asks_for_an_answer() {
        let mut batch = Batch::new();
        batch.add_table("t");
        batch.tag(7);
        batch.add_chain("t", "c", None);
        assert_eq!(batch.tag_of(1), None);
        assert_eq!(batch.tag_of(2), None);
        assert_eq!(batch.tag_of(3), Some(7));
        assert_eq!(batch.tag_of(4), None);
        let mut rest = batch.writer.bytes.as_slice();
        let mut kinds = Vec::new();
        while !rest.is_empty() {
            let (frame, tail) = Frame::split(rest).unwrap();
            kinds.push((frame.kind, frame.sequence));
            rest = tail;
        }
        assert_eq!(kinds, [(16, 1), (0x0a00, 2), (0x0a03, 3)]);
    }
}
