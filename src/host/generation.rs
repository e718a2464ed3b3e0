//! The generation number of the kernel's nf_tables rules: it rises with every commit, so equal numbers mean that nobody
//! wrote in between, and it costs one small message instead of a listing.

#[cfg(target_os = "linux")]
mod linux {
    use rustix::net::netlink::{self, SocketAddrNetlink};
    use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with};

    /// `NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETGEN` (`linux/netfilter/nfnetlink.h`, `nf_tables.h`).
    const GETGEN: u16 = 10 << 8 | 16;
    /// `NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWGEN`.
    const NEWGEN: u16 = 10 << 8 | 15;
    /// `NFTA_GEN_ID`.
    const GEN_ID: u16 = 1;

    pub(super) fn read() -> Option<u32> {
        let flags = SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, Some(netlink::NETFILTER)).ok()?;
        rustix::net::bind(&socket, &SocketAddrNetlink::new(0, 0)).ok()?;
        rustix::net::sockopt::set_socket_timeout(
            &socket,
            rustix::net::sockopt::Timeout::Recv,
            Some(std::time::Duration::from_secs(2)),
        )
        .ok()?;
        // nlmsghdr (length, type, flags NLM_F_REQUEST, sequence, port) and nfgenmsg (family, version, resource).
        let mut message = Vec::with_capacity(20);
        message.extend_from_slice(&20u32.to_ne_bytes());
        message.extend_from_slice(&GETGEN.to_ne_bytes());
        message.extend_from_slice(&1u16.to_ne_bytes());
        message.extend_from_slice(&993u32.to_ne_bytes());
        message.extend_from_slice(&[0; 8]);
        sendto(&socket, &message, SendFlags::empty(), &SocketAddrNetlink::new(0, 0)).ok()?;
        let mut answer = [0u8; 512];
        let (_, length) = recv(&socket, &mut answer[..], RecvFlags::empty()).ok()?;
        parse(answer.get(..length)?)
    }

    fn parse(answer: &[u8]) -> Option<u32> {
        let number = |at: usize| Some(u16::from_ne_bytes(answer.get(at..at + 2)?.try_into().ok()?));
        if number(4)? != NEWGEN {
            return None;
        }
        let mut at = 20;
        loop {
            let (length, kind) = (usize::from(number(at)?), number(at + 2)?);
            if kind == GEN_ID {
                return Some(u32::from_be_bytes(answer.get(at + 4..at + 8)?.try_into().ok()?));
            }
            at += length.next_multiple_of(4).max(4);
        }
    }
}

/// The number; none where it cannot be told (no permission, no nf_tables, another system).
pub(super) fn read() -> Option<u32> {
    #[cfg(target_os = "linux")]
    return linux::read();
    #[cfg(not(target_os = "linux"))]
    None
}
