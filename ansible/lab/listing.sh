# Everything that the firewalls of a host hold, without counters and the times of a listing.
# shellcheck shell=sh
PATH=$PATH:/usr/sbin:/sbin
{
	if command -v nft >/dev/null; then nft -s list ruleset; fi
	for f in iptables-nft ip6tables-nft iptables-legacy ip6tables-legacy; do "$f-save" 2>/dev/null; done
} | grep -v '^#' | sed 's/^:\([^ ]*\) \([^ ]*\) .*/:\1 \2/; s/counter packets [0-9]* bytes [0-9]*/counter/'
