//! The table as it is made: sets, maps, chains and the rules that never change.

use super::batch::{Batch, Hook, SetSpec};
use super::expression::{Compare, Expression, Header, Meta, Verdict};

pub(super) const BRIDGES: &str = "bridges";
pub(super) const BRIDGED: &str = "bridged";
pub(super) const INTERNAL: &str = "internal";
pub(super) const SUBNETS4: &str = "subnets4";
pub(super) const SUBNETS6: &str = "subnets6";
pub(super) const PUBLISH4: &str = "publish4";
pub(super) const PUBLISH6: &str = "publish6";
pub(super) const PUBLISH4_AT: &str = "publish4_at";
pub(super) const PUBLISH6_AT: &str = "publish6_at";

// nft's numbers of data types; a concatenation shifts by six bits a part.
const IPV4_ADDR: u32 = 7;
const IPV6_ADDR: u32 = 8;
const INET_PROTO: u32 = 12;
const INET_SERVICE: u32 = 13;
const IFNAME: u32 = 41;

const NFPROTO_IPV4: u32 = 2;
const NFPROTO_IPV6: u32 = 10;

/// `NF_NAT_RANGE_PROTO_RANDOM_FULLY`: two clients that pick the same port at once do not wait
/// for one another's retransmission.
const RANDOM_FULLY: u32 = 0x10;

const SETS: [SetSpec; 9] = [
    SetSpec {
        host_order: true,
        ..set(BRIDGES, IFNAME, 16)
    },
    set(BRIDGED, concat(&[IFNAME, IFNAME]), 32),
    SetSpec {
        host_order: true,
        ..set(INTERNAL, IFNAME, 16)
    },
    SetSpec {
        interval: true,
        ..set(SUBNETS4, IPV4_ADDR, 4)
    },
    SetSpec {
        interval: true,
        ..set(SUBNETS6, IPV6_ADDR, 16)
    },
    SetSpec {
        data: Some((concat(&[IPV4_ADDR, INET_SERVICE]), 8)),
        ..set(PUBLISH4, concat(&[INET_PROTO, INET_SERVICE]), 8)
    },
    SetSpec {
        data: Some((concat(&[IPV6_ADDR, INET_SERVICE]), 20)),
        ..set(PUBLISH6, concat(&[INET_PROTO, INET_SERVICE]), 8)
    },
    SetSpec {
        data: Some((concat(&[IPV4_ADDR, INET_SERVICE]), 8)),
        ..set(
            PUBLISH4_AT,
            concat(&[IPV4_ADDR, INET_PROTO, INET_SERVICE]),
            12,
        )
    },
    SetSpec {
        data: Some((concat(&[IPV6_ADDR, INET_SERVICE]), 20)),
        ..set(
            PUBLISH6_AT,
            concat(&[IPV6_ADDR, INET_PROTO, INET_SERVICE]),
            24,
        )
    },
];

const CHAINS: [(&str, Option<Hook>); 6] = [
    ("publish", None),
    ("raw", hook("filter", 0, -300)),
    ("prerouting", hook("nat", 0, -100)),
    ("output", hook("nat", 3, -100)),
    ("postrouting", hook("nat", 4, 100)),
    ("forward", hook("filter", 2, 0)),
];

/// Adds the requests that make the table to `batch`; the first fails if there is one.
pub(super) fn create(batch: &mut Batch, table: &str) {
    batch.add_table(table);
    for set in &SETS {
        batch.add_set(table, set);
    }
    for (name, hook) in CHAINS {
        batch.add_chain(table, name, hook);
    }
    for (chain, rule) in rules() {
        batch.add_rule(table, chain, &rule);
    }
}

fn rules() -> Vec<(&'static str, Vec<Expression>)> {
    let mut rules = publish_rules();
    // `route_localnet` would let a container reach what listens on the host's loopback only.
    // Here answers to published ports still carry the bridge's address.
    rules.push((
        "raw",
        [
            on(Meta::InputName, BRIDGES, false).as_slice(),
            &ipv4_network_byte(16, &[127]),
            &[Expression::Verdict(Verdict::Drop)],
        ]
        .concat(),
    ));
    for chain in ["prerouting", "output"] {
        rules.push((chain, jump_if_local()));
    }
    rules.extend(masquerade_rules());
    rules.extend(forward_rules());
    rules
}

/// Host ports to containers: the maps for one host address win over those for all.
fn publish_rules() -> Vec<(&'static str, Vec<Expression>)> {
    let protocol_and_port = |slot: u32| {
        [
            Expression::Meta {
                key: Meta::Protocol,
                slot,
            },
            payload(Header::Transport, 2, 2, slot + 1),
        ]
    };
    let rule = |family: u32, map: &'static str, address: Option<Expression>| {
        // Where the port follows the address: in the key, and in what the map holds.
        let after = if family == NFPROTO_IPV4 { 1 } else { 4 };
        let key = if address.is_some() { after } else { 0 };
        let mut rule = is_family(family).to_vec();
        rule.extend(address);
        rule.extend(protocol_and_port(key));
        rule.push(Expression::Map { set: map, slot: 0 });
        rule.push(Expression::DestinationNat {
            family,
            address: 0,
            port: after,
        });
        ("publish", rule)
    };
    vec![
        rule(
            NFPROTO_IPV4,
            PUBLISH4_AT,
            Some(payload(Header::Network, 16, 4, 0)),
        ),
        rule(NFPROTO_IPV4, PUBLISH4, None),
        rule(
            NFPROTO_IPV6,
            PUBLISH6_AT,
            Some(payload(Header::Network, 24, 16, 0)),
        ),
        rule(NFPROTO_IPV6, PUBLISH6, None),
    ]
}

