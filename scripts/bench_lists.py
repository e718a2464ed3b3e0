"""The benchmarks' lists of networks, the same bytes everywhere.

List(n) is n distinct lines from Python's Mersenne Twister with seed 993: IPv4 and IPv6 by turns, unsorted, overlaps allowed.
IPv4: prefix length uniform in 16..32, address uniform in 1.0.0.0..223.255.255.255 without 10/8 and 127/8.
IPv6: prefix length uniform in 32..128, address uniform in 2000::/3. So all 17 and all 97 lengths occur.
"""

import hashlib
import ipaddress
import random

#: How the SHA-256 of a list's text begins.
KNOWN = {10: "0f317fc8", 1_000: "f4622729", 10_000: "e9f29878", 100_000: "380461d7", 1_000_000: "e6ae8a35"}


def networks(count: int) -> list[str]:
    """The first lines of the list."""
    random_numbers = random.Random(993)
    seen: dict[str, None] = {}
    turn = 0
    while len(seen) < count:
        if turn % 2 == 0:
            while True:
                length = random_numbers.randint(16, 32)
                address = random_numbers.randrange(0x01000000, 0xE0000000)
                if address >> 24 not in (10, 127):
                    break
            text = f"{ipaddress.IPv4Address(address >> (32 - length) << (32 - length))}/{length}"
        else:
            length = random_numbers.randint(32, 128)
            address = 1 << 125 | random_numbers.getrandbits(125)
            text = f"{ipaddress.IPv6Address(address >> (128 - length) << (128 - length))}/{length}"
        turn += 1
        seen[text] = None
    lines = list(seen)
    digest = hashlib.sha256(("\n".join(lines) + "\n").encode()).hexdigest()
    if not digest.startswith(KNOWN.get(count, "")):
        raise SystemExit(f"the list of {count} networks is not the one that the figures are about: {digest}")
    return lines


def unlisted(listed: list[str]) -> str:
    """An address that no listed network holds."""
    known = set(listed)
    hosts = (ipaddress.ip_network(f"9.{(9 + (i >> 8)) % 256}.{i & 255}.9") for i in range(65536))
    free = (h for h in hosts if not any(str(h.supernet(new_prefix=n)) in known for n in range(16, 33)))
    return str(next(free).network_address)
