//! Ports as the tools take them: numbers, ranges, and the names of services.

use crate::ruleset::Ports;

/// Names that firewall rules of mail and other common servers use, as `/etc/services` of Debian has them for TCP. The
/// listing's own system is not at hand, so a name that is not here is unknown.
const SERVICES: &[(&str, u16)] = &[
    ("auth", 113),
    ("bgp", 179),
    ("bootpc", 68),
    ("bootps", 67),
    ("dict", 2628),
    ("discard", 9),
    ("domain", 53),
    ("domain-s", 853),
    ("echo", 7),
    ("epmd", 4369),
    ("finger", 79),
    ("ftp", 21),
    ("ftp-data", 20),
    ("ftps", 990),
    ("ftps-data", 989),
    ("git", 9418),
    ("gopher", 70),
    ("http", 80),
    ("http-alt", 8080),
    ("https", 443),
    ("imap", 143),
    ("imap2", 143),
    ("imap3", 220),
    ("imaps", 993),
    ("ipp", 631),
    ("ircd", 6667),
    ("ircs-u", 6697),
    ("iscsi-target", 3260),
    ("kerberos", 88),
    ("kpasswd", 464),
    ("ldap", 389),
    ("ldaps", 636),
    ("mail", 25),
    ("microsoft-ds", 445),
    ("ms-sql-s", 1433),
    ("munin", 4949),
    ("mysql", 3306),
    ("nbp", 2),
    ("netbios-dgm", 138),
    ("netbios-ns", 137),
    ("netbios-ssn", 139),
    ("nfs", 2049),
    ("nntp", 119),
    ("nntps", 563),
    ("nrpe", 5666),
    ("ntp", 123),
    ("openvpn", 1194),
    ("pop2", 109),
    ("pop3", 110),
    ("pop-3", 110),
    ("pop3s", 995),
    ("postgresql", 5432),
    ("printer", 515),
    ("radius", 1812),
    ("rsync", 873),
    ("rtsp", 554),
    ("sane-port", 6566),
    ("sieve", 4190),
    ("sip", 5060),
    ("sip-tls", 5061),
    ("smtp", 25),
    ("smtps", 465),
    ("snmp", 161),
    ("socks", 1080),
    ("ssh", 22),
    ("ssmtp", 465),
    ("submission", 587),
    ("submissions", 465),
    ("sunrpc", 111),
    ("svn", 3690),
    ("syslog-tls", 6514),
    ("telnet", 23),
    ("telnets", 992),
    ("tftp", 69),
    ("time", 37),
    ("urd", 465),
    ("whois", 43),
    ("www", 80),
    ("x11", 6000),
    ("xmpp-client", 5222),
    ("xmpp-server", 5269),
    ("zabbix-agent", 10050),
    ("zabbix-trapper", 10051),
];

/// One port as a number or name.
pub(super) fn port(text: &str) -> Option<u16> {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return text.parse().ok();
    }
    SERVICES.iter().find(|(name, _)| *name == text).map(|(_, port)| *port)
}

/// Ports and ranges (`1024:65535`, `:1023`), joined by commas. None if one of them is not known.
pub(super) fn ports(text: &str) -> Option<Ports> {
    let mut out = Vec::new();
    for part in text.split(',') {
        let (first, last) = if let Some((first, last)) = part.split_once([':', '-']).filter(|_| port(part).is_none()) {
            (if first.is_empty() { 0 } else { port(first)? }, if last.is_empty() { u16::MAX } else { port(last)? })
        } else {
            let one = port(part)?;
            (one, one)
        };
        // A range that runs backwards holds nothing.
        if first <= last {
            out.push((first, last));
        }
    }
    out.sort_unstable();
    Some(Ports(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_ranges_and_names() {
        assert_eq!(ports("993"), Some(Ports::one(993)));
        assert_eq!(ports("imaps,22:23,:7,65000:"), Some(Ports(vec![(0, 7), (22, 23), (993, 993), (65000, 65535)])));
        assert_eq!(ports("pop-3"), Some(Ports::one(110)));
        assert_eq!(ports("9:7"), Some(Ports(vec![])));
        assert_eq!(ports("nosuch"), None);
        assert_eq!(ports("70000"), None);
    }
}