fn jump_if_local() -> Vec<Expression> {
    const RTN_LOCAL: &[u8] = &2u32.to_ne_bytes();
    vec![
        Expression::DestinationType { slot: 0 },
        equal(RTN_LOCAL),
        Expression::Verdict(Verdict::Jump("publish")),
    ]
}

/// Two needs: answers to a published port must come back through the host where its client is
/// the host itself or a container; and what leaves the networks takes the host's address.
fn masquerade_rules() -> Vec<(&'static str, Vec<Expression>)> {
    let to_published = [
        on(Meta::OutputName, BRIDGES, false).as_slice(),
        &is_published(),
    ]
    .concat();
    let leaving = on(Meta::OutputName, BRIDGES, true);
    let masquerade = |flags| [Expression::Masquerade { flags }];
    let bodies = [
        [
            &to_published[..],
            &ipv4_network_byte(12, &[127])[..],
            &masquerade(0),
        ]
        .concat(),
        [&to_published[..], &from_subnet4()[..], &masquerade(0)].concat(),
        [&to_published[..], &from_subnet6()[..], &masquerade(0)].concat(),
        [
            &leaving[..],
            &from_subnet4(),
            &[
                payload(Header::Network, 16, 4, 0),
                Expression::Mask {
                    slot: 0,
                    mask: [0xf0, 0, 0, 0],
                },
                unequal(&[0xe0, 0, 0, 0]),
            ],
            &masquerade(RANDOM_FULLY),
        ]
        .concat(),
        [
            &leaving[..],
            &from_subnet6(),
            &[payload(Header::Network, 24, 1, 0), unequal(&[0xff])],
            &masquerade(RANDOM_FULLY),
        ]
        .concat(),
    ];
    bodies.map(|body| ("postrouting", body)).to_vec()
}

/// Traffic within a network passes, and what an internal network would exchange with others
/// does not. Everything else is for other tables to decide.
fn forward_rules() -> Vec<(&'static str, Vec<Expression>)> {
    let within = vec![
        Expression::Meta {
            key: Meta::InputName,
            slot: 0,
        },
        Expression::Meta {
            key: Meta::OutputName,
            slot: 4,
        },
        Expression::Lookup {
            set: BRIDGED,
            slot: 0,
            inverted: false,
        },
        Expression::Verdict(Verdict::Accept),
    ];
    let dropped = |key| {
        let mut rule = on(key, INTERNAL, false).to_vec();
        rule.push(Expression::Verdict(Verdict::Drop));
        rule
    };
    vec![
        ("forward", within),
        ("forward", dropped(Meta::InputName)),
        ("forward", dropped(Meta::OutputName)),
    ]
}

/// The interface is, or is not, in a set of names.
fn on(key: Meta, set: &'static str, inverted: bool) -> [Expression; 2] {
    [
        Expression::Meta { key, slot: 0 },
        Expression::Lookup {
            set,
            slot: 0,
            inverted,
        },
    ]
}

/// The connection's destination was changed: it came in by a published port.
fn is_published() -> [Expression; 3] {
    const IPS_DST_NAT: u32 = 1 << 5;
    [
        Expression::ConnectionStatus { slot: 0 },
        Expression::Mask {
            slot: 0,
            mask: IPS_DST_NAT.to_ne_bytes(),
        },
        unequal(&[0; 4]),
    ]
}

fn from_subnet4() -> [Expression; 4] {
    let [meta, compare] = is_family(NFPROTO_IPV4);
    [
        meta,
        compare,
        payload(Header::Network, 12, 4, 0),
        Expression::Lookup {
            set: SUBNETS4,
            slot: 0,
            inverted: false,
        },
    ]
}

fn from_subnet6() -> [Expression; 4] {
    let [meta, compare] = is_family(NFPROTO_IPV6);
    [
        meta,
        compare,
        payload(Header::Network, 8, 16, 0),
        Expression::Lookup {
            set: SUBNETS6,
            slot: 0,
            inverted: false,
        },
    ]
}

/// One byte of an IPv4 header has a value.
fn ipv4_network_byte(offset: u32, value: &'static [u8]) -> [Expression; 4] {
    let [meta, compare] = is_family(NFPROTO_IPV4);
    [
        meta,
        compare,
        payload(Header::Network, offset, 1, 0),
        equal(value),
    ]
}

fn is_family(family: u32) -> [Expression; 2] {
    let value: &'static [u8] = if family == NFPROTO_IPV4 { &[2] } else { &[10] };
    [
        Expression::Meta {
            key: Meta::Family,
            slot: 0,
        },
        equal(value),
    ]
}

fn payload(base: Header, offset: u32, length: u32, slot: u32) -> Expression {
    Expression::Payload {
        base,
        offset,
        length,
        slot,
    }
}

fn equal(value: &'static [u8]) -> Expression {
    Expression::Compare {
        slot: 0,
        how: Compare::Equal,
        value,
    }
}

fn unequal(value: &'static [u8]) -> Expression {
    Expression::Compare {
        slot: 0,
        how: Compare::NotEqual,
        value,
    }
}

const fn set(name: &'static str, key_type: u32, key_bytes: u32) -> SetSpec {
    SetSpec {
        name,
        key_type,
        key_bytes,
        data: None,
        interval: false,
        host_order: false,
    }
}

const fn hook(kind: &'static str, number: u32, priority: i32) -> Option<Hook> {
    Some(Hook {
        kind,
        number,
        priority,
    })
}

const fn concat(parts: &[u32]) -> u32 {
    let mut kind = 0;
    let mut index = 0;
    while index < parts.len() {
        kind = (kind << 6) | parts[index];
        index += 1;
    }
    kind
}
