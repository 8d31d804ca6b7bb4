"""The marks by which netd recognizes its objects in the kernel. The numbers are only here.

``units/`` ships the same numbers as names for iproute2.
"""

#: IFLA_GROUP of every link that netd created (``ip link show group netd``).
GROUP = 28260
#: rtm_protocol / FRA_PROTOCOL / NDA_PROTOCOL of routes, rules and neighbours (``ip route show proto netd``).
PROTOCOL = 110
#: IFA_PROTO of addresses (Linux 5.18; older kernels ignore it).
ADDRESS_PROTOCOL = 110
#: The handle of root queueing disciplines ("qdisc netem 6e64:" in ``tc qdisc show``): those of the kernel have none.
QDISC = GROUP << 16
#: The nft table (family inet) that holds all address translation, and the comment of rules in foreign chains.
TABLE = "netd"
#: The first nsid that netd gives; the kernel's automatic ones stay far below.
FIRST_NSID = 1 << 20
